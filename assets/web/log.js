// One channel's messages: without gaps from some point up to the newest.

import { Refusal } from './protocol.js';

const FIRST_PAGE = 50;
const PAGE = 100;
const PAGE_MAX = 500; // the server gives no more (protocol section 4, "history")

export class Log {
	#community;
	#channel;
	#byUuid = new Map();
	#missed = null; // events that came while history was on its way
	messages = [];
	complete = false; // the channel's first message is there
	loading = false; // a page is on its way
	loaded = false; // there is a first page, and events keep it up to date
	failed = null; // why it could not be loaded: a Refusal
	firstUnread = null; // before it stands the line "new"

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

	/** The first page; after a cut as much as there was, since edits and deletions were missed, too. */
	async refresh(unread = 0) {
		if (this.loaded || this.loading) return;
		await this.#load({ num: Math.min(PAGE_MAX, Math.max(FIRST_PAGE, this.messages.length) + unread) }, []);
		if (this.loaded && unread) this.markUnread(unread, this.#community.me);
		this.#tell('reset');
	}

	async loadOlder() {
		if (!this.loaded || this.loading || this.complete) return;
		await this.#load({ num: PAGE, before_message: this.messages[0]?.uuid ?? null }, this.messages);
		this.#tell('old');
	}

	async #load(fields, newer) {
		this.loading = true;
		this.failed = null;
		this.#missed = [];
		this.#tell('pending');
		try {
			const { data } = await this.#community.request('history', { channel: this.#channel, ...fields });
			this.complete = data.length < fields.num;
			this.#set([...data.map(sound), ...newer]);
			this.loaded = true;
		} catch (problem) {
			if (problem instanceof Refusal) this.failed = problem;
		}
		const missed = this.#missed;
		this.#missed = null;
		this.loading = false;
		for (const apply of missed) apply();
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
		this.#change(uuid, (message) => Object.assign(message, { content, edited: true }));
	}

	delete(uuid) {
		this.#change(uuid, (message) => {
			const index = this.messages.indexOf(message);
			this.messages.splice(index, 1);
			this.#byUuid.delete(uuid);
			if (this.firstUnread === uuid) this.firstUnread = this.messages[index]?.uuid ?? null;
		});
	}

	#change(uuid, change) {
		this.#apply(() => {
			const message = this.find(uuid);
			if (!message) return;
			change(message);
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

	/** Puts the line "new" before the last `count` messages of others. */
	markUnread(count, me) {
		this.firstUnread = this.messages.filter((message) => message.author_uuid !== me).slice(-count || Infinity)[0]?.uuid ?? null;
	}

	#tell(kind, message) {
		this.#community.tell('messages', { channel: this.#channel, kind, message });
	}
}

/** What another server sends may be anything. */
const sound = (message) => ({ ...message, content: String(message.content) });
