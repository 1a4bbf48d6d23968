// Who is here: those who are online by group, then the others.

import { h, on, replace, t } from '../dom.js';
import { avatar } from '../picture.js';
import { drawOn } from './permissions.js';
import { openProfile } from './profile.js';

const ROWS = 100; // of a section; the search finds the others
const AWAY = -1; // in place of the group; 0 is none

export const membersView = (app, signal) => {
	const search = h('input', { type: 'search', placeholder: t('search'), oninput: () => draw() });
	const list = h('div');
	const draw = drawOn(app, 'groups', () => {
		const { groups, members, online } = app.current;
		const query = search.value.trim().toLowerCase();
		const found = [...members.values()].filter(({ name }) => name.toLowerCase().includes(query));
		const byPlace = Map.groupBy(found, ({ uuid, group_uuid: group }) => (online.has(uuid) ? group : AWAY));
		search.hidden = members.size <= ROWS;
		replace(list, [...groups, { uuid: 0, name: t('online') }, { uuid: AWAY, name: t('offline') }]
			.map((group) => section(app, group, byPlace.get(group.uuid))));
	}, signal);
	// Many come at once after a restart.
	let frame = null;
	on(app, 'members online', () => {
		cancelAnimationFrame(frame);
		frame = requestAnimationFrame(draw);
	}, signal);
	return h('aside', { 'aria-label': t('members') }, h('header', h('h2', t('members'))), search, list);
};

const section = (app, { uuid, name }, people) => people && [
	h('h3', uuid > 0 && swatch(app.current.colour({ group_uuid: uuid })), h('bdi.name', name), ` (${people.length})`),
	h('ul.list', people.sort((one, other) => one.name.localeCompare(other.name)).slice(0, ROWS)
		.map((member) => personItem(app, member, uuid !== AWAY)))];

const personItem = (app, member, isOnline) => h('li', h('button.quiet.person', {
	id: `person.${member.uuid}`, class: isOnline ? '' : 'offline', onclick: () => openProfile(app, member.uuid),
}, avatar(app, member, 32), isOnline && h('span.presence.here'), h('bdi.name', member.name)));

export const swatch = (colour) => {
	const dot = h('span.dot');
	dot.style.setProperty('background-color', colour);
	return dot;
};
