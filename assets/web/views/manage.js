// The dialog for those who look after a server: a tab for each thing that one may do.

import { h, on, openDialog, replace, say, t } from '../dom.js';
import { auditPanel } from './audit.js';
import { bansPanel } from './manage_bans.js';
import { groupsPanel } from './manage_groups.js';
import { serverPanel } from './manage_server.js';

/** What is in each, and the permission that it needs. */
const TABS = {
	groups: [groupsPanel, 'modify_groups'],
	bans: [bansPanel, 'ban_users'],
	server: [serverPanel, 'modify_icon_name'],
	audit: [auditPanel, 'ban_users'],
};

export const openManage = (app) => {
	const community = app.current;
	const stop = new AbortController();
	const panel = h('div', { role: 'tabpanel' });
	const tabs = Object.keys(TABS).map((name) => h('button.quiet', { role: 'tab', value: name, onclick: () => show(name) }, t(`tab_${name}`)));
	let shown = null;
	const show = (name) => {
		shown = name;
		for (const tab of tabs) tab.setAttribute('aria-selected', String(tab.value === name));
		replace(panel, TABS[name][0](community, stop.signal));
	};
	const offer = () => {
		for (const tab of tabs) tab.hidden = community.state === 'stranger' || !community.can(TABS[tab.value][1]);
		const offered = tabs.filter((tab) => !tab.hidden);
		if (offered.some((tab) => tab.value === shown)) return;
		if (offered.length) return show(offered[0].value);
		document.querySelectorAll('dialog').forEach((dialog) => dialog.close());
		say(t('notice_403'));
	};
	openDialog(t('manage'), [h('div.tabs', { role: 'tablist' }, tabs), panel], { wide: true, onclose: () => stop.abort() });
	on(community, 'members groups state', offer, stop.signal);
	offer();
};
