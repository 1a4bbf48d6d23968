// What Markdown means, as elements.

import { h, t } from '../dom.js';
import { isPicture, parse } from '../markdown.js';
import { openProfile } from './profile.js';

const TAGS = { text: 'div.text', quote: 'blockquote', list: 'ul', item: 'li' };

export const rich = (app, content) => {
	const { current } = app;
	const pictures = [];
	const draw = (node) => {
		if (typeof node === 'string') return node;
		const { type, text, url, name, uuid, start } = node;
		const children = () => node.children.map(draw);
		switch (type) {
			case 'code': return h('code', text);
			case 'block': return h('pre', { tabindex: '0' }, h('code', text));
			// What is hidden is not in the page yet, nor are its pictures.
			case 'spoiler': return covered('button.mention', t('spoiler'), () => h('span.spoiler.shown', { tabindex: '-1' }, children()));
			case 'emoji': return emoji(current, name);
			case 'mention':
				return h(`button.mention${uuid === current.me ? '.me' : ''}`, { onclick: () => openProfile(app, uuid) }, `@${name}`);
			case 'link':
				if (isPicture(url)) pictures.push(url);
				return [anchor(url, children()), isPlain(node) ? '' : ` (${new URL(url).host || url})`];
			default: return h(start ? 'ol' : TAGS[type] ?? type, { dir: type === 'text' ? 'auto' : null, start }, children());
		}
	};
	const text = parse(content, { findMember: (...place) => current.findMemberAt(...place), hasEmoji: (name) => current.emoji.has(name) });
	return [text.map(draw), pictures.length > 0 && h('div.row.pictures', pictures.map((url) => picture(current, url)))];
};

const anchor = (url, children) => h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, children);

/** A URL alone says where it leads, if it begins with the host. Beside any other link the host is told. */
const isPlain = ({ url, children: [said, ...more] }) => said === url && !more.length && url.startsWith(new URL(url).origin);

const covered = (tag, label, make) => h(tag, { onclick: ({ currentTarget }) => {
	const shown = make();
	currentTarget.replaceWith(shown);
	shown.focus();
} }, label);

export const emoji = (community, name) => {
	const image = h('img.emoji', { alt: `:${name}:` });
	community.emojiUrl(name).then((url) => { if (url) image.src = url; });
	return image;
};

/** Another host learns of whoever looks: it is asked for nothing before they say so. */
const picture = (community, url) => {
	const { host } = new URL(url);
	const image = () => anchor(url, h('img.shown', { src: url, alt: host }));
	return host === community.address ? image() : covered('button', t('show_picture', { host }), image);
};
