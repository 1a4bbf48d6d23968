// Groups: their names, colours, ranks and members, and what each allows; and the base, which everybody has.

import { field, form, h, iconButton, openDialog, replace, say } from '../dom.js';
import { decode } from '../permissions.js';
import { t } from '../text.js';
import { swatch } from './members.js';
import { act, attempt, drawOn, erase, finder, matching, movers, nameInput, overlay, partsOf, permissionTable, rankOf, whyNot } from './permissions.js';

const BASE = 'base';
const SHOWN_MAX = 100; // members of a group
const NEW_COLOUR = '#3b82f6';

const find = (community, uuid) => community.groups.find((group) => group.uuid === uuid);
const hex = (colour) => `#${colour.toString(16).padStart(6, '0')}`;

export const groupsPanel = (community, signal) => {
	const list = h('ul.list');
	const add = h('button', { onclick: () => openGroup(community, null) }, t('new_group'));
	drawOn(community, 'groups members', () => {
		replace(list, community.groups.map((group) => groupItem(community, group)));
		add.hidden = !community.can('modify_groups') || rankOf(community) === Infinity;
	}, signal);
	return [h('p.hint', t('rank_hint')), list, add, groupPermissions(community, signal)];
};

const groupItem = (community, group) => {
	const { length: last } = community.groups;
	const first = community.can('modify_groups') ? rankOf(community) + 1 : Infinity;
	return h('li.row', swatch(hex(group.colour)), h('bdi.name', group.name), movers(community, 'update_group', group, first, last - 1),
		iconButton('settings', `${t('edit')}: ${group.name}`, () => openGroup(community, group), { id: `group.${group.uuid}` }));
};

/** Why this group (the base without a uuid) is not mine to change, or null. */
const whyNotChange = (community, uuid) => {
	if (!community.can('modify_groups')) return t('why_permission');
	const position = find(community, uuid)?.position;
	if (position === undefined) return rankOf(community) === 0 ? null : t('why_top');
	return rankOf(community) < position ? null : t('why_rank');
};

/** What all of them allow, side by side, from the base up. */
const groupPermissions = (community, signal) => {
	const table = h('div.scroll');
	let edits = {};
	const subjects = () => [{ key: BASE, name: t('everybody'), permissions: community.base },
		...community.groups.toReversed().map((group) => ({ ...group, key: `group:${group.uuid}` }))];
	const stands = () => Object.fromEntries(subjects().map(({ key, permissions }) => [key, permissions]));
	const draw = drawOn(community, 'groups members', () => {
		const now = stands();
		edits = Object.fromEntries(Object.entries(edits).filter(([key]) => key in now));
		const edited = overlay(now, edits);
		replace(table, permissionTable(subjects().map((subject) => ({ ...subject, permissions: edited[subject.key] })), {
			onchange: (key, name, value) => {
				edits[key] = { ...edits[key], [name]: value };
			},
			disabledWhy: (key, name, value) => whyNotChange(community, partsOf(key)[1]) ?? whyNot(community, key, name, decode(now[key])[name], value),
		}));
	}, signal);
	return form(async () => {
		for (const key of Object.keys(edits)) {
			const { [key]: permissions } = overlay(stands(), edits);
			if (key === BASE) await setBase(community, permissions);
			else await act(community, 'update_group', { uuid: partsOf(key)[1], permissions });
			delete edits[key];
		}
		say(t('saved'));
		draw();
	}, h('h3', t('who_may_what')), table, h('div.row.end.actions', h('button.primary', t('save'))));
};

/** There is no event of it. */
const setBase = async (community, permissions) => {
	await act(community, 'set_base_permissions', { permissions });
	community.base = permissions;
	community.tell('groups');
};

/** `group`: null makes a new one, of the lowest rank. */
const openGroup = (community, group) => {
	const stop = new AbortController();
	const name = nameInput();
	const colour = h('input', { type: 'color' });
	const remove = h('button.danger', { onclick: () => erase(community, 'delete_group', { uuid: group.uuid }, find(community, group.uuid)) }, t('delete_group'));
	const reason = h('p.hint');
	const fields = h('fieldset', reason, field(t('name'), name), field(t('colour'), colour),
		h('div.row.end', group && remove, h('button.primary', t(group ? 'save' : 'add'))));
	const save = async () => {
		const shade = parseInt(colour.value.slice(1), 16);
		if (group) await act(community, 'update_group', { uuid: group.uuid, name: name.value, colour: shade });
		else await act(community, 'create_group', { name: name.value, colour: shade, permissions: [0, 0, 0], position: community.groups.length });
		dialog.close();
	};
	const dialog = openDialog(group?.name ?? t('new_group'),
		[form(save, fields), group && groupMembers(community, group.uuid, stop.signal)], { onclose: () => stop.abort() });
	drawOn(community, 'groups members state', () => {
		const now = group ? find(community, group.uuid) : { name: '' };
		if (!now || community.state === 'stranger') return dialog.close();
		name.defaultValue = now.name;
		colour.defaultValue = group ? hex(now.colour) : NEW_COLOUR;
		reason.textContent = (group && whyNotChange(community, group.uuid)) ?? '';
		fields.disabled = reason.textContent !== '';
	}, stop.signal);
};

const groupMembers = (community, uuid, signal) => {
	const list = h('ul.list');
	const isIn = ({ groups }) => groups.includes(uuid);
	const whyNotMove = (member) => {
		const { position } = find(community, uuid);
		if (member.uuid === community.me && isIn(member) && position > 0) return null;
		if (!community.can('modify_user_groups')) return t('why_permission');
		return rankOf(community) < Math.min(position, rankOf(community, member.uuid)) ? null : t('why_rank');
	};
	const move = (user, groups) => attempt(() => act(community, 'update_user_groups', { user, groups }));
	const item = (member) => {
		const why = whyNotMove(member);
		return h('li.row', h('bdi.name', member.name), iconButton('close', `${t('remove')}: ${member.name}${why ? ` (${why})` : ''}`,
			() => move(member.uuid, member.groups.filter((group) => group !== uuid)), { id: `in.${member.uuid}`, disabled: Boolean(why) }));
	};
	drawOn(community, 'groups members', () => {
		if (!find(community, uuid)) return;
		const members = matching(community, '').filter(isIn);
		replace(list, members.slice(0, SHOWN_MAX).map(item),
			members.length > SHOWN_MAX && h('li.hint', t('shown_of', { shown: SHOWN_MAX, all: members.length })));
	}, signal);
	const outside = (query) => (query ? matching(community, query) : []).filter((member) => !isIn(member) && !whyNotMove(member))
		.map((member) => ({ key: member.uuid, name: member.name }));
	return [h('h3', t('members')), list,
		finder(t('add_member'), outside, (user) => move(user, [...community.member(user).groups, uuid])).element];
};
