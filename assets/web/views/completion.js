// What is offered while a name is written: members after `@`, emoji after `:`.

import { freshId, h, replace } from '../dom.js';
import { avatar } from '../picture.js';
import { t } from '../text.js';
import { emoji } from './rich.js';

const OFFERED_MAX = 8;
const NAME_CHARS_MAX = 32;

/** A list above the text field; `handle(event)` is given each key first, and says whether it took it. */
export const completion = (app, input) => {
	const list = h('ul.list.completion', { id: freshId(), role: 'listbox', 'aria-label': t('suggestions'), hidden: true });
	let offers = [];
	let chosen = 0;
	for (const [name, value] of Object.entries({
		role: 'combobox', 'aria-autocomplete': 'list', 'aria-controls': list.id, 'aria-expanded': 'false',
	})) input.setAttribute(name, value);

	const close = () => show([]);
	const show = (found) => {
		offers = found;
		chosen = 0;
		list.hidden = !found.length;
		input.setAttribute('aria-expanded', String(found.length > 0));
		replace(list, found.map((offer, index) => h('li', {
			id: `${list.id}.${index}`, role: 'option',
			onpointerdown: (event) => { event.preventDefault(); insert(offer); },
		}, offer.picture, h('span.name', offer.text))));
		choose(0);
	};
	const choose = (index) => {
		chosen = index;
		[...list.children].forEach((item, at) => item.setAttribute('aria-selected', String(at === index)));
		if (offers.length) input.setAttribute('aria-activedescendant', `${list.id}.${index}`);
		else input.removeAttribute('aria-activedescendant');
	};
	const insert = ({ text, from }) => {
		input.setRangeText(`${text} `, from, input.selectionStart, 'end');
		close();
		input.dispatchEvent(new Event('input'));
	};
	const handle = (event) => {
		if (!offers.length || event.isComposing) return false;
		const { length } = offers;
		switch (event.key) {
			case 'ArrowDown': choose((chosen + 1) % length); break;
			case 'ArrowUp': choose((chosen + length - 1) % length); break;
			case 'Enter':
			case 'Tab': insert(offers[chosen]); break;
			case 'Escape': close(); break;
			default: return false;
		}
		event.preventDefault();
		return true;
	};
	input.addEventListener('input', () => show(find(app, input)));
	input.addEventListener('blur', close);
	return { list, handle };
};

/** What fits the word before the cursor. */
const find = (app, { value, selectionStart }) => {
	const before = value.slice(0, selectionStart);
	const [, sign, word] = /(?:^|[\s(])([@:])([^@:\n]*)$/.exec(before) ?? [];
	if (sign === undefined || word.length > NAME_CHARS_MAX || (sign === ':' && !/^[a-z0-9_-]{2,}$/.test(word))) return [];
	const from = selectionStart - word.length - 1;
	const { current } = app;
	if (sign === ':') {
		return best([...current.emoji.keys()], word, (name) => name)
			.map((name) => ({ from, text: `:${name}:`, picture: emoji(current, name) }));
	}
	const members = best([...current.members.values()], word.toLowerCase(), ({ name }) => name.toLowerCase(),
		({ uuid }) => (current.online.has(uuid) ? 0 : 1));
	return members.map((member) => ({ from, text: `@${member.name}`, picture: avatar(app, member, 20) }));
};

/** Those that begin so before those that hold it; in between by `order`. Only the few best are kept in order. */
const best = (all, word, nameOf, order = () => 0) => {
	const kept = [];
	for (const one of all) {
		const name = nameOf(one);
		const at = name.indexOf(word);
		if (at < 0) continue;
		const entry = { one, name, rank: order(one) + (at ? 2 : 0) };
		const place = kept.findIndex((other) => entry.rank < other.rank || (entry.rank === other.rank && name < other.name));
		if (place < 0 && kept.length >= OFFERED_MAX) continue;
		kept.splice(place < 0 ? kept.length : place, 0, entry);
		kept.length = Math.min(kept.length, OFFERED_MAX);
	}
	return kept.map(({ one }) => one);
};
