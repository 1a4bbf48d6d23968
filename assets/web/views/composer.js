// Writing: a draft for each channel, replies, edits, and what happens without a connection.

import { field, h, iconButton, on, openDialog, replace, say } from '../dom.js';
import { refusalText, t } from '../text.js';
import { completion } from './completion.js';
import { emoji } from './rich.js';

const IME_KEY = 229; // Safari says so instead of `isComposing` for the key that ends it
const isTouch = () => matchMedia('(pointer: coarse)').matches;
const bytes = (text) => new TextEncoder().encode(text).length;

export const composerView = (app, signal) => {
	const input = h('textarea', { rows: 1 });
	const counter = h('span.hint', { role: 'status' });
	const about = h('div.row.about', { hidden: true });
	const offers = completion(app, input);
	const smile = iconButton('smile', t('emoji'), () => openEmoji(app, insert));
	const send = iconButton('send', t('send'), () => submit());
	const note = h('p.hint', { hidden: true });
	const element = h('form.composer', { onsubmit: (event) => event.preventDefault() },
		offers.list, about, note, h('div.line', input, smile, send), counter);
	let shown = null; // the channel whose draft stands here

	const insert = (text) => {
		input.setRangeText(text, input.selectionStart, input.selectionEnd, 'end');
		input.focus();
		changed();
	};
	const changed = () => {
		if (shown && !app.composing.edit) app.current.setDraft(shown, input.value);
		const max = app.current.maxMessageBytes;
		const length = bytes(input.value);
		counter.textContent = length > max ? t('too_long') : length > 0.8 * max ? t('bytes_left', { left: max - length }) : '';
		counter.classList.toggle('error', length > max);
		grow();
	};
	const grow = () => {
		input.style.setProperty('height', 'auto');
		input.style.setProperty('height', `${input.scrollHeight + 2}px`);
	};
	const fill = (text) => {
		input.value = text;
		changed();
	};
	const submit = async () => {
		const text = input.value;
		const { reply, edit } = app.composing;
		if (!text.trim()) return;
		if (bytes(text) > app.current.maxMessageBytes) return say(t('too_long'));
		if (edit) {
			try {
				await app.current.edit(edit, text);
			} catch (problem) {
				return say(refusalText(problem));
			}
			return app.compose({});
		}
		app.current.send(text, reply);
		fill('');
		app.compose({});
		if (app.current.state !== 'ready') say(t('sent_later'));
	};

	/** Another channel, another draft. */
	const renderChannel = () => {
		const { channel } = app.current;
		if (shown === (channel?.uuid ?? null)) return;
		shown = channel?.uuid ?? null;
		fill(channel ? app.current.typingDraft(shown) : '');
		if (!isTouch() && !document.querySelector('dialog[open]')) input.focus();
	};
	const render = () => {
		const { channel } = app.current;
		const maySend = channel && app.current.can('send_messages', channel);
		input.setAttribute('aria-label', t('message_to', { name: channel?.name ?? '' }));
		input.placeholder = t('message_to', { name: channel?.name ?? '' });
		input.disabled = send.disabled = smile.disabled = !maySend;
		smile.hidden = !app.current.emoji.size;
		note.hidden = maySend || !channel;
		note.textContent = t('may_not_send');
	};
	const renderComposing = () => {
		const { reply, edit } = app.composing;
		const message = app.current.logs.get(shown)?.find(reply ?? edit);
		about.hidden = !message;
		if (!message) return void (element.classList.contains('editing') && endEdit());
		const author = app.current.member(message.author_uuid).name;
		replace(about, h('span.name', edit ? t('editing') : t('replying', { name: author, text: message.content.slice(0, 80) })),
			iconButton('close', t('cancel'), () => app.compose({})));
		element.classList.toggle('editing', Boolean(edit));
		name(send, t(edit ? 'save' : 'send'));
		if (edit) fill(message.content);
		input.focus();
	};
	const endEdit = () => {
		element.classList.remove('editing');
		name(send, t('send'));
		fill(app.current.typingDraft(shown));
		input.focus();
	};
	const editLast = () => {
		const messages = app.current.logs.get(shown)?.messages ?? [];
		const last = messages.findLast((message) => message.author_uuid === app.current.me);
		if (last) app.compose({ edit: last.uuid });
	};

	input.addEventListener('input', changed);
	input.addEventListener('keydown', (event) => {
		if (event.keyCode === IME_KEY || offers.handle(event) || event.isComposing) return;
		if (event.key === 'Escape') app.compose({});
		else if (event.key === 'ArrowUp' && !input.value) editLast();
		else if (event.key === 'Enter' && !event.shiftKey && !isTouch()) submit();
		else return;
		event.preventDefault();
	});
	on(app, 'channel channels groups members emoji state community', render, signal);
	on(app, 'channel community', renderChannel, signal);
	on(app, 'composing', renderComposing, signal);
	on(app, 'insert', ({ detail }) => insert(detail), signal);
	render();
	renderChannel(); // after it: what is disabled takes no focus
	return element;
};

const name = (button, text) => {
	for (const attribute of ['aria-label', 'title']) button.setAttribute(attribute, text);
};

const openEmoji = (app, insert) => {
	const { current } = app;
	const list = h('div.row');
	const search = h('input', { type: 'search' });
	const render = () => replace(list, [...current.emoji.keys()].filter((name) => name.includes(search.value.toLowerCase()))
		.map((name) => h('button.quiet', { 'aria-label': name, onclick: () => {
			dialog.close();
			insert(`:${name}: `);
		} }, emoji(current, name))));
	search.addEventListener('input', render);
	render();
	const dialog = openDialog(t('emoji'), [field(t('search'), search), list]);
};
