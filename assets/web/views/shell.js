// The page: servers, channels, messages and members beside each other, folded on narrow screens.

import { announce, freshId, h, icon, iconButton, on, replace, say } from '../dom.js';
import { avatar } from '../picture.js';
import { t } from '../text.js';
import { channelsView } from './channels.js';
import { composerView } from './composer.js';
import { loginView } from './login.js';
import { openManage } from './manage.js';
import { membersView } from './members.js';
import { messagesView } from './messages.js';
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
		if (isStranger) strangerShell(app, shell, stop.signal);
		else if (current.me) memberShell(app, shell, stop.signal);
		else {
			const rail = app.communities.length > 1 && serversView(app, stop.signal);
			replace(shell, rail, h('main.boot', h('h1', current.name), h('p', { role: 'status' }, t('connecting'))));
		}
		shell.classList.toggle('alone', !current.me || isStranger);
	};
	on(app, 'state community servers', render);
	on(app, 'pane', () => { shell.dataset.pane = app.pane; });
	on(app, 'unread channel community name servers', () => { document.title = app.title; });
	on(app, 'icon community', () => showIcon(app.current));
	shell.dataset.pane = app.pane;
	render();
	return element;
};

const strangerShell = (app, shell, signal) => {
	const others = app.communities.length > 1 && serversView(app, signal);
	replace(shell, others, h('main', loginView(app, signal)));
	shell.querySelector('main input')?.focus();
};

const memberShell = (app, shell, signal) => {
	const main = h('main', { id: freshId(), tabindex: '-1' }, channelHeader(app, signal), messagesView(app, signal), composerView(app, signal));
	replace(shell,
		h('a.skip', { href: `#${main.id}`, onclick: (event) => { event.preventDefault(); main.focus(); } }, t('skip_to_messages')),
		serversView(app, signal),
		h('div.side', serverHeader(app, signal), channelsView(app, signal), selfBar(app, signal)),
		main,
		membersView(app, signal));
};

const serverHeader = (app, signal) => {
	const name = h('h1', { dir: 'auto' });
	const manage = iconButton('shield', t('manage'), () => openManage(app));
	const render = () => {
		name.textContent = app.current.name;
		manage.hidden = !MANAGING.some((permission) => app.current.can(permission));
	};
	on(app, 'name groups members community', render, signal);
	render();
	return h('header', name, manage);
};

const selfBar = (app, signal) => {
	const element = h('div.self');
	const render = () => {
		const me = app.current.member(app.current.me);
		replace(element,
			h('button.quiet.me', { onclick: () => openProfile(app, me.uuid) }, avatar(app, me, 32), h('bdi.name', me.name)),
			iconButton('settings', t('settings'), () => openSettings(app)));
	};
	on(app, 'members', render, signal);
	render();
	return element;
};

const channelHeader = (app, signal) => {
	const name = h('h2', { dir: 'auto' });
	const render = () => { name.textContent = app.current.channel?.name ?? ''; };
	on(app, 'channel channels', render, signal);
	render();
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

const showIcon = (community) => {
	document.querySelector('link[rel=icon]').href = community.pictureUrl(community.icon) ?? 'data:,';
};
