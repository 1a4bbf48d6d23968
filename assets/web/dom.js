// Building elements without markup: whatever others wrote only ever becomes a text node.

import { refusalText, t } from './text.js';

const PROPERTIES = new Set(['value', 'checked', 'selected', 'disabled', 'hidden', 'indeterminate']);

/** An element: `h('button.quiet', { onclick }, 'Save')`. The properties may be left out. A button that does something submits nothing. */
export const h = (tag, props, ...children) => {
	if (props instanceof Node || Array.isArray(props) || typeof props !== 'object') {
		children.unshift(props);
		props = null;
	}
	const [name, ...classes] = tag.split('.');
	const element = document.createElement(name);
	element.classList.add(...classes);
	if (name === 'button' && props?.onclick) element.type = 'button';
	for (const [key, value] of Object.entries(props ?? {})) setProp(element, key, value);
	append(element, children);
	return element;
};

const setProp = (element, key, value) => {
	if (value === null || value === undefined) return;
	if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
	else if (key === 'class') element.classList.add(...value.split(' ').filter(Boolean));
	else if (key === 'dataset') Object.assign(element.dataset, value);
	else if (PROPERTIES.has(key)) element[key] = value;
	else if (typeof value === 'boolean') element.toggleAttribute(key, value);
	else element.setAttribute(key, value);
};

const append = (element, children) => {
	for (const child of children.flat(Infinity)) {
		if (child !== null && child !== undefined && child !== false) element.append(child);
	}
};

/** Puts these children in place of those that there were. */
export const replace = (element, ...children) => {
	element.replaceChildren();
	append(element, children);
};

/** Listens to several events, named with spaces between, until `signal` aborts. */
export const on = (target, names, listener, signal) => {
	for (const name of names.split(' ')) target.addEventListener(name, listener, { signal });
};

const ICONS = {
	send: 'M3 10 17 3l-4 14-3-6z M10 11l7-8', reply: 'M8 5 3 10l5 5 M3 10h8a6 6 0 0 1 6 6',
	edit: 'M4 16l1-4 9-9 3 3-9 9z', delete: 'M4 6h12 M8 6V4h4v2 M6 6l1 11h6l1-11', close: 'M5 5l10 10 M15 5 5 15',
	menu: 'M3 5h14 M3 10h14 M3 15h14', members: 'M7 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6z M2 17a5 5 0 0 1 10 0 M13 9a3 3 0 1 0-1-5 M14 12a5 5 0 0 1 4 5',
	settings: 'M3 6h8 M15 6h2 M3 14h2 M9 14h8 M13 4v4 M7 12v4', add: 'M10 4v12 M4 10h12',
	more: 'M4 10h.1 M10 10h.1 M16 10h.1', up: 'M5 12l5-5 5 5', down: 'M5 8l5 5 5-5',
	warning: 'M10 3 2 17h16z M10 8v4 M10 14.5h.1',
	smile: 'M10 18a8 8 0 1 0 0-16 8 8 0 0 0 0 16z M7 8h.1 M13 8h.1 M6.5 12a4 4 0 0 0 7 0',
	shield: 'M10 2l7 3c0 6-2 10-7 13-5-3-7-7-7-13z', hash: 'M7 3 5 17 M14 3l-2 14 M3 7h14 M3 13h14', lock: 'M5 9h10v8H5z M7 9V6a3 3 0 0 1 6 0v3',
	user: 'M10 10a4 4 0 1 0 0-8 4 4 0 0 0 0 8z M3 18a7 7 0 0 1 14 0',
	search: 'M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12z M13.5 13.5 18 18', copy: 'M7 7h10v10H7z M13 7V3H3v10h4',
};

