// The messages of the channel that is shown: a window of rows that moves over them as one scrolls.

import { announce, h, on } from '../dom.js';
import { refusalText, t } from '../text.js';
import { actions, describe, messageRow, toolbar } from './message.js';

const ROWS_MAX = 240;
const STEP = 60; // rows by which the window moves
const NEAR_PX = 1200; // how near to its end
const BOTTOM_PX = 40;
const ANNOUNCE_MS = 1000;
const ANNOUNCED_MAX = 5; // word for word; of more only how many they are
const FOUND_MS = 2000;
const JUMP_PAGES_MAX = 50;

export const messagesView = (app, signal) => new Messages(app, signal).element;

class Messages {
	#places = new Map(); // channel uuid -> the anchor there, unless that was the end
	#rows = new Map(); // key -> {signature, element}
	#from = 0; // the window: places in the log, of the first row and behind the last
	#end = 0;
	#firstIndex = 0; // what `#from` was when the rows were drawn
	#isStuck = true; // to the newest
	#anchor = null; // {element, uuid, bottom}: what must not move
	#news = 0;
	#heard = [];
	#frame = 0;
	#active = null; // the row that the keyboard is on

	constructor(app, signal) {
		this.app = app;
		this.list = h('ol.list', { role: 'list', 'aria-label': t('messages') });
		this.state = h('div.state', { role: 'status' });
		this.scroller = h('div.scroller', this.state, this.list);
		this.down = h('button.primary.down', { hidden: true, onclick: () => this.#toBottom() });
		this.element = h('div.messages', this.scroller, this.down);
		on(app, 'channel community', () => this.#channelChanged(), signal);
		on(app, 'messages', ({ detail }) => this.#messagesChanged(detail), signal);
		on(app, 'members groups emoji channels state', () => this.#plan(), signal);
		on(this.scroller, 'scroll', () => this.#scrolled(), signal);
		on(window, 'focus', () => this.#read(), signal);
		on(document, 'visibilitychange', () => this.#read(), signal);
		on(this.list, 'pointerover focusin', (event) => this.#touch(event), signal);
		on(this.list, 'keydown', (event) => this.#key(event), signal);
		const watch = new ResizeObserver(() => this.#hold());
		watch.observe(this.list);
		watch.observe(this.scroller);
		signal.addEventListener('abort', () => watch.disconnect());
		this.#channelChanged();
	}

	get #log() {
		return this.app.current.logs.get(this.app.current.channel?.uuid);
	}

	#channelChanged() {
		const { channel } = this.app.current;
		if (this.shown && !this.#isStuck && this.#anchor) this.#places.set(this.shown, this.#anchor);
		else this.#places.delete(this.shown);
		this.shown = channel?.uuid;
		this.#rows.clear();
		this.list.replaceChildren();
		this.#active = null;
		this.#news = 0;
		const place = this.#places.get(this.shown);
		const index = place && this.#log ? this.#log.messages.findIndex(({ uuid }) => uuid === place.uuid) : -1;
		this.#isStuck = index < 0;
		this.#from = index < 0 ? Infinity : Math.max(0, index - STEP);
		this.#render();
		if (index >= 0) this.#moveTo(place.uuid, place.bottom);
	}

	#messagesChanged({ channel, kind, message }) {
		if (channel !== this.shown) return;
		if (kind === 'new' && message.author_uuid !== this.app.current.me) {
			this.#announce(message);
			if (!this.#isStuck) this.#news++;
		}
		// One's own is looked for at the end.
		if (kind === 'pending' && this.#log?.pending.some(({ state }) => state === 'sending')) this.#isStuck = true;
		if (kind === 'reset') this.#render();
		else this.#plan();
	}

	#announce({ author_uuid: author, content }) {
		if (!this.#heard.length) {
			setTimeout(() => {
				const heard = this.#heard.splice(0);
				announce(heard.length > ANNOUNCED_MAX ? t('news', { n: heard.length }) : heard.join('\n'));
			}, ANNOUNCE_MS);
		}
		this.#heard.push(`${this.app.current.member(author).name}: ${content.slice(0, 300)}`);
	}

	/** Many changes, one drawing. */
	#plan() {
		this.#frame ||= requestAnimationFrame(() => this.#render());
	}

	#render() {
		cancelAnimationFrame(this.#frame);
		this.#frame = 0;
		const log = this.#log;
		const messages = log?.messages ?? [];
		this.#renderState(log);
		const first = this.list.firstElementChild?.dataset.uuid;
		const found = first ? messages.findIndex(({ uuid }) => String(uuid) === first) : -1;
		if (found >= 0) this.#from += found - this.#firstIndex;
		if (this.#isStuck) this.#from = Math.max(messages.length - ROWS_MAX, Math.min(this.#from, messages.length - STEP));
		this.#from = Math.max(0, Math.min(this.#from, messages.length - 1));
		this.#drawTo(this.#isStuck ? messages.length : this.#from + Math.min(ROWS_MAX, Math.max(this.#end - this.#firstIndex, STEP * 2)));
		this.down.hidden = this.#isStuck;
		this.down.textContent = this.#news ? t('news', { n: this.#news }) : t('to_newest');
		this.#read();
		// After what there is was painted.
		requestAnimationFrame(() => setTimeout(() => this.#fill()));
	}

	/** Draws the rows from `#from` on to this one, and behind the newest what is not sent yet. */
	#drawTo(to) {
		const log = this.#log;
		const messages = log?.messages ?? [];
		this.#firstIndex = this.#from;
		this.#end = Math.min(to, messages.length);
		const rows = messages.slice(this.#from, this.#end)
			.map((message, index) => describe(this.app, log, message, messages[this.#from + index - 1]));
		for (const entry of this.#end === messages.length && log ? log.pending : []) {
			const pending = { ...entry, author_uuid: this.app.current.me, channel_uuid: entry.channel };
			rows.push(describe(this.app, log, pending, rows.at(-1)?.message));
		}
		this.#draw(rows);
		this.#hold();
	}

	/** Makes the list show these rows; those that look the same stay. */
	#draw(rows) {
		const log = this.#log;
		const acts = { jump: (uuid) => this.#jump(uuid), retry: (nonce) => log.retry(nonce), discard: (nonce) => log.discard(nonce) };
		const kept = new Map();
		let place = this.list.firstElementChild;
		for (const row of rows) {
			const old = this.#rows.get(row.key);
			const isSame = old?.signature === row.signature;
			const element = isSame ? old.element : messageRow(this.app, row, acts);
			kept.set(row.key, { signature: row.signature, element });
			if (element === place) {
				place = place.nextElementSibling;
				continue;
			}
			if (old && !isSame) {
				if (old.element === place) place = place.nextElementSibling;
				if (this.#anchor?.element === old.element) this.#anchor.element = element;
				const hadFocus = old.element.contains(document.activeElement);
				old.element.replaceWith(element);
				if (hadFocus) element.focus({ preventScroll: true });
			} else {
				this.list.insertBefore(element, place);
			}
		}
		this.#remove([...this.#rows].filter(([key]) => !kept.has(key)).map(([, { element }]) => element));
		this.#rows = kept;
		if (!this.#active?.isConnected) this.#activate(this.list.lastElementChild);
	}

	/** Where the focus was in one of them, the next one has it. */
	#remove(elements) {
		const focused = elements.find((element) => element.contains(document.activeElement));
		const next = focused && (focused.nextElementSibling ?? focused.previousElementSibling);
		elements.forEach((element) => element.remove());
		if (!next?.isConnected) return;
		this.#activate(next);
		next.focus({ preventScroll: true });
	}

	#renderState(log) {
		const { current } = this.app;
		this.scroller.setAttribute('aria-busy', String(Boolean(log?.loading)));
		const retry = () => (log.loaded ? log.loadOlder() : log.refresh());
		const mayRead = current.channel && current.can('read_messages', current.channel);
		const text = (() => {
			if (!current.channel) return t('no_channels');
			if (!mayRead) return t('may_not_read');
			if (log?.failed) return refusalText(log.failed);
			if (log?.complete) return t('beginning', { name: current.channel.name });
			return log?.loading ? t('loading') : '';
		})();
		if (this.state.firstChild?.textContent !== text) this.state.replaceChildren(text);
		if (log?.failed) this.state.append(' ', h('button', { onclick: retry }, t('retry')));
	}

	// Staying where one is

	#scrolled() {
		const { scrollTop, scrollHeight, clientHeight } = this.scroller;
		const log = this.#log;
		const left = scrollHeight - scrollTop - clientHeight;
		const wasStuck = this.#isStuck;
		this.#isStuck = left < BOTTOM_PX && this.#end === (log?.messages.length ?? 0);
		if (this.#isStuck) this.#news = 0;
		this.#note();
		this.#fill();
		if (wasStuck !== this.#isStuck) this.#plan();
		this.#read();
	}

	/** Near an end of the rows: more of them, or more history. */
	#fill() {
		const { scrollTop, scrollHeight, clientHeight } = this.scroller;
		const log = this.#log;
		if (!log?.loaded || !this.list.isConnected) return;
		const isNearTop = scrollTop < NEAR_PX;
		const isNearEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
		if (isNearTop && this.#from > 0) this.#move(-STEP);
		else if (isNearEnd && this.#end < log.messages.length) this.#move(STEP);
		else if (isNearTop && !log.complete && !log.failed) log.loadOlder();
	}

	/** Moves the window, by adding rows at one end and dropping those far from the other. */
	#move(by) {
		const to = by < 0 ? this.#end : this.#end + by;
		this.#from = by < 0 ? Math.max(0, this.#from + by) : Math.max(this.#from, to - ROWS_MAX);
		this.#drawTo(Math.min(to, this.#from + ROWS_MAX));
	}

	/** Notes what stands at the top of the view. */
	#note() {
		const top = this.scroller.getBoundingClientRect().top;
		const rows = this.list.children;
		let [low, high] = [0, rows.length - 1];
		while (low < high) {
			const middle = (low + high) >> 1;
			if (rows[middle].getBoundingClientRect().bottom > top) high = middle;
			else low = middle + 1;
		}
		const element = rows[low];
		// Its lower end: it may grow or shrink when another one comes before it.
		this.#anchor = element ? { element, uuid: Number(element.dataset.uuid), bottom: element.getBoundingClientRect().bottom - top } : null;
	}

	/** Whatever changed its size or came in between: what was in view stays where it was. */
	#hold() {
		if (this.#isStuck) {
			this.scroller.scrollTop = this.scroller.scrollHeight;
			return;
		}
		const { element, bottom } = this.#anchor ?? {};
		if (!element?.isConnected) return this.#note();
		const off = element.getBoundingClientRect().bottom - this.scroller.getBoundingClientRect().top - bottom;
		if (Math.abs(off) >= 1) this.scroller.scrollTop += off;
	}

	#toBottom() {
		this.#isStuck = true;
		this.#news = 0;
		this.#render();
	}

	#moveTo(uuid, bottom) {
		const element = this.list.querySelector(`[data-uuid="${uuid}"]`);
		if (!element) return null;
		this.#isStuck = false;
		this.#anchor = { element, uuid, bottom };
		this.#hold();
		return element;
	}

	/** Goes to a message, which may be far back. */
	async #jump(uuid) {
		const log = this.#log;
		for (let pages = 0; !log.find(uuid) && !log.complete && pages < JUMP_PAGES_MAX; pages++) {
			await log.loadOlder();
			if (log.failed || log !== this.#log) return;
		}
		const message = log.find(uuid);
		if (!message) return;
		this.#isStuck = false;
		this.#from = Math.max(0, log.messages.indexOf(message) - STEP);
		this.#drawTo(this.#from + 2 * STEP);
		const row = this.#moveTo(uuid, this.scroller.clientHeight / 3);
		row?.classList.add('found');
		setTimeout(() => row?.classList.remove('found'), FOUND_MS);
		row?.focus({ preventScroll: true });
	}

	#read() {
		if (this.#isStuck && document.hasFocus() && !document.hidden) this.app.current.markRead();
	}

	// Hand and keyboard

	#activate(row) {
		if (row === this.#active) return;
		this.#active?.setAttribute('tabindex', '-1');
		this.#active = row;
		row?.setAttribute('tabindex', '0');
	}

	#messageOf(row) {
		return this.#log?.find(Number(row?.dataset.uuid));
	}

	#touch(event) {
		const row = event.target.closest('.list > li');
		if (!row || row.parentElement !== this.list) return;
		if (event.type === 'focusin') this.#activate(row);
		const message = this.#messageOf(row);
		if (!message || row.querySelector(':scope > .toolbar')) return;
		this.list.querySelector(':scope > li > .toolbar')?.remove();
		row.append(toolbar(this.app, message));
	}

	#key(event) {
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const row = event.target.closest('li[data-uuid]');
		const isOnRow = event.target === row;
		const go = {
			ArrowUp: row?.previousElementSibling, ArrowDown: row?.nextElementSibling,
			Home: this.list.firstElementChild, End: this.list.lastElementChild,
		}[event.key];
		const message = this.#messageOf(row);
		const act = isOnRow && message && actions(this.app, message).find(([name]) => name === { r: 'reply', e: 'edit', Delete: 'delete' }[event.key]);
		if (go) {
			this.#activate(go);
			go.focus();
			go.scrollIntoView({ block: 'nearest' });
		} else if (act) {
			act[2](event);
		} else if (event.key === 'Escape') {
			document.querySelector('.composer textarea')?.focus();
		} else {
			return;
		}
		event.preventDefault();
	}
}
