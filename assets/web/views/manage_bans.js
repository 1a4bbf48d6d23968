// Who is banned, why and until when.

import { h, replace } from '../dom.js';
import { dateTime, t } from '../text.js';
import { act, attempt, finder, matching, rankOf } from './permissions.js';
import { openProfile } from './profile.js';

export const bansPanel = (community, signal, app) => {
	const list = h('ul.list');
	const load = () => attempt(async () => {
		const { data } = await act(community, 'list_bans');
		replace(list, data.length ? data.map((ban) => banItem(community, ban, load)) : h('li.hint', t('no_bans')));
	});
	const find = (query) => (query ? matching(community, query) : [])
		.filter(({ uuid }) => isBelow(community, uuid)).map(({ uuid, name }) => ({ key: uuid, name }));
	const { element } = finder(t('ban_someone'), find, (uuid) => openProfile(app, uuid));
	// The profile is where one bans; when it closes, the focus comes back here.
	element.addEventListener('focusin', load);
	load();
	return [list, element];
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
			disabled: Boolean(why), title: why, 'aria-label': `${t('unban')}: ${name} ${why}`,
			onclick: () => attempt(() => act(community, 'unban', { user }).finally(load)),
		}, t('unban')));
};
