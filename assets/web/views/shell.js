// The page: servers, channels, messages and members beside each other, folded on narrow screens.

import { announce, h, icon, iconButton, on, replace, t } from '../dom.js';
import { avatar } from '../picture.js';
import { channelsView } from './channels.js';
import { composerView } from './composer.js';
import { loginView } from './login.js';
import { openManage } from './manage.js';
import { membersView } from './members.js';
import { messagesView } from './messages.js';
import { drawOn } from './permissions.js';
import { openProfile } from './profile.js';
import { certificateHint, serversView } from './servers.js';
import { openSettings } from './settings.js';

const MANAGING = ['modify_icon_name', 'modify_groups', 'ban_users'];

export const shellView = (app) => {
	const shell = h('div.shell');
	let shown = null;
	let stop = new AbortController();
	// Built anew only when another server is shown, or one logs in or out.
	drawOn(app, 'state community servers', () => {
		const { current, communities } = app;
		const isStranger = current.state === 'stranger';
		const isMember = current.me && !isStranger;
		const hasRail = isMember || communities.length > 1;
		const key = [current.address, isStranger, current.me, hasRail].join();
		if (key === shown) return;
		shown = key;
		stop.abort();
		stop = new AbortController();
		const { signal } = stop;
		shell.classList.toggle('alone', !isMember);
		try {
			replace(shell, hasRail && serversView(app, signal),
				isMember ? memberViews(app, signal) : h('main', isStranger ? loginView(app, signal) : waiting(current)));
		} catch {
			return current.fail(); // which is told, and drawn
		}
		if (isStranger) shell.querySelector('main input').focus();
	});
	drawOn(app, 'pane', () => { shell.dataset.pane = app.pane; });
	on(app, 'unread channel community name servers', () => { document.title = app.title; });
	return h('div', banner(app), shell);
};

const waiting = (community) =>
	h('section.boot', h('h1', community.name), h('p', t('connecting')), !community.isHome && certificateHint(community));

const memberViews = (app, signal) => {
	const server = h('h1');
	const channel = h('h2');
	const manage = iconButton('shield', t('manage'), () => openManage(app));
	const me = h('button.quiet.me', { onclick: () => openProfile(app, app.current.me) });
	const toMembers = () => app.setPane(app.pane === 'members' ? 'messages' : 'members');
	drawOn(app, 'name groups members channel channels', () => {
		const { current } = app;
		const member = current.member(current.me);
		server.textContent = current.name;
		channel.textContent = current.channel?.name ?? '';
		manage.hidden = !MANAGING.some((permission) => current.can(permission));
		replace(me, avatar(app, member, 32), h('bdi.name', member.name));
	}, signal);
	return [
		h('div.side', h('header', server, manage), channelsView(app, signal),
			h('div.self', me, iconButton('settings', t('settings'), () => openSettings(app)))),
		h('main',
			h('header',
				iconButton('menu', t('show_channels'), () => app.setPane('channels'), { class: 'to-channels' }), icon('hash'), channel,
				iconButton('members', t('show_members'), toMembers, { class: 'to-members' })),
			messagesView(app, signal), composerView(app, signal)),
		membersView(app, signal)];
};

const banner = (app) => {
	const text = h('span');
	const element = h('div.banner', { hidden: true }, icon('warning'), text,
		h('button.quiet', { onclick: () => app.nudge() }, t('retry')));
	const draw = () => {
		const { state, retryAt } = app.current;
		const isCut = state === 'waiting';
		if (isCut === element.hidden) announce(t(isCut ? 'notice_offline' : 'connected_again'));
		element.hidden = !isCut;
		const n = Math.ceil((retryAt - Date.now()) / 1000);
		text.textContent = n > 0 ? t('reconnecting_in', { n }) : t('connecting');
	};
	on(app, 'state community', draw);
	setInterval(draw, 1000);
	return element;
};
