// Groups, what each allows, and the base, which everybody has.

import { field, form, h, iconButton, openDialog, replace, say, t } from '../dom.js';
import { PERMISSIONS } from '../permissions.js';
import { swatch } from './members.js';
import { act, drawOn, erase, movers, nameInput, overlay, permissionTable } from './permissions.js';

export const groupsPanel = (community, signal) => {
	const list = h('ul.list');
	const table = h('div.scroll');
	const edits = {}; // by the group's uuid; the base has 0
	const subjects = () => [...community.groups, { uuid: 0, name: t('everybody'), permissions: community.base }]
		.map(({ uuid: key, name, permissions }) => ({ key, name, permissions: overlay(permissions, edits[key]) }));
	drawOn(community, 'groups', () => {
		replace(list, community.groups.map((group) => groupItem(community, group)));
		replace(table, permissionTable(PERMISSIONS, subjects(), (key, settings) => {
			edits[key] = { ...edits[key], ...settings };
		}));
	}, signal);
	const save = async () => {
		for (const { key: uuid, permissions } of subjects().filter(({ key }) => edits[key])) {
			await act(community, uuid ? 'update_group' : 'set_base_permissions', { uuid: uuid || undefined, permissions });
			if (!uuid) community.base = permissions; // no event tells of it
			delete edits[uuid];
		}
		say(t('saved'));
	};
	return [
		h('p.hint', t('rank_hint')), list, h('button', { onclick: () => openGroup(community, null, '#3b82f6') }, t('new_group')),
		form(save, h('h3', t('who_may_what')), table, h('div.row.end.actions', h('button.primary', t('save'))))];
};

const groupItem = (community, group) => {
	const colour = community.colour({ group_uuid: group.uuid });
	return h('li.row', swatch(colour), h('bdi.name', group.name), movers(community, 'update_group', group, community.groups),
		iconButton('settings', `${t('edit')}: ${group.name}`, () => openGroup(community, group, colour), { id: `group.${group.uuid}` }));
};

const openGroup = (community, group, shown) => {
	const save = async ({ name, colour: hex }) => {
		const colour = parseInt(hex.slice(1), 16);
		if (group) await act(community, 'update_group', { uuid: group.uuid, name, colour });
		else await act(community, 'create_group', { name, colour, permissions: [0, 0, 0], position: community.groups.length });
		dialog.close();
	};
	const remove = async () => await erase(community, 'delete_group', { uuid: group.uuid }, group) && dialog.close();
	const dialog = openDialog(group?.name ?? t('new_group'), form(save,
		field(t('name'), nameInput({ value: group?.name })),
		field(t('colour'), h('input', { type: 'color', name: 'colour', value: shown })),
		h('div.row.end', group && h('button.danger', { onclick: remove }, t('delete')), h('button.primary', t('save')))));
};
