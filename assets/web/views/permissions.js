// The table of deny, inherit and allow, and what dialogs share.

import { ask, h, iconButton, on, refusalText, say, t } from '../dom.js';
import { decode, encode } from '../permissions.js';

const PRESS_MS = 50;
const SETTINGS = ['inherit', 'allow', 'deny'];
const SIGNS = { allow: ' ✓', deny: ' ✕' };

/** `subjects`: {key, name, permissions: bytes, all: what they come to, or nothing}, a row each. */
export const permissionTable = (names, subjects, onchange) => h('table',
	h('thead', h('tr', h('td'), names.map((name) => h('th', { scope: 'col' }, t(`may_${name}`))))),
	h('tbody', subjects.map((subject) => h('tr', h('th', { scope: 'row' }, h('bdi', subject.name)),
		names.map((name) => choice(subject, name, onchange))))));

const choice = ({ key, name: whose, permissions, all }, name, onchange) => {
	const chosen = decode(permissions)[name];
	// Who does not see a channel does nothing in it.
	const word = all && (all[name] && all.view_channel ? 'allow' : 'deny');
	return h('td', { class: word }, h('select', {
		id: `${key}.${name}`, 'aria-label': `${t(`may_${name}`)}: ${whose}`,
		onchange: ({ target }) => onchange(key, { [name]: Number(target.value) }),
	}, [2, 0, 1].map((value) => h('option', { value, selected: value === chosen }, t(SETTINGS[value]), value === chosen && SIGNS[word]))));
};

export const overlay = (bytes, settings) => encode({ ...decode(bytes), ...settings });

/** Beyond all without a group. */
export const rankOf = (community, uuid = community.me) =>
	community.groups.find((group) => community.member(uuid).groups.includes(group.uuid))?.position ?? Infinity;

/** Draws, now and on each of these events, without losing the focus: what may have it has a lasting id. */
export const drawOn = (target, events, draw, signal) => {
	const redraw = () => {
		const { id } = document.activeElement;
		draw();
		if (id && document.activeElement.id !== id) document.getElementById(id)?.focus({ preventScroll: true });
	};
	/** A button that is drawn anew while it is pressed is not clicked. */
	const later = () => {
		if (document.querySelector('button:active')) setTimeout(later, PRESS_MS);
		else if (!signal?.aborted) redraw();
	};
	on(target, events, later, signal);
	redraw();
	return later;
};

export const act = (community, command, fields, kind = 'manage') => community.request(command, fields)
	.catch((problem) => { throw new Error(refusalText(problem, kind)); });

export const attempt = (work) => work().catch((problem) => say(refusalText(problem)));

/** Deletes once that is meant; resolves with whether it did. */
export const erase = (community, command, fields, values) => attempt(async () =>
	await ask(t('delete'), t('delete_text', values), t('delete')) && act(community, command, fields, command));

/** What stands shows through as its `defaultValue` until it is edited. */
export const nameInput = (props) => h('input', { name: 'name', maxlength: '32', autocomplete: 'off', ...props });

export const searchInput = (oninput) => h('input', {
	type: 'search', autocomplete: 'off', oninput, onkeydown: (event) => event.key === 'Enter' && event.preventDefault(),
});

export const isFound = (search, name) => name.toLowerCase().includes(search.value.trim().toLowerCase());

export const movers = (community, command, { uuid, name, position }, all) => [['up', -1], ['down', 1]].map(([way, by]) =>
	iconButton(way, `${t(`move_${way}`)}: ${name}`, () => attempt(() => act(community, command, { uuid, position: position + by })),
		{ id: `${way}.${uuid}`, disabled: !all[position + by] }));
