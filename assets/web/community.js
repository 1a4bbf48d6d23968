// One server as its member sees it: what there is, kept up to date by its events.

import { Log } from './log.js';
import { Outbox } from './outbox.js';
import { comesTo } from './permissions.js';
import { Connection, Disconnected, Refusal } from './protocol.js';
import { forget, load, store } from './storage.js';

const WORD = /[\p{L}\p{N}_]/u;
const MARK_MS = 300; // reading is told this long after it, joined
const COUNTED = 100; // unread messages looked at for mentions
const FAULT_MS = 5000; // after the server failed at a login, until the next try
const LOADED = ['get_metadata', 'online', 'list_groups', 'get_base_permissions', 'list_channels', 'list_emoji', 'get_last_reads'];

export class Community extends EventTarget {
	#connection;
	#homeMember;
	#emojiUrls = new Map();
	#marked = new Map(); // channel uuid -> the newest message marked as read
	#markTimer;
	#names = null; // name -> member
	#nameLengthMax = 0;
	/** 'connecting', 'waiting' for the next try, 'stranger' (needs a login), 'ready'. */
	state = 'connecting';
	wasThrownOut = false; // a session ended without being asked to
	me = null;
	icon = null;
	members = new Map();
	online = new Set();
	groups = [];
	base = [0, 0, 0];
	channels = [];
	emoji = new Map(); // name -> uuid
	logs = new Map();
	unread = new Map(); // channel uuid -> {count, mentions}
	channel = null;

	/** `homeMember`: who is logged in at home, for whom a session here is kept. */
	constructor(address, { isHome = false, homeMember = () => null } = {}) {
		super();
		this.#homeMember = homeMember;
		this.address = address;
		this.isHome = isHome;
		this.name = address;
		this.outbox = new Outbox(this);
		this.#connection = new Connection(`wss://${address}/`);
		this.#connection.addEventListener('open', () => this.#opened());
		this.#connection.addEventListener('cut', () => this.#cut());
		this.#connection.addEventListener('packet', ({ detail }) => this.#heard(detail));
	}

	get retryAt() {
		return this.#connection.retryAt;
	}

	get session() {
		const kept = this.#load('session', null);
		return kept?.home === (this.#homeMember() ?? null) ? kept : null;
	}

	get hasAccount() {
		return this.#load('member', null) !== null;
	}

	connect() {
		this.#connection.connect();
	}

	nudge() {
		if (this.state !== 'stranger') this.#connection.nudge();
	}

	close() {
		this.#connection.close();
	}

	tell(name, detail) {
		this.dispatchEvent(new CustomEvent(name, { detail }));
	}

	async request(command, fields) {
		try {
			return await this.#connection.request(command, fields);
		} catch (problem) {
			// A change of the base is not told by an event.
			if (problem.status === 403 && this.state === 'ready') this.#loadBase();
			throw problem;
		}
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
			if (!(problem instanceof Refusal)) return; // cut: it is tried again
			if (problem.status === 500) return void setTimeout(() => this.#opened(), FAULT_MS);
			// No good any more, unless another tab has put a newer one there.
			if (this.session?.token === session.token) this.#store('session', null);
			this.wasThrownOut = true;
			this.#set('state', 'stranger');
		}
	}

	#introduce() {
		return Promise.all(['name', 'icon'].map((what) => this.#ask(`get_${what}`, {}, ({ data }) => this.#set(what, String(data)))));
	}

	#cut() {
		for (const log of this.logs.values()) log.doubt();
		// Without a login the server ends the connection after a while; the next one is made to log in.
		if (this.state === 'stranger') this.close();
		else this.#set('state', 'waiting');
	}

	async reach() {
		if (!this.#connection.isOpen) {
			const { promise, resolve } = Promise.withResolvers();
			for (const name of ['open', 'cut']) this.#connection.addEventListener(name, resolve, { once: true });
			this.connect();
			await promise;
		}
		if (!this.#connection.isOpen) {
			this.close();
			this.#set('state', 'stranger');
			throw new Disconnected();
		}
		await this.#introduce();
	}

	async begin(command, fields) {
		await this.reach();
		const { uuid } = await this.request(command, fields);
		await this.#ask('create_session', { name: browserName() }, ({ session, token }) =>
			this.#store('session', { session, token, uuid, home: this.#homeMember() ?? null }));
		this.wasThrownOut = false;
		await this.#enter(uuid);
	}

	async logout() {
		const { session } = this;
		this.outbox.close();
		forget(this.address);
		if (session) await this.#ask('delete_session', { session: session.session });
		this.close();
		this.#reset();
		this.#set('state', 'stranger');
	}

	#reset() {
		this.outbox.close();
		this.outbox = new Outbox(this);
		this.me = this.channel = null;
		for (const kept of [this.members, this.online, this.logs, this.unread, this.#marked]) kept.clear();
		this.groups = this.channels = [];
		this.tell('channel');
	}

	/** What another member left in this browser is not theirs who is here now. */
	#become(uuid) {
		if (this.me === uuid) return;
		const { session } = this;
		if (this.#load('member', uuid) !== uuid) {
			forget(this.address);
			this.#store('session', session);
		}
		this.#store('member', uuid);
		this.#reset();
		this.me = uuid;
	}

	async #enter(uuid) {
		this.#become(uuid);
		const [metadata, online, groups, base, channels, emoji, reads] = await Promise.all(LOADED.map((command) => this.request(command)));
		this.members = new Map(metadata.data.map((member) => [member.uuid, member]));
		this.#names = null;
		this.online = new Set(online.data);
		this.groups = groups.data;
		this.base = base.permissions;
		this.emoji = new Map(emoji.data);
		this.#emojiUrls.clear();
		this.channels = channels.data;
		this.unread = new Map(Object.entries(reads.last_reads)
			.map(([channel, [, count]]) => [Number(channel), { count, mentions: 0 }]));
		this.#connection.settle();
		this.#set('state', 'ready');
		for (const name of ['members', 'online', 'groups', 'emoji', 'channels', 'unread']) this.tell(name);
		this.#review();
		this.#countUnread().catch(() => {}).finally(() => this.tell('unread')); // cut: the next login counts again
		this.outbox.run();
	}

