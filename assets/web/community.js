// One server as its member sees it: what there is, kept up to date by its events.

import { Log } from './log.js';
import { Outbox } from './outbox.js';
import { comesTo } from './permissions.js';
import { Connection, Disconnected, Refusal } from './protocol.js';
import { forget, load, store } from './storage.js';
import { t } from './text.js';

const MARK_MS = 300; // reading is told this long after it, joined
const MARKED_AT_FIRST = 50; // channels looked at for a first mark, after a login
const COUNTED = 100; // unread messages looked at for mentions
const PICTURES_KEPT = 1000;
const FAULT_MS = 5000; // after the server failed at a login, until the next try

export class Community extends EventTarget {
  #connection;
  #pictures = new Map();
  #emojiUrls = new Map();
  #marked = new Map(); // channel uuid -> the newest message marked as read
  #markTimer = null;
  #mention = /$^/;
  #homeMember;
  /** 'connecting', 'waiting' for the next try, 'stranger' (needs a login), 'ready'. */
  state = 'connecting';
  /** Whether a session ended without being asked to. */
  wasThrownOut = false;
  me = null;
  name = '';
  icon = null;
  members = new Map();
  online = new Set();
  groups = [];
  base = [0, 0, 0];
  channels = [];
  emoji = new Map();
  logs = new Map();
  unread = new Map();
  channel = null;
  maxMessageBytes = 16384; // unless configured otherwise; the server has the last word

  /** `address`: 'host:port'; `homeMember`: who is logged in at home, for whom a session here is kept. */
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
    const kept = load(`session.${this.address}`, null);
    return kept && kept.home === (this.#homeMember() ?? null) ? kept : null;
  }

  connect() {
    this.#connection.connect();
  }

  /** The network may have changed: see now, not when the pause is over. */
  nudge() {
    if (this.state !== 'stranger') this.#connection.nudge();
  }

  close() {
    this.#connection.close();
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Resolves with the response; rejects with a Refusal or Disconnected. */
  async request(command, fields) {
    try {
      return await this.#connection.request(command, fields);
    } catch (problem) {
      // A change of the base is not told by an event.
      if (problem.status === 403 && this.state === 'ready') this.#loadBase();
      throw problem;
    }
  }

  // Coming and going

  async #opened() {
    this.#ask('get_name', ({ data }) => this.#setName(data));
    this.#ask('get_icon', ({ data }) => this.#setIcon(data));
    const session = this.session;
    if (!session) return this.#setState('stranger');
    try {
      const { uuid } = await this.request('login', { token: session.token });
      await this.#enter(uuid);
    } catch (problem) {
      if (!(problem instanceof Refusal)) return; // cut: it is tried again
      if (problem.status === 500) return void setTimeout(() => this.#opened(), FAULT_MS);
      // The token is no good any more, unless another tab has put a newer one there.
      if (this.session?.token === session.token) store(`session.${this.address}`, null);
      this.wasThrownOut = true;
      this.#setState('stranger');
    }
  }

  #cut() {
    for (const log of this.logs.values()) log.doubt();
    this.outbox.cut();
    // Without a login the server ends the connection after a while; the next one is made to log in.
    if (this.state === 'stranger') this.#connection.close();
    else this.#setState('waiting');
    this.tell('cut');
  }

