// The messages of a channel: drawn are those around what is in view.

import { announce, h, iconButton, on, refusalText, t } from '../dom.js';
import { actions, describe } from './message.js';

const ROWS = 120; // on each side of the anchor
const NEAR_PX = 1200;
const BOTTOM_PX = 40;

export const messagesView = (app, signal) => {
	const list = h('ol.list', { 'aria-label': t('messages') });
	const state = h('span', { role: 'status' });
	const retry = h('button', { onclick: () => (findLog().loaded ? findLog().loadOlder() : findLog().refresh()) }, t('retry'));
	const scroller = h('div.scroller', h('div.state', state, ' ', retry), list);
	const down = h('button.primary.down', { onclick: () => toNewest() });
	let shown;
	let rows = new Map(); // key -> what `describe` gives, and its element
	let from = 0; // in the log, of what is drawn
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
		if (kind === 'pending' && findLog()?.pending.some((entry) => entry.state === 'sending')) isStuck = true;
		plan();
	};

	const plan = () => { frame ||= requestAnimationFrame(render); };
	const render = () => {
		frame = 0;
		const { current } = app;
		const { failed, complete, loading } = findLog() ?? {};
		const text = !current.channel ? t('no_channels')
			: !current.can('read_messages', current.channel) ? t('may_not_read')
				: failed ? refusalText(failed)
					: complete ? t('beginning', { name: current.channel.name })
						: loading ? t('loading') : '';
		if (state.textContent !== text) state.textContent = text;
		retry.hidden = !failed;
		draw();
		look();
		requestAnimationFrame(() => setTimeout(fill));
	};

	const draw = () => {
		const log = findLog();
		const messages = log?.messages ?? [];
		const found = messages.indexOf(log?.find(anchor?.key));
		const near = found < 0 ? from + ROWS : found; // it may have been deleted
		from = Math.max(0, (isStuck ? messages.length : near) - ROWS);
		end = Math.min(messages.length, isStuck ? Infinity : near + ROWS);
		const pending = log && end === messages.length ? log.pending : [];
		const all = [...messages.slice(from, end), ...pending.map((entry) => ({ ...entry, author_uuid: app.current.me }))];
		show(all.map((message, index) => describe(app, log, message, all[index - 1] ?? messages[from - 1], jump)));
		hold();
	};

	/** Rows that look the same stay: with them the focus, what is selected, and spoilers that were opened. */
	const show = (wanted) => {
		const before = rows;
		rows = new Map(wanted.map((row) => {
			const old = before.get(row.key);
			const isSame = old?.signature.every((part, index) => part === row.signature[index]);
			return [row.key, isSame ? old : { ...row, element: row.draw() }];
		}));
		const focused = [...list.children].findIndex((element) => element.contains(document.activeElement));
		for (const [key, { element }] of before) {
			if (rows.get(key)?.element !== element) element.remove();
		}
		let next = list.firstElementChild;
		for (const { element } of rows.values()) {
			if (element === next) next = next.nextElementSibling;
			else list.insertBefore(element, next);
			element.tabIndex = -1;
		}
		const last = list.lastElementChild;
		if (last) last.tabIndex = 0;
		if (last && focused >= 0 && !list.contains(document.activeElement)) (list.children[focused] ?? last).focus({ preventScroll: true });
	};

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
		if (isStuck && scroller.clientHeight && document.hasFocus()) app.current.markRead();
	};
	const below = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;

	const fill = () => {
		const log = findLog();
		if (!log?.loaded || !list.isConnected) return;
		const isNearTop = scroller.scrollTop < NEAR_PX;
		if ((isNearTop && from > 0) || (below() < NEAR_PX && end < log.messages.length)) draw();
		else if (isNearTop && !log.complete && !log.failed) log.loadOlder();
	};

	const bottomOf = ({ element }) => element.getBoundingClientRect().bottom - scroller.getBoundingClientRect().top;
	/** The row at the top, by its lower end: it may change its size when another one comes before it. */
	const note = () => {
		const row = [...rows.values()].find((one) => bottomOf(one) > 0);
		anchor = row && { key: row.key, bottom: bottomOf(row) };
	};
	const hold = () => {
		const row = rows.get(anchor?.key);
		const off = isStuck ? scroller.scrollHeight : row ? bottomOf(row) - anchor.bottom : 0;
		if (Math.abs(off) >= 1) scroller.scrollTop += off;
		if (!row) note();
	};

	const jump = async (uuid) => {
		const log = findLog();
		while (log.loaded && !log.find(uuid) && !log.complete && !log.failed && log === findLog()) await log.loadOlder();
		if (log !== findLog() || !log.find(uuid)) return;
		isStuck = false;
		anchor = { key: uuid, bottom: scroller.clientHeight / 3 };
		render();
		rows.get(uuid).element.focus({ preventScroll: true });
	};

	const actionsOf = (row) => {
		const message = findLog()?.find(Number(row.dataset.uuid));
		return message ? actions(app, message) : [];
	};
	const touch = ({ target }) => {
		const row = target.closest('li[data-uuid]');
		if (!row) return;
		const buttons = actionsOf(row).map(([name, act]) => iconButton(name, t(name), act));
		if (!buttons.length || row.querySelector(':scope > .toolbar')) return;
		list.querySelector(':scope > li > .toolbar')?.remove();
		row.append(h('div.toolbar', buttons));
	};
	const press = (event) => {
		const { key, target } = event;
		const row = target.closest('li[data-uuid]');
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const to = { ArrowUp: row.previousElementSibling, ArrowDown: row.nextElementSibling }[key];
		const action = target === row && actionsOf(row).find(([name]) => key === name[0] || key.toLowerCase() === name);
		to?.focus(); // which scrolls to it
		if (action) action[1]();
		else if (key === 'Escape') document.querySelector('.composer textarea').focus();
		if (to || action) event.preventDefault();
	};

	on(app, 'channel community', channelChanged, signal);
	on(app, 'messages', messagesChanged, signal);
	on(app, 'members groups emoji channels state', plan, signal);
	on(scroller, 'scroll', scrolled, signal);
	on(window, 'focus', look, signal);
	on(list, 'pointerover focusin', touch, signal);
	on(list, 'keydown', press, signal);
	const watch = new ResizeObserver(() => {
		hold();
		look();
	});
	watch.observe(list);
	watch.observe(scroller);
	channelChanged();
	return h('div.messages', scroller, down);
};