	#heard({ command, status, ...packet }) {
		if (status !== 200 || !this.me) return;
		const { data, message } = packet;
		switch (command) {
			case 'content': return this.#arrived(packet);
			case 'message_edited': return this.logs.forEach((log) => log.edit(message, packet.new_content));
			case 'message_deleted': return this.logs.forEach((log) => log.delete(message));
			case 'online': return this.#set('online', new Set(data));
			case 'list_channels': return this.#channelsChanged(data);
			case 'list_emoji': return this.#set('emoji', new Map(data));
			case 'get_name': case 'get_icon': return this.#set(command.slice(4), String(data));
			case 'get_metadata':
				for (const member of data) this.members.set(member.uuid, member);
				this.#names = null;
				this.tell('members');
				return this.#review();
			case 'list_groups':
				this.#set('groups', data);
				this.#review();
		}
	}

	#channelsChanged(channels) {
		this.channels = channels;
		// Its permissions may be others; if it is gone, another one is opened below.
		this.channel = this.findChannel(this.channel?.uuid) ?? this.channel;
		this.tell('channels');
		for (const uuid of this.unread.keys()) {
			if (!this.findChannel(uuid)) this.unread.delete(uuid);
		}
		this.tell('unread');
		this.#review();
		this.#loadBase();
	}

	#loadBase() {
		this.#ask('get_base_permissions', {}, ({ permissions }) => {
			if (String(permissions) === String(this.base)) return;
			this.base = permissions;
			this.tell('groups');
			this.#review();
		});
	}

	#review() {
		for (const uuid of [...this.logs.keys()]) {
			if (this.can('read_messages', uuid)) continue;
			this.logs.delete(uuid);
			this.tell('messages', { channel: uuid, kind: 'reset' });
		}
		const shown = this.channel?.uuid ?? this.#load('channel', null);
		this.open((this.findChannel(shown) ?? this.channels[0])?.uuid ?? null);
	}

	findChannel(uuid) {
		return this.channels.find((channel) => channel.uuid === uuid) ?? null;
	}

	open(uuid) {
		const before = this.channel;
		this.channel = this.findChannel(uuid);
		const isOther = before?.uuid !== this.channel?.uuid;
		if (this.can('read_messages', uuid)) this.#loadLog(uuid, isOther);
		if (!isOther) return;
		if (this.channel) this.#store('channel', uuid);
		this.tell('channel');
	}

	#loadLog(uuid, isOther) {
		if (!this.logs.has(uuid)) this.logs.set(uuid, new Log(this, uuid));
		const log = this.logs.get(uuid);
		const count = this.unread.get(uuid)?.count ?? 0;
		if (log.loaded && isOther) log.markUnread(count, this.me);
		else log.refresh(count);
	}

	send(content, reply = null) {
		this.outbox.add(this.channel.uuid, content, reply);
	}

	/** On disk. Its event may come before or after. */
	sent({ channel, content, reply, date }, uuid) {
		const own = { uuid, channel_uuid: channel, author_uuid: this.me, content, reply, date, edited: false };
		this.logs.get(channel)?.insert(own);
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
		if (log?.loaded && channel === this.channel?.uuid && !count && !document.hasFocus()) log.firstUnread = message.uuid;
		this.unread.set(channel, { count: count + 1, mentions: mentions + Number(isMention) });
		log?.insert(message);
		this.tell('unread');
		this.tell('arrived', { message, isMention });
	}

	/**
	 * Mentions among what is unread. The server counts only from a mark on: channels without one are read
	 * as they are found, but for those that were seen empty, where what is there now came since.
	 */
	async #countUnread() {
		for (const { uuid: channel } of this.channels.filter((one) => this.can('read_messages', one))) {
			const known = this.unread.get(channel);
			if (known && !known.count) continue;
			const { data } = await this.request('history', { channel, num: Math.min(known?.count ?? COUNTED, COUNTED) });
			const others = data.filter(({ author_uuid: author }) => author !== this.me);
			const empty = this.#load('empty', []);
			const { count } = this.unread.get(channel) ?? { count: others.length };
			const mentions = others.filter(({ content }) => this.isMention(content)).length;
			if (!known && !others.length) this.#store('empty', [...new Set([...empty, channel])]);
			else if (!known && !empty.includes(channel)) await this.request('mark_as_read', { message: others.at(-1).uuid });
			else if (count) this.unread.set(channel, { count, mentions });
		}
	}

	markRead() {
		const channel = this.channel?.uuid;
		const newest = this.logs.get(channel)?.newest;
		if (!newest) return;
		if (this.unread.get(channel)?.count) {
			this.unread.set(channel, { count: 0, mentions: 0 });
			this.tell('unread');
		}
		if (newest.author_uuid === this.me || this.#marked.get(channel) === newest.uuid) return;
		this.#marked.set(channel, newest.uuid);
		clearTimeout(this.#markTimer);
		this.#markTimer = setTimeout(() => this.request('mark_as_read', { message: newest.uuid })
			.catch(() => this.#marked.delete(channel)), MARK_MS);
	}

	unreadTotal() {
		const sum = (what) => [...this.unread.values()].reduce((total, one) => total + one[what], 0);
		return { count: sum('count'), mentions: sum('mentions') };
	}

	/** Whether I may, server-wide without a channel (or its uuid). */
	can(permission, channel) {
		const mine = this.members.get(this.me);
		const place = typeof channel === 'number' ? this.findChannel(channel) : channel;
		if (!mine || (channel && !place) || channel === null) return false;
		return comesTo(this, mine, place)[permission];
	}

	member(uuid) {
		return this.members.get(uuid) ?? { uuid, name: '?', pfp: null, group_uuid: 0, groups: [] };
	}

	/** Whose name stands in a text from `at` on: the longest. */
	findMemberAt(text, at) {
		if (!this.#names) {
			this.#names = new Map([...this.members.values()].map((member) => [member.name, member]));
			this.#nameLengthMax = [...this.#names.keys()].reduce((longest, { length }) => Math.max(longest, length), 0);
		}
		for (let end = at + this.#nameLengthMax; end > at; end--) {
			const found = WORD.test(text[end] ?? ' ') ? undefined : this.#names.get(text.slice(at, end));
			if (found) return found;
		}
	}

	isMention(content) {
		return [...content.matchAll(/(?<![\p{L}\p{N}_])@/gu)]
			.some(({ index }) => this.findMemberAt(content, index + 1)?.uuid === this.me);
	}

	colour(member) {
		const group = this.groups.find(({ uuid }) => uuid === member.group_uuid);
		return group ? `#${group.colour.toString(16).padStart(6, '0')}` : null;
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

const browserName = () => {
	const said = (...names) => names.find((name) => navigator.userAgent.includes(name)) ?? '?';
	return `${said('Firefox', 'Edg', 'Chrome', 'Safari')} on ${said('Android', 'iPhone', 'iPad', 'Windows', 'Mac OS', 'Linux')}`;
};