  async #openConnection() {
    if (this.#connection.isOpen) return;
    const { promise, resolve, reject } = Promise.withResolvers();
    const outcome = () => {
      if (this.#connection.isOpen) return resolve();
      this.#connection.close();
      this.#setState('stranger');
      reject(new Disconnected());
    };
    this.#connection.addEventListener('open', outcome, { once: true });
    this.#connection.addEventListener('cut', outcome, { once: true });
    this.#connection.connect();
    await promise.finally(() => {
      this.#connection.removeEventListener('open', outcome);
      this.#connection.removeEventListener('cut', outcome);
    });
  }

  /** Reaches the server for its name and icon; rejects with Disconnected. */
  async reach() {
    await this.#openConnection();
    await Promise.all([
      this.#ask('get_name', ({ data }) => this.#setName(data)), this.#ask('get_icon', ({ data }) => this.#setIcon(data)),
    ]);
  }

  /** `fields`: uname and passwd. */
  login(fields) {
    return this.#begin('login', fields);
  }

  /** `fields`: uname, passwd, and invite or null. */
  register(fields) {
    return this.#begin('register', fields);
  }

  async #begin(command, fields) {
    await this.#openConnection();
    const { uuid } = await this.request(command, fields);
    try {
      const { session, token } = await this.request('create_session', { name: browserName() });
      store(`session.${this.address}`, { session, token, uuid, home: this.#homeMember() ?? null });
    } catch (problem) {
      if (!(problem instanceof Refusal)) throw problem; // a server without sessions: until the next reload
    }
    this.wasThrownOut = false;
    await this.#enter(uuid);
  }

  /** Ends the session here, and forgets what this browser keeps of the server. */
  async logout() {
    const { session } = this.session ?? {};
    forget(this.address);
    if (session) await this.request('delete_session', { session }).catch(() => {});
    this.#connection.close();
    this.#reset();
    this.outbox = new Outbox(this);
    this.#setState('stranger');
  }

  #reset() {
    this.me = null;
    this.channel = null;
    for (const kept of [this.members, this.online, this.logs, this.unread, this.#marked]) kept.clear();
    this.groups = [];
    this.channels = [];
    this.tell('channel');
  }

  /** What another member left in this browser is not theirs who is here now. */
  #forgetOthers() {
    const key = `member.${this.address}`;
    const { session } = this;
    if (load(key, this.me) !== this.me) {
      forget(this.address);
      store(`session.${this.address}`, session);
      this.outbox = new Outbox(this);
    }
    store(key, this.me);
  }

  #setState(state) {
    this.state = state;
    this.tell('state');
  }

  /** Logged in: asks for all that there is, at once. */
  async #enter(uuid) {
    if (this.me !== uuid) this.#reset();
    this.me = uuid;
    this.#forgetOthers();
    const names = ['get_metadata', 'online', 'list_groups', 'get_base_permissions', 'list_channels', 'list_emoji', 'get_last_reads'];
    const [metadata, online, groups, base, channels, emoji, reads] =
      await Promise.all(names.map((name) => this.request(name)));
    this.members = new Map(metadata.data.map((member) => [member.uuid, member]));
    this.online = new Set(online.data);
    this.groups = groups.data;
    this.base = base.permissions;
    this.emoji = new Map(emoji.data);
    this.channels = channels.data;
    this.#meChanged();
    this.#connection.settle();
    this.#setState('ready');
    this.unread = new Map(Object.entries(reads.last_reads)
      .map(([channel, [, count]]) => [Number(channel), { count, mentions: 0 }]));
    for (const name of ['members', 'online', 'groups', 'emoji', 'channels', 'unread']) this.tell(name);
    this.#review();
    this.#countUnread();
    this.outbox.run();
  }

  // What is told

