// One channel's messages: without gaps from some point up to the newest.

import { Refusal } from './protocol.js';

const FIRST_PAGE = 50;
const PAGE = 100;
const PAGE_MAX = 500; // the server gives no more (protocol section 4, "history")
const KEPT = 400; // of a channel that is shown no more

export class Log {
	#community;
	#channel;
	#missed = null; // events that came while history was on its way
	messages = []; // the oldest first, which has the lowest uuid
	/** The channel's first message is there. */
	complete = false;
	/** A page of history is on its way: its promise. */
	loading = null;
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
		return uuid && this.messages.findLast((message) => message.uuid === uuid);
	}

	get newest() {
		return this.messages.at(-1);
	}

	get pending() {
		return this.#community.outbox.pending(this.#channel, this);
	}

	/** The first page; after a cut all from the oldest that was there on: edits and deletions were missed, too. */
	async refresh(unread = 0) {
		if (this.loaded) return;
		const [oldest] = this.messages;
		const num = oldest ? PAGE_MAX : Math.min(PAGE_MAX, FIRST_PAGE + unread);
		await this.#load([], num, oldest?.uuid ?? Infinity, unread);
	}

	/** The page before what is there. */
	async loadOlder() {
		if (this.loaded && !this.complete) await this.#load(this.messages, PAGE, Infinity, 0);
	}

	#load(...what) {
		this.loading ??= this.#loadPages(...what);
		return this.loading;
	}

	/** Pages before `messages`, one or as many as lead back to the uuid `until`. */
	async #loadPages(messages, num, until, unread) {
		this.failed = null;
		this.#missed = [];
		this.#tell('pending');
		try {
			for (let page; !page || (page.length === num && page[0].uuid > until);) {
				const fields = { channel: this.#channel, num, before_message: messages[0]?.uuid ?? null };
				page = (await this.#community.request('history', fields)).data.map(sound);
				messages = [...page, ...messages];
				this.complete = page.length < num;
			}
			this.messages = messages;
			this.loaded = true;
			if (unread) this.markUnread(unread);
		} catch (problem) {
			if (problem instanceof Refusal) this.failed = problem;
		}
		const missed = this.#missed;
		this.#missed = null;
		this.loading = null;
		this.#tell('page');
		for (const apply of missed) apply();
	}

	/** A message was committed; of one's own both the answer and the event tell. */
	insert(message) {
		this.#apply(() => {
			const known = this.find(message.uuid);
			if (known) return Object.assign(known, { date: message.date });
			const place = this.messages.findLastIndex(({ uuid }) => uuid < message.uuid) + 1;
			this.messages.splice(place, 0, sound(message));
			this.#tell('new', this.messages[place]);
		});
	}

	edit(uuid, content) {
		this.#apply(() => Object.assign(this.find(uuid) ?? {}, sound({ content, edited: true })));
	}

	delete(uuid) {
		this.#apply(() => { this.messages = this.messages.filter((message) => message.uuid !== uuid); });
	}

	#apply(change) {
		if (this.#missed) return this.#missed.push(change);
		if (!this.loaded) return;
		change();
		this.#tell('changed');
	}

	/** The connection was cut: events may have been missed. */
	doubt() {
		this.loaded = false;
	}

	/** Shown no more: what is far back is let go. */
	trim() {
		if (this.loading || this.messages.length <= KEPT) return;
		this.messages = this.messages.slice(-KEPT);
		this.complete = false;
	}

	/** Puts the line "new" before the last `count` messages of others. */
	markUnread(count) {
		const others = this.messages.filter(({ author_uuid: author }) => author !== this.#community.me);
		this.firstUnread = count ? others.slice(-count)[0]?.uuid : null;
	}

	#tell(kind, message) {
		this.#community.tell('messages', { channel: this.#channel, kind, message });
	}
}

/** What another server sends may be anything. */
const sound = (message) => ({ ...message, content: String(message.content) });
