// One server as its member sees it: what there is, kept up to date by its events.

import { Log } from './log.js';
import { Outbox } from './outbox.js';
import { comesTo } from './permissions.js';
import { Connection, Disconnected, Refusal } from './protocol.js';
import { forget, load, store } from './storage.js';

const WORD = /[\p{L}\p{N}_]/u;
const NAME_LENGTH_MAX = 64; // 32 characters
const MARK_MS = 300; // reading is told this long after it, joined
const COUNTED = 100; // unread messages looked at for mentions
const FAULT_MS = 5000; // after the server failed at a login, until the next try

/** What is asked for, and told again when it changes: its name here, and what is made of it. */
const KEPT = {
	get_name: ['name', String],
	get_icon: ['icon', String],
	get_metadata: ['members', (members, before) => new Map([...before, ...members.map((member) => [member.uuid, member])])],
	online: ['online', (uuids) => new Set(uuids)],
	list_groups: ['groups', (list) => list],
	get_base_permissions: ['base', (list) => list],
	list_channels: ['channels', (list) => list],
	list_emoji: ['emoji', (emoji) => new Map(emoji)],
	get_last_reads: ['unread', (reads) =>
		new Map(Object.entries(reads).map(([channel, [, count]]) => [Number(channel), { count, mentions: 0 }]))],
};
const FOR_STRANGERS = ['get_name', 'get_icon'];
const FOR_MEMBERS = Object.keys(KEPT).filter((command) => !FOR_STRANGERS.includes(command));

export class Community extends Connection {
	#home;
	#emojiUrls = new Map();
	#marked = new Map(); // channel uuid -> the newest message marked as read
	#names = new Map(); // name -> member
	#shown = null; // the channel's uuid
	/** 'connecting', 'waiting' for the next try, 'stranger' (needs a login), 'ready'. */
	state = 'connecting';
	/** Whether a session ended without being asked to. */
	wasThrownOut = false;
	icon = null;

	/** `address`: 'host:port'; `home`: the Community for whose member a session here is kept. */
	constructor(address, home = null) {
		super(`wss://${address}/`);
		this.#home = home;
		this.address = address;
		this.isHome = !home;
		this.name = address;
		this.#reset();
		this.addEventListener('open', () => this.#opened());
		this.addEventListener('cut', () => this.#cut());
		this.addEventListener('packet', ({ detail }) => {
			try {
				this.#heard(detail);
			} catch {
				this.fail();
			}
		});
	}

	#reset() {
		this.outbox?.close();
		this.outbox = new Outbox(this);
		this.me = this.#shown = null;
		this.members = new Map(); // by uuid, as the logs
		this.online = new Set();
		this.logs = new Map();
		this.unread = new Map(); // channel uuid -> {count, mentions}
		this.emoji = new Map(); // name -> uuid
		this.groups = this.channels = this.base = [];
		this.#marked.clear();
		this.tell('channel');
	}

	get session() {
		const kept = this.#load('session', null);
		return kept?.home === this.#homeMember ? kept : null;
	}

	get #homeMember() {
		return this.#home?.session?.uuid ?? null;
	}

	/** Whether there is an account here, as far as this browser knows. */
	get hasAccount() {
		return this.#load('member', null) !== null;
	}

	nudge() {
		if (this.state !== 'stranger') super.nudge();
	}

	close() {
		super.close();
		this.#set('state', 'stranger');
	}

	tell(name, detail) {
		this.dispatchEvent(new CustomEvent(name, { detail }));
		this.dispatchEvent(new CustomEvent('told', { detail: { name, detail } }));
	}

	request(command, fields) {
		return super.request(command, fields).catch((problem) => {
			// A change of the base is not told by an event.
			if (problem.status === 403 && this.state === 'ready') this.#loadBase();
			throw problem;
		});
	}

