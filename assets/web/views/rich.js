// What Markdown means, as elements.

import { h } from '../dom.js';
import { isPicture, parse } from '../markdown.js';
import { t } from '../text.js';
import { openProfile } from './profile.js';

const TAGS = { text: 'div.text', quote: 'blockquote', list: 'ul', item: 'li', strong: 'strong', em: 'em', del: 'del' };

/** The content of a message, and its pictures below. */
export const rich = (app, content) => {
	const community = app.current;
	const pictures = [];
	let hidden = 0; // spoilers around: what they hide is not shown below
	const known = { findMember: (text, at) => community.findMemberAt(text, at), hasEmoji: (name) => community.emoji.has(name) };
	const draw = (node) => {
		if (typeof node === 'string') return node;
		const children = () => node.children.map(draw);
		switch (node.type) {
			case 'code': return h('code', node.text);
			case 'block': return h('pre', { tabindex: '0' }, h('code', node.text));
			case 'spoiler': {
				hidden++;
				const inner = children();
				hidden--;
				return spoiler(inner);
			}
			case 'list': return node.start === null ? h('ul', children()) : h('ol', { start: node.start }, children());
			case 'emoji': return emoji(community, node.name);
			case 'mention': return h('button.mention', {
				class: node.uuid === community.me ? 'me' : '', onclick: () => openProfile(app, node.uuid),
			}, `@${node.name}`);
			case 'link':
				if (isPicture(node.url) && !hidden) pictures.push(node.url);
				return link(node.url, children());
			default: return h(TAGS[node.type], { dir: node.type === 'text' ? 'auto' : null }, children());
		}
	};
	const text = parse(content, known).map(draw);
	return [...text, pictures.length > 0 && h('div.row.pictures', pictures.map((url) => picture(community, url)))];
};

/** Whatever it says, where it leads is told. */
const link = (url, children) => {
	const anchor = h('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow', title: url }, children);
	const { host, hostname } = new URL(url);
	return hostsIn(anchor.textContent).some((said) => said !== hostname) ? [anchor, ` (${host || url})`] : anchor;
};

/** What looks like a host: of a URL its own alone. Letters that cannot be seen, and dots of other widths, hide none. */
const hostsIn = (text) => {
	const plain = text.normalize('NFKC').replace(/\p{Cf}/gu, '').replaceAll('\u3002', '.').toLowerCase().trim();
	const hosts = [...plain.matchAll(/[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+/gu)].map(([said]) => said);
	return /^https?:\/\//.test(plain) ? hosts.slice(0, 1) : hosts;
};

const spoiler = (children) => {
	const inner = h('span', { inert: true }, children);
	const element = h('span.spoiler', { role: 'button', tabindex: '0', 'aria-label': t('spoiler') }, inner);
	const show = (event) => {
		if (event.type === 'keydown' && !['Enter', ' '].includes(event.key)) return;
		event.preventDefault();
		element.classList.add('shown');
		inner.inert = false;
		for (const name of ['role', 'aria-label']) element.removeAttribute(name);
		for (const name of ['click', 'keydown']) element.removeEventListener(name, show);
	};
	for (const name of ['click', 'keydown']) element.addEventListener(name, show);
	return element;
};

export const emoji = (community, name) => {
	const image = h('img.emoji', { alt: `:${name}:`, title: `:${name}:` });
	community.emojiUrl(name).then((url) => { if (url) image.src = url; });
	return image;
};

/** Another host learns of whoever looks: it is asked for nothing before they say so. */
const picture = (community, url) => {
	const { host } = new URL(url);
	const image = () => h('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow' },
		h('img.shown', { src: url, alt: t('picture_from', { host }), referrerpolicy: 'no-referrer' }));
	if (host === community.address) return image();
	const button = h('button', { onclick: () => button.replaceWith(image()) }, t('show_picture', { host }));
	return button;
};
