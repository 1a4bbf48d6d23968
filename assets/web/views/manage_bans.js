// Who is banned, why and until when. One bans from a member's profile.

import { dateTime, h, iconButton, replace, t } from '../dom.js';
import { act, attempt } from './permissions.js';

export const bansPanel = (community) => {
	const list = h('ul.list');
	const load = async () => {
		const { data } = await act(community, 'list_bans');
		replace(list, data.length ? data.map(banItem) : t('no_bans'));
	};
	const banItem = ({ user, reason, until, by, date }) => {
		const { name } = community.member(user);
		const end = until ? dateTime(until) : t('for_ever');
		return h('li.row',
			h('div', h('bdi', name), h('p', { dir: 'auto' }, reason),
				h('p.hint', t('banned_by', { by: community.member(by).name, date: dateTime(date), until: end }))),
			iconButton('close', `${t('unban')}: ${name}`, () => attempt(() => act(community, 'unban', { user }).finally(load))));
	};
	attempt(load);
	return list;
};
