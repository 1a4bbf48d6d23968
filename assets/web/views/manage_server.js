// What a server looks like: its name, its picture, its emoji.

import { field, form, h, iconButton, replace, say } from '../dom.js';
import { pictureFromFile } from '../picture.js';
import { t } from '../text.js';
import { act, drawOn, erase, nameInput, searchField } from './permissions.js';

const SHOWN_MAX = 50; // emoji in the list
const EMOJI_EDGE = 64;
const ICON_EDGE = 256;

export const serverPanel = (community, signal) => {
	const name = nameInput();
	const picture = h('img.server-icon', { alt: '' });
	drawOn(community, 'name icon', () => {
		name.defaultValue = community.name;
		picture.src = community.pictureUrl(community.icon) ?? 'data:,';
	}, signal);
	const saving = (work) => async (values, element) => {
		await work(element);
		element.reset();
		say(t('saved'));
	};
	return [
		form(saving(() => act(community, 'set_name', { name: name.value })), field(t('name'), name), h('button.primary', t('save'))),
		form(saving(async ({ file }) => act(community, 'set_icon', { data: await pictureOf(file, ICON_EDGE) })),
			h('h3', t('icon')), picture, fileField(), h('button.primary', t('save'))),
		form(saving(async ({ file, emoji }) => act(community, 'create_emoji', { name: emoji.value.trim(), data: await pictureOf(file, EMOJI_EDGE) }, 'emoji')),
			h('h3', t('new_emoji')), field(t('name'), nameInput({ name: 'emoji', autocapitalize: 'none' }), t('emoji_hint')),
			fileField(), h('button.primary', t('add'))),
		emojiList(community, signal),
	];
};

const fileField = () => field(t('picture_file'), h('input', { type: 'file', name: 'file', accept: 'image/*' }));

const pictureOf = ({ files: [file] }, edge) => {
	if (!file) throw new Error(t('choose_picture'));
	return pictureFromFile(file, edge);
};

const emojiList = (community, signal) => {
	const list = h('ul.list');
	let query = '';
	const draw = drawOn(community, 'emoji', () => replace(list, [...community.emoji]
		.filter(([name]) => name.includes(query)).slice(0, SHOWN_MAX).map((emoji) => emojiItem(community, emoji))), signal);
	return [h('h3', t('emoji')), searchField(t('search'), (text) => { query = text; draw(); }), list];
};

const emojiItem = (community, [name, uuid]) => {
	const picture = h('img.emoji', { alt: '' });
	community.emojiUrl(name).then((url) => { picture.src = url ?? 'data:,'; });
	return h('li.row', picture, h('span.name', `:${name}:`),
		iconButton('delete', `${t('delete')}: ${name}`, () => erase(community, 'delete_emoji', { uuid }, { name })));
};
