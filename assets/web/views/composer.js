// Writing: a draft for each channel, replies and edits.

import { h, iconButton, on, refusalText, replace, say, t } from '../dom.js';
import { completion } from './completion.js';

const BYTES_MAX = 16_384; // unless configured otherwise
const IME_KEY = 229; // what browsers say for a key that an input method takes

export const composerView = (app, signal) => {
	const isTouch = matchMedia('(pointer: coarse)').matches;
	const input = h('textarea', { rows: 1, role: 'combobox', 'aria-autocomplete': 'list' });
	const about = h('div.row.about', { hidden: true });
	const note = h('p.hint', t('may_not_send'));
	const send = iconButton('send', t('send'), () => submit());
	const offers = completion(app, input);
	let shown; // the channel whose draft stands here
	let isEditing = false;
	const findLog = () => app.current.logs.get(shown);

	const changed = () => {
		if (shown && !isEditing) app.current.setDraft(shown, input.value);
		input.style.setProperty('height', 'auto');
		input.style.setProperty('height', `${input.scrollHeight + 2}px`);
	};
	const fill = (text) => {
		input.value = text;
		changed();
	};
	const take = async () => {
		const text = input.value;
		const { reply, edit } = app.composing;
		if (!text.trim()) return;
		if (new Blob([text]).size > BYTES_MAX) throw new Error(t('notice_400'));
		if (edit) {
			await app.current.edit(edit, text);
		} else {
			app.current.send(text, reply);
			fill('');
		}
		app.compose({});
	};
	const submit = () => take().catch((problem) => say(refusalText(problem)));
	const findOwn = () => findLog()?.messages.findLast(({ author_uuid: author }) => author === app.current.me);

	const render = () => {
		const { channel } = app.current;
		const maySend = channel && app.current.can('send_messages', channel);
		input.placeholder = t('message_to', { name: channel?.name ?? '' });
		input.setAttribute('aria-label', input.placeholder);
		input.disabled = send.disabled = !maySend;
		note.hidden = maySend || !channel;
		if (shown === channel?.uuid) return;
		shown = channel?.uuid;
		app.compose({});
		fill(app.current.typingDraft(shown));
		if (!isTouch && !document.querySelector('dialog[open]')) input.focus();
	};
	const renderComposing = () => {
		const { reply, edit } = app.composing;
		const message = findLog()?.find(reply ?? edit);
		const wasEditing = isEditing;
		isEditing = Boolean(edit && message);
		if (isEditing) fill(message.content);
		else if (wasEditing) fill(app.current.typingDraft(shown));
		if (message || !about.hidden) input.focus();
		about.hidden = !message;
		if (!message) return;
		const { name } = app.current.member(message.author_uuid);
		replace(about, h('span.name', edit ? t('edit') : t('replying', { name, text: message.content.slice(0, 80) })),
			iconButton('close', t('cancel'), () => app.compose({})));
	};

	on(input, 'input', changed);
	on(input, 'keydown', (event) => {
		const { key, keyCode, shiftKey } = event;
		if (keyCode === IME_KEY) return;
		if (!offers.handle(key)) {
			if (key === 'Escape') app.compose({});
			else if (key === 'ArrowUp' && !input.value) app.compose({ edit: findOwn()?.uuid });
			else if (key === 'Enter' && !shiftKey && !isTouch) submit();
			else return;
		}
		event.preventDefault();
	});
	on(app, 'channel channels groups members state community', render, signal);
	on(app, 'composing', renderComposing, signal);
	on(app, 'insert', ({ detail }) => {
		fill(input.value + detail);
		input.focus();
	}, signal);
	render();
	return h('div.composer', offers.list, about, note, h('div.line', input, send));
};
