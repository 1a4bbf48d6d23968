// What is offered while a name is written: members after `@`, emoji after `:`.

import { freshId, h, replace, t } from '../dom.js';
import { avatar } from '../picture.js';
import { emoji } from './rich.js';

const OFFERED_MAX = 8;

/** `handle(key)` is given each key first, and says whether it took it. */
export const completion = (app, input) => {
	const list = h('ul.list.completion', { id: freshId(), role: 'listbox', 'aria-label': t('mention') });
	let offers = [];
	let chosen = 0;
	const show = (found, index = 0) => {
		[offers, chosen] = [found, index];
		list.hidden = !found.length;
		replace(list, found.map(({ text, picture }, place) => h('li', {
			id: `${list.id}.${place}`, role: 'option', 'aria-selected': String(place === index),
			onpointerdown: (event) => {
				event.preventDefault(); // the focus stays
				insert(text);
			},
		}, picture, h('span.name', text))));
		input.setAttribute('aria-expanded', !list.hidden);
		input.setAttribute('aria-activedescendant', list.hidden ? '' : `${list.id}.${index}`);
	};
	const insert = (text) => {
		const end = input.selectionStart;
		input.setRangeText(`${text} `, input.value.lastIndexOf(text[0], end - 1), end, 'end');
		input.dispatchEvent(new Event('input'));
	};
	const handle = (key) => {
		if (!offers.length) return false;
		const by = { ArrowDown: 1, ArrowUp: offers.length - 1 }[key];
		if (by) show(offers, (chosen + by) % offers.length);
		else if (key === 'Enter' || key === 'Tab') insert(offers[chosen].text);
		else if (key === 'Escape') show([]);
		else return false;
		return true;
	};
	input.setAttribute('aria-controls', list.id);
	show([]);
	input.addEventListener('input', () => show(find(app, input.value.slice(0, input.selectionStart))));
	input.addEventListener('blur', () => show([]));
	return { list, handle };
};

const find = (app, before) => {
	const { members, online, emoji: pictures } = app.current;
	const [, sign, typed = ''] = /(?:^|[\s(])([@:])([^@:\n]{0,32})$/.exec(before) ?? [];
	const isMember = sign === '@';
	if (!isMember && typed.length < 2) return [];
	const place = ({ name }) => name.toLowerCase().indexOf(typed.toLowerCase());
	const rank = (one) => (place(one) ? 2 : 0) + (online.has(one.uuid) ? 0 : 1);
	return (isMember ? [...members.values()] : Array.from(pictures.keys(), (name) => ({ name })))
		.filter((one) => place(one) >= 0)
		.sort((one, other) => rank(one) - rank(other) || (one.name < other.name ? -1 : 1))
		.slice(0, OFFERED_MAX)
		.map((one) => ({
			text: isMember ? `@${one.name}` : `:${one.name}:`,
			picture: isMember ? avatar(app, one, 20) : emoji(app.current, one.name),
		}));
};
