// A channel's name, place and overrides, with what they come to for each member.

import { field, form, freshId, h, on, openDialog, replace, say } from '../dom.js';
import { decode, explain, PERMISSIONS } from '../permissions.js';
import { t } from '../text.js';
import {
	act, drawOn, erase, finder, IN_CHANNEL, matching, movers, nameInput, overlay, partsOf, permissionTable, rankOf, searchField, whyNot,
} from './permissions.js';

const EVERYBODY = 'group:0';
const SHOWN_MAX = 100; // members in the table of what it comes to

/** `channel`: null makes a new one. */
export const openChannelSettings = (app, channel) => {
	const community = app.current;
	const stop = new AbortController();
	const editor = new Editor(community, channel?.uuid);
	const name = nameInput();
	const place = h('span.row');
	const save = async () => {
		const fields = {
			name: name.value === name.defaultValue && channel ? undefined : name.value,
			permissions: Object.keys(editor.edits).length ? editor.result : undefined,
		};
		if (channel) await act(community, 'update_channel', { uuid: channel.uuid, ...fields });
		else await create(app, community, fields);
		dialog.close();
		say(t('saved'));
	};
	const dialog = openDialog(channel ? t('channel_settings', channel) : t('new_channel'), form(save,
		field(t('name'), name), channel && h('p.row', t('place'), place),
		overrides(editor, stop.signal), outcome(editor, stop.signal),
		h('div.row.end.actions',
			channel && h('button.danger', { onclick: () => erase(community, 'delete_channel', { channel: channel.uuid }, editor.channel) }, t('delete_channel')),
			h('button.primary', t('save')))), { wide: true, onclose: () => stop.abort() });
	drawOn(community, 'channels groups members state', () => {
		const mayStay = community.state !== 'stranger' && community.can('modify_channels', channel?.uuid);
		if (!editor.channel || !mayStay) {
			dialog.close();
			return say(t(editor.channel ? 'notice_403' : 'notice_404'));
		}
		name.defaultValue = editor.channel.name;
		if (channel) replace(place, movers(community, 'update_channel', editor.channel, 0, community.channels.length - 1));
		editor.tell();
	}, stop.signal);
};

const create = async (app, community, fields) => {
	const { uuid } = await act(community, 'create_channel', fields);
	const open = () => {
		if (!community.findChannel(uuid)) return false;
		community.open(uuid);
		app.setPane('messages');
		return true;
	};
	// The list that has it may come before the answer, or after.
	if (!open()) community.addEventListener('channels', open, { once: true });
};

/** The overrides that are being edited. Event `edit`: they are others now. */
class Editor extends EventTarget {
	edits = {};

	constructor(community, uuid) {
		super();
		this.community = community;
		this.uuid = uuid;
	}

	/** As it stands; null when it is gone. */
	get channel() {
		return this.uuid ? this.community.findChannel(this.uuid) : { uuid: null, name: '', permissions: {} };
	}

	/** Everybody first, then those who are there still, and were not taken out. */
	get map() {
		const map = overlay({ [EVERYBODY]: [0, 0, 0], ...this.channel.permissions }, this.edits);
		return Object.fromEntries(Object.entries(map).filter(([key]) => this.nameOf(key) && this.edits[key] !== null));
	}

	/** What is saved: who has nothing set has no entry. */
	get result() {
		return Object.fromEntries(Object.entries(this.map).filter(([, bytes]) => bytes.some(Boolean)));
	}

	get isPrivate() {
		return decode(this.map[EVERYBODY]).view_channel === 2;
	}

	nameOf(key) {
		const [kind, uuid] = partsOf(key);
		if (key === EVERYBODY) return t('everybody');
		const { groups, members } = this.community;
		return (kind === 'user' ? members.get(uuid) : groups.find((group) => group.uuid === uuid))?.name;
	}

	whyNot(key, name, value) {
		return whyNot(this.community, key, name, decode(this.channel.permissions[key] ?? [])[name], value);
	}

	mayRemove(key) {
		return key !== EVERYBODY && !PERMISSIONS.some((name) => this.whyNot(key, name, 0));
	}

