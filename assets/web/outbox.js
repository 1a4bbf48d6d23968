// Messages on their way. Each keeps its nonce until the server has it, over cuts and reloads: sent
// again it is still one message (protocol section 4, "send").

import { Refusal } from './protocol.js';
import { loadAll, store } from './storage.js';

/** The server knows a nonce for a day; after that, sending again is for the author to decide. */
const NONCE_S_MAX = 23 * 3600;
const RETRY_MS = 5000;

/**
 * An entry: {nonce, channel, content, reply, date (s), state, status, uuid}. States: 'waiting' for a
 * connection, 'sending', 'refused' with a status, or without one if it waited too long.
 */
export class Outbox {
	#community;
	#isRunning = false;
	#isClosed = false;

	constructor(community) {
		this.#community = community;
		this.entries = loadAll(`outbox.${community.address}.`).sort((one, other) => one.date - other.date);
		for (const entry of this.entries) if (entry.state === 'sending') entry.state = 'waiting';
	}

	add(channel, content, reply) {
		const entry = { nonce: crypto.randomUUID(), channel, content, reply, date: Date.now() / 1000 };
		this.entries.push(entry);
		this.#change(entry, { state: 'waiting' });
		this.run();
	}

	/** Its member has left: whatever is still on its way is not theirs who comes next. */
	close() {
		this.#isClosed = true;
	}

	/** Sends what waits, one after the other, while there is a connection. */
	async run() {
		if (this.#isRunning) return;
		this.#isRunning = true;
		for (let entry; (entry = this.#next());) await this.#send(entry);
		this.#isRunning = false;
	}

	#next() {
		return !this.#isClosed && this.#community.state === 'ready' && this.entries.find(({ state }) => state === 'waiting');
	}

	async #send(entry) {
		const { channel, content, reply, nonce, date } = entry;
		if (Date.now() / 1000 - date > NONCE_S_MAX) return this.#change(entry, { state: 'refused' });
		this.#change(entry, { state: 'sending' });
		try {
			const { message } = await this.#community.request('send', { channel, content, reply, nonce });
			this.discard(nonce);
			if (!this.#isClosed) this.#community.sent(entry, message);
		} catch (problem) {
			const isRefused = problem instanceof Refusal && problem.status !== 500;
			if (isRefused) return this.#change(entry, { state: 'refused', status: problem.status });
			if (problem instanceof Refusal) await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
			this.#change(entry, { state: 'waiting' });
		}
	}

	/** A message of one's own came: it may be the one whose answer is still on the way. */
	arrived(message) {
		const entry = this.entries.find(({ state, channel, content }) =>
			state === 'sending' && channel === message.channel_uuid && content === message.content);
		if (entry) entry.uuid = message.uuid;
	}

	/** Those of a channel that are not among its messages yet. */
	pending(channel, log) {
		return this.entries.filter((entry) => entry.channel === channel && !log.find(entry.uuid));
	}

	/** Once more, as a new message. What it answered may be gone: then it stands by itself. */
	retry(nonce) {
		const { channel, content, reply, status } = this.#find(nonce);
		this.discard(nonce);
		this.add(channel, content, status === 404 ? null : reply);
	}

	discard(nonce) {
		const entry = this.#find(nonce);
		this.entries = this.entries.filter((other) => other !== entry);
		this.#keep(entry, null);
	}

	#find(nonce) {
		return this.entries.find((entry) => entry.nonce === nonce);
	}

	#change(entry, part) {
		this.#keep(entry, Object.assign(entry, part));
	}

	/** Each under a name of its own: two tabs must not forget each other's. */
	#keep({ nonce, channel }, value) {
		if (this.#isClosed) return;
		store(`outbox.${this.#community.address}.${nonce}`, value);
		this.#community.tell('messages', { channel, kind: 'pending' });
	}
}
