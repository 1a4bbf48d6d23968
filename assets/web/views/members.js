// Who is here: those who are online by group, then the others.

import { freshId, h, on, replace } from '../dom.js';
import { avatar } from '../picture.js';
import { t } from '../text.js';
import { drawOn } from './permissions.js';
import { openProfile } from './profile.js';

const ROWS_MAX = 300; // of a section; the others are searched for
const SEARCH_FROM = 20; // members
const { compare } = new Intl.Collator();

export const membersView = (app, signal) => {
	const search = h('input', { type: 'search', placeholder: t('search_members'), 'aria-label': t('search_members'), oninput: () => draw() });
	const list = h('div');
	let sorted = null;
	let frame = null;
	const draw = drawOn(app, 'community groups', () => {
		sorted ??= [...app.current.members.values()].sort((one, other) => compare(one.name, other.name));
		const query = search.value.trim().toLowerCase();
		search.hidden = sorted.length <= SEARCH_FROM;
		replace(list, sections(app, sorted.filter(({ name }) => name.toLowerCase().includes(query))));
	}, signal);
	// Many come and go at once when a server is back.
	on(app, 'members online', ({ type }) => {
		if (type === 'members') sorted = null;
		frame ??= requestAnimationFrame(() => {
			frame = null;
			draw();
		});
	}, signal);
	return h('aside', { 'aria-label': t('members') }, h('header', h('h2', t('members'))), search, list);
};

const sections = (app, members) => {
	const { groups, online } = app.current;
	const shown = [...groups, { uuid: 'online', name: t('online') }, { uuid: 'offline', name: t('offline') }];
	const placeOf = ({ uuid, group_uuid: group }) => {
		if (!online.has(uuid)) return 'offline';
		return groups.some((one) => one.uuid === group) ? group : 'online';
	};
	const places = Map.groupBy(members, placeOf);
	return shown.filter(({ uuid }) => places.has(uuid)).map((section) => {
		const own = places.get(section.uuid);
		const heading = h('h3', { id: freshId() }, section.position >= 0 && swatch(app.current.colour({ group_uuid: section.uuid })), h('bdi.name', section.name), ` (${own.length})`);
		return [heading, h('ul.list', { 'aria-labelledby': heading.id }, own.slice(0, ROWS_MAX).map((member) => personItem(app, member)))];
	});
};

const personItem = (app, member) => {
	const isOnline = app.current.online.has(member.uuid);
	return h('li', h('button.quiet.person', {
		id: `person.${member.uuid}`, class: isOnline ? '' : 'offline', onclick: () => openProfile(app, member.uuid),
	}, avatar(app, member, 32), isOnline && presence(true), h('bdi.name', member.name)));
};

/** A dot, and the word for those who do not see it. */
export const presence = (isOnline) =>
	h('span.presence', { class: isOnline ? 'here' : '' }, h('span.visually-hidden', t(isOnline ? 'online' : 'offline')));

/** A group's colour, beside its name. */
export const swatch = (colour) => {
	const dot = h('span.dot');
	dot.style.setProperty('background-color', colour);
	return dot;
};
