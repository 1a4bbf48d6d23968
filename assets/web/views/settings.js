// What members choose: how they are called and look, their password and sessions, and how this browser behaves.

import { ask, field, form, h, openDialog, replace, say } from '../dom.js';
import { avatar, cropDialog } from '../picture.js';
import { dateTime, LANGUAGES, relative, t } from '../text.js';
import { act, attempt, drawOn, nameInput } from './permissions.js';

export const openSettings = (app) => {
  const community = app.current;
  const stop = new AbortController();
  const dialog = openDialog(t('settings'), [
    h('h3', t('profile_at'), ' ', h('bdi', community.name)),
    profile(app, community, stop.signal),
    password(community),
    h('h3', t('sessions')), sessions(community),
    h('h3', t('this_browser')), appearance(app), notifications(app),
    h('div.row.end', h('button.danger', { type: 'button', onclick: () => attempt(() => logout(app, community, dialog)) }, t('log_out'))),
  ], { onclose: () => stop.abort() });
  dialog.element.classList.add('settings');
};

const profile = (app, community, signal) => {
  const picture = h('div');
  const name = nameInput({ autocomplete: 'username' });
  const file = h('input.visually-hidden', { type: 'file', accept: 'image/*', tabindex: -1, 'aria-hidden': 'true', onchange: () => attempt(choose) });
  const choose = async () => {
    const [chosen] = file.files;
    file.value = '';
    const data = chosen && await cropDialog(chosen);
    if (!data) return;
    await act(community, 'pfp', { data });
    await keepEverywhere(app, community, { pfp: data });
    say(t('saved'));
  };
  drawOn(community, 'members', () => {
    const me = community.member(community.me);
    name.defaultValue = me.name;
    replace(picture, avatar(app, me, 64));
  }, signal);
  return [
    h('div.row', picture, h('button', { type: 'button', onclick: () => file.click() }, t('change_picture')), file),
    form(async () => {
      const uname = name.value.trim();
      await act(community, 'nick', { nick: uname }, 'register');
      await keepEverywhere(app, community, { uname });
      name.value = uname;
      say(t('saved'));
    }, field(t('name'), name), h('button.primary', t('save')))];
};

/** The home server keeps name and picture for use at other servers. */
const keepEverywhere = async (app, community, part) => {
  if (!community.isHome) return;
  const me = community.member(community.me);
  const { uname = me.name, pfp = me.pfp } = await community.request('sync_get').catch(() => ({}));
  await act(community, 'sync_set', { uname, pfp, ...part });
};

const password = (community) => {
  const input = (name) => h('input', { name, type: 'password', autocomplete: 'new-password' });
  return h('details', h('summary', t('change_password')), form(async ({ first, second }, element) => {
    if (!first) throw new Error(t('password_empty'));
    if (first !== second) throw new Error(t('passwords_differ'));
    await act(community, 'change_password', { new_password: first });
    element.reset();
    element.parentElement.open = false;
    say(t('saved'));
  },
  h('input', { hidden: true, autocomplete: 'username', value: community.member(community.me).name }),
  h('p.hint', t('password_hint')),
  field(t('new_password'), input('first')), field(t('new_password_again'), input('second')),
  h('button.primary', t('change_password'))));
};

const sessions = (community) => {
  const list = h('ul.list');
  const end = async (those) => {
    for (const { uuid } of those) await act(community, 'delete_session', { session: uuid });
    await load();
  };
  const load = async () => {
    const { data } = await act(community, 'list_sessions', {}, 'sessions');
    const others = data.filter(({ current }) => !current);
    replace(list, data.map((session) => sessionItem(session, () => attempt(() => end([session])))),
      others.length > 1 && h('li', h('button.danger', { type: 'button', onclick: () => attempt(() => end(others)) }, t('end_others'))));
  };
  load().catch((problem) => replace(list, h('li.hint', problem.message)));
  return list;
};

const sessionItem = ({ name, created, last_used: used, current }, onend) => h('li.row',
  h('div', h('bdi', name ?? t('unnamed')), current && h('b', ` – ${t('this_one')}`),
    h('p.hint', { title: dateTime(used) }, t('session_times', { created: dateTime(created), used: relative(used) }))),
  !current && h('button', { type: 'button', 'aria-label': `${t('end_session')}: ${name ?? t('unnamed')}`, onclick: onend }, t('end_session')));

const choice = (label, chosen, options, onchoose) => field(label, h('select', { onchange: ({ target }) => onchoose(target.value) },
  Object.entries(options).map(([value, text]) => h('option', { value, selected: value === chosen }, text))));

const appearance = (app) => {
  const { theme, language } = app.settings;
  const languages = Object.entries(LANGUAGES).map(([key, texts]) => [key, texts.language]);
  return [
    choice(t('theme'), theme, { auto: t('as_system'), light: t('light'), dark: t('dark') }, (value) => app.setSettings({ theme: value })),
    choice(t('language_label'), language, { auto: t('as_browser'), ...Object.fromEntries(languages) }, (value) => app.setSettings({ language: value })),
  ];
};

const notifications = (app) => {
  const state = h('div', { role: 'status' });
  const draw = () => {
    const permission = globalThis.Notification?.permission ?? 'missing';
    if (permission === 'granted' || app.settings.notifications === 'none') return replace(state);
    replace(state, permission === 'default'
      ? h('button', { type: 'button', onclick: request }, t('allow_notifications'))
      : h('p.error', t(`notifications_${permission}`)));
  };
  const request = () => Promise.resolve(globalThis.Notification?.requestPermission()).then(draw);
  const options = Object.fromEntries(['none', 'mentions', 'all'].map((value) => [value, t(`notify_${value}`)]));
  draw();
  return [choice(t('notifications'), app.settings.notifications, options, (value) => {
    app.setSettings({ notifications: value });
    if (value === 'none') draw();
    else request();
  }), state];
};

/** From the home server one leaves all; from another only that one. */
const logout = async (app, community, dialog) => {
  const left = community.isHome ? app.communities : [community];
  const n = left.reduce((sum, { outbox }) => sum + outbox.entries.filter(({ state }) => state !== 'sent').length, 0);
  if (n && !await ask(t('log_out'), t('unsent', { n }), t('log_out'), { danger: true })) return;
  dialog.close();
  await (community.isHome ? app : community).logout();
};