  #heard(packet) {
    if (packet.status !== 200 || !this.me) return;
    switch (packet.command) {
      case 'content': return this.#arrived(packet);
      case 'message_edited': return this.#everyLog((log) => log.edit(packet.message, packet.new_content));
      case 'message_deleted': return this.#everyLog((log) => log.delete(packet.message));
      case 'online': return this.#set('online', new Set(packet.data));
      case 'get_metadata': return this.#membersChanged(packet.data);
      case 'list_channels': return this.#channelsChanged(packet.data);
      case 'list_groups':
        this.#set('groups', packet.data);
        return this.#review();
      case 'list_emoji': return this.#set('emoji', new Map(packet.data));
      case 'get_name': return this.#setName(packet.data);
      case 'get_icon': return this.#setIcon(packet.data);
    }
  }

  #set(name, value) {
    this[name] = value;
    this.tell(name);
  }

  #setName(name) {
    this.#set('name', name);
  }

  #setIcon(icon) {
    this.#set('icon', icon);
  }

  #everyLog(change) {
    for (const log of this.logs.values()) change(log);
  }

  #membersChanged(changed) {
    for (const member of changed) this.members.set(member.uuid, member);
    if (changed.some(({ uuid }) => uuid === this.me)) this.#meChanged();
    this.tell('members', { changed });
    this.#review();
  }

  #meChanged() {
    const name = this.member(this.me).name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
    this.#mention = new RegExp(`(^|[^\\p{L}\\p{N}_])@${name}(?![\\p{L}\\p{N}_])`, 'u');
  }

  #channelsChanged(channels) {
    this.channels = channels;
    for (const uuid of this.unread.keys()) {
      if (!this.findChannel(uuid)) this.unread.delete(uuid);
    }
    this.tell('channels');
    this.tell('unread');
    this.#review();
    this.#loadBase();
  }

  #loadBase() {
    this.#ask('get_base_permissions', ({ permissions }) => {
      if (String(permissions) === String(this.base)) return;
      this.base = permissions;
      this.tell('groups');
      this.#review();
    });
  }

  /** What one may see or read may have changed: lets go of the one, takes up the other. */
  #review() {
    for (const uuid of [...this.logs.keys()]) {
      if (this.can('read_messages', uuid)) continue;
      this.logs.delete(uuid);
      this.tell('messages', { channel: uuid, kind: 'reset' });
    }
    const shown = this.channel?.uuid ?? load(`channel.${this.address}`, null);
    this.open((this.findChannel(shown) ?? this.channels[0])?.uuid ?? null);
  }

  #ask(command, take) {
    return this.request(command).then(take, () => {});
  }

  // Channels and messages

  findChannel(uuid) {
    return this.channels.find((channel) => channel.uuid === uuid) ?? null;
  }

  /** Shows a channel; null when there is none. */
  open(uuid) {
    const before = this.channel;
    this.channel = this.findChannel(uuid);
    const isOther = before?.uuid !== this.channel?.uuid;
    if (isOther && before) this.logs.get(before.uuid)?.trim();
    if (this.channel) this.#loadLog(uuid, isOther);
    if (!isOther) return;
    if (this.channel) store(`channel.${this.address}`, uuid);
    this.tell('channel');
  }

  async #loadLog(uuid, isOther) {
    if (!this.can('read_messages', uuid)) return;
    if (!this.logs.has(uuid)) this.logs.set(uuid, new Log(this, uuid));
    const log = this.logs.get(uuid);
    const { count = 0 } = this.unread.get(uuid) ?? {};
    if (log.loaded && isOther) log.markUnread(count, this.me);
    else await log.refresh(count);
  }

  send(content, reply = null) {
    this.outbox.add(this.channel.uuid, content, reply);
  }

  edit(message, content) {
    return this.request('edit', { message, new_content: content });
  }

  delete(message) {
    return this.request('delete', { message });
  }

  typingDraft(channel) {
    return load(`drafts.${this.address}`, {})[channel] ?? '';
  }

  setDraft(channel, text) {
    const { [channel]: _, ...drafts } = load(`drafts.${this.address}`, {});
    store(`drafts.${this.address}`, text ? { ...drafts, [channel]: text } : drafts);
  }

  #arrived({ command, status, ...message }) {
    const { channel_uuid: channel, author_uuid: author } = message;
    const log = this.logs.get(channel);
    if (author === this.me) {
      this.outbox.arrived(message);
      log?.insert(message);
      return;
    }
    const isMention = this.isMention(message.content);
    const { count, mentions } = this.unread.get(channel) ?? { count: 0, mentions: 0 };
    const isUnseen = channel === this.channel?.uuid && count === 0 && !document.hasFocus();
    if (log?.loaded && isUnseen) log.firstUnread = message.uuid;
    this.unread.set(channel, { count: count + 1, mentions: mentions + Number(isMention) });
    log?.insert(message);
    this.tell('unread');
    this.tell('arrived', { message, isMention });
  }

  // Reading

  async #countUnread() {
    try {
      for (const { uuid } of this.channels.filter((channel) => this.can('read_messages', channel.uuid))) {
        if (this.unread.get(uuid)?.count) await this.#countMentions(uuid);
      }
      await this.#makeFirstMarks();
    } catch {
      // cut, or refused by now: the next login counts again
    }
  }

  async #countMentions(channel) {
    const { count } = this.unread.get(channel);
    const { data } = await this.request('history', { channel, num: Math.min(count, COUNTED) });
    const mentions = data.filter((message) => message.author_uuid !== this.me && this.isMention(message.content)).length;
    if (mentions && this.unread.get(channel)?.count) this.unread.set(channel, { ...this.unread.get(channel), mentions });
    this.tell('unread');
  }

  /**
   * The server counts only from a mark on. Channels without one are read as they are found, but for
   * those that were seen empty: what is there now came since.
   */
  async #makeFirstMarks() {
    const key = `empty.${this.address}`;
    const unmarked = this.channels.filter(({ uuid }) => !this.unread.has(uuid) && this.can('read_messages', uuid));
    for (const { uuid } of unmarked.slice(0, MARKED_AT_FIRST)) {
      const { data } = await this.request('history', { channel: uuid, num: COUNTED });
      const empty = load(key, []);
      const count = data.filter((message) => message.author_uuid !== this.me).length;
      if (!data.length) store(key, [...new Set([...empty, uuid])]);
      else if (empty.includes(uuid) && count) this.unread.set(uuid, { count, mentions: 0 });
      else await this.request('mark_as_read', { message: data.at(-1).uuid });
    }
    this.tell('unread');
  }

  /** The channel that is shown has been read to its end. */
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
    const total = { count: 0, mentions: 0 };
    for (const { count, mentions } of this.unread.values()) {
      total.count += count;
      total.mentions += mentions;
    }
    return total;
  }

  // Who, and what they may

  /** Whether I may; server-wide without a channel (its uuid, or the Channel). */
  can(permission, channel) {
    const mine = this.members.get(this.me);
    const place = typeof channel === 'number' ? this.findChannel(channel) : channel;
    if (!mine || (channel && !place)) return false;
    return comesTo(this, mine, place)[permission];
  }

  member(uuid) {
    return this.members.get(uuid) ?? { uuid, name: t('unknown_member'), pfp: null, group_uuid: 0, groups: [] };
  }

  /** '#rrggbb' of the highest group, or null. */
  colour(member) {
    const group = this.groups.find(({ uuid }) => uuid === member.group_uuid);
    return group ? `#${group.colour.toString(16).padStart(6, '0')}` : null;
  }

  isMention(content) {
    return this.#mention.test(content);
  }

  /** A URL for a picture from the wire; null for what is none. */
  pictureUrl(base64) {
    if (!base64) return null;
    if (!this.#pictures.has(base64)) this.#pictures.set(base64, makeUrl(base64));
    if (this.#pictures.size > PICTURES_KEPT) {
      const [[oldest, url]] = this.#pictures;
      this.#pictures.delete(oldest);
      URL.revokeObjectURL(url);
    }
    return this.#pictures.get(base64);
  }

  /** Resolves with the URL of an emoji's picture, or null. */
  emojiUrl(name) {
    const uuid = this.emoji.get(name);
    if (!uuid) return Promise.resolve(null);
    if (!this.#emojiUrls.has(uuid)) {
      const url = this.request('get_emoji', { uuid }).then(({ data }) => makeUrl(data.data));
      this.#emojiUrls.set(uuid, url);
      url.catch(() => this.#emojiUrls.delete(uuid));
    }
    return this.#emojiUrls.get(uuid).catch(() => null);
  }
}

const makeUrl = (base64) => {
  try {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    return URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));
  } catch {
    return null;
  }
};

/** What a session is called, so that its owner knows it again: "Firefox on Linux". */
const browserName = () => {
  const agent = navigator.userAgent;
  const [, browser = 'Browser'] = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(agent.replace(/Chrome\/.*(Edg|OPR)/, '$1')) ?? [];
  const [, system = ''] = /(Android|iPhone|iPad|Windows|Mac OS|Linux)/.exec(agent) ?? [];
  return system ? `${browser} on ${system}` : browser;
};
