// One message as a row of the list, and what can be done to it.

import { ask, dateTime, day, h, icon, refusalText, say, t, time } from '../dom.js';
import { avatar } from '../picture.js';
import { Refusal } from '../protocol.js';
import { openProfile } from './profile.js';
import { rich } from './rich.js';

const GROUPED_S = 7 * 60;

const dayOf = (date) => new Date(date * 1000).toDateString();

/** Its row: `draw` makes it, and it may stay as long as all in `signature` is the same. */
export const describe = (app, log, message, before, jump) => {
	const { current } = app;
	const { author_uuid: uuid, content, date, edited, reply, state = '' } = message;
	const author = current.member(uuid);
	const replied = log.find(reply);
	const isNew = message.uuid && message.uuid === log.firstUnread;
	const isOtherDay = !before || dayOf(before.date) !== dayOf(date);
	const isGrouped = !isOtherDay && !isNew && !reply && before.author_uuid === uuid && date - before.date < GROUPED_S;
	const dayText = isOtherDay && (dayOf(date) === new Date().toDateString() ? t('today') : day(date));
	const draw = () => {
		const mention = uuid !== current.me && current.isMention(content) ? 'mentions' : '';
		const name = h('button.quiet.author', { dir: 'auto', onclick: () => openProfile(app, uuid) }, author.name);
		name.style.setProperty('--colour', current.colour(author) ?? '');
		const stamp = h('time', { title: dateTime(date) }, time(date));
		return h('li', { class: `${isGrouped ? '' : 'first'} ${mention} ${state}`, dataset: { uuid: message.uuid ?? '' } },
			dayText && h('div.line.day', h('span', dayText)),
			isNew && h('div.line.new', h('span', t('new_messages'))),
			reply && h('button.quiet.quote', { onclick: () => jump(reply) }, icon('reply'),
				replied && h('span.name', current.member(replied.author_uuid).name),
				h('span.name', replied ? replied.content.slice(0, 120) : t('quote_away'))),
			h('div.message',
				isGrouped ? h('span.gutter', stamp) : avatar(app, author, 40),
				h('div.body',
					isGrouped ? h('span.visually-hidden', author.name) : h('div.head', name, ' ', stamp),
					h('div.content', rich(app, content)),
					edited && h('span.hint', ` ${t('edited')}`),
					state && delivery(current.outbox, message))));
	};
	return {
		key: message.nonce ?? message.uuid, draw,
		signature: [content, edited, state, message.status, author, replied?.content, isGrouped, isNew, dayText,
			current.groups, current.emoji, current.members.size],
	};
};

const delivery = (outbox, { nonce, state, status }) => {
	if (state !== 'refused') return h('span.hint', t(state === 'waiting' ? 'waiting' : 'sending'));
	const why = status ? refusalText(new Refusal('send', status)) : t('not_sent_in_time');
	return h('div.row', h('span.error', t('not_sent', { why })),
		h('button', { onclick: () => outbox.retry(nonce) }, t('retry')),
		h('button.quiet', { onclick: () => outbox.discard(nonce) }, t('discard')));
};

/** [name, act]: icons and texts have the same names. */
export const actions = (app, { uuid, author_uuid: author, channel_uuid: channel, content }) => {
	const { current } = app;
	const isMine = author === current.me;
	const remove = async () => {
		if (!await ask(t('delete_message'), content.slice(0, 200), t('delete'))) return;
		current.delete(uuid).catch((problem) => say(refusalText(problem)));
	};
	return [
		current.can('send_messages', channel) && ['reply', () => app.compose({ reply: uuid })],
		isMine && ['edit', () => app.compose({ edit: uuid })],
		(isMine || current.can('manage_messages', channel)) && ['delete', remove],
	].filter(Boolean);
};
