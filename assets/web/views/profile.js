// One member: who they are, their groups, and what those with the rights do about them.

import { ask, field, form, h, openDialog, replace, say } from '../dom.js';
import { decode } from '../permissions.js';
import { avatar } from '../picture.js';
import { dateTime, t } from '../text.js';
import { presence, swatch } from './members.js';
import { act, attempt, drawOn, rankOf } from './permissions.js';
import { openSettings } from './settings.js';

const HOUR_S = 3600;
const BAN_LENGTHS_S = { hour: HOUR_S, day: 24 * HOUR_S, week: 7 * 24 * HOUR_S };

export const openProfile = (app, uuid) => {
	const community = app.current;
	const stop = new AbortController();
	const head = h('div.row.profile');
	const groups = h('ul.list');
	const dialog = openDialog(community.member(uuid).name, [head, groups, mayModerate(community, uuid) && moderation(community, uuid)], { onclose: () => stop.abort() });
	/** Closes all dialogs, and works once they have given the focus back. */
	const leave = (work) => () => {
		const open = [...document.querySelectorAll('dialog[open]')].reverse();
		open.at(-1).addEventListener('close', work);
		for (const one of open) one.close();
	};
	const mention = leave(() => {
		app.setPane('messages');
		app.tell('insert', `@${community.member(uuid).name} `);
	});
	const isMe = uuid === community.me;
	drawOn(community, 'members online groups channel', () => {
		const member = community.member(uuid);
		const isOnline = community.online.has(uuid);
		const maySend = community.channel && community.can('send_messages', community.channel);
		dialog.element.querySelector('h2').textContent = member.name;
		replace(head, avatar(app, member, 96), h('div',
			h('p.row', presence(isOnline), h('span', { 'aria-hidden': 'true' }, t(isOnline ? 'online' : 'offline'))),
			h('p.row',
				maySend && h('button', { id: 'profile.mention', onclick: mention }, t('mention')),
				isMe && h('button', { id: 'profile.edit', onclick: leave(() => openSettings(app)) }, t('edit_profile')))));
		const shown = community.groups.filter((group) => member.groups.includes(group.uuid) || (!isMe && community.can('modify_user_groups')));
		replace(groups, shown.length > 0 && h('li', h('h3', t('groups'))), shown.map((group) => groupItem(community, member, group)));
	}, stop.signal);
};

const groupItem = (community, member, group) => {
	const name = [swatch(community.colour({ group_uuid: group.uuid })), h('bdi.name', group.name)];
	if (member.uuid !== community.me && !community.can('modify_user_groups')) return h('li.row', name);
	const why = whyNot(community, member, group);
	return h('li.row', h('label.row', h('input', {
		type: 'checkbox', id: `in.${group.uuid}`, checked: member.groups.includes(group.uuid), disabled: Boolean(why),
		onchange: ({ target }) => attempt(() => regroup(community, member.uuid, group, target)),
	}), name, why && h('span.hint', why)));
};

/** Why this group is not mine to give or take, or null (protocol section 4, "Rank"). */
const whyNot = (community, member, { uuid, position, permissions }) => {
	if (member.uuid === community.me) return position > 0 ? null : t('why_rank');
	if (rankOf(community) >= Math.min(position, rankOf(community, member.uuid))) return t('why_rank');
	const granted = Object.entries(decode(permissions)).filter(([name, setting]) => setting === 1 && !community.can(name));
	return member.groups.includes(uuid) || !granted.length ? null : t('why_not_yours');
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

const mayModerate = (community, uuid) =>
	community.can('ban_users') && rankOf(community) < rankOf(community, uuid);

/** Kicking, banning and letting in again. */
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

const banForm = (community, user, onbanned) => {
	const date = field(t('until'), h('input', { name: 'date', type: 'datetime-local' }));
	date.hidden = true;
	const length = h('select', { name: 'length', onchange: () => { date.hidden = length.value !== 'date'; } },
		['never', ...Object.keys(BAN_LENGTHS_S), 'date'].map((value) => h('option', { value }, t(`ban_${value}`))));
	return form(async ({ reason, date: day }, element) => {
		const now = Math.floor(Date.now() / 1000);
		const until = length.value === 'date' ? Math.floor(Date.parse(day) / 1000) : now + BAN_LENGTHS_S[length.value];
		if (length.value === 'date' && !(until > now)) throw new Error(t('until_past'));
		await act(community, 'ban', { user, reason: reason.trim() || null, until: until || null });
		element.parentElement.open = false;
		await onbanned();
	},
	field(t('reason'), h('input', { name: 'reason', maxlength: 300, autocomplete: 'off' }), t('reason_hint')),
	field(t('ban_ends'), length), date, h('button.danger', t('ban')));
};
