// One member: who they are, their groups, and what those with the rights do about them.

import { ask, field, form, h, openDialog, replace, say } from '../dom.js';
import { decode, rank } from '../permissions.js';
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
  const dialog = openDialog(community.member(uuid).name, [head, groups, moderation(community, uuid, stop.signal)], { onclose: () => stop.abort() });
  const mention = () => {
    // After the dialog has given the focus back, lest it takes it from the composer.
    dialog.element.addEventListener('close', () => {
      app.setPane('messages');
      app.tell('insert', `@${community.member(uuid).name} `);
    });
    dialog.close();
  };
  const edit = () => {
    dialog.close();
    openSettings(app);
  };
  drawOn(community, 'members online groups channel', () => {
    const member = community.member(uuid);
    const maySend = community.channel && community.can('send_messages', community.channel);
    dialog.element.querySelector('h2').textContent = member.name;
    replace(head, avatar(app, member, 96),
      h('div', h('p', presence(community.online.has(uuid)), ' ', t(community.online.has(uuid) ? 'online' : 'offline')),
        h('div.row',
          maySend && h('button', { type: 'button', id: 'profile.mention', onclick: mention }, t('mention')),
          uuid === community.me && h('button', { type: 'button', id: 'profile.edit', onclick: edit }, t('edit_profile')))));
    const mayChange = community.can('modify_user_groups') || uuid === community.me;
    replace(groups, community.groups.filter(({ uuid: group }) => member.groups.includes(group) || (mayChange && uuid !== community.me))
      .map((group) => groupItem(community, member, group, mayChange)));
    if (groups.firstChild) groups.prepend(h('li', h('h3', t('groups'))));
  }, stop.signal);
};

const groupItem = (community, member, group, mayChange) => {
  const name = [swatch(community.colour({ group_uuid: group.uuid })), h('span.name', { dir: 'auto' }, group.name)];
  if (!mayChange) return h('li.row', name);
  const why = whyNot(community, member, group);
  return h('li.row', h('label.row',
    h('input', {
      type: 'checkbox', id: `in.${group.uuid}`, checked: member.groups.includes(group.uuid), disabled: Boolean(why),
      onchange: ({ target }) => attempt(() => regroup(community, member.uuid, group, target)),
    }), name, why && h('span.hint', why)));
};

/** Why this group is not mine to give or take, or null (protocol section 4, "Rank"). */
const whyNot = (community, member, { uuid, position, permissions }) => {
  const isIn = member.groups.includes(uuid);
  if (member.uuid === community.me) return position > 0 ? null : t('why_rank');
  if (rankOf(community) >= Math.min(position, rank(community, member))) return t('why_rank');
  const allowed = Object.entries(decode(permissions)).filter(([, setting]) => setting === 1);
  return isIn || allowed.every(([name]) => community.can(name)) ? null : t('why_not_yours');
};

/** Of the groups as they are now: others may change them, too. */
const regroup = async (community, user, group, box) => {
  const others = community.member(user).groups.filter((other) => other !== group.uuid);
  const groups = box.checked ? [...others, group.uuid] : others;
  try {
    if (user === community.me && !await ask(t('leave_group'), t('leave_group_text', group), t('leave_group'), { danger: true })) {
      box.checked = true;
      return;
    }
    await act(community, 'update_user_groups', { user, groups });
  } catch (problem) {
    box.checked = !box.checked;
    throw problem;
  }
};

/** Kicking, banning and letting in again, for those who may. */
const moderation = (community, user, signal) => {
  const banned = h('div');
  const kick = async () => {
    const { name } = community.member(user);
    if (!await ask(t('kick'), t('kick_text', { name }), t('kick'), { danger: true })) return;
    await act(community, 'kick', { user });
    say(t('kicked', { name }));
  };
  const unban = async () => {
    await act(community, 'unban', { user }).finally(load);
  };
  const load = async () => {
    const { data } = await act(community, 'list_bans');
    const ban = data.find((one) => one.user === user);
    replace(banned, ban && [
      h('p', { role: 'status' }, t('is_banned', { until: ban.until ? dateTime(ban.until) : t('for_ever') })),
      ban.reason && h('p.hint', { dir: 'auto' }, ban.reason),
      h('button', { type: 'button', onclick: () => attempt(unban) }, t('unban'))]);
  };
  const element = h('section', h('h3', t('moderation')), banned,
    h('p', h('button.danger', { type: 'button', onclick: () => attempt(kick) }, t('kick'))),
    h('details', h('summary', t('ban')), banForm(community, user, load)));
  drawOn(community, 'groups members', () => {
    const wasHidden = element.hidden;
    element.hidden = !community.can('ban_users') || rankOf(community) >= rank(community, community.member(user));
    if (!element.hidden && (wasHidden || !banned.hasChildNodes())) attempt(load);
  }, signal);
  return element;
};

const banForm = (community, user, onbanned) => {
  const date = field(t('until'), h('input', { name: 'date', type: 'datetime-local' }));
  date.hidden = true;
  const length = h('select', { name: 'length', onchange: () => { date.hidden = length.value !== 'date'; } },
    ['never', ...Object.keys(BAN_LENGTHS_S), 'date'].map((value) => h('option', { value }, t(`ban_${value}`))));
  return form(async ({ reason, length: chosen, date: day }, element) => {
    const now = Math.floor(Date.now() / 1000);
    const until = chosen === 'date' ? Math.floor(Date.parse(day) / 1000) : now + BAN_LENGTHS_S[chosen];
    if (chosen === 'date' && !(until > now)) throw new Error(t('until_past'));
    await act(community, 'ban', { user, reason: reason.trim() || null, until: until || null });
    element.parentElement.open = false;
    onbanned();
  },
  field(t('reason'), h('input', { name: 'reason', maxlength: 300, autocomplete: 'off' }), t('reason_hint')),
  field(t('ban_ends'), length), date,
  h('button.danger', t('ban')));
};
