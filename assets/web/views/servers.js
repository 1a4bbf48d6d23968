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
	const { count, mentions } = community.unreadTotal();
	const isCurrent = community === app.current;
	const id = `server.${address}`;
	const show = () => {
		app.show(community);
		// All views are others now; whoever uses the keys stays where they are.
		if (document.activeElement === document.body) document.getElementById(id)?.focus();
	};
	const remove = () => attempt(async () => {
		if (!await ask(t('remove_server'), t('remove_server_text', community), t('remove'), { danger: true })) return;
		await inWords(app.removeCommunity(community));
	});
	return h('li',
		h('button.server', { id, title: words, 'aria-current': isCurrent ? 'page' : null, class: STATES[state] ? 'away' : '', onclick: show },
			face(community), h('span.visually-hidden', words), STATES[state] && icon('warning'), mark(count, mentions)),
		isCurrent && !isHome && iconButton('delete', `${t('remove')}: ${name}`, remove, { id: 'server.remove' }));
};

/** The icon, or the first letters of the name. */
const face = (community) => {
	const url = community.pictureUrl(community.icon);
	const initials = String(community.name).split(/\s+/, 2).map(([letter = '']) => letter).join('');
	return url ? h('img', { src: url, alt: '' }) : h('span.initials', { 'aria-hidden': 'true' }, initials);
};

const inWords = (work) => work.catch((problem) => { throw new Error(refusalText(problem)); });

/** `host`, `host:port`, an IPv6 address, or the URL of the server's page. Gives {host, port} or throws. */
const parseAddress = (text) => {
	const given = text.trim();
	const isUrl = /^\w+:\/\//.test(given);
	const bare = /:.*:/.test(given) && !given.startsWith('[') ? `[${given}]` : given;
	const url = URL.parse(isUrl ? given : `https://${bare}`);
	if (!url || !/^(https|wss):$/.test(url.protocol) || /[\s%]/.test(url.hostname)) throw new Error(t('address_bad'));
	// Nothing is left of the usual port in a URL.
	const usual = isUrl || bare.endsWith(':443') ? 443 : PORT;
	return { host: url.hostname, port: Number(url.port) || usual };
};

const openAddServer = (app) => {
	let community = null;
	const note = h('div', { role: 'status' });
	const letGo = () => app.communities.includes(community) || community?.close();
	const done = () => {
		dialog.close();
		app.show(community);
		say(t('server_added', community));
	};
	const content = h('div', form(async ({ address }) => {
		const { host, port } = parseAddress(address);
		letGo();
		community = app.addCommunity(host, port);
		if (app.communities.includes(community)) return done();
		replace(note, h('p', t('connecting')));
		try {
			await community.reach();
			await showAccount(app, community, content, done);
		} catch {
			// A browser asks about a self-signed certificate only on a page of that server.
			const url = `https://${community.address}/`;
			replace(note, h('p.error', t('unreachable', community)),
				h('p.hint', t('certificate_hint'), ' ', h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, url)));
		}
	}, field(t('address'), h('input', {
		name: 'address', required: true, inputmode: 'url', autocapitalize: 'none', spellcheck: 'false', autocomplete: 'off', placeholder: 'chat.example:2345',
	}), t('address_hint')), note, h('div.row.end', h('button.primary', t('connect')))));
	const dialog = openDialog(t('add_server'), content, { onclose: letGo });
	content.querySelector('input').focus();
};

/** Who one is at home is what one is called there, too, unless one says otherwise. */
const showAccount = async (app, community, content, done) => {
	const me = app.home.member(app.home.me);
	const { uname = me.name, pfp = me.pfp } = await app.home.request('sync_get').catch(() => ({}));
	const ondone = (isNew) => attempt(async () => {
		if (isNew && pfp) await community.request('pfp', { data: pfp }).catch(() => {}); // what is no picture there
		await inWords(app.keepCommunity(community));
		done();
	});
	const forms = accountForms(community, { name: uname, ondone });
	replace(content, h('div.row.found', face(community), h('div', h('h3', { dir: 'auto' }, community.name), h('p.hint', community.address))), forms);
	forms.querySelector('input').focus();
};
