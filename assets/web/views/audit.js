// What those with rights did: the server's audit list, newest first.

import { h } from '../dom.js';
import { dateTime, refusalText, t } from '../text.js';

const PAGE = 50;
const KNOWN = /^(kick|ban|unban|delete|register|passwd|owner|invite|(create|update|delete)_(channel|group|emoji)|set_name|set_icon|update_user_groups|set_base_permissions)$/;

export const auditPanel = (community) => {
	const list = h('ol.list');
	const note = h('p.hint', { role: 'status' });
	let before;
	const load = async () => {
		try {
			const { data } = await community.request('list_audit', { num: PAGE, before });
			before = data.at(-1)?.seq;
			list.append(...data.map(entryItem));
			older.hidden = data.length < PAGE;
			note.textContent = list.firstChild ? '' : t('audit_empty');
		} catch (problem) {
			older.hidden = true;
			// A server without the list does not know the command: 400.
			note.textContent = refusalText(problem, 'audit');
		}
	};
	const older = h('button', { onclick: load, hidden: true }, t('older'));
	load();
	return [list, note, older];
};

const entryItem = ({ date, actor, actor_name: by, action, subject, subject_name: whom, details }) => h('li.row', h('div',
	h('p', h('bdi', actor ? by : t('command_line')), ` ${KNOWN.test(action) ? t(`did_${action}`) : action} `, subject && h('bdi', whom)),
	details && h('p.hint', { dir: 'auto' }, details), h('p.hint', dateTime(date))));
