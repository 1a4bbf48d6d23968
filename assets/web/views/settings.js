// What members choose: how they are called and look, their password and sessions, and how this browser behaves.

import { ask, field, form, h, openDialog, replace, say } from '../dom.js';
import { avatar, pictureFromFile } from '../picture.js';
import { dateTime, relative, t } from '../text.js';
import { act, attempt, drawOn, nameInput } from './permissions.js';

export const openSettings = (app) => {
	const community = app.current;
	const stop = new AbortController();
	const { list, load } = sessions(community);
	const dialog = openDialog(t('settings'), [
		h('h3', t('profile_at'), ' ', h('bdi', community.name)), profile(app, community, stop.signal), password(community, load),
		h('h3', t('sessions')), list,
		h('h3', t('this_browser')),
		choice(app, 'theme', { auto: t('as_system'), light: t('light'), dark: t('dark') }), notifications(app),
		h('div.row.end', h('button.danger', { onclick: () => attempt(() => logOut(app, community, dialog)) }, t('log_out'))),
	], { onclose: () => stop.abort() });
};

const profile = (app, community, signal) => {
	const picture = h('div');
	const name = nameInput();
	const file = h('input', { type: 'file', accept: 'image/*', hidden: true, onchange: () => attempt(choose) });
	const choose = async () => {
		const [chosen] = file.files;
		file.value = '';
		const data = await pictureFromFile(chosen);
		await save('pfp', { data }, { pfp: data });
	};
	/** The home server keeps them for use at other servers, too. */
	const save = async (command, fields, everywhere) => {
		await act(community, command, fields);
		if (community.isHome) {
			const me = community.member(community.me);
			const { uname = me.name, pfp = me.pfp } = await community.request('sync_get').catch(() => ({}));
			await act(community, 'sync_set', { uname, pfp, ...everywhere });
		}
		say(t('saved'));
	};
	drawOn(community, 'members', () => {
		const me = community.member(community.me);
		name.defaultValue = me.name;
		replace(picture, avatar(app, me, 64));
	}, signal);
	return [
		h('div.row', picture, h('button', { onclick: () => file.click() }, t('change_picture')), file),
		form(() => save('nick', { nick: name.value }, { uname: name.value.trim() }), field(t('name'), name), h('button.primary', t('save')))];
};

const password = (community, onchanged) => {
	const input = (name) => h('input', { name, type: 'password', required: true, autocomplete: 'new-password' });
	return h('details', h('summary', t('change_password')), form(async ({ first, second }, element) => {
		if (first !== second) throw new Error(t('passwords_differ'));
		await act(community, 'change_password', { new_password: first });
		element.reset();
		element.parentElement.open = false;
		say(t('saved'));
		await onchanged();
	},
	// For those who keep passwords.
	h('input', { hidden: true, autocomplete: 'username', value: community.member(community.me).name }),
	field(t('new_password'), input('first'), t('password_hint')), field(t('new_password_again'), input('second')),
	h('button.primary', t('change_password'))));
};

const sessions = (community) => {
	const list = h('ul.list');
	const end = (session) => attempt(() => act(community, 'delete_session', { session }).finally(load));
	const load = async () => {
		try {
			const { data } = await act(community, 'list_sessions', {}, 'sessions');
			replace(list, data.map((session) => sessionItem(session, () => end(session.uuid))));
		} catch (problem) {
			replace(list, h('li.hint', problem.message));
		}
	};
	load();
	return { list, load };
};

const sessionItem = ({ name, created, last_used: used, current }, onend) => h('li.row',
	h('div', h('bdi', name ?? t('unnamed')), current && h('b', ` – ${t('this_one')}`),
		h('p.hint', t('session_times', { created: dateTime(created), used: relative(used) }))),
	!current && h('button', { 'aria-label': `${t('end_session')}: ${name ?? t('unnamed')}`, onclick: onend }, t('end_session')));

const choice = (app, key, options, onchosen) => field(t(key), h('select', {
	onchange: ({ target }) => {
		app.setSettings({ [key]: target.value });
		onchosen?.();
	},
}, Object.entries(options).map(([value, text]) => h('option', { value, selected: value === app.settings[key] }, text))));

/** What the browser says to them is shown. */
const notifications = (app) => {
	const state = h('p.error', { role: 'status' });
	const request = async () => {
		const isOff = app.settings.notifications === 'none';
		const permission = isOff ? 'granted' : await globalThis.Notification?.requestPermission();
		state.textContent = permission === 'granted' ? '' : t('notifications_blocked');
	};
	return [choice(app, 'notifications', { none: t('none'), mentions: t('notify_mentions'), all: t('notify_all') }, request), state];
};

/** From the home server one leaves all; from another only that one. */
const logOut = async (app, community, dialog) => {
	const left = community.isHome ? app.communities : [community];
	const n = left.flatMap(({ outbox }) => outbox.entries).length;
	if (n && !await ask(t('log_out'), t('unsent', { n }), t('log_out'), { danger: true })) return;
	dialog.close();
	await (community.isHome ? app : community).logout();
};
