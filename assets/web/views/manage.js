// The dialog for those who look after a server: a tab for each thing that one may do.

import { h, on, openDialog, replace, say } from '../dom.js';
import { t } from '../text.js';
import { auditPanel } from './audit.js';
import { bansPanel } from './manage_bans.js';
import { groupsPanel } from './manage_groups.js';
import { serverPanel } from './manage_server.js';

/** What is in each, and the permissions of which one is needed. */
const TABS = {
	groups: [groupsPanel, 'modify_groups', 'modify_user_groups'],
	bans: [bansPanel, 'ban_users'],
	server: [serverPanel, 'modify_icon_name'],
	audit: [auditPanel, 'ban_users'],
};

export const openManage = (app, wanted) => {
	const community = app.current;
	const whole = new AbortController();
	let part = new AbortController();
	let shown = null;
	let offered = '';
	const bar = h('div.tabs', { role: 'tablist', 'aria-label': t('manage') });
	const panel = h('div', { role: 'tabpanel' });
	const tab = (name) => h('button.quiet', {
		role: 'tab', 'aria-selected': String(name === shown), tabindex: name === shown ? 0 : -1, onclick: () => show(name),
	}, t(`tab_${name}`));
	const show = (name) => {
		const hadFocus = bar.contains(document.activeElement);
		part.abort();
		part = new AbortController();
		shown = name;
		panel.setAttribute('aria-label', t(`tab_${name}`));
		replace(panel, TABS[name][0](community, part.signal, app));
		replace(bar, offered.split(' ').map(tab));
		if (hadFocus) bar.querySelector('[aria-selected=true]').focus();
	};
	bar.addEventListener('keydown', ({ key }) => {
		const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
		const tabs = offered.split(' ');
		if (step) show(tabs.at((tabs.indexOf(shown) + step) % tabs.length));
	});
	const dialog = openDialog(t('manage'), [bar, panel], { wide: true, onclose: () => { whole.abort(); part.abort(); } });
	const offer = () => {
		const tabs = Object.keys(TABS).filter((name) => TABS[name].slice(1).some((permission) => community.can(permission)));
		if (tabs.join(' ') === offered) return;
		offered = tabs.join(' ');
		if (offered) return show([shown, wanted, tabs[0]].find((name) => tabs.includes(name)));
		dialog.close();
		say(t('notice_403'));
	};
	on(community, 'members groups state', offer, whole.signal);
	offer();
};
