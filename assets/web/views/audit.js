// What those with rights did: the server's audit list, newest first.

import { dateTime, h, t } from '../dom.js';
import { act, attempt } from './permissions.js';

const PAGE = 50;

export const auditPanel = (community) => {
	const list = h('ol.list');
	let before;
	const load = () => attempt(async () => {
		const { data } = await act(community, 'list_audit', { num: PAGE, before });
		before = data.at(-1)?.seq;
		list.append(...data.map(entryItem));
		older.hidden = data.length < PAGE;
	});
	const older = h('button', { onclick: load, hidden: true }, t('older'));
	load();
	return [list, older];
};

const entryItem = ({ date, actor, actor_name: by, action, subject, subject_name: whom, details }) => h('li.row', h('div',
	h('p', h('bdi', actor ? by : t('command_line')), ` ${action.replaceAll('_', ' ')} `, subject && h('bdi', whom)),
	details && h('p.hint', { dir: 'auto' }, details), h('p.hint', dateTime(date))));
