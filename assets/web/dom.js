// Building elements without markup: whatever others wrote only ever becomes a text node.

import { refusalText, t } from './text.js';

export * from './text.js';

const NOTICE_MS = 5000;

/** `h('button.quiet', { onclick }, 'Save')`; the properties may be left out. A button that does something submits nothing. */
export const h = (tag, props, ...children) => {
	if (props?.constructor !== Object) return h(tag, {}, props, ...children);
	const [name, ...classes] = tag.split('.');
	const element = document.createElement(name);
	element.className = [...classes, props.class ?? ''].join(' ');
	if (name === 'button' && props.onclick) element.type = 'button';
	for (const [key, value] of Object.entries(props)) {
		if (value === null || value === undefined || key === 'class') continue;
		if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
		else if (key === 'dataset') Object.assign(element.dataset, value);
		else if (key in element) element[key] = value;
		else if (typeof value === 'boolean') element.toggleAttribute(key, value);
		else element.setAttribute(key, value);
	}
	replace(element, children);
	return element;
};

export const replace = (element, ...children) =>
	element.replaceChildren(...children.flat(Infinity).filter((child) => ![null, undefined, false].includes(child)));

/** `names` with spaces between; until `signal` aborts. */
export const on = (target, names, listener, signal) => {
	for (const name of names.split(' ')) target.addEventListener(name, listener, { signal });
};

const ICONS = {
	send: 'M3 3l15 7-15 7 3-7zh6',
	reply: 'M8 5l-5 5 5 5M3 10h8q6 0 6 6',
	edit: 'M4 16l1-4 9-9 3 3-9 9z',
	delete: 'M3 6h14M8 6V3h4v3M5 6l1 11h8l1-11',
	close: 'M5 5l10 10m0-10L5 15',
	menu: 'M3 5h14M3 10h14M3 15h14',
	members: 'M7 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2 17q5-10 10 0M13 9a3 3 0 1 0-1-5M14 12q3 1 4 5',
	settings: 'M3 6h8m4 0h2M3 14h2m4 0h8M13 4v4M7 12v4',
	add: 'M10 4v12M4 10h12',
	up: 'M5 12l5-5 5 5',
	down: 'M5 8l5 5 5-5',
	warning: 'M10 2L2 17h16zm0 6v4m0 1v2',
	shield: 'M10 2l7 3q0 9-7 13-7-4-7-13z',
	hash: 'M7 3L5 17m9-14l-2 14M3 7h14M3 13h14',
};

export const icon = (name) => {
	const [svg, path] = ['svg', 'path'].map((tag) => document.createElementNS('http://www.w3.org/2000/svg', tag));
	svg.setAttribute('viewBox', '0 0 20 20');
	svg.setAttribute('aria-hidden', 'true');
	path.setAttribute('d', ICONS[name] ?? '');
	svg.append(path);
	return svg;
};

export const iconButton = (name, label, onclick, props) =>
	h('button.icon', { 'aria-label': label, title: label, onclick, ...props }, icon(name));

let ids = 0;
export const freshId = () => `i${++ids}`;

export const field = (label, input, hint) => {
	input.id ||= freshId();
	const note = hint && h('p.hint', { id: freshId() }, hint);
	if (note) input.setAttribute('aria-describedby', note.id);
	return h('div.field', h('label', { for: input.id }, label), input, note);
};

/** A modal dialog with a heading. Esc closes it, and the focus goes back where it was. */
export const openDialog = (title, content, { wide, onclose } = {}) => {
	const heading = h('h2', { id: freshId() }, title);
	const close = () => element.close();
	const before = document.activeElement;
	const element = h('dialog', { 'aria-labelledby': heading.id, closedby: 'any', class: wide ? 'wide' : '' },
		h('header', heading, iconButton('close', t('close'), close)), h('div.scroll', content));
	element.addEventListener('close', () => {
		if (element.contains(notices)) document.body.append(notices);
		element.remove();
		onclose?.();
		// What was drawn anew meanwhile has the same id.
		(before?.isConnected ? before : document.getElementById(before?.id))?.focus();
	});
	document.body.append(element);
	element.showModal();
	return { element, close };
};

/** Before what cannot be undone. Resolves with whether it is meant. */
export const ask = (title, text, action) => new Promise((resolve) => {
	const answer = (value) => {
		resolve(value);
		dialog.close();
	};
	const dialog = openDialog(title, [
		h('p', text),
		h('div.row.end',
			h('button.quiet', { onclick: () => answer(false) }, t('cancel')),
			h('button.danger', { onclick: () => answer(true), autofocus: true }, action)),
	], { onclose: () => resolve(false) });
});

/** `onsubmit` gets the values by the inputs' names; why it was refused is shown. */
export const form = (onsubmit, ...children) => {
	const error = h('p.error', { role: 'alert' });
	let isBusy = false;
	const submit = async (event) => {
		event.preventDefault();
		if (isBusy) return;
		isBusy = true;
		error.textContent = '';
		try {
			await onsubmit(Object.fromEntries(new FormData(element)), element);
		} catch (problem) {
			error.textContent = refusalText(problem);
		}
		isBusy = false;
	};
	const element = h('form', { novalidate: true, onsubmit: submit }, children, error);
	return element;
};

const live = h('div.visually-hidden', { 'aria-live': 'polite' });
const notices = h('div.notices', { role: 'status' });

/** They must be there before the first notice is. */
export const mountNotices = () => document.body.append(live, notices);

const tell = (place, text) => {
	const line = h('p', text);
	place.append(line);
	setTimeout(() => line.remove(), NOTICE_MS);
};

/** To a screen reader alone. */
export const announce = (text) => tell(live, text);

export const say = (text) => {
	// A modal dialog covers what is not in it.
	([...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body).append(notices);
	tell(notices, text);
};
