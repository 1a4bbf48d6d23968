// Who is banned, and banning.

import { field, form, h, replace } from '../dom.js';
import { dateTime, t } from '../text.js';
import { act, attempt, finder, matching, rankOf } from './permissions.js';

export const bansPanel = (community) => {
  const list = h('ul.list.entries');
  const load = () => attempt(async () => {
    const { data } = await act(community, 'list_bans');
    replace(list, data.length ? data.map((ban) => banItem(community, ban, load)) : h('li.hint', t('no_bans')));
  });
  load();
  return [list, banForm(community, load)];
};

const isBelow = (community, user) => rankOf(community) < rankOf(community, user);

const banItem = (community, { user, reason, until, by, date }, load) => {
  const { name } = community.member(user);
  const why = isBelow(community, user) ? '' : t('why_rank');
  const end = until ? dateTime(until) : t('for_ever');
  return h('li.row',
    h('div', h('bdi', name), reason && h('p', { dir: 'auto' }, reason),
      h('p.hint', t('banned_by', { by: community.member(by).name, date: dateTime(date), until: end }))),
    h('button', {
      type: 'button', disabled: Boolean(why), title: why, 'aria-label': `${t('unban')}: ${name} ${why}`,
      onclick: () => attempt(() => act(community, 'unban', { user }).finally(load)),
    }, t('unban')));
};

const banForm = (community, load) => {
  let user = null;
  const chosen = h('p', { role: 'status' });
  const choose = (uuid) => {
    user = uuid;
    chosen.textContent = uuid ? t('to_be_banned', community.member(uuid)) : '';
  };
  const find = (query) => (query ? matching(community, query) : [])
    .filter(({ uuid }) => isBelow(community, uuid)).map(({ uuid, name }) => ({ key: uuid, name }));
  return form(async ({ reason, until }, element) => {
    if (!user) throw new Error(t('choose_member'));
    const end = until ? Math.floor(Date.parse(until) / 1000) : undefined;
    if (end * 1000 <= Date.now()) throw new Error(t('until_past'));
    await act(community, 'ban', { user, reason: reason.trim() || undefined, until: end });
    element.reset();
    choose(null);
    load();
  },
  h('h3', t('ban_someone')), finder(t('search_members'), find, choose), chosen,
  field(t('reason'), h('input', { name: 'reason', maxlength: '300', autocomplete: 'off' }), t('reason_hint')),
  field(t('until'), h('input', { name: 'until', type: 'datetime-local' }), t('until_hint')),
  h('button.danger', t('ban')));
};
