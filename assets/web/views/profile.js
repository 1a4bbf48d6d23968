// One member: who they are, their groups, and what those with the rights do about them.

import { ask, field, form, h, openDialog, replace, say } from '../dom.js';
import { avatar } from '../picture.js';
import { dateTime, t } from '../text.js';
import { presence, swatch } from './members.js';
import { act, attempt, drawOn } from './permissions.js';
import { openSettings } from './settings.js';

export const openProfile = (app, uuid) => {
	const community = app.current;
	const isMe = uuid === community.me;
	const stop = new AbortController();
	const head = h('div.row.profile');
	const groups = h('ul.list');
	const dialog = openDialog(community.member(uuid).name,
		[head, groups, !isMe && community.can('ban_users') && moderation(community, uuid)], { onclose: () => stop.abort() });
	/** Works once all dialogs have given the focus back. */
	const leave = (work) => () => {
		dialog.element.addEventListener('close', work);
		for (const open of [...document.querySelectorAll('dialog[open]')].reverse()) open.close();
	};
	const mention = leave(() => {
		app.setPane('messages');
		app.tell('insert', `@${community.member(uuid).name} `);
	});
	drawOn(community, 'members online groups channel', () => {
		const member = community.member(uuid);
		const isOnline = community.online.has(uuid);
		const maySend = community.channel && community.can('send_messages', community.channel);
		dialog.element.querySelector('h2').textContent = member.name;
		replace(head, avatar(app, member, 96), h('div',
			h('p.row', presence(isOnline), h('span', { 'aria-hidden': 'true' }, t(isOnline ? 'online' : 'offline'))),
			h('p.row',
				maySend && h('button', { id: 'profile.mention', onclick: mention }, t('mention')),
				isMe && h('button', { id: 'profile.edit', onclick: leave(() => openSettings(app)) }, t('settings')))));
		const mayGive = community.can('modify_user_groups');
		const shown = community.groups.filter((group) => mayGive || member.groups.includes(group.uuid));
		replace(groups, shown.length > 0 && h('li', h('h3', t('groups'))), shown.map((group) => groupItem(community, member, group, mayGive || isMe)));
	}, stop.signal);
};

const groupItem = (community, member, group, isMine) => {
	const name = [swatch(community.colour({ group_uuid: group.uuid })), h('bdi.name', group.name)];
	if (!isMine) return h('li.row', name);
	return h('li.row', h('label.row', h('input', {
		type: 'checkbox', id: `in.${group.uuid}`, checked: member.groups.includes(group.uuid),
		onchange: ({ target }) => attempt(() => regroup(community, member.uuid, group, target)),
	}), name));
};

/** Of the groups as they are now: others may change them, too. */
const regroup = async (community, user, group, box) => {
	const others = community.member(user).groups.filter((uuid) => uuid !== group.uuid);
	const groups = box.checked ? [...others, group.uuid] : others;
	const isSure = user !== community.me || await ask(t('leave_group'), t('leave_group_text', group), t('leave_group'), { danger: true });
	try {
		if (isSure) await act(community, 'update_user_groups', { user, groups });
	} finally {
		box.checked = community.member(user).groups.includes(group.uuid);
	}
};

/** Throwing out, banning and letting in again. */
const moderation = (community, user) => {
	const banned = h('div');
	const kick = async () => {
		const { name } = community.member(user);
		if (!await ask(t('kick'), t('kick_text', { name }), t('kick'), { danger: true })) return;
		await act(community, 'kick', { user });
		say(t('kicked', { name }));
	};
	const load = async () => {
		const { data } = await act(community, 'list_bans');
		const ban = data.find((one) => one.user === user);
		replace(banned, ban && [
			h('p', { role: 'status' }, t('is_banned', { until: ban.until ? dateTime(ban.until) : t('for_ever') })),
			ban.reason && h('p.hint', { dir: 'auto' }, ban.reason),
			h('p', h('button', { onclick: () => attempt(() => act(community, 'unban', { user }).finally(load)) }, t('unban')))]);
	};
	attempt(load);
	return h('section', h('h3', t('moderation')), banned,
		h('button.danger', { onclick: () => attempt(kick) }, t('kick')),
		h('details', h('summary', t('ban')), banForm(community, user, load)));
};

const banForm = (community, user, onbanned) => form(async ({ reason, until }, element) => {
	const end = until ? Math.floor(Date.parse(until) / 1000) : null;
	await act(community, 'ban', { user, reason: reason.trim() || null, until: end });
	element.parentElement.open = false;
	await onbanned();
},
field(t('reason'), h('input', { name: 'reason', maxlength: 300, autocomplete: 'off' }), t('reason_hint')),
field(t('until'), h('input', { name: 'until', type: 'datetime-local' }), t('until_hint')),
h('button.danger', t('ban')));
