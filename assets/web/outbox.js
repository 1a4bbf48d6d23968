// Messages on their way. Each keeps its nonce until the server has it, over cuts and reloads: sent
// again it is still one message (protocol section 4, "send").

import { Refusal } from './protocol.js';
import { loadAll, store } from './storage.js';

/** The server knows a nonce for a day; after that, sending again is for the author to decide. */
const NONCE_MS_MAX = 23 * 3600 * 1000;
const RETRY_MS = 5000;

/**
 * An entry: {nonce, channel, content, reply, date (s), state, status, uuid}. States: 'waiting' for a
 * connection, 'sending', 'refused' with a status, 'sent' with a uuid while its event is on the way.
 */
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
		const date = Math.floor(Date.now() / 1000);
		const order = Date.now();
		const entry = { nonce: freshNonce(), channel, content, reply, date, order, state: 'waiting', status: null, uuid: null };
		this.entries.push(entry);
		this.#changed(entry);
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
		try {
			for (let entry; (entry = this.#next());) await this.#send(entry);
		} finally {
			this.#isRunning = false;
		}
	}

	#next() {
		return !this.#isClosed && this.#community.state === 'ready' && this.entries.find(({ state }) => state === 'waiting');
	}

	async #send(entry) {
		if (Date.now() - entry.date * 1000 > NONCE_MS_MAX) return this.#refuse(entry, null);
		entry.state = 'sending';
		this.#changed(entry);
		const { channel, content, reply, nonce } = entry;
		try {
			const { message } = await this.#community.request('send', { channel, content, reply, nonce });
			this.#sent(entry, message);
		} catch (problem) {
			if (!(problem instanceof Refusal)) entry.state = 'waiting';
			else if (problem.status === 500) await this.#later(entry);
			else this.#refuse(entry, problem.status);
			this.#changed(entry);
		}
	}

	async #later(entry) {
		await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
		entry.state = 'waiting';
	}

	#refuse(entry, status) {
		Object.assign(entry, { state: 'refused', status });
		this.#changed(entry);
	}

	/** On disk. It is shown as pending until its event came; without the right to read none comes. */
	#sent(entry, uuid) {
		Object.assign(entry, { state: 'sent', uuid });
		const log = this.#community.logs.get(entry.channel);
		const isAwaited = log?.loaded && !log.find(uuid) && this.#community.can('read_messages', entry.channel);
		if (isAwaited) this.#changed(entry);
		else this.#drop(entry);
	}

	/** The connection was cut: what is on disk comes with the history. */
	cut() {
		this.entries = this.entries.filter(({ state }) => state !== 'sent');
	}

	/** A message of one's own came: it may be one of these, with its answer still on the way. */
	arrived(message) {
		const entry = this.entries.find((candidate) => candidate.channel === message.channel_uuid && (
			candidate.uuid === message.uuid ||
			(!candidate.uuid && candidate.state === 'sending' && candidate.content === message.content)));
		if (entry?.state === 'sent') this.#drop(entry);
		else if (entry) entry.uuid = message.uuid;
	}

	/** Those of a channel that are not among its messages yet. */
	pending(channel, log) {
		return this.entries.filter((entry) => entry.channel === channel && !(entry.uuid && log.find(entry.uuid)));
	}

	/** Once more, as a new message if its nonce may be forgotten. */
	retry(nonce) {
		const entry = this.#find(nonce);
		if (!entry) return;
		if (Date.now() - entry.date * 1000 > NONCE_MS_MAX) {
			store(this.#key(entry), null);
			Object.assign(entry, { nonce: freshNonce(), date: Math.floor(Date.now() / 1000) });
		}
		// What it answered may be gone: then it stands by itself.
		const reply = entry.status === 404 ? null : entry.reply;
		Object.assign(entry, { state: 'waiting', status: null, reply });
		this.#changed(entry);
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
		store(this.#key(entry), null);
		this.#community.tell('messages', { channel: entry.channel, kind: 'pending' });
	}

	/** Each under a name of its own: two tabs must not forget each other's. */
	#key(entry) {
		return `outbox.${this.#community.address}.${entry.nonce}`;
	}

	#changed(entry) {
		if (this.#isClosed) return;
		store(this.#key(entry), entry.state === 'sent' ? null : entry);
		this.#community.tell('messages', { channel: entry.channel, kind: 'pending' });
	}
}

const freshNonce = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join('-');
