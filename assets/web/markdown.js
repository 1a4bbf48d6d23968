// A safe, small Markdown: text to a tree of what it means. Pure, in linear time, nesting bounded.

const NESTING_MAX = 8;
/** Delimiter -> what stands between two of them. */
const SPANS = { '**': 'strong', __: 'strong', '*': 'em', _: 'em', '~~': 'del', '||': 'spoiler' };
const SPECIAL = /[\\`*_~|[\]@:]|https?:\/\//g;
const URL_HERE = /https?:\/\/[^\s<>"`|]+/y;
const TARGET_HERE = /\]\((https?:\/\/[^\s<>()]+(?:\([^\s<>()]*\)[^\s<>()]*)*|mailto:[^\s<>()]+)\)/y;
const LIST_ITEM = /^( *)(?:([-*])|(\d{1,9})[.)]) +(.*)$/;

/**
 * Nodes: a string, or {type, children} of `strong em del spoiler quote list item`, {type: 'code' | 'block',
 * text}, {type: 'link', url, children}, {type: 'mention', name, uuid}, {type: 'emoji', name}.
 * `findMember(text, at)` gives the {name, uuid} that stands there, or undefined; `hasEmoji(name)`.
 */
export const parse = (text, { findMember = () => undefined, hasEmoji = () => false } = {}) =>
	parseBlocks(text.split('\n'), { findMember, hasEmoji }, 0);

const parseBlocks = (lines, known, depth) => {
	const nodes = [];
	let plain = [];
	const flush = () => {
		if (plain.length) nodes.push({ type: 'text', children: parseInline(plain.join('\n'), known) });
		plain = [];
	};
	for (let at = 0; at < lines.length;) {
		const [block, next] = depth < NESTING_MAX ? parseBlock(lines, at, known, depth) : [null];
		if (block) {
			flush();
			nodes.push(block);
			at = next;
		} else {
			plain.push(lines[at++]);
		}
	}
	flush();
	return nodes;
};

/** What begins at this line, and the line after it; [null] for plain text. */
const parseBlock = (lines, at, known, depth) => {
	const run = (isPart) => {
		let end = at;
		while (end < lines.length && isPart(lines[end])) end++;
		return end;
	};
	if (lines[at].startsWith('```')) {
		const oneLine = /^```(.+)```$/.exec(lines[at]);
		if (oneLine) return [{ type: 'block', text: oneLine[1] }, at + 1];
		let end = at + 1;
		while (end < lines.length && lines[end].trimEnd() !== '```') end++;
		return [{ type: 'block', text: lines.slice(at + 1, end).join('\n') }, end + 1];
	}
	if (lines[at].startsWith('>')) {
		const end = run((line) => line.startsWith('>'));
		const inner = lines.slice(at, end).map((line) => line.replace(/^> ?/, ''));
		return [{ type: 'quote', children: parseBlocks(inner, known, depth + 1) }, end];
	}
	const first = LIST_ITEM.exec(lines[at]);
	if (first) {
		const end = run((line) => {
			const item = LIST_ITEM.exec(line);
			return item && (item[1].length > first[1].length || Boolean(item[2]) === Boolean(first[2]));
		});
		return [parseList(lines.slice(at, end).map((line) => LIST_ITEM.exec(line)), known), end];
	}
	return [null];
};

/** Items that are indented further belong to the list of the one before. */
const parseList = (items, known) => {
	const open = [];
	for (const [, indent, , number, text] of items) {
		while (open.length > 1 && indent.length <= open.at(-1).indent) open.pop();
		const isDeeper = open.length && indent.length > open.at(-1).indent && open.length < NESTING_MAX;
		if (!open.length || isDeeper) {
			const list = { type: 'list', start: number === undefined ? null : Number(number), children: [] };
			open.at(-1)?.list.children.at(-1).children.push(list);
			open.push({ indent: indent.length, list });
		}
		open.at(-1).list.children.push({ type: 'item', children: parseInline(text, known) });
	}
	return open[0].list;
};

class Inline {
	/** Open spans, the whole first: {mark, nodes}. */
	stack = [{ nodes: [] }];
	open = {};
	at = 0;

	constructor(text, known) {
		this.text = text;
		this.known = known;
		this.unclosed = new Set(); // runs of ` that nothing closes
	}

	push(node) {
		const { nodes } = this.stack.at(-1);
		if (typeof node === 'string' && typeof nodes.at(-1) === 'string') nodes[nodes.length - 1] += node;
		else if (node !== '') nodes.push(node);
	}

	begin(mark) {
		this.stack.push({ mark, nodes: [] });
		this.open[mark] = (this.open[mark] ?? 0) + 1;
	}

	/** The nodes since `mark`. Spans that are still open in between were none. */
	end(mark) {
		for (;;) {
			const { mark: last, nodes } = this.stack.pop();
			this.open[last]--;
			if (last === mark) return nodes;
			this.push(last);
			nodes.forEach((node) => this.push(node));
		}
	}

