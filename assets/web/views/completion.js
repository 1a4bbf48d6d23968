// What is offered while a name is written: members after `@`, emoji after `:`.

import { freshId, h, replace } from '../dom.js';
import { avatar } from '../picture.js';
import { t } from '../text.js';
import { emoji } from './rich.js';

const OFFERED_MAX = 8;

/** A list above the text field; `handle(key)` is given each key first, and says whether it took it. */
export const completion = (app, input) => {
	const list = h('ul.list.completion', { id: freshId(), role: 'listbox', 'aria-label': t('suggestions') });
	const set = (attributes) => Object.entries(attributes).forEach(([name, value]) => input.setAttribute(name, value));
	let offers = [];
	let chosen = 0;
	const show = (found, index = 0) => {
		[offers, chosen] = [found, index];
		list.hidden = !found.length;
		replace(list, found.map((offer, place) => h('li', {
			id: `${list.id}.${place}`, role: 'option', 'aria-selected': String(place === index),
			onpointerdown: (event) => {
				event.preventDefault(); // the focus stays
				insert(offer);
			},
		}, offer.draw(), h('span.name', offer.text))));
		set({ 'aria-expanded': !list.hidden, 'aria-activedescendant': list.hidden ? '' : `${list.id}.${index}` });
	};
	const insert = ({ text, length }) => {
		input.setRangeText(`${text} `, input.selectionStart - length, input.selectionStart, 'end');
		input.dispatchEvent(new Event('input'));
	};
	const handle = (key) => {
		if (!offers.length) return false;
		if (key === 'ArrowDown') show(offers, (chosen + 1) % offers.length);
		else if (key === 'ArrowUp') show(offers, (chosen || offers.length) - 1);
		else if (key === 'Enter' || key === 'Tab') insert(offers[chosen]);
		else if (key === 'Escape') show([]);
		else return false;
		return true;
	};
	set({ role: 'combobox', 'aria-autocomplete': 'list', 'aria-controls': list.id });
	show([]);
	input.addEventListener('input', () => show(find(app, input.value.slice(0, input.selectionStart))));
	input.addEventListener('blur', () => show([]));
	return { list, handle };
};

/** What fits the word at the end of this text: those that begin so first, and of them whoever is online. */
const find = (app, before) => {
	const { current } = app;
	const [, sign, typed] = /(?:^|[\s(])([@:])([^@:\n]{0,32})$/.exec(before) ?? [];
	if (!sign || (sign === ':' && typed.length < 2)) return [];
	const all = sign === ':'
		? [...current.emoji.keys()].map((name) => ({ name, text: `:${name}:`, draw: () => emoji(current, name) }))
		: [...current.members.values()].map((member) => ({
			name: member.name, text: `@${member.name}`, draw: () => avatar(app, member, 20), isAway: !current.online.has(member.uuid),
		}));
	return all.map((offer) => ({ ...offer, length: 1 + typed.length, at: offer.name.toLowerCase().indexOf(typed.toLowerCase()) }))
		.filter(({ at }) => at >= 0)
		.sort((one, other) => (one.at > 0) - (other.at > 0) || one.isAway - other.isAway || (one.name < other.name ? -1 : 1))
		.slice(0, OFFERED_MAX);
};
