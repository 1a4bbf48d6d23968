// One member: who they are, their groups, and what those with the rights do about them.

import { field, form, h, openDialog, replace, say, t } from '../dom.js';
import { avatar } from '../picture.js';
import { swatch } from './members.js';
import { act, attempt, drawOn } from './permissions.js';

export const openProfile = (app, user) => {
	const community = app.current;
	const stop = new AbortController();
	const isOther = user !== community.me;
	const element = h('div');
	openDialog(community.member(user).name, [element, isOther && community.can('ban_users') && moderation(community, user)],
		{ onclose: () => stop.abort() });
	const regroup = () => {
		const groups = [...element.querySelectorAll(':checked')].map(({ value }) => Number(value));
		return act(community, 'update_user_groups', { user, groups }).finally(draw);
	};
	const groupItem = ({ uuid, name }) => {
		const checked = community.member(user).groups.includes(uuid);
		const isMine = isOther && community.can('modify_user_groups');
		return (checked || isMine) && h('li', h('label.row',
			isMine && h('input', { type: 'checkbox', id: `in.${uuid}`, value: uuid, checked, onchange: () => attempt(regroup) }),
			swatch(community.colour({ group_uuid: uuid })), h('bdi.name', name)));
	};
	const draw = drawOn(community, 'members online groups', () => {
		const isOnline = community.online.has(user);
		replace(element,
			h('div.row.profile', avatar(app, community.member(user), 96),
				h('span.presence', { class: isOnline ? 'here' : '' }), t(isOnline ? 'online' : 'offline')),
			h('ul.list', community.groups.map(groupItem)));
	}, stop.signal);
};

const moderation = (community, user) => {
	const ban = async ({ reason, until }) => {
		await act(community, 'ban', { user, reason: reason || null, until: Math.floor(Date.parse(until) / 1000) || null });
		say(t('saved'));
	};
	return h('section', h('button.danger', { onclick: () => attempt(() => act(community, 'kick', { user })) }, t('kick')),
		h('details', h('summary', t('ban')), form(ban,
			field(t('reason'), h('input', { name: 'reason', maxlength: 300 })),
			field(t('until'), h('input', { name: 'until', type: 'datetime-local' }), t('until_hint')),
			h('button.danger', t('ban')))));
};
