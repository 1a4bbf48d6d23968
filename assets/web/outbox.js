// Messages on their way. Each keeps its nonce until the server has it, over cuts and reloads: sent
// again it is still one message (protocol section 4, "send").

import { Refusal } from './protocol.js';
import { loadAll, store } from './storage.js';

/** The server knows a nonce for a day; after that, sending again is for the author to decide. */
const NONCE_S_MAX = 23 * 3600;
const RETRY_MS = 5000;

/** An entry's `state`: 'waiting' for a connection, 'sending', 'refused' with a status; its `uuid`: once its event has come. */
export class Outbox {
	#community;
	#isRunning = false;
	#isClosed = false;

	constructor(community) {
		this.#community = community;
		this.entries = loadAll(`outbox.${community.address}.`)
			.map((entry) => ({ ...entry, state: entry.state === 'refused' ? 'refused' : 'waiting', uuid: null }))
			.sort((one, other) => one.order - other.order);
	}

	add(channel, content, reply) {
		const entry = { ...fresh(), channel, content, reply, order: Date.now(), uuid: null };
		this.entries.push(entry);
		this.#change(entry, { state: 'waiting', status: null });
		this.run();
	}

	/** Its member has left: whatever is still on its way is not theirs who comes next. */
	close() {
		this.#isClosed = true;
	}

	/** Sends what waits, one after the other. */
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
		if (isOld(entry)) return this.#change(entry, { state: 'refused', status: null });
		this.#change(entry, { state: 'sending' });
		const { channel, content, reply, nonce } = entry;
		try {
			const { message } = await this.#community.request('send', { channel, content, reply, nonce });
			this.#drop(entry);
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

	pending(channel, log) {
		return this.entries.filter((entry) => entry.channel === channel && !log.find(entry.uuid));
	}

	/** As a new message if its nonce may be forgotten. */
	retry(nonce) {
		const entry = this.#find(nonce);
		if (!entry) return;
		if (isOld(entry)) {
			store(this.#key(entry), null);
			Object.assign(entry, fresh());
		}
		// What it answered may be gone: then it stands by itself.
		const reply = entry.status === 404 ? null : entry.reply;
		this.#change(entry, { state: 'waiting', status: null, reply });
		this.run();
	}

	discard(nonce) {
		const entry = this.#find(nonce);
		if (entry) this.#drop(entry);
	}

	#find(nonce) {
		return this.entries.find((entry) => entry.nonce === nonce);
	}

	#drop(entry) {
		this.entries = this.entries.filter((other) => other !== entry);
		this.#keep(entry, null);
	}

	#change(entry, part) {
		this.#keep(entry, Object.assign(entry, part));
	}

	/** Each under a name of its own: two tabs must not forget each other's. */
	#key({ nonce }) {
		return `outbox.${this.#community.address}.${nonce}`;
	}

	#keep(entry, value) {
		if (this.#isClosed) return;
		store(this.#key(entry), value);
		this.#community.tell('messages', { channel: entry.channel, kind: 'pending' });
	}
}

const now = () => Math.floor(Date.now() / 1000);
const isOld = ({ date }) => now() - date > NONCE_S_MAX;
const fresh = () => ({ nonce: crypto.randomUUID(), date: now() });