/** A small drawing that says nothing to a screen reader. */
export const icon = (name) => {
	const space = 'http://www.w3.org/2000/svg';
	const svg = document.createElementNS(space, 'svg');
	svg.setAttribute('viewBox', '0 0 20 20');
	svg.setAttribute('aria-hidden', 'true');
	const path = document.createElementNS(space, 'path');
	path.setAttribute('d', ICONS[name]);
	svg.append(path);
	return svg;
};

export const iconButton = (name, label, onclick, props) =>
	h('button.icon', { 'aria-label': label, title: label, onclick, ...props }, icon(name));

let ids = 0;
export const freshId = () => `i${++ids}`;

/** A label with its input and, below it, a hint. */
export const field = (label, input, hint) => {
	input.id ||= freshId();
	const note = hint && h('p.hint', { id: freshId() }, hint);
	if (note) input.setAttribute('aria-describedby', note.id);
	return h('div.field', h('label', { for: input.id }, label), input, note);
};

/** A modal dialog with a heading. Esc closes it, and the focus goes back where it was. */
export const openDialog = (title, content, { wide = false, onclose } = {}) => {
	const heading = h('h2', { id: freshId() }, title);
	const element = h('dialog', { 'aria-labelledby': heading.id, class: wide ? 'wide' : '' });
	const close = () => element.close();
	const before = document.activeElement;
	element.append(h('header', heading, iconButton('close', t('close'), close)), h('div.scroll', content));
	element.addEventListener('close', () => {
		if (element.contains(notices)) document.body.append(notices);
		element.remove();
		onclose?.();
		if (before?.isConnected) before.focus();
	});
	element.addEventListener('pointerdown', (event) => {
		if (event.target === element && isOutside(element, event)) close();
	});
	document.body.append(element);
	element.showModal();
	return { element, close };
};

const isOutside = (element, { clientX: x, clientY: y }) => {
	const box = element.getBoundingClientRect();
	return x < box.left || x > box.right || y < box.top || y > box.bottom;
};

/** Asks before something that cannot be undone. */
export const ask = (title, text, action, { danger = false } = {}) => new Promise((resolve) => {
	const answer = (value) => () => {
		resolve(value);
		dialog.close();
	};
	const dialog = openDialog(title, [
		h('p', text),
		h('div.row.end',
			h('button.quiet', { onclick: answer(false) }, t('cancel')),
			h(danger ? 'button.danger' : 'button.primary', { onclick: answer(true), autofocus: true }, action)),
	], { onclose: () => resolve(false) });
});

/** A form that shows why it was refused. `onsubmit` gets the values by the inputs' names. */
export const form = (onsubmit, ...children) => {
	const error = h('p.error', { role: 'alert', hidden: true });
	const element = h('form', { novalidate: true }, ...children, error);
	element.addEventListener('submit', async (event) => {
		event.preventDefault();
		const buttons = element.querySelectorAll('button[type=submit], button:not([type])');
		const focused = document.activeElement;
		buttons.forEach((button) => { button.disabled = true; });
		error.hidden = true;
		try {
			await onsubmit(Object.fromEntries(new FormData(element)), element);
		} catch (problem) {
			error.textContent = refusalText(problem);
			error.hidden = false;
		} finally {
			buttons.forEach((button) => { button.disabled = false; });
			// A button that is disabled loses the focus.
			if (document.activeElement === document.body && focused?.isConnected) focused.focus();
		}
	});
	return element;
};

const live = h('div.visually-hidden', { 'aria-live': 'polite' });
const notices = h('div.notices', { role: 'status' });

/** The places where notices are shown and heard; they must be there before the first one. */
export const mountNotices = () => document.body.append(live, notices);

/** Says it to a screen reader alone. */
export const announce = (text) => {
	const line = h('p', text);
	live.append(line);
	setTimeout(() => line.remove(), 5000);
};

/** Says it to everybody, for a few seconds. */
export const say = (text) => {
	const line = h('p', text);
	// A modal dialog covers whatever is not inside it.
	([...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body).append(notices);
	notices.append(line);
	setTimeout(() => line.remove(), 5000);
};
