// The page: servers, channels, messages and members beside each other, folded on narrow screens.

import { announce, h, icon, iconButton, on, replace, say } from '../dom.js';
import { avatar } from '../picture.js';
import { t } from '../text.js';
import { channelsView } from './channels.js';
import { composerView } from './composer.js';
import { loginView } from './login.js';
import { openManage } from './manage.js';
import { membersView } from './members.js';
import { messagesView } from './messages.js';
import { drawOn } from './permissions.js';
import { openProfile } from './profile.js';
import { serversView } from './servers.js';
import { openSettings } from './settings.js';

const MANAGING = ['modify_icon_name', 'modify_groups', 'modify_user_groups', 'ban_users'];

export const shellView = (app) => {
	const shell = h('div.shell');
	const element = h('div', banner(app), shell);
	let shown = null;
	let stop = new AbortController();
	/** The whole is built anew only when another server is shown, or one logs in or out. */
	const render = () => {
		const { current } = app;
		const isStranger = current.state === 'stranger';
		const key = [current.address, isStranger, current.me, app.communities.length > 1].join();
		if (key === shown) return;
		shown = key;
		stop.abort();
		stop = new AbortController();
		const isAlone = isStranger || !current.me;
		shell.classList.toggle('alone', isAlone);
		if (!isAlone) return memberShell(app, shell, stop.signal);
		replace(shell, app.communities.length > 1 && serversView(app, stop.signal),
			isStranger ? h('main', loginView(app, stop.signal)) : h('main.boot', h('h1', current.name), h('p', { role: 'status' }, t('connecting'))));
		shell.querySelector('main input')?.focus();
	};
	on(app, 'state community servers', render);
	on(app, 'pane', () => { shell.dataset.pane = app.pane; });
	on(app, 'unread channel community name servers', () => { document.title = app.title; });
	on(app, 'icon community', () => {
		document.querySelector('link[rel=icon]').href = app.current.pictureUrl(app.current.icon) ?? 'data:,';
	});
	shell.dataset.pane = app.pane;
	render();
	return element;
};

const memberShell = (app, shell, signal) => {
	const main = h('main', { id: 'main', tabindex: '-1' }, channelHeader(app, signal), messagesView(app, signal), composerView(app, signal));
	replace(shell,
		h('a.skip', { href: '#main', onclick: (event) => { event.preventDefault(); main.focus(); } }, t('skip_to_messages')),
		serversView(app, signal),
		h('div.side', serverHeader(app, signal), channelsView(app, signal), selfBar(app, signal)),
		main,
		membersView(app, signal));
};

const serverHeader = (app, signal) => {
	const name = h('h1', { dir: 'auto' });
	const manage = iconButton('shield', t('manage'), () => openManage(app));
	drawOn(app, 'name groups members community', () => {
		name.textContent = app.current.name;
		manage.hidden = !MANAGING.some((permission) => app.current.can(permission));
	}, signal);
	return h('header', name, manage);
};

const selfBar = (app, signal) => {
	const element = h('div.self');
	drawOn(app, 'members', () => {
		const me = app.current.member(app.current.me);
		replace(element,
			h('button.quiet.me', { id: 'me', onclick: () => openProfile(app, me.uuid) }, avatar(app, me, 32), h('bdi.name', me.name)),
			iconButton('settings', t('settings'), () => openSettings(app), { id: 'settings' }));
	}, signal);
	return element;
};

const channelHeader = (app, signal) => {
	const name = h('h2', { dir: 'auto' });
	drawOn(app, 'channel channels', () => { name.textContent = app.current.channel?.name ?? ''; }, signal);
	return h('header',
		iconButton('menu', t('show_channels'), () => app.setPane('channels'), { class: 'to-channels' }),
		icon('hash'), name,
		iconButton('members', t('show_members'), () => app.setPane(app.pane === 'members' ? 'messages' : 'members'), { class: 'to-members' }));
};

/** Says when there is no connection, and when it is tried again. */
const banner = (app) => {
	const text = h('span');
	const element = h('div.banner', { hidden: true }, icon('warning'), text,
		h('button.quiet', { onclick: () => app.nudge() }, t('reconnect_now')));
	let wasCut = false;
	const render = () => {
		const { state, retryAt } = app.current;
		element.hidden = state !== 'waiting';
		if (state === 'ready' && wasCut) say(t('connected_again'));
		if (state === 'waiting' && !wasCut) announce(t('reconnecting'));
		wasCut = state === 'waiting' || (wasCut && state !== 'ready');
		if (state !== 'waiting') return;
		const n = Math.ceil((retryAt - Date.now()) / 1000);
		const words = n > 0 ? t('reconnecting_in', { n }) : t('reconnecting');
		if (text.textContent !== words) text.textContent = words;
	};
	on(app, 'community', () => { wasCut = false; });
	on(app, 'state community', render);
	setInterval(render, 1000);
	return element;
};
