// The servers at the side: each with its icon, its state and what is unread; adding and removing them.

import { ask, field, form, h, icon, iconButton, openDialog, replace, t } from '../dom.js';
import { mark } from './channels.js';
import { accountForm } from './login.js';
import { attempt, drawOn } from './permissions.js';

const PORT = 2345;
const STATES = { waiting: 'no_connection', stranger: 'needs_login' };

export const serversView = (app, signal) => {
	const list = h('ul.list');
	const add = iconButton('add', t('add_server'), () => openAddServer(app));
	drawOn(app, 'servers', () => {
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
	return h('li',
		h('button.server', {
			id: `server.${address}`, title: words, 'aria-current': isCurrent ? 'page' : null,
			onclick: () => app.show(community),
		}, face(community), h('span.visually-hidden', words), STATES[state] && icon('warning'), mark(count, mentions)),
		isCurrent && !isHome && iconButton('close', `${t('remove_server')}: ${name}`, () => attempt(() => remove(app, community)),
			{ id: 'server.remove' }));
};

const face = (community) => {
	const src = community.pictureUrl(community.icon);
	return src ? h('img', { src, alt: '' }) : h('span.initials', { 'aria-hidden': 'true' }, [...community.name].slice(0, 2));
};

const remove = async (app, community) => {
	if (await ask(t('remove_server'), t('remove_server_text', community), t('remove'))) await app.removeCommunity(community);
};

/** A browser asks about a self-signed certificate only on a page of that server. */
export const certificateHint = ({ address }) => {
	const href = `https://${address}/`;
	return h('p.hint', t('certificate_hint'), ' ', h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, href));
};

/** `host`, `host:port`, or the URL of the server's page. */
const parseAddress = (text) => {
	const bare = text.trim().replace(/^\w+:\/\//, '');
	const url = URL.parse(`http://${bare}`); // "https:" would swallow a port of 443
	if (!url) throw new Error(t('address_bad'));
	return { host: url.hostname, port: Number(url.port) || (bare === text.trim() ? PORT : 443) };
};

const openAddServer = (app) => {
	let community = null;
	const note = h('div', { role: 'status' });
	const done = () => {
		dialog.close();
		app.show(community);
	};
	const content = h('div', form(async ({ address }) => {
		const { host, port } = parseAddress(address);
		community = app.addCommunity(host, port);
		if (app.communities.includes(community)) return done();
		replace(note, t('connecting'));
		try {
			await community.reach();
		} catch {
			return replace(note, h('p.error', t('unreachable', community)), certificateHint(community));
		}
		const account = accountForm(community, () => app.keepCommunity(community).then(done), app.home.member(app.home.me).name);
		replace(content, h('h3', community.name), account);
		account.querySelector('input').focus();
	}, field(t('address'), h('input', { name: 'address', inputmode: 'url', autofocus: true }), t('address_hint')),
	note, h('button.primary', t('connect'))));
	const dialog = openDialog(t('add_server'), content);
};
