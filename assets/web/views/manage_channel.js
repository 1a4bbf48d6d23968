// A channel's name, place and overrides, with what they come to.

import { field, form, h, openDialog, replace, say, t } from '../dom.js';
import { comesTo, decode } from '../permissions.js';
import { act, drawOn, erase, isFound, movers, nameInput, overlay, permissionTable, rankOf, searchInput } from './permissions.js';

/** The others hold server-wide, whatever a channel says of them. */
const IN_CHANNEL = ['view_channel', 'read_messages', 'send_messages', 'manage_messages', 'modify_channels'];
const EVERYBODY = 'group:0';
const SHOWN_MAX = 50; // rows of the table

/** Whom overrides are for, each like a member with these groups. */
const subjectsOf = ({ groups, members }) => [
	[EVERYBODY, { name: t('everybody'), groups: [] }],
	...groups.map(({ uuid, name }) => [`group:${uuid}`, { name, groups: [uuid] }]),
	...[...members.values()].map((member) => [`user:${member.uuid}`, member]),
];

export const openChannelSettings = (app, channel) => {
	const community = app.current;
	const stop = new AbortController();
	const edits = {};
	const now = () => (channel ? community.findChannel(channel.uuid) : { name: '', permissions: {} });
	const overrides = () => {
		const { permissions } = now();
		const changed = Object.keys({ ...permissions, ...edits }).map((key) => [key, overlay(permissions[key], edits[key])]);
		return Object.fromEntries(changed.filter(([, bytes]) => bytes.some(Boolean)));
	};
	const set = (key, settings) => {
		edits[key] = { ...edits[key], ...settings };
		draw();
	};
	const setPrivate = () => {
		const isPrivate = toggle.checked;
		set(EVERYBODY, { view_channel: isPrivate ? 2 : 0 });
		// Nobody takes anything from those who are not below them: their groups are let in as well.
		for (const { uuid, position, permissions } of isPrivate ? community.groups : []) {
			if (position <= rankOf(community) && decode(permissions).view_channel !== 1) set(`group:${uuid}`, { view_channel: 1 });
		}
	};
	const nameField = nameInput();
	const place = h('span.row');
	const toggle = h('input', { type: 'checkbox', onchange: setPrivate });
	const search = searchInput(() => draw());
	const table = h('div.scroll');
	const save = async () => {
		const fields = { uuid: channel?.uuid, name: nameField.value, permissions: overrides() };
		await act(community, channel ? 'update_channel' : 'create_channel', fields);
		dialog.close();
		say(t('saved'));
	};
	const remove = () => erase(community, 'delete_channel', { channel: channel.uuid }, now());
	const dialog = openDialog(channel ? t('channel_settings', channel) : t('new_channel'), form(save,
		field(t('name'), nameField), place, h('label.row', toggle, t('private_channel')),
		h('h3', t('comes_to')), field(t('search'), search), table,
		h('div.row.end.actions', channel && h('button.danger', { onclick: remove }, t('delete')), h('button.primary', t('save')))),
	{ wide: true, onclose: () => stop.abort() });
	const draw = drawOn(community, 'channels groups members state', () => {
		if (!now() || community.state === 'stranger' || !community.can('modify_channels', channel?.uuid)) {
			dialog.close();
			return say(t(now() ? 'notice_403' : 'notice_404'));
		}
		const permissions = overrides();
		nameField.defaultValue = now().name;
		replace(place, channel && movers(community, 'update_channel', now(), community.channels));
		toggle.checked = decode(permissions[EVERYBODY]).view_channel === 2;
		const first = { [EVERYBODY]: [], ...now().permissions };
		const found = subjectsOf(community).filter(([, { name }]) => isFound(search, name))
			.sort(([one], [other]) => (other in first) - (one in first));
		replace(table, permissionTable(IN_CHANNEL, found.slice(0, SHOWN_MAX).map(([key, subject]) =>
			({ key, name: subject.name, permissions: permissions[key], all: comesTo(community, subject, { permissions }) })), set),
		found.length > SHOWN_MAX && '…');
	}, stop.signal);
};