	tell() {
		this.dispatchEvent(new Event('edit'));
	}

	set(key, settings) {
		this.edits[key] = { ...this.edits[key], ...settings };
		this.tell();
	}

	remove(key) {
		this.edits[key] = null;
		this.tell();
	}

	/** Nobody takes anything from those who are not below them: their groups are let in as well. */
	setPrivate(isPrivate) {
		const peers = this.community.groups.filter(({ position, permissions }) =>
			position <= rankOf(this.community) && decode(permissions).view_channel !== 1);
		for (const { uuid } of isPrivate ? peers : []) this.set(`group:${uuid}`, { view_channel: 1 });
		this.set(EVERYBODY, { view_channel: isPrivate ? 2 : 0 });
	}

	/** Who has no overrides yet: groups, and members that are searched for. */
	candidates(query) {
		const { groups } = this.community;
		const found = groups.filter(({ name }) => name.toLowerCase().includes(query.toLowerCase())).map(({ uuid }) => `group:${uuid}`);
		if (query) found.push(...matching(this.community, query).map(({ uuid }) => `user:${uuid}`));
		return found.filter((key) => !(key in this.map)).map((key) => ({ key, name: this.nameOf(key) }));
	}
}

const overrides = (editor, signal) => {
	const toggle = h('input', { type: 'checkbox', id: freshId(), onchange: () => editor.setPrivate(toggle.checked) });
	const table = h('div.scroll');
	const search = finder(t('add_subject'), (query) => editor.candidates(query), (key) => editor.set(key, { view_channel: Number(editor.isPrivate) }));
	drawOn(editor, 'edit', () => {
		toggle.checked = editor.isPrivate;
		search.draw();
		const subjects = Object.entries(editor.map).map(([key, permissions]) =>
			({ key, name: editor.nameOf(key), permissions, onremove: editor.mayRemove(key) && (() => editor.remove(key)) }));
		replace(table, permissionTable(subjects, {
			names: IN_CHANNEL, onchange: (key, name, value) => editor.set(key, { [name]: value }), disabledWhy: (...edit) => editor.whyNot(...edit),
		}));
	}, signal);
	return [
		h('div.field', h('label.row', { for: toggle.id }, toggle, t('private_channel')), h('p.hint', t('private_hint'))),
		search.element, table,
	];
};

/** What each member comes to by what is being edited, and which layer decides it. */
const outcome = (editor, signal) => {
	const { community } = editor;
	const table = h('div.scroll', {
		tabindex: 0, role: 'region', 'aria-label': t('comes_to'),
		onclick: ({ target }) => target.closest('td') && say(target.closest('td').title),
	});
	let query = '';
	const draw = () => {
		if (!element.open) return;
		const found = matching(community, query);
		const channel = { ...editor.channel, permissions: editor.map };
		replace(table, h('table.plain.outcome',
			h('thead', h('tr', h('th', { scope: 'col' }, t('name')), IN_CHANNEL.map((name) => h('th', { scope: 'col' }, t(`may_${name}`))))),
			h('tbody', found.slice(0, SHOWN_MAX).map((member) => outcomeRow(community, member, channel)))),
		found.length > SHOWN_MAX && h('p.hint', t('shown_of', { shown: SHOWN_MAX, all: found.length })));
	};
	const element = h('details', { ontoggle: draw }, h('summary', t('comes_to')),
		searchField(t('search'), (text) => { query = text; draw(); }), table);
	on(editor, 'edit', draw, signal);
	return element;
};

const outcomeRow = (community, member, channel) => {
	const all = explain(community, member, channel);
	return h('tr', h('th', { scope: 'row', dir: 'auto' }, member.name), IN_CHANNEL.map((name) => {
		// Without seeing the channel the rest comes to nothing.
		const { allowed, by } = all.view_channel.allowed ? all[name] : all.view_channel;
		const title = `${t(allowed ? 'allow' : 'deny')}: ${by}`;
		return h(allowed ? 'td.allow' : 'td.deny', { title },
			h('span', { 'aria-hidden': 'true' }, allowed ? '✓' : '✕'), h('span.visually-hidden', title));
	}));
};
