// What those with rights did: the server's audit list, newest first.

import { h } from '../dom.js';
import { Refusal } from '../protocol.js';
import { dateTime, refusalText, t } from '../text.js';

const PAGE = 50;

export const auditPanel = (community) => {
  const rows = h('tbody');
  const note = h('p.hint', { role: 'status' });
  let before;
  const load = async () => {
    try {
      const { data } = await community.request('list_audit', { num: PAGE, before });
      before = data.at(-1)?.seq;
      rows.append(...data.map(entryRow));
      older.hidden = data.length < PAGE;
      if (!rows.children.length) note.textContent = t('audit_empty');
    } catch (problem) {
      older.hidden = true;
      // A server without the list does not know the command.
      note.textContent = refusalText(problem, 'audit');
    }
  };
  const older = h('button', { type: 'button', onclick: load, hidden: true }, t('older'));
  load();
  return [h('div.scroll', h('table.plain.audit', h('thead', h('tr', ['when', 'who', 'what', 'details'].map((name) => h('th', { scope: 'col' }, t(`audit_${name}`))))), rows)), note, older];
};

const entryRow = ({ date, actor_name: actor, action, subject_name: subject, details }) => h('tr',
  h('td', dateTime(date)), h('td', { dir: 'auto' }, actor ?? t('command_line')),
  h('td', actionText(action), ' ', h('bdi', subject)), h('td.hint', { dir: 'auto' }, details));

const KNOWN = /^(kick|ban|unban|delete|register|passwd|owner|invite|(create|update|delete)_(channel|group|emoji)|set_name|set_icon|update_user_groups|set_base_permissions)$/;
const actionText = (action) => (KNOWN.test(action) ? t(`did_${action}`) : action);
