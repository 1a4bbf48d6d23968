// The servers that are open, which of them is shown, and this browser's settings.

import { Community } from './community.js';
import { load, store } from './storage.js';
import { useLanguage } from './text.js';

const SETTINGS = { theme: 'auto', notifications: 'mentions' };
const FORWARDED = ['state', 'name', 'icon', 'members', 'online', 'groups', 'channels', 'emoji', 'unread', 'channel', 'messages'];
const SERVERS_CHANGE_ON = ['state', 'name', 'icon', 'unread'];

const homeAddress = () => (location.port ? location.host : `${location.hostname}:443`);
const addressOf = ({ ip, port }) => (ip.includes(':') && !ip.startsWith('[') ? `[${ip}]:${port}` : `${ip}:${port}`);

/** The home server is where this page came from; it keeps the list of the others (protocol section 4, "Sync"). */
export class App extends EventTarget {
	communities = [];
	current = null;
	composing = { reply: null, edit: null };
	pane = 'channels';
	settings = { ...SETTINGS, ...load('settings', {}) };

	constructor() {
		super();
		useLanguage();
		this.setSettings({});
		this.home = this.#take(new Community(homeAddress(), { isHome: true }));
		this.current = this.home;
		this.#show(load('servers', []));
		this.home.addEventListener('state', () => this.#homeChanged());
	}

	start() {
		this.home.connect();
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

	async keepCommunity(community) {
		if (!this.communities.includes(community)) this.#take(community);
		const { hostname, port } = new URL(`https://${community.address}`);
		const ip = hostname.replace(/^\[|\]$/g, '');
		const entry = {
			uuid: community.me, uname: community.member(community.me).name, ip, port: Number(port) || 443,
			pfp: null, name: community.name, idx: 0,
		};
		await this.#changeList((list) => {
			const place = list.findIndex((other) => addressOf(other) === community.address);
			return place < 0 ? [...list, entry] : list.with(place, { ...list[place], ...entry });
		});
	}

	async removeCommunity(community) {
		await community.logout();
		await this.#changeList((list) => list.filter((entry) => addressOf(entry) !== community.address));
	}

	#make(address) {
		return new Community(address, { homeMember: () => this.home.session?.uuid });
	}

	#take(community) {
		this.communities.push(community);
		for (const name of FORWARDED) {
			community.addEventListener(name, ({ detail }) => {
				if (community === this.current) this.tell(name, detail);
				if (SERVERS_CHANGE_ON.includes(name)) this.tell('servers');
			});
		}
		community.addEventListener('arrived', ({ detail }) => this.#notify(community, detail));
		return community;
	}

	async #homeChanged() {
		if (this.home.state === 'stranger') this.#show([]);
		if (this.home.state !== 'ready') return;
		await this.home.request('sync_get_servers').then(({ servers }) => this.#show(servers), () => {});
	}

	/** On the newest list, lest what another device did is undone. */
	async #changeList(change) {
		const { servers } = await this.home.request('sync_get_servers');
		const changed = change(servers).map((entry, idx) => ({ ...entry, idx }));
		await this.home.request('sync_set_servers', { servers: changed });
		this.#show(changed);
	}

	#show(list) {
		store('servers', list.length ? list : null);
		const addresses = list.filter(isReachable).map(addressOf).filter((address) => address !== this.home.address);
		for (const community of this.communities.slice(1)) {
			if (!addresses.includes(community.address)) community.close();
		}
		const open = (address) => this.communities.find((community) => community.address === address);
		for (const address of addresses) {
			if (open(address)) continue;
			const community = this.#take(this.#make(address));
			community.name = list.find((entry) => addressOf(entry) === address).name ?? address;
			community.connect();
		}
		this.communities = [this.home, ...new Set(addresses.map(open))];
		if (!this.communities.includes(this.current)) this.show(this.home);
		this.tell('servers');
	}

	/** Logs out everywhere: the list is the home member's, and so is what is in it. */
	async logout() {
		await Promise.all(this.communities.slice(1).map((community) => community.logout()));
		this.show(this.home);
		await this.home.logout();
	}

	setSettings(part) {
		this.settings = { ...this.settings, ...part };
		store('settings', this.settings);
		document.documentElement.dataset.theme = this.settings.theme;
	}

	#notify(community, { message, isMention }) {
		const { notifications } = this.settings;
		const isSeen = document.hasFocus() && community === this.current && message.channel_uuid === community.channel?.uuid;
		if (isSeen || notifications === 'none' || (notifications === 'mentions' && !isMention)) return;
		if (globalThis.Notification?.permission !== 'granted') return;
		const channel = community.findChannel(message.channel_uuid);
		try {
			const notice = new Notification(`${community.member(message.author_uuid).name} (#${channel?.name ?? ''})`, {
				body: message.content.slice(0, 200), tag: `${community.address}/${message.channel_uuid}`,
			});
			notice.onclick = () => {
				focus();
				this.show(community);
				community.open(message.channel_uuid);
			};
		} catch {
			// not outside a service worker, on some telephones
		}
	}

	compose({ reply = null, edit = null }) {
		this.composing = { reply, edit };
		this.tell('composing');
	}

	/** The back button of a telephone leads from the messages to the channels. */
	setPane(pane) {
		if (pane === this.pane) return;
		if (pane === 'channels' && history.state?.pane) return history.back();
		if (this.pane === 'channels') history.pushState({ pane }, '');
		else history.replaceState({ pane }, '');
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

/** What others' clients wrote into the list is looked at before it is used. */
const isReachable = ({ ip, port }) =>
	Number.isInteger(port) && port > 0 && port < 65536 && /^(\[?[0-9a-f:.]+\]?|[\p{L}\p{N}.-]+)$/iu.test(ip);
