// The channels of the server that is shown, with what is unread in each.

import { h, icon, iconButton, replace, t } from '../dom.js';
import { openChannelSettings } from './manage_channel.js';
import { drawOn } from './permissions.js';

export const channelsView = (app, signal) => {
	const list = h('ul.list.channels');
	const add = iconButton('add', t('new_channel'), () => openChannelSettings(app, null));
	drawOn(app, 'channels channel unread groups members state', () => {
		const { channels } = app.current;
		add.hidden = !app.current.can('modify_channels');
		replace(list, channels.length ? channels.map((channel) => channelItem(app, channel)) : h('li.hint', t('no_channels')));
	}, signal);
	return h('nav', { 'aria-label': t('channels') }, h('div.row.head', h('h2', t('channels')), add), list);
};

const channelItem = (app, channel) => {
	const { uuid, name } = channel;
	const { count, mentions } = app.current.unread.get(uuid) ?? {};
	const open = () => {
		app.current.open(uuid);
		app.compose({});
		app.setPane('messages');
	};
	return h('li', { class: count ? 'unread' : '' },
		h('button.channel', { id: `channel.${uuid}`, onclick: open, 'aria-current': uuid === app.current.channel?.uuid ? 'page' : null },
			icon('hash'), h('bdi.name', name), mark(count, mentions)),
		app.current.can('modify_channels', channel)
			&& iconButton('settings', t('channel_settings', channel), () => openChannelSettings(app, channel), { id: `settings.${uuid}` }));
};

export const mark = (count, mentions) => {
	if (!count) return null;
	const n = mentions || count;
	const kind = mentions ? 'mentions' : 'unread';
	return h(`span.badge.${kind}`, { role: 'img', 'aria-label': t(kind, { n }) }, n > 99 ? '99+' : n);
};
