// What members choose: name, picture, password, sessions, and how this browser behaves.

import { ask, dateTime, field, form, h, openDialog, replace, say, t } from '../dom.js';
import { pictureFromFile } from '../picture.js';
import { act, attempt, nameInput } from './permissions.js';

export const openSettings = (app) => {
	const community = app.current;
	const sessions = h('ul.list');
	const load = () => attempt(() => listSessions(community, sessions));
	const isAllowed = globalThis.Notification?.permission === 'granted';
	const dialog = openDialog(t('settings'), [
		profile(community), password(community, load),
		h('h3', t('sessions')), sessions,
		choice(app, 'theme', app.settings.theme, { auto: t('as_system'), light: t('light'), dark: t('dark') }),
		choice(app, 'notifications', isAllowed ? app.settings.notifications : 'none',
			{ none: t('none'), mentions: t('notify_mentions'), all: t('notify_all') }, allowNotifications),
		h('div.row.end', h('button.danger', { onclick: () => attempt(() => logOut(app, community, dialog)) }, t('log_out'))),
	]);
	load();
};

const profile = (community) => {
	const me = () => community.member(community.me);
	const name = nameInput({ value: me().name });
	const save = async (command, fields) => {
		await act(community, command, fields);
		// The home server keeps them for use at other servers, too.
		if (community.isHome) await act(community, 'sync_set', { uname: fields.nick ?? me().name, pfp: fields.data ?? me().pfp ?? '' });
		say(t('saved'));
	};
	const choose = async () => save('pfp', { data: await pictureFromFile(file.files[0]) });
	const file = h('input', { type: 'file', accept: 'image/*', onchange: () => attempt(choose) });
	return [
		field(t('change_picture'), file),
		form(() => save('nick', { nick: name.value.trim() }), field(t('name'), name), h('button.primary', t('save')))];
};

const password = (community, onchanged) => h('details', h('summary', t('change_password')), form(async ({ passwd }, element) => {
	await act(community, 'change_password', { new_password: passwd });
	element.reset();
	say(t('saved'));
	onchanged();
},
field(t('new_password'), h('input', { name: 'passwd', type: 'password', autocomplete: 'new-password' }), t('password_hint')),
h('button.primary', t('change_password'))));

const listSessions = async (community, list) => {
	const { data } = await act(community, 'list_sessions');
	const end = (session) => act(community, 'delete_session', { session }).finally(() => listSessions(community, list));
	replace(list, data.map(({ uuid, name, created, last_used: used, current }) => h('li.row',
		h('div', h('bdi', name), h('p.hint', t('session_times', { created: dateTime(created), used: dateTime(used) }))),
		current ? t('this_one') : h('button', { onclick: () => attempt(() => end(uuid)) }, t('end_session')))));
};

const choice = (app, key, chosen, options, onchosen) => field(t(key), h('select', {
	onchange: ({ target }) => {
		app.setSettings({ [key]: target.value });
		onchosen?.();
	},
}, Object.entries(options).map(([value, text]) => h('option', { value, selected: value === chosen }, text))));

const allowNotifications = async () => {
	const permission = await globalThis.Notification?.requestPermission();
	if (permission !== 'granted') say(t('notifications_denied'));
};

const logOut = async (app, community, dialog) => {
	const left = community.isHome ? app.communities : [community];
	const n = left.flatMap(({ outbox }) => outbox.entries).filter(({ state }) => state !== 'sent').length;
	if (n && !await ask(t('log_out'), t('unsent', { n }), t('log_out'), { danger: true })) return;
	dialog.close();
	await (community.isHome ? app : community).logout();
};
