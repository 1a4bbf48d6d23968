// The servers at the side: each with its icon, its state and what is unread; adding and removing them.

import { ask, field, form, h, icon, iconButton, openDialog, replace, say } from '../dom.js';
import { refusalText, t } from '../text.js';
import { mark } from './channels.js';
import { accountForms } from './login.js';
import { attempt, drawOn } from './permissions.js';

const PORT = 2345;

export const serversView = (app, signal) => {
  const list = h('ul.list');
  const add = iconButton('add', t('add_server'), () => openAddServer(app), { id: 'server.add' });
  drawOn(app, 'servers community', () => {
    replace(list, app.communities.map((community) => serverItem(app, community)));
    add.hidden = !app.home.me;
  }, signal);
  return h('nav.servers', { 'aria-label': t('servers') }, list, add);
};

const serverItem = (app, community) => {
  const { address, name, isHome } = community;
  const state = stateText(community);
  const { count, mentions } = community.unreadTotal();
  const isCurrent = community === app.current;
  const showActions = (event) => {
    event.preventDefault();
    if (!isHome) openActions(app, community);
  };
  return h('li',
    h('button.server', {
      type: 'button', id: `server.${address}`, title: state ? `${name}: ${state}` : name, 'aria-current': isCurrent ? 'page' : null,
      class: state ? 'away' : '', onclick: () => app.show(community), oncontextmenu: showActions,
      onkeydown: (event) => onKey(app, community, event),
    },
    face(community), h('span.visually-hidden', name, state && `, ${state}`),
    state && community.state !== 'connecting' && icon(community.state === 'stranger' ? 'lock' : 'warning'), mark(count, mentions)),
    isCurrent && !isHome && iconButton('more', `${t('more')}: ${name}`, showActions, { id: 'server.more' }));
};

const stateText = ({ state }) => ({ connecting: t('connecting'), waiting: t('no_connection'), stranger: t('needs_login') })[state];

/** The icon, or the first letters of the name. */
const face = (community) => {
  const url = community.pictureUrl(community.icon);
  const initials = community.name.split(/\s+/).slice(0, 2).map(([letter = ''] = '') => letter).join('');
  return url ? h('img', { src: url, alt: '' }) : h('span.initials', { 'aria-hidden': 'true' }, initials);
};

const onKey = (app, community, event) => {
  const { key, altKey } = event;
  const step = { ArrowUp: -1, ArrowDown: 1 }[key];
  if (!step && key !== 'Delete') return;
  event.preventDefault();
  if (step && !altKey) return neighbour(event.currentTarget, step)?.focus();
  if (community.isHome) return;
  if (step) attempt(() => inWords(app.moveCommunity(community, step)));
  else remove(app, community);
};

const neighbour = (button, step) => {
  const all = [...button.closest('ul').querySelectorAll('.server')];
  return all[all.indexOf(button) + step];
};

const inWords = (work) => work.catch((problem) => { throw new Error(refusalText(problem)); });

const remove = (app, community) => attempt(async () => {
  const isSure = await ask(t('remove_server'), t('remove_server_text', community), t('remove'), { danger: true });
  if (isSure) await inWords(app.removeCommunity(community));
});

const openActions = (app, community) => {
  const action = (text, work) => h('button', { type: 'button', onclick: work }, text);
  const move = (by) => () => attempt(() => inWords(app.moveCommunity(community, by)));
  const dialog = openDialog(community.name, [
    h('p.hint', community.address, stateText(community) && ` – ${stateText(community)}`),
    community.state === 'waiting' && certificateHint(community.address),
    h('div.row',
      community.state === 'stranger' && action(t('log_in'), () => { dialog.close(); openServerLogin(app, community); }),
      action(t('move_up'), move(-1)), action(t('move_down'), move(1)),
      h('button.danger', { type: 'button', onclick: () => { dialog.close(); remove(app, community); } }, t('remove')))]);
};

/** A browser asks about a self-signed certificate only on a page of that server. */
const certificateHint = (address) => h('p.hint', t('certificate_hint'), ' ',
  h('a', { href: `https://${address}/`, target: '_blank', rel: 'noopener noreferrer' }, `https://${address}/`));

/** `host`, `host:port`, an IPv6 address, or the URL of the server's page. Gives {host, port} or throws. */
export const parseAddress = (text) => {
  const given = text.trim();
  const isUrl = /^\w+:\/\//.test(given);
  const bare = /^[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(given) ? `[${given}]` : given;
  const url = URL.parse(isUrl ? given : `https://${bare}`);
  if (!url?.hostname || !['https:', 'wss:'].includes(url.protocol)) throw new Error(t('address_bad'));
  // Of the usual port nothing is left in a URL.
  const usual = isUrl || /:443\/?$/.test(bare) ? 443 : PORT;
  return { host: url.hostname, port: Number(url.port) || usual };
};

export const openAddServer = (app) => {
  let reached = null;
  const note = h('div', { role: 'status' });
  const letGo = () => reached && !app.communities.includes(reached) && reached.close();
  const done = (community) => {
    dialog.close();
    app.show(community);
  };
  const connect = async ({ address }) => {
    const { host, port } = parseAddress(address);
    letGo();
    replace(note, h('p', t('connecting')));
    reached = app.addCommunity(host, port);
    if (app.communities.includes(reached)) {
      const community = reached;
      return replace(note, h('p', t('already_listed')), h('button', { type: 'button', onclick: () => done(community) }, t('show_server')));
    }
    try {
      await reached.reach();
    } catch {
      return replace(note, h('p.error', t('unreachable', { address: reached.address })), certificateHint(reached.address));
    }
    await showAccount(app, reached, content, done);
  };
  const content = h('div', form(connect,
    field(t('address'), h('input', { name: 'address', required: true, inputmode: 'url', autocapitalize: 'none', spellcheck: 'false', autocomplete: 'off', placeholder: 'chat.example:2345' }), t('address_hint')),
    note, h('div.row.end', h('button.primary', t('connect')))));
  const dialog = openDialog(t('add_server'), content, { onclose: letGo });
  content.querySelector('input').focus();
};

/** To log in at, or register with, a server of the list that this browser has no session for. */
export const openServerLogin = (app, community) => {
  const content = h('div');
  const dialog = openDialog(community.name, content);
  showAccount(app, community, content, () => {
    dialog.close();
    app.show(community);
  });
};

const showAccount = async (app, community, content, ondone) => {
  const me = app.home.member(app.home.me);
  const { uname = me.name, pfp = me.pfp } = await app.home.request('sync_get').catch(() => ({}));
  const keep = async (isNew) => {
    if (isNew && pfp) await community.request('pfp', { data: pfp }).catch(() => {}); // a picture that is not taken there
    await inWords(app.keepCommunity(community));
    say(t('server_added', community));
    ondone(community);
  };
  const forms = accountForms(community, {
    name: uname, ondone: () => attempt(() => keep(Boolean(forms.querySelector('[autocomplete=new-password]')))),
  });
  replace(content, h('div.row.found', face(community), h('div', h('h3', { dir: 'auto' }, community.name), h('p.hint', community.address))), forms);
  forms.querySelector('input').focus();
};
