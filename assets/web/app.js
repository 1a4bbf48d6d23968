// The servers that are open, which of them is shown, and this browser's settings.

import { Community } from './community.js';
import { load, store } from './storage.js';
import { useLanguage } from './text.js';

const homeAddress = () => (location.port ? location.host : `${location.hostname}:443`);
const addressOf = ({ ip, port }) => (ip.includes(':') && !ip.startsWith('[') ? `[${ip}]:${port}` : `${ip}:${port}`);

/** What others' clients wrote into the list is looked at before it is used. */
const isReachable = (entry) => {
	const address = addressOf(entry);
	return /^(\[[0-9a-f:.]+\]|[\p{L}\p{N}.-]+):[1-9]\d*$/iu.test(address) && URL.canParse(`wss://${address}/`);
};

/**
 * The home server is the one that this page came from; it keeps the list of the others for its
 * member (protocol section 4, "Sync"). Events of the server that is shown are sent on from here.
 */
export class App extends EventTarget {
	composing = { reply: null, edit: null };
	pane = 'channels';
	settings = { theme: 'auto', notifications: 'mentions', ...load('settings', {}) };

	constructor() {
		super();
		useLanguage();
		this.setSettings({});
		this.home = this.#make(homeAddress());
		this.current = this.home;
		this.communities = [this.home];
		this.home.addEventListener('state', () => this.#homeChanged());
	}

	start() {
		this.home.connect();
		history.replaceState(null, ''); // after a reload: channels
		addEventListener('online', () => this.nudge());
		document.addEventListener('visibilitychange', () => document.hidden || this.nudge());
		addEventListener('popstate', ({ state }) => this.#setPane(state?.pane ?? 'channels'));
	}

	nudge() {
		for (const community of this.communities) community.nudge();
	}

	tell(name, detail) {
		this.dispatchEvent(new CustomEvent(name, { detail }));
	}

	show(community) {
		if (this.current === community) return;
		this.current = community;
		this.compose({});
		this.tell('community');
	}

	addCommunity(host, port) {
		const address = addressOf({ ip: host, port });
		return this.communities.find((community) => community.address === address) ?? this.#make(address);
	}

	#make(address) {
		const community = new Community(address, this.home);
		community.addEventListener('told', ({ detail: { name, detail } }) => {
			if (name === 'arrived') this.#notify(community, detail);
			if (community === this.current) this.tell(name, detail);
			if (['state', 'name', 'icon', 'unread'].includes(name)) this.tell('servers');
		});
		return community;
	}

	async keepCommunity(community) {
		const { address, name, me: uuid } = community;
		const [, ip, port] = /^\[?(.*?)\]?:(\d+)$/.exec(address);
		const entry = { uuid, uname: community.member(uuid).name, ip, port: Number(port), pfp: null, name };
		if (!this.communities.includes(community)) this.communities.push(community);
		await this.#changeList((list) => {
			const place = list.findIndex((other) => addressOf(other) === address);
			return place < 0 ? [...list, entry] : list.with(place, { ...list[place], ...entry });
		});
	}

	async removeCommunity(community) {
		await community.logout();
		await this.#changeList((list) => list.filter((entry) => addressOf(entry) !== community.address));
	}

	/** On the newest list, lest what another device did is undone. */
	async #changeList(change) {
		const { servers } = await this.home.request('sync_get_servers');
		const changed = change(servers).map((entry, idx) => ({ ...entry, idx }));
		await this.home.request('sync_set_servers', { servers: changed });
		this.#open(changed);
	}

	async #homeChanged() {
		if (this.home.state === 'stranger') this.#open([]);
		if (this.home.state !== 'ready') return;
		const { servers } = await this.home.request('sync_get_servers').catch(() => ({})); // cut: the next login asks again
		if (servers) this.#open(servers);
	}

	/** Connects to those that are listed, and lets go of those that are not any more. */
	#open(list) {
		const before = this.communities;
		const listed = list.filter(isReachable).map(({ ip, port, name }) => {
			const community = this.addCommunity(ip, port);
			if (!before.includes(community)) community.name = String(name ?? community.address);
			return community;
		});
		this.communities = [...new Set([this.home, ...listed])];
		for (const community of before) if (!this.communities.includes(community)) community.close();
		for (const community of listed) community.connect();
		if (!this.communities.includes(this.current)) this.show(this.home);
		this.tell('servers');
	}

	/** Everywhere: the list is the home member's, and so is what is in it. */
	async logout() {
		this.show(this.home);
		for (const community of this.communities.toReversed()) await community.logout();
	}

	setSettings(part) {
		this.settings = { ...this.settings, ...part };
		store('settings', this.settings);
		document.documentElement.dataset.theme = this.settings.theme;
	}

	#notify(community, { message: { author_uuid: author, channel_uuid: channel, content }, isMention }) {
		const { notifications } = this.settings;
		const isInView = community === this.current && channel === community.channel?.uuid;
		const isSeen = isInView && document.hasFocus() && document.querySelector('.scroller').clientHeight;
		if (isSeen || notifications === 'none' || (notifications === 'mentions' && !isMention)) return;
		if (globalThis.Notification?.permission !== 'granted') return;
		const title = `${community.member(author).name} (#${community.findChannel(channel)?.name ?? ''})`;
		try {
			const notice = new Notification(title, { body: content.slice(0, 200), tag: `${community.address}/${channel}` });
			notice.onclick = () => {
				focus();
				this.show(community);
				community.open(channel);
			};
		} catch {
			// some telephones have it only for service workers
		}
	}

	// What is being written, and which pane a narrow screen shows

	/** `{reply: uuid}`, `{edit: uuid}`, or `{}`. */
	compose({ reply = null, edit = null }) {
		this.composing = { reply, edit };
		this.tell('composing');
	}

	/** The back button of a telephone leads from the messages to the channels. */
	setPane(pane) {
		if (pane === this.pane) return;
		if (pane === 'channels' && history.state?.pane) return history.back();
		history[this.pane === 'channels' ? 'pushState' : 'replaceState']({ pane }, '');
		this.#setPane(pane);
	}

	#setPane(pane) {
		this.pane = pane;
		this.tell('pane');
	}

	get title() {
		const totals = this.communities.map((community) => community.unreadTotal());
		const mentions = totals.reduce((sum, total) => sum + total.mentions, 0);
		const mark = mentions ? `(${mentions}) ` : totals.some(({ count }) => count) ? '• ' : '';
		return `${mark}${this.current.name}`;
	}
}
