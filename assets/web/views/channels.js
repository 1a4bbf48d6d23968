// The channels of the server that is shown, with what is unread in each.

import { h, icon, iconButton, replace } from '../dom.js';
import { t } from '../text.js';
import { openChannelSettings } from './manage_channel.js';
import { drawOn } from './permissions.js';

export const channelsView = (app, signal) => {
	const list = h('ul.list.channels');
	const add = iconButton('add', t('new_channel'), () => openChannelSettings(app, null));
	drawOn(app, 'channels channel unread groups members state community', () => {
		add.hidden = !app.current.can('modify_channels');
		replace(list, app.current.channels.map((channel) => channelItem(app, channel)));
	}, signal);
	return h('nav', { 'aria-label': t('channels') }, h('div.row.head', h('h2', t('channels')), add), list);
};

const channelItem = (app, channel) => {
	const { count = 0, mentions = 0 } = app.current.unread.get(channel.uuid) ?? {};
	const isCurrent = channel.uuid === app.current.channel?.uuid;
	const open = () => {
		app.current.open(channel.uuid);
		app.compose({});
		app.setPane('messages');
	};
	return h('li', { class: count ? 'unread' : '' },
		h('button.channel', { onclick: open, 'aria-current': isCurrent ? 'page' : null, id: `channel.${channel.uuid}` },
		icon(isPrivate(channel) ? 'lock' : 'hash'),
		h('bdi.name', channel.name),
		mark(count, mentions)),
		app.current.can('modify_channels', channel)
			&& iconButton('settings', t('channel_settings', channel), () => openChannelSettings(app, channel), { id: `edit.${channel.uuid}` }));
};

/** A mention counts more than anything else unread. */
export const mark = (count, mentions) => {
	if (!count) return null;
	const shown = mentions || count;
	return h(mentions ? 'span.badge.mentions' : 'span.badge',
		h('span', { 'aria-hidden': 'true' }, shown > 99 ? '99+' : shown),
		h('span.visually-hidden', t(mentions ? 'mentions' : 'unread', { n: shown })));
};

const VIEW_DENIED = 2 << 2;
const isPrivate = ({ permissions }) => ((permissions['group:0']?.[2] ?? 0) & 12) === VIEW_DENIED;
