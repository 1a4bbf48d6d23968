// Logging in and registering, at the home server or at another one.

import { field, form, h, on, refusalText, replace, t } from '../dom.js';

/** The form to log in or to register, and a way to the other. `ondone` is called once logged in. */
export const accountForm = (community, ondone, name = '') => {
	const element = h('div.account');
	const show = (isNew) => {
		const command = isNew ? 'register' : 'login';
		// Only once the server asked for it, or a link brought it.
		const given = new URLSearchParams(location.hash.slice(1)).get('invite') ?? '';
		const invite = field(t('invite'), h('input', { name: 'invite', value: given, autocomplete: 'off' }));
		invite.hidden = !given;
		replace(element, form(async ({ uname, passwd, invite: code }) => {
			try {
				await community.begin(command, { uname, passwd, invite: code?.trim() || undefined });
			} catch (problem) {
				if (problem.status === 403) invite.hidden = false;
				throw new Error(refusalText(problem, command));
			}
			await ondone();
		},
		field(t('name'), h('input', { name: 'uname', value: name, autocomplete: 'username', autocapitalize: 'none' })),
		field(t('password'), h('input', { name: 'passwd', type: 'password', autocomplete: isNew ? 'new-password' : 'current-password' }),
			isNew && t('register_hint')),
		isNew && invite,
		h('button.primary', t(isNew ? 'register' : 'log_in'))),
		h('button.quiet', { onclick: () => show(!isNew) }, t(isNew ? 'to_log_in' : 'to_register')));
	};
	show(!community.hasAccount);
	return element;
};

export const loginView = (app, signal) => {
	const { current } = app;
	const name = h('h1', current.name);
	on(current, 'name', () => { name.textContent = current.name; }, signal);
	return h('section.login', name,
		current.wasThrownOut && h('p.error', { role: 'alert' }, t('session_lost')),
		accountForm(current, () => current.isHome || app.keepCommunity(current)));
};
