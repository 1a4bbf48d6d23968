// The table of deny, inherit and allow, and the pieces that the dialogs around it share.

import { ask, field, h, icon, iconButton, on, replace, say } from '../dom.js';
import { comesTo, decode, encode, PERMISSIONS, rank } from '../permissions.js';
import { refusalText, t } from '../text.js';

/** Those that count in a channel; the others hold server-wide, whatever a channel says of them. */
export const IN_CHANNEL = ['view_channel', 'read_messages', 'send_messages', 'manage_messages', 'modify_channels'];
const ALL = [...new Set([...IN_CHANNEL, ...PERMISSIONS])];
const CHOICES = [[2, 'deny', '✕'], [0, 'inherit', '–'], [1, 'allow', '✓']];

/**
 * `subjects`: [{key, name, permissions: bytes, onremove?}], a column each. `onchange(key, permission, value)`.
 * `disabledWhy(key, permission, value)`: why this choice is not to be had, or null.
 */
export const permissionTable = (subjects, { names = ALL, onchange, disabledWhy }) => h('table.plain.permissions', { onclick: sayWhy },
	h('thead', h('tr', h('td'), subjects.map(({ name, onremove }) => h('th', { scope: 'col' },
		h('bdi', name), onremove && iconButton('close', `${t('remove')}: ${name}`, onremove))))),
	h('tbody', names.map((name) => h('tr',
		h('th', { scope: 'row' }, t(`may_${name}`), h('p.hint', t(`for_${name}`))),
		subjects.map((subject) => h('td', choices(subject, name, onchange, disabledWhy)))))));

/** A disabled choice tells a finger why as well. */
const sayWhy = ({ target }) => {
	const label = target.closest('label');
	if (label?.querySelector(':disabled')) say(label.title);
};

const choices = ({ key, name: whose, permissions }, name, onchange, disabledWhy) => {
	const set = decode(permissions)[name];
	return h('span.choices', { role: 'radiogroup', 'aria-label': `${t(`may_${name}`)}: ${whose}` },
		CHOICES.map(([value, word, sign]) => {
			const why = value === set ? null : disabledWhy(key, name, value);
			const label = why ? `${t(word)} (${why})` : t(word);
			return h(`label.${word}`, { title: label },
				h('input', {
					type: 'radio', id: `${key}.${name}.${value}`, name: `${key}.${name}`, 'aria-label': label,
					checked: value === set, disabled: Boolean(why), onchange: () => onchange(key, name, value),
				}),
				h('span', { 'aria-hidden': 'true' }, sign));
		}));
};

/** A map of permissions with changes laid over it, so that what others change meanwhile is kept. */
export const overlay = (map, edits) => {
	const edited = Object.entries(edits).map(([key, edit]) => [key, encode({ ...decode(map[key] ?? []), ...edit })]);
	return { ...map, ...Object.fromEntries(edited) };
};

export const rankOf = (community, uuid = community.me) => rank(community, community.member(uuid));

/** 'group:1' or 'user:1': the kind, and the uuid. */
export const partsOf = (key) => [key.split(':')[0], Number(key.split(':')[1])];

/** Why I may not set this, or null (protocol section 4, "Rank"). `key` may be 'base' as well. */
export const whyNot = (community, key, name, was, value) => {
	if (value === was) return null;
	const isGrant = (value === 1 && was !== 1) || (was === 2 && value !== 2);
	if (isGrant && !comesTo(community, community.member(community.me))[name]) return t('why_not_yours');
	const [kind, uuid] = partsOf(key);
	if (!uuid) return null;
	const other = kind === 'user' ? rankOf(community, uuid) : community.groups.find((group) => group.uuid === uuid).position;
	const isFree = isGrant ? kind === 'group' || rankOf(community) === 0 : kind === 'user' && uuid === community.me;
	return isFree || rankOf(community) < other ? null : t('why_rank');
};

/** Draws, now and on each of these events, without losing the focus: what may have it has a lasting id. */
export const drawOn = (target, events, draw, signal) => {
	const redraw = () => {
		const { id } = document.activeElement;
		draw();
		if (id && document.activeElement.id !== id) document.getElementById(id)?.focus();
	};
	on(target, events, redraw, signal);
	redraw();
	return redraw;
};

/** As `community.request`, but a refusal is told in words that fit here. */
export const act = (community, command, fields, kind = 'manage') => community.request(command, fields)
	.catch((problem) => { throw new Error(refusalText(problem, kind)); });

/** A button's work: what hinders it is said. */
export const attempt = (work) => work().catch((problem) => say(problem.message));

/** A button's work: deletes it for good, once that is meant. `command` names the texts as well. */
export const erase = (community, command, fields, values) => attempt(async () => {
	const isMeant = await ask(t(command), t(`${command}_text`, values), t('delete'), { danger: true });
	if (isMeant) await act(community, command, fields, command);
});

/** A name to be edited; what stands shows through as its `defaultValue` until it is. */
export const nameInput = (props) => h('input', { name: 'name', required: true, maxlength: '32', autocomplete: 'off', ...props });

/** Two buttons that move something at `position` by one, between these bounds. */
export const movers = (community, command, { uuid, name, position }, first, last) => [['up', -1], ['down', 1]].map(([way, by]) =>
	iconButton(way, `${t(`move_${way}`)}: ${name}`, () => attempt(() => act(community, command, { uuid, position: position + by })),
		{ id: `${way}.${uuid}`, disabled: position < first || position + by < first || position + by > last }));

/** Members whose name has this in it, the highest rank first. */
export const matching = (community, query) => [...community.members.values()]
	.filter(({ name }) => name.toLowerCase().includes(query.toLowerCase()))
	.map((member) => ({ member, place: rank(community, member) }))
	.sort((a, b) => a.place - b.place || a.member.name.localeCompare(b.member.name))
	.map(({ member }) => member);

/** A search field; Enter in it sends no form. */
export const searchField = (label, oninput, onenter) => field(label, h('input', {
	type: 'search', autocomplete: 'off', oninput: ({ target }) => oninput(target.value.trim()),
	onkeydown: (event) => {
		if (event.key !== 'Enter') return;
		event.preventDefault();
		onenter?.();
	},
}));

/** A search and what it finds, to be picked: `{element, draw}`. `find(query)`: [{key, name}]. */
export const finder = (label, find, onpick) => {
	const list = h('ul.list.row');
	const draw = () => replace(list, find(input.value.trim()).slice(0, 8).map(({ key, name }) =>
		h('li', h('button', { onclick: () => pick(key) }, icon('add'), h('bdi', name)))));
	const pick = (key) => {
		input.value = '';
		input.focus(); // first: a dialog that opens gives the focus back to it
		onpick(key);
		draw();
	};
	const search = searchField(label, () => draw(), () => list.querySelector('button')?.click());
	const input = search.querySelector('input');
	draw();
	return { element: h('div', search, list), draw };
};