	run() {
		const { text } = this;
		while (this.at < text.length) {
			SPECIAL.lastIndex = this.at;
			const next = SPECIAL.exec(text)?.index ?? text.length;
			this.push(text.slice(this.at, next));
			this.at = next;
			if (next < text.length && !this.special(text[next])) this.push(text[this.at++]);
		}
		while (this.stack.length > 1) {
			const { mark, nodes } = this.stack.pop();
			this.push(mark);
			nodes.forEach((node) => this.push(node));
		}
		return this.stack[0].nodes;
	}

	/** Takes what begins here. False if it is text like any other. */
	special(letter) {
		switch (letter) {
			case '\\': return this.escape();
			case '`': return this.code();
			case '[': return this.stack.length < NESTING_MAX && !this.open['['] && this.take(1, () => this.begin('['));
			case ']': return Boolean(this.open['[']) && this.link();
			case '@': return this.mention();
			case ':': return this.emoji();
			case 'h': return this.url();
			default: return this.span();
		}
	}

	take(length, act) {
		this.at += length;
		act();
		return true;
	}

	escape() {
		const next = this.text[this.at + 1];
		return next !== undefined && /[!-/:-@[-`{-~]/.test(next) && this.take(2, () => this.push(next));
	}

	code() {
		const [run] = /^`+/.exec(this.text.slice(this.at, this.at + 64));
		if (this.unclosed.has(run)) return this.take(run.length, () => this.push(run));
		const from = this.at + run.length;
		const to = this.text.indexOf(run, from);
		if (to <= from) {
			this.unclosed.add(run);
			return this.take(run.length, () => this.push(run));
		}
		const text = this.text.slice(from, to);
		return this.take(to + run.length - this.at, () => this.push({ type: 'code', text: text.replace(/^ (.+) $/, '$1') }));
	}

	span() {
		const { text, at } = this;
		const two = text.slice(at, at + 2);
		const mark = two in SPANS ? two : text[at];
		if (!(mark in SPANS)) return false;
		const [before, after] = [text[at - 1] ?? ' ', text[at + mark.length] ?? ' '];
		const isWord = (letter) => mark[0] === '_' && /[\p{L}\p{N}]/u.test(letter);
		if (this.open[mark] && /\S/.test(before) && !isWord(after)) {
			return this.take(mark.length, () => this.push({ type: SPANS[mark], children: this.end(mark) }));
		}
		const mayOpen = !this.open[mark] && /\S/.test(after) && !isWord(before) && this.stack.length < NESTING_MAX;
		return this.take(mark.length, () => (mayOpen ? this.begin(mark) : this.push(mark)));
	}

	link() {
		TARGET_HERE.lastIndex = this.at;
		const found = TARGET_HERE.exec(this.text);
		if (!found || !URL.canParse(found[1])) return this.take(1, () => this.undo());
		return this.take(found[0].length, () => this.push({ type: 'link', url: found[1], children: this.end('[') }));
	}

	/** The bracket was one like any other. */
	undo() {
		const nodes = this.end('[');
		this.push('[');
		nodes.forEach((node) => this.push(node));
		this.push(']');
	}

	url() {
		if (this.open['['] || /[\p{L}\p{N}]/u.test(this.text[this.at - 1] ?? '')) return false;
		URL_HERE.lastIndex = this.at;
		const found = withoutEnd(URL_HERE.exec(this.text)?.[0] ?? '');
		if (!found) return false;
		const url = found.endsWith(')') && !found.includes('(') ? found.slice(0, -1) : found;
		return this.take(url.length, () => this.push(URL.canParse(url) ? { type: 'link', url, children: [url] } : url));
	}

	mention() {
		const { text, at } = this;
		const found = /[\p{L}\p{N}_]/u.test(text[at - 1] ?? '') ? undefined : this.known.findMember(text, at + 1);
		return Boolean(found) && this.take(1 + found.name.length, () => this.push({ type: 'mention', ...found }));
	}

	emoji() {
		const [whole, name] = /^:([a-z0-9_-]{1,32}):/.exec(this.text.slice(this.at, this.at + 34)) ?? [];
		return Boolean(name) && this.known.hasEmoji(name) && this.take(whole.length, () => this.push({ type: 'emoji', name }));
	}
}

/** What ends a sentence ends no URL. No pattern with a `$`: it would begin anew at each of many dots. */
const withoutEnd = (url) => {
	let end = url.length;
	while (".,;:!?'*_~]".includes(url[end - 1] ?? ' ')) end--;
	return url.slice(0, end);
};

const parseInline = (text, known) => new Inline(text, known).run();

/** Whether a link shows a picture. */
export const isPicture = (url) => /^https?:\/\/[^?#]+\.(png|jpe?g|gif|webp|avif)([?#]|$)/i.test(url);
