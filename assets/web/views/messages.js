// The messages of the channel that is shown: those around what is in view, however many there are.

import { announce, h, iconButton, on } from '../dom.js';
import { refusalText, t } from '../text.js';
import { actions, describe } from './message.js';

const ROWS = 120; // on each side of the row at the top of the view
const NEAR_PX = 1200; // how near to their end there must be more
const BOTTOM_PX = 40;
const JUMP_PAGES_MAX = 50;
const KEYS = { r: 'reply', e: 'edit', Delete: 'delete' };

export const messagesView = (app, signal) => {
	const list = h('ol.list', { 'aria-label': t('messages') });
	const state = h('span', { role: 'status' });
	const retry = h('button', { onclick: () => (findLog().loaded ? findLog().loadOlder() : findLog().refresh()) }, t('retry'));
	const scroller = h('div.scroller', h('div.state', state, ' ', retry), list);
	const down = h('button.primary.down', { onclick: () => toNewest() });
	let shown; // the channel's uuid
	let rows = new Map(); // key -> what `describe` gives, and its element
	let from = 0; // places in the log, of the first message that is drawn and behind the last
	let end = 0;
	let isStuck = true; // to the newest
	let anchor = null; // {key, bottom}: the row that must not move
	let news = 0;
	let frame = 0;

	const findLog = () => app.current.logs.get(shown);

	const toNewest = () => {
		isStuck = true;
		news = 0;
		render();
	};
	const channelChanged = () => {
		shown = app.current.channel?.uuid;
		rows.clear();
		list.replaceChildren();
		toNewest();
	};
	const messagesChanged = ({ detail: { channel, kind, message } }) => {
		if (channel !== shown) return;
		if (kind === 'new' && message.author_uuid !== app.current.me) {
			announce(`${app.current.member(message.author_uuid).name}: ${message.content.slice(0, 300)}`);
			if (!isStuck) news++;
		}
		// One's own is looked for at the end.
		if (kind === 'pending' && findLog()?.pending.some((entry) => entry.state === 'sending')) isStuck = true;
		plan();
	};

	/** Many changes, one drawing. */
	const plan = () => { frame ||= requestAnimationFrame(render); };
	const render = () => {
		frame = 0;
		const text = stateText();
		if (state.textContent !== text) state.textContent = text;
		retry.hidden = !findLog()?.failed;
		draw();
		look();
		// After what there is was painted.
		requestAnimationFrame(() => setTimeout(fill));
	};
	const stateText = () => {
		const { channel } = app.current;
		const log = findLog();
		if (!channel) return t('no_channels');
		if (!app.current.can('read_messages', channel)) return t('may_not_read');
		if (log?.failed) return refusalText(log.failed);
		if (log?.complete) return t('beginning', { name: channel.name });
		return log?.loading ? t('loading') : '';
	};

	/** Draws those around the anchor or up to the newest, and behind the newest what is not sent yet. */
	const draw = () => {
		const log = findLog();
		const messages = log?.messages ?? [];
		const found = messages.indexOf(log?.find(anchor?.key));
		const near = found < 0 ? from + ROWS : found; // it may have been deleted
		const middle = Math.min(messages.length, isStuck ? Infinity : near);
		from = Math.max(0, middle - ROWS);
		end = Math.min(messages.length, middle + ROWS);
		const pending = log && end === messages.length ? log.pending : [];
		const all = [...messages.slice(from, end), ...pending.map((entry) => ({ ...entry, author_uuid: app.current.me }))];
		show(all.map((message, index) => describe(app, log, message, all[index - 1] ?? messages[from - 1], jump)));
		hold();
	};

	/** Makes the list show these rows; those that look the same stay. */
	const show = (wanted) => {
		const before = rows;
		rows = new Map(wanted.map((row) => {
			const old = before.get(row.key);
			const isSame = old?.signature.every((part, index) => part === row.signature[index]);
			return [row.key, isSame ? old : { ...row, element: row.draw() }];
		}));
		let heir = null; // of the focus
		for (const [key, { element }] of before) {
			const now = rows.get(key)?.element;
			if (now === element) continue;
			if (element.contains(document.activeElement)) heir = now ?? element.nextElementSibling ?? element.previousElementSibling;
			element.remove();
		}
		let next = list.firstElementChild;
		for (const { element } of rows.values()) {
			if (element === next) next = next.nextElementSibling;
			else list.insertBefore(element, next);
		}
		if (heir) focus(heir.isConnected ? heir : list.lastElementChild);
		else if (!list.contains(document.activeElement)) activate(list.lastElementChild);
	};

	// Staying where one is

	const scrolled = () => {
		isStuck = below() < BOTTOM_PX && end === (findLog()?.messages.length ?? 0);
		if (isStuck) news = 0;
		note();
		fill();
		look();
	};
	const look = () => {
		down.hidden = isStuck;
		down.textContent = news ? t('news', { n: news }) : t('to_newest');
		if (isStuck && document.hasFocus()) app.current.markRead();
	};
	const below = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;

	/** Near an end of the rows: others around what is in view, or more history. */
	const fill = () => {
		const log = findLog();
		if (!log?.loaded || !list.isConnected) return;
		const isNearTop = scroller.scrollTop < NEAR_PX;
		if ((isNearTop && from > 0) || (below() < NEAR_PX && end < log.messages.length)) draw();
		else if (isNearTop && !log.complete && !log.failed) log.loadOlder();
	};

	const bottomOf = ({ element }) => element.getBoundingClientRect().bottom - scroller.getBoundingClientRect().top;
	/** Notes what is at the top of the view, by its lower end: it may change its size when another one comes before it. */
	const note = () => {
		const row = [...rows.values()].find((one) => bottomOf(one) > 0);
		anchor = row && { key: row.key, bottom: bottomOf(row) };
	};
	/** Whatever changed its size or came in between: what was in view stays where it was. */
	const hold = () => {
		const row = rows.get(anchor?.key);
		const off = isStuck ? scroller.scrollHeight : row ? bottomOf(row) - anchor.bottom : 0;
		if (Math.abs(off) >= 1) scroller.scrollTop += off;
		if (!row) note();
	};

	/** Goes to a message, which may be far back. */
	const jump = async (uuid) => {
		const log = findLog();
		for (let pages = 0; !log.find(uuid) && !log.complete && pages < JUMP_PAGES_MAX; pages++) {
			await log.loadOlder();
			if (log.failed || log !== findLog()) return;
		}
		if (!log.find(uuid)) return;
		isStuck = false;
		anchor = { key: uuid, bottom: scroller.clientHeight / 3 };
		render();
		focus(rows.get(uuid).element);
	};

	// Hand and keyboard

	/** The one row that Tab leads to. */
	const activate = (row) => {
		list.querySelector(':scope > [tabindex="0"]')?.setAttribute('tabindex', '-1');
		row?.setAttribute('tabindex', '0');
	};
	const focus = (row) => {
		activate(row);
		row?.focus({ preventScroll: true });
	};
	const actionsOf = (row) => {
		const message = findLog()?.find(Number(row.dataset.uuid));
		return message ? actions(app, message) : [];
	};
	const touch = ({ type, target }) => {
		const row = target.closest('li[data-uuid]');
		if (!row) return;
		if (type === 'focusin') activate(row);
		const buttons = actionsOf(row).map(([name, act]) => iconButton(name, t(name), act));
		if (!buttons.length || row.querySelector(':scope > .toolbar')) return;
		list.querySelector(':scope > li > .toolbar')?.remove();
		row.append(h('div.toolbar', { role: 'toolbar', 'aria-label': t('message_actions') }, buttons));
	};
	const press = (event) => {
		const { key, target } = event;
		const row = target.closest('li[data-uuid]');
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const to = { ArrowUp: row.previousElementSibling, ArrowDown: row.nextElementSibling }[key];
		const [, act] = (target === row && actionsOf(row).find(([name]) => name === KEYS[key])) || [];
		if (to) {
			focus(to);
			to.scrollIntoView({ block: 'nearest' });
		} else if (act) {
			act();
		} else if (key === 'Escape') {
			document.querySelector('.composer textarea').focus();
		} else {
			return;
		}
		event.preventDefault();
	};

	on(app, 'channel community', channelChanged, signal);
	on(app, 'messages', messagesChanged, signal);
	on(app, 'members groups emoji channels state', plan, signal);
	on(scroller, 'scroll', scrolled, signal);
	on(window, 'focus', look, signal);
	on(list, 'pointerover focusin', touch, signal);
	on(list, 'keydown', press, signal);
	const watch = new ResizeObserver(hold);
	watch.observe(list);
	watch.observe(scroller);
	signal.addEventListener('abort', () => watch.disconnect());
	channelChanged();
	return h('div.messages', scroller, down);
};
