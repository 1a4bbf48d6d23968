// Logging in and registering, at the home server or at another one.

import { field, form, h, on, replace } from '../dom.js';
import { Refusal } from '../protocol.js';
import { refusalText, t } from '../text.js';

/** The form for one server, to log in or to register. `ondone(isNew)` is called once logged in. */
export const accountForms = (community, { name = '', ondone = () => {} } = {}) => {
	const element = h('div.account');
	const show = (isNew) => replace(element, accountForm(community, name, isNew, ondone),
		h('button.quiet', { onclick: () => show(!isNew) }, t(isNew ? 'to_log_in' : 'to_register')));
	show(!community.isKnown);
	return element;
};

const accountForm = (community, name, isNew, ondone) => {
	// Asked for only once the server wanted it, or a link brought it along.
	const given = new URLSearchParams(location.hash.slice(1)).get('invite') ?? '';
	const invite = field(t('invite'), h('input', { name: 'invite', value: given, autocomplete: 'off' }), t('invite_hint'));
	invite.hidden = !isNew || !given;
	return form(async ({ uname, passwd, invite: code }) => {
		try {
			if (isNew) await community.register({ uname, passwd, invite: code.trim() || null });
			else await community.login({ uname, passwd });
		} catch (problem) {
			if (!(problem instanceof Refusal)) throw problem;
			invite.hidden = !isNew || problem.status !== 403;
			throw new Error(refusalText(problem, isNew ? 'register' : 'login'));
		}
		ondone(isNew);
	},
	field(t('name'), h('input', { name: 'uname', value: name, required: true, autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' })),
	field(t('password'), h('input', { name: 'passwd', type: 'password', required: true, autocomplete: isNew ? 'new-password' : 'current-password' }),
		isNew && t('register_hint')),
	invite,
	h('button.primary', t(isNew ? 'register' : 'log_in')));
};

/** The page of a server that wants to know who it is. */
export const loginView = (app, signal) => {
	const { current } = app;
	const name = h('h1', { dir: 'auto' }, current.name);
	on(current, 'name', () => { name.textContent = current.name; }, signal);
	return h('section.login',
		name,
		current.wasThrownOut && h('p.error', { role: 'alert' }, t('session_lost')),
		accountForms(current, { ondone: () => current.isHome || app.keepCommunity(current) }));
};
