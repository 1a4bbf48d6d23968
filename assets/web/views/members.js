// Who is here: those who are online by group, then the others.

import { freshId, h, on, replace } from '../dom.js';
import { avatar } from '../picture.js';
import { t } from '../text.js';
import { drawOn } from './permissions.js';
import { openProfile } from './profile.js';

const ROWS = 200; // of a section at first; "more" shows as many again
const SEARCH_FROM = 20; // members
const { compare } = new Intl.Collator();

export const membersView = (app, signal) => {
	const search = h('input', { type: 'search', placeholder: t('search_members'), 'aria-label': t('search_members'), oninput: () => draw() });
	const list = h('div');
	const extended = new Map(); // section -> how many of its rows
	const rows = [new WeakMap(), new WeakMap()]; // member -> element, while offline and while online: used again
	let sorted = null;
	const row = (member) => {
		const isOnline = app.current.online.has(member.uuid);
		const kept = rows[Number(isOnline)];
		if (!kept.has(member)) kept.set(member, personItem(app, member, isOnline));
		return kept.get(member);
	};
	const section = ({ key, name, colour, members }) => {
		const shown = extended.get(key) ?? ROWS;
		const heading = h('h3', { id: freshId() }, colour && swatch(colour), h('bdi.name', name), ` (${members.length})`);
		const extend = () => {
			extended.set(key, shown + ROWS);
			draw();
			document.getElementById(`person.${members[shown].uuid}`).focus();
		};
		return [heading,
			h('ul.list', { 'aria-labelledby': heading.id }, members.slice(0, shown).map(row)),
			members.length > shown && h('button.quiet', { onclick: extend }, t('more_members', { n: members.length - shown }))];
	};
	const draw = drawOn(app, 'community groups', () => {
		sorted ??= [...app.current.members.values()].sort((one, other) => compare(one.name, other.name));
		const query = search.value.trim().toLowerCase();
		const found = sorted.filter(({ name }) => name.toLowerCase().includes(query));
		search.hidden = sorted.length <= SEARCH_FROM;
		replace(list, sections(app.current, found).map(section), !found.length && h('p.hint', t('nobody_found')));
	}, signal);
	// Many come and go at once when a server is back.
	let frame = null;
	on(app, 'members online', ({ type }) => {
		if (type === 'members') sorted = null;
		frame ??= requestAnimationFrame(() => {
			frame = null;
			draw();
		});
	}, signal);
	return h('aside', { 'aria-label': t('members') }, h('header', h('h2', t('members'))), search, list);
};

const sections = (community, members) => {
	const groups = new Map(community.groups.map(({ uuid, name }) =>
		[uuid, { key: uuid, name, colour: community.colour({ group_uuid: uuid }), members: [] }]));
	const [online, offline] = ['online', 'offline'].map((key) => ({ key, name: t(key), members: [] }));
	for (const member of members) {
		const place = community.online.has(member.uuid) ? groups.get(member.group_uuid) ?? online : offline;
		place.members.push(member);
	}
	return [...groups.values(), online, offline].filter((one) => one.members.length);
};

const personItem = (app, member, isOnline) => h('li', h('button.quiet.person', {
	id: `person.${member.uuid}`, class: isOnline ? '' : 'offline', onclick: () => openProfile(app, member.uuid),
}, avatar(app, member, 32), isOnline && presence(true), h('bdi.name', member.name)));

/** A dot, and the word for those who do not see it. */
export const presence = (isOnline) => {
	const word = t(isOnline ? 'online' : 'offline');
	return h('span.presence', { title: word, class: isOnline ? 'here' : '' }, h('span.visually-hidden', word));
};

/** A group's colour, beside its name. */
export const swatch = (colour) => {
	const dot = h('span.dot');
	dot.style.setProperty('background-color', colour);
	return dot;
};
