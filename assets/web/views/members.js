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
  const rows = new Map(); // uuid -> {member, isOnline, element}: what stands is used again
  const extended = new Map(); // section -> how many of its rows
  let sorted = null;
  on(app, 'members', () => { sorted = null; }, signal);

  const row = (member, isOnline) => {
    const kept = rows.get(member.uuid);
    if (kept?.member === member && kept.isOnline === isOnline) return kept.element;
    const element = personItem(app, member, isOnline);
    rows.set(member.uuid, { member, isOnline, element });
    return element;
  };
  const section = ({ key, name, colour, isOnline, members }) => {
    const shown = extended.get(key) ?? ROWS;
    const heading = h('h3', { id: freshId() }, colour && swatch(colour), h('span.name', { dir: 'auto' }, name), ` (${members.length})`);
    const extend = () => {
      extended.set(key, shown + ROWS);
      draw();
      rows.get(members[shown].uuid).element.firstChild.focus();
    };
    return [heading,
      h('ul.list', { 'aria-labelledby': heading.id }, members.slice(0, shown).map((member) => row(member, isOnline))),
      members.length > shown && h('button.quiet', { type: 'button', onclick: extend }, t('more_members', { n: members.length - shown }))];
  };
  const draw = drawOn(app, 'community groups', () => {
    const { current } = app;
    sorted ??= [...current.members.values()].sort((one, other) => compare(one.name, other.name));
    const query = search.value.trim().toLowerCase();
    const found = query ? sorted.filter(({ name }) => name.toLowerCase().includes(query)) : sorted;
    search.hidden = sorted.length <= SEARCH_FROM;
    replace(list, sections(current, found).map(section), !found.length && h('p.hint', t('nobody_found')));
  }, signal);
  on(app, 'members online', oncePerFrame(draw), signal);
  return h('aside', { 'aria-label': t('members') }, h('header', h('h2', t('members'))), search, list);
};

/** Many come and go at once when a server is back. */
const oncePerFrame = (work) => {
  let frame = null;
  return () => {
    frame ??= requestAnimationFrame(() => {
      frame = null;
      work();
    });
  };
};

const sections = (community, members) => {
  const groups = new Map(community.groups.map(({ uuid, name }) =>
    [uuid, { key: uuid, name, colour: community.colour({ group_uuid: uuid }), isOnline: true, members: [] }]));
  const online = { key: 'online', name: t('online'), isOnline: true, members: [] };
  const offline = { key: 'offline', name: t('offline'), isOnline: false, members: [] };
  for (const member of members) {
    const place = community.online.has(member.uuid) ? groups.get(member.group_uuid) ?? online : offline;
    place.members.push(member);
  }
  return [...groups.values(), online, offline].filter((one) => one.members.length);
};

const personItem = (app, { uuid, name, pfp }, isOnline) => h('li',
  h('button.quiet.person', { type: 'button', id: `person.${uuid}`, class: isOnline ? '' : 'offline', onclick: () => openProfile(app, uuid) },
    avatar(app, { pfp }, 32), isOnline && presence(true), h('span.name', { dir: 'auto' }, name)));

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
