// Logging in and registering, at the home server or at another one.

import { field, form, h, on, replace } from '../dom.js';
import { Refusal } from '../protocol.js';
import { refusalText, t } from '../text.js';

/** The two forms for one server, one of them shown. `ondone` is called once logged in. */
export const accountForms = (community, { name = '', isNew = !community.isKnown, ondone } = {}) => {
	const element = h('div.account');
	const show = (isRegistering) => {
		replace(element, isRegistering ? registerForm(community, name, ondone) : loginForm(community, name, ondone),
			h('button.quiet', { onclick: () => show(!isRegistering) }, t(isRegistering ? 'to_log_in' : 'to_register')));
	};
	show(isNew);
	return element;
};

const nameInput = (value) =>
	h('input', { name: 'uname', value, required: true, autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' });

const loginForm = (community, name, ondone) => form(async ({ uname, passwd }) => {
	await inWords('login', () => community.login({ uname, passwd }));
	ondone?.();
},
field(t('name'), nameInput(name)),
field(t('password'), h('input', { name: 'passwd', type: 'password', required: true, autocomplete: 'current-password' })),
h('button.primary', t('log_in')));

const registerForm = (community, name, ondone) => {
	// Asked for only once the server wanted it, or a link brought it along.
	const given = new URLSearchParams(location.hash.slice(1)).get('invite') ?? '';
	const invite = field(t('invite'), h('input', { name: 'invite', value: given, autocomplete: 'off' }), t('invite_hint'));
	invite.hidden = !given;
	return form(async ({ uname, passwd, invite: code }) => {
		try {
			await inWords('register', () => community.register({ uname, passwd, invite: code.trim() || null }));
		} catch (problem) {
			if (problem.status === 403) invite.hidden = false;
			throw problem;
		}
		ondone?.();
	},
	field(t('name'), nameInput(name)),
	field(t('password'), h('input', { name: 'passwd', type: 'password', required: true, autocomplete: 'new-password' }), t('register_hint')),
	invite,
	h('button.primary', t('register')));
};

/** A refusal in the words that fit a login. */
const inWords = async (kind, work) => {
	try {
		await work();
	} catch (problem) {
		if (!(problem instanceof Refusal)) throw problem;
		throw Object.assign(new Error(refusalText(problem, kind)), { status: problem.status });
	}
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
