// What a server looks like: its name, its picture, its emoji.

import { field, form, h, iconButton, replace, say, t } from '../dom.js';
import { pictureFromFile } from '../picture.js';
import { act, drawOn, erase, isFound, nameInput, searchInput } from './permissions.js';
import { emoji } from './rich.js';

const SHOWN_MAX = 50;
const EMOJI_EDGE = 64;
const ICON_EDGE = 256;

export const serverPanel = (community, signal) => {
	const nameField = nameInput();
	const picture = h('img.server-icon', { alt: '' });
	drawOn(community, 'name icon', () => {
		nameField.defaultValue = community.name;
		picture.src = community.pictureUrl(community.icon) ?? 'data:,';
	}, signal);
	const saving = (command, edge, ...children) => form(async ({ name, file }, element) => {
		await act(community, command, { name, data: file && await pictureFromFile(file, edge) });
		element.reset();
		say(t('saved'));
	}, ...children, h('button.primary', t('save')));
	const file = () => field(t('picture_file'), h('input', { type: 'file', name: 'file', accept: 'image/*' }));
	return [
		saving('set_name', 0, field(t('name'), nameField)),
		saving('set_icon', ICON_EDGE, h('h3', t('icon')), picture, file()),
		saving('create_emoji', EMOJI_EDGE, h('h3', t('new_emoji')), field(t('name'), nameInput()), file()),
		emojiList(community, signal)];
};

const emojiList = (community, signal) => {
	const list = h('ul.list');
	const search = searchInput(() => draw());
	const draw = drawOn(community, 'emoji', () => replace(list, [...community.emoji]
		.filter(([name]) => isFound(search, name)).slice(0, SHOWN_MAX).map(([name, uuid]) => h('li.row',
			emoji(community, name), h('span.name', `:${name}:`),
			iconButton('delete', `${t('delete')}: ${name}`, () => erase(community, 'delete_emoji', { uuid }, { name }))))), signal);
	return [h('h3', t('emoji')), field(t('search'), search), list];
};
