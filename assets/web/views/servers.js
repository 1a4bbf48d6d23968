// The servers at the side: each with its icon, its state and what is unread; adding and removing them.

import { ask, field, form, h, icon, iconButton, openDialog, replace, say } from '../dom.js';
import { refusalText, t } from '../text.js';
import { mark } from './channels.js';
import { accountForms } from './login.js';
import { attempt, drawOn } from './permissions.js';

const PORT = 2345;
const STATES = { connecting: 'connecting', waiting: 'no_connection', stranger: 'needs_login' };

export const serversView = (app, signal) => {
	const list = h('ul.list');
	const add = iconButton('add', t('add_server'), () => openAddServer(app));
	drawOn(app, 'servers community', () => {
		replace(list, app.communities.map((community) => serverItem(app, community)));
		add.hidden = !app.home.me;
	}, signal);
	return h('nav.servers', { 'aria-label': t('servers') }, list, add);
};

const serverItem = (app, community) => {
	const { address, name, isHome, state } = community;
	const words = STATES[state] ? `${name}, ${t(STATES[state])}` : name;
	const sign = { waiting: 'warning', stranger: 'lock' }[state];
	const { count, mentions } = community.unreadTotal();
	const isCurrent = community === app.current;
	const show = () => {
		app.show(community);
		// All views are others now; whoever uses the keys stays where they are.
		if (document.activeElement === document.body) document.getElementById(`server.${address}`)?.focus();
	};
	return h('li',
		h('button.server', {
			id: `server.${address}`, title: words, 'aria-current': isCurrent ? 'page' : null,
			class: STATES[state] ? 'away' : '', onclick: show,
		}, face(community), h('span.visually-hidden', words), sign && icon(sign), mark(count, mentions)),
		isCurrent && !isHome && iconButton('more', `${t('more')}: ${name}`, () => openActions(app, community), { id: 'server.more' }));
};

/** The icon, or the first letters of the name. */
const face = (community) => {
	const url = community.pictureUrl(community.icon);
	const initials = String(community.name).split(/\s+/, 2).map(([letter = '']) => letter).join('');
	return url ? h('img', { src: url, alt: '' }) : h('span.initials', { 'aria-hidden': 'true' }, initials);
};

const inWords = (work) => work.catch((problem) => { throw new Error(refusalText(problem)); });

const openActions = (app, community) => {
	const button = (tag, text, work) => h(tag, { onclick: () => attempt(() => inWords(work())) }, t(text));
	const dialog = openDialog(community.name, [
		h('p', community.address), community.state === 'waiting' && certificateHint(community),
		h('div.row.end',
			button('button', 'move_up', () => app.moveCommunity(community, -1)), button('button', 'move_down', () => app.moveCommunity(community, 1)),
			button('button.danger', 'remove', async () => {
				if (!await ask(t('remove_server'), t('remove_server_text', community), t('remove'), { danger: true })) return;
				dialog.close();
				await app.removeCommunity(community);
			}))]);
};

/** A browser asks about a self-signed certificate only on a page of that server. */
const certificateHint = ({ address }) => h('p.hint', t('certificate_hint'), ' ',
	h('a', { href: `https://${address}/`, target: '_blank', rel: 'noopener noreferrer' }, `https://${address}/`));

/** `host`, `host:port`, an IPv6 address, or the URL of the server's page. Gives {host, port} or throws. */
export const parseAddress = (text) => {
	const given = text.trim();
	const isUrl = /^\w+:\/\//.test(given);
	const bare = /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(given) ? `[${given}]` : given;
	const url = URL.parse(isUrl ? given : `https://${bare}`);
	if (!url || !/^(https|wss):$/.test(url.protocol) || /[\s%]/.test(url.hostname)) throw new Error(t('address_bad'));
	// Nothing is left of the usual port in a URL.
	const usual = isUrl || /:443\/?$/.test(bare) ? 443 : PORT;
	return { host: url.hostname, port: Number(url.port) || usual };
};

export const openAddServer = (app) => {
	let community = null;
	const note = h('div', { role: 'status' });
	const letGo = () => app.communities.includes(community) || community?.close();
	const done = (words) => {
		dialog.close();
		app.show(community);
		say(t(words, community));
	};
	const content = h('div', form(async ({ address }) => {
		const { host, port } = parseAddress(address);
		letGo();
		community = app.addCommunity(host, port);
		if (app.communities.includes(community)) return done('already_listed');
		replace(note, h('p', t('connecting')));
		try {
			await community.reach();
			await showAccount(app, community, content, done);
		} catch {
			replace(note, h('p.error', t('unreachable', community)), certificateHint(community));
		}
	}, field(t('address'), h('input', {
		name: 'address', required: true, inputmode: 'url', autocapitalize: 'none', spellcheck: 'false', autocomplete: 'off', placeholder: 'chat.example:2345',
	}), t('address_hint')), note, h('div.row.end', h('button.primary', t('connect')))));
	const dialog = openDialog(t('add_server'), content, { onclose: letGo });
	content.querySelector('input').focus();
};

/** Who one is at home is what one is called there, too, unless one says otherwise. */
const showAccount = async (app, community, content, ondone) => {
	const me = app.home.member(app.home.me);
	const { uname = me.name, pfp = me.pfp } = await app.home.request('sync_get').catch(() => ({}));
	const keep = async (isNew) => {
		if (isNew && pfp) await community.request('pfp', { data: pfp }).catch(() => {}); // what is no picture there
		await inWords(app.keepCommunity(community));
		ondone('server_added');
	};
	const forms = accountForms(community, {
		name: uname, ondone: () => attempt(() => keep(forms.querySelector('[autocomplete=new-password]'))),
	});
	replace(content, h('div.row.found', face(community), h('div', h('h3', { dir: 'auto' }, community.name), h('p.hint', community.address))), forms);
	forms.querySelector('input').focus();
};
