// One message as a row of the list, with what can be done to it.

import { ask, h, icon, iconButton, say } from '../dom.js';
import { avatar } from '../picture.js';
import { dateTime, day, iso, refusalText, t, time } from '../text.js';
import { openProfile } from './profile.js';
import { rich } from './rich.js';

const GROUPED_S = 7 * 60;

const isSameDay = (one, other) => new Date(one.date * 1000).toDateString() === new Date(other.date * 1000).toDateString();

/** What a row is made of; two that have the same need not be drawn twice. */
export const describe = (app, log, message, before) => {
	const { current } = app;
	const isOtherDay = !before || !isSameDay(before, message);
	const isGrouped = !isOtherDay && before.author_uuid === message.author_uuid && !message.reply
		&& message.date - before.date < GROUPED_S && log.firstUnread !== message.uuid;
	const author = current.member(message.author_uuid ?? current.me);
	const replied = message.reply && log.find(message.reply);
	return {
		key: message.nonce ?? message.uuid, message, author, replied, isGrouped,
		day: isOtherDay ? dayName(message.date) : null,
		isNew: log.firstUnread !== null && log.firstUnread === message.uuid,
		signature: [message.content, message.edited, message.state, message.status, isGrouped, isOtherDay, log.firstUnread === message.uuid,
			author.name, current.pictureUrl(author.pfp), author.group_uuid, current.colour(author), message.reply, replied?.content,
			current.members.size, current.emoji.size].join('\0'),
	};
};

const dayName = (date) => {
	const now = new Date();
	const isAgo = (days) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - days).toDateString() === new Date(date * 1000).toDateString();
	return isAgo(0) ? t('today') : isAgo(1) ? t('yesterday') : day(date);
};

/** `jump(uuid)` goes to another message. */
export const messageRow = (app, { message, author, replied, isGrouped, day: dayText, isNew }, { jump, retry, discard }) => {
	const isMention = !message.state && message.author_uuid !== app.current.me && app.current.isMention(message.content);
	const name = h('button.quiet.author', { dir: 'auto', onclick: () => openProfile(app, author.uuid) }, author.name);
	const colour = app.current.colour(author);
	if (colour) name.style.setProperty('--colour', colour);
	const stamp = h('time', { title: dateTime(message.date), datetime: iso(message.date) }, time(message.date));
	return h('li', {
		tabindex: '-1', dataset: { uuid: message.uuid ?? '' },
		class: [isGrouped ? 'grouped' : 'first', isMention ? 'mentions' : '', message.state ?? ''].join(' '),
	},
	dayText && h('div.line.day', h('span', dayText)),
	isNew && h('div.line.new', h('span', t('new_messages'))),
	message.reply && quote(app, message.reply, replied, jump),
	h('div.message',
		isGrouped ? h('span.gutter', stamp) : avatar(app, author, 40),
		h('div.body',
			isGrouped ? h('span.visually-hidden', author.name) : h('div.head', name, ' ', stamp),
			h('div.content', rich(app, message.content)),
			message.edited && h('span.hint', ` ${t('edited')}`),
			message.state && delivery(message, retry, discard))));
};

const quote = (app, uuid, replied, jump) => h('button.quiet.quote', { onclick: () => jump(uuid) },
	icon('reply'),
	replied ? [h('span.name', app.current.member(replied.author_uuid).name), h('span.name', replied.content.slice(0, 120))]
		: h('span.name', t('quote_away')));

/** Where a message of one's own stands that the server has not taken yet. */
const delivery = ({ nonce, state, status }, retry, discard) => {
	if (state !== 'refused') return h('span.hint', t(state === 'waiting' ? 'waiting' : 'sending'));
	const why = status ? t(`notice_${status}`) : t('not_sent_in_time');
	return h('div.row', h('span.error', t('not_sent', { why })),
		h('button', { onclick: () => retry(nonce) }, t('retry')),
		h('button.quiet', { onclick: () => discard(nonce) }, t('discard')));
};

/** What may be done to a message: [icon, text, act]. */
export const actions = (app, message) => {
	const { current } = app;
	const isMine = message.author_uuid === current.me;
	const mayDelete = isMine || current.can('manage_messages', message.channel_uuid);
	return [
		current.can('send_messages', message.channel_uuid) && ['reply', t('reply'), () => app.compose({ reply: message.uuid })],
		isMine && ['edit', t('edit'), () => app.compose({ edit: message.uuid })],
		['copy', t('copy'), () => navigator.clipboard.writeText(message.content).then(() => say(t('copied')), () => {})],
		mayDelete && ['delete', t('delete'), (event) => remove(app, message, event?.shiftKey)],
	].filter(Boolean);
};

const remove = async (app, message, isSure) => {
	if (!isSure && !await ask(t('delete_message'), message.content.slice(0, 200), t('delete'), { danger: true })) return;
	try {
		await app.current.delete(message.uuid);
	} catch (problem) {
		say(refusalText(problem));
	}
};

export const toolbar = (app, message) => h('div.toolbar', { role: 'toolbar', 'aria-label': t('message_actions') },
	actions(app, message).map(([drawing, text, act]) => iconButton(drawing, text, act)));
