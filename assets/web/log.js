// One channel's messages: without gaps from some point up to the newest.

import { Refusal } from './protocol.js';

const FIRST_PAGE = 50;
const PAGE = 100;
const PAGE_MAX = 500; // the server gives no more (protocol section 4, "history")
const KEPT = 400; // of a channel that is shown no more

export class Log {
	#community;
	#channel;
	#byUuid = new Map();
	#missed = null; // events that came while history was on its way
	messages = [];
	/** The channel's first message is there. */
	complete = false;
	/** A page of history is on its way. */
	loading = false;
	/** There is a first page, and events keep it up to date. */
	loaded = false;
	/** Why it could not be loaded: a Refusal. */
	failed = null;
	/** Before this message stands the line "new". */
	firstUnread = null;

	constructor(community, channel) {
		this.#community = community;
		this.#channel = channel;
	}

	find(uuid) {
		return this.#byUuid.get(uuid);
	}

	get newest() {
		return this.messages.at(-1);
	}

	get pending() {
		return this.#community.outbox.pending(this.#channel, this);
	}

	retry(nonce) {
		this.#community.outbox.retry(nonce);
	}

	discard(nonce) {
		this.#community.outbox.discard(nonce);
	}

	/** The first page, or after a cut whatever was missed, edits and deletions too. */
	async refresh(unread = 0) {
		if (this.loaded || this.loading) return;
		await this.#load(async () => {
			const num = Math.min(PAGE_MAX, FIRST_PAGE + unread);
			this.#set((this.messages.length && await this.#missedPages()) || await this.#newest(num));
			if (unread) this.markUnread(unread, this.#community.me);
			this.loaded = true;
		}, 'reset');
	}

	/** The page before what is there. */
	async loadOlder() {
		if (!this.loaded || this.loading || this.complete) return;
		await this.#load(async () => {
			const page = await this.#history({ num: PAGE, before_message: this.messages[0]?.uuid ?? null });
			this.complete = page.length < PAGE;
			this.#set([...page, ...this.messages]);
		}, 'old');
	}

	async #load(work, kind) {
		this.loading = true;
		this.failed = null;
		this.#missed = [];
		this.#tell('pending');
		try {
			await work();
		} catch (problem) {
			if (problem instanceof Refusal) this.failed = problem;
		} finally {
			const missed = this.#missed;
			this.#missed = null;
			this.loading = false;
			this.#tell(kind);
			for (const apply of missed) apply();
		}
	}

	async #newest(num) {
		const page = await this.#history({ num });
		this.complete = page.length < num;
		return page;
	}

	/** Everything from the oldest that is still there; null if none of the first few is. */
	async #missedPages() {
		for (const start of this.messages.slice(0, 3)) {
			try {
				return await this.#pagesAfter(start);
			} catch (problem) {
				if (problem.status !== 404) throw problem;
			}
		}
		return null;
	}

	/** Without the start itself, which may have been edited: it is the next older one to be loaded. */
	async #pagesAfter(start) {
		const pages = [];
		for (let after = start.uuid, page; after; after = page.length === PAGE_MAX && page.at(-1).uuid) {
			page = await this.#history({ num: PAGE_MAX, after_message: after });
			pages.push(page);
		}
		const rest = pages.flat();
		if (!rest.length) return null;
		this.complete = false;
		return rest;
	}

	async #history(fields) {
		const { data } = await this.#community.request('history', { channel: this.#channel, ...fields });
		return data.map(sound);
	}

	#set(messages) {
		this.messages = messages;
		this.#byUuid = new Map(messages.map((message) => [message.uuid, message]));
	}

	/** A message was committed; of one's own both the answer and the event tell. */
	insert(message) {
		this.#apply(() => {
			const known = this.find(message.uuid);
			if (known) return void Object.assign(known, { date: message.date });
			let place = this.messages.length;
			while (place && this.messages[place - 1].uuid > message.uuid) place--;
			this.messages.splice(place, 0, sound(message));
			this.#byUuid.set(message.uuid, this.messages[place]);
			this.#tell('new', this.messages[place]);
		});
	}

	edit(uuid, content) {
		this.#apply(() => {
			const message = this.find(uuid);
			if (!message) return;
			Object.assign(message, { content, edited: true });
			this.#tell('changed', message);
		});
	}

	delete(uuid) {
		this.#apply(() => {
			const message = this.find(uuid);
			if (!message) return;
			const index = this.messages.indexOf(message);
			this.messages.splice(index, 1);
			this.#byUuid.delete(uuid);
			if (this.firstUnread === uuid) this.firstUnread = this.messages[index]?.uuid ?? null;
			this.#tell('changed', message);
		});
	}

	#apply(change) {
		if (this.#missed) this.#missed.push(change);
		else if (this.loaded) change();
	}

	/** The connection was cut: events may have been missed. */
	doubt() {
		this.loaded = false;
	}

	/** Shown no more: what is far back is let go. */
	trim() {
		if (this.loading || this.messages.length <= KEPT) return;
		this.#set(this.messages.slice(-KEPT));
		this.complete = false;
	}

	/** Puts the line "new" before the last `count` messages of others. */
	markUnread(count, me) {
		this.firstUnread = null;
		for (let index = this.messages.length - 1; count > 0 && index >= 0; index--) {
			if (this.messages[index].author_uuid === me) continue;
			this.firstUnread = this.messages[index].uuid;
			count--;
		}
	}

	#tell(kind, message) {
		this.#community.tell('messages', { channel: this.#channel, kind, message });
	}
}

/** What another server sends may be anything. */
const sound = (message) => ({ ...message, content: String(message.content) });