	#ask(command, fields, take) {
		return this.request(command, fields).then(take, () => null);
	}

	#load(kind, fallback) {
		return load(`${kind}.${this.address}`, fallback);
	}

	#store(kind, value) {
		store(`${kind}.${this.address}`, value);
	}

	#set(name, value) {
		this[name] = value;
		this.tell(name);
	}

	async #opened() {
		this.#introduce();
		const { session } = this;
		if (!session) return this.#set('state', 'stranger');
		try {
			const { uuid } = await this.request('login', { token: session.token });
			await this.#enter(uuid);
		} catch (problem) {
			if (problem instanceof Disconnected) return; // it is tried again
			if (!(problem instanceof Refusal)) return this.fail();
			if (problem.status === 500) return setTimeout(() => this.#opened(), FAULT_MS);
			// No good any more, unless another tab has put a newer one there.
			if (this.session?.token === session.token) this.#store('session', null);
			this.wasThrownOut = true;
			this.#set('state', 'stranger');
		}
	}

	#introduce() {
		return Promise.all(FOR_STRANGERS.map((command) => this.#ask(command, {}, (packet) => this.tell(this.#keep(packet)))));
	}

	#cut() {
		for (const log of this.logs.values()) log.doubt();
		// Without a login the server ends the connection after a while; the next one is made to log in.
		if (this.state === 'stranger') this.close();
		else this.#set('state', 'waiting');
	}

	/** Reaches the server for its name and icon; rejects with Disconnected. */
	async reach() {
		await new Promise((resolve) => {
			if (this.isOpen) resolve();
			for (const name of ['open', 'cut']) this.addEventListener(name, resolve, { once: true });
			this.connect();
		});
		if (!this.isOpen) {
			this.close();
			throw new Disconnected();
		}
		await this.#introduce();
	}

	/** `command`: login or register. */
	async begin(command, fields) {
		await this.reach();
		const { uuid } = await this.request(command, fields);
		// On a server without sessions it lasts until the next reload.
		await this.#ask('create_session', { name: browserName() }, ({ session, token }) =>
			this.#store('session', { session, token, uuid, home: this.#homeMember }));
		this.wasThrownOut = false;
		await this.#enter(uuid).catch((problem) => {
			if (!(problem instanceof Disconnected)) this.fail();
			throw problem;
		});
	}

	/** Ends the session here, and forgets what this browser keeps of the server. */
	async logout() {
		const { session } = this;
		this.outbox.close();
		forget(this.address);
		if (session) await this.#ask('delete_session', { session: session.session });
		this.fail();
	}

	/** What it sent makes no sense, or it is left. */
	fail() {
		this.#reset();
		this.close();
	}

	/** What another member left in this browser is not theirs who is here now. */
	#become(uuid) {
		if (this.me === uuid) return;
		const { session } = this;
		if (this.#load('member', uuid) !== uuid) {
			this.outbox.close();
			forget(this.address);
			this.#store('session', session);
		}
		this.#store('member', uuid);
		this.#reset();
		this.me = uuid;
	}

	/** Logged in: asks for all that there is, at once. */
	async #enter(uuid) {
		const isNew = this.#load('member', null) !== uuid;
		this.#become(uuid);
		const packets = await Promise.all(FOR_MEMBERS.map((command) => this.request(command)));
		const names = packets.map((packet) => this.#keep(packet));
		this.tries = 0;
		for (const name of names) this.tell(name);
		this.#set('state', 'ready');
		this.#review();
		this.#countUnread(isNew).catch(() => {}).finally(() => this.tell('unread')); // cut: the next login counts again
		this.outbox.run();
	}

	/** Gives the name it has here. */
	#keep({ command, data, permissions, last_reads: reads }) {
		const [name, convert] = KEPT[command];
		this[name] = convert(data ?? permissions ?? reads, this[name]);
		if (name === 'members') this.#names = new Map(Array.from(this.members.values(), (member) => [member.name, member]));
		if (name === 'emoji') this.#emojiUrls.clear();
		return name;
	}

	#heard(packet) {
		const { command, status, message } = packet;
		if (status !== 200 || !this.me) return;
		if (command === 'content') this.#arrived(packet);
		if (command === 'message_edited') this.logs.forEach((log) => log.edit(message, packet.new_content));
		if (command === 'message_deleted') this.logs.forEach((log) => log.delete(message));
		if (!Object.hasOwn(KEPT, command)) return;
		this.tell(this.#keep(packet));
		this.#review();
		if (command === 'list_channels') this.#loadBase();
	}

	#loadBase() {
		this.#ask('get_base_permissions', {}, (packet) => {
			if (String(packet.permissions) === String(this.base)) return;
			this.#keep(packet);
			this.tell('groups');
			this.#review();
		});
	}

	/** What one may see or read may have changed: lets go of the one, takes up the other. */
	#review() {
		for (const uuid of [...this.logs.keys()]) {
			if (this.can('read_messages', uuid)) continue;
			this.logs.delete(uuid);
			this.tell('messages', { channel: uuid });
		}
		this.open((this.findChannel(this.#shown ?? this.#load('channel', null)) ?? this.channels[0])?.uuid ?? null);
	}

	/** The one that is shown, if any. */
	get channel() {
		return this.findChannel(this.#shown);
	}

	findChannel(uuid) {
		return this.channels.find((channel) => channel.uuid === uuid) ?? null;
	}

	open(uuid) {
		const isOther = this.#shown !== uuid;
		if (isOther) this.logs.get(this.#shown)?.trim();
		this.#shown = uuid;
		if (this.can('read_messages', uuid)) this.#loadLog(uuid, isOther);
		if (!isOther) return;
		if (uuid) this.#store('channel', uuid);
		this.tell('channel');
	}

	#loadLog(uuid, isOther) {
		if (!this.logs.has(uuid)) this.logs.set(uuid, new Log(this, uuid));
		const log = this.logs.get(uuid);
		const count = this.unread.get(uuid)?.count ?? 0;
		if (log.loaded && isOther) log.markUnread(count);
		else log.refresh(count);
	}

	send(content, reply = null) {
		this.outbox.add(this.#shown, content, reply);
	}

	/** On disk. Its event may come before or after; without the right to read none does. */
	sent({ channel, content, reply, date }, uuid) {
		this.logs.get(channel)?.insert({ uuid, channel_uuid: channel, author_uuid: this.me, content, reply, date, edited: false });
	}

	edit(message, content) {
		return this.request('edit', { message, new_content: content });
	}

	delete(message) {
		return this.request('delete', { message });
	}

	typingDraft(channel) {
		return this.#load('drafts', {})[channel] ?? '';
	}

	setDraft(channel, text) {
		this.#store('drafts', { ...this.#load('drafts', {}), [channel]: text || undefined });
	}

	#arrived(message) {
		const { channel_uuid: channel, author_uuid: author } = message;
		const log = this.logs.get(channel);
		if (author === this.me) {
			this.outbox.arrived(message);
			return log?.insert(message);
		}
		const isMention = this.isMention(message.content);
		const { count, mentions } = this.unread.get(channel) ?? { count: 0, mentions: 0 };
		if (log?.loaded && channel === this.#shown && !count && !document.hasFocus()) log.firstUnread = message.uuid;
		this.unread.set(channel, { count: count + 1, mentions: mentions + Number(isMention) });
		log?.insert(message);
		this.tell('unread');
		this.tell('arrived', { message, isMention });
	}

	/** Mentions among what is unread. Whoever is new in this browser has read what there is without a mark. */
	async #countUnread(isNew) {
		for (const { uuid: channel } of this.channels.filter((one) => this.can('read_messages', one))) {
			const known = this.unread.get(channel);
			if (known && !known.count) continue;
			const { data } = await this.request('history', { channel, num: Math.min(known?.count ?? COUNTED, COUNTED) });
			const others = data.filter(({ author_uuid: author }) => author !== this.me);
			const { count } = this.unread.get(channel) ?? { count: others.length };
			const mentions = others.filter(({ content }) => this.isMention(content)).length;
			if (!known && isNew && count) await this.request('mark_as_read', { message: others.at(-1).uuid });
			else if (count) this.unread.set(channel, { count, mentions });
		}
	}

	/** The channel that is shown has been read to its end. */
	markRead() {
		const channel = this.#shown;
		const newest = this.logs.get(channel)?.newest;
		if (!newest) return;
		if (this.unread.get(channel)?.count) {
			this.unread.set(channel, { count: 0, mentions: 0 });
			this.tell('unread');
		}
		if (newest.author_uuid === this.me || this.#marked.get(channel) === newest.uuid) return;
		this.#marked.set(channel, newest.uuid);
		setTimeout(() => {
			if (this.#marked.get(channel) !== newest.uuid) return; // a newer one says it
			this.request('mark_as_read', { message: newest.uuid }).catch(() => this.#marked.delete(channel));
		}, MARK_MS);
	}

	unreadTotal() {
		const sum = (what) => this.channels.reduce((total, { uuid }) => total + (this.unread.get(uuid)?.[what] ?? 0), 0);
		return { count: sum('count'), mentions: sum('mentions') };
	}

	/** Whether I may; server-wide without a channel (its uuid, or the Channel). */
	can(permission, channel) {
		const mine = this.members.get(this.me);
		const place = typeof channel === 'number' ? this.findChannel(channel) : channel;
		if (!mine || (channel && !place) || channel === null) return false;
		return comesTo(this, mine, place)[permission];
	}

	member(uuid) {
		return this.members.get(uuid) ?? { uuid, name: '?', pfp: null, group_uuid: 0, groups: [] };
	}

	/** The longest name that stands in a text from `at` on: its member, or undefined. */
	findMemberAt(text, at) {
		for (let end = Math.min(text.length, at + NAME_LENGTH_MAX); end > at; end--) {
			const found = WORD.test(text[end] ?? ' ') ? undefined : this.#names.get(text.slice(at, end));
			if (found) return found;
		}
	}

	isMention(content) {
		return [...content.matchAll(/(?<![\p{L}\p{N}_])@/gu)]
			.some(({ index }) => this.findMemberAt(content, index + 1)?.uuid === this.me);
	}

	/** '#rrggbb' of the highest group, or null. */
	colour(member) {
		const group = this.groups.find(({ uuid }) => uuid === member.group_uuid);
		return group ? `#${Number(group.colour).toString(16).padStart(6, '0')}` : null;
	}

	pictureUrl(base64) {
		return base64 ? `data:image/png;base64,${base64}` : null;
	}

	emojiUrl(name) {
		const uuid = this.emoji.get(name);
		if (!this.#emojiUrls.has(uuid)) {
			this.#emojiUrls.set(uuid, this.#ask('get_emoji', { uuid }, ({ data }) => this.pictureUrl(data.data)));
		}
		return this.#emojiUrls.get(uuid);
	}
}

/** What a session is called: "Firefox on Linux". */
const browserName = () => [/Firefox|Chrome|Safari/, /Windows|Android|iPhone|iPad|Mac OS|Linux(?!; Android)/]
	.map((pattern) => pattern.exec(navigator.userAgent)?.[0] ?? '?').join(' on ');
