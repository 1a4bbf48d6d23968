// A safe, small Markdown: text to a tree of what it means. Pure, in linear time, nesting bounded.

const NESTING_MAX = 8;
const SPANS = { '**': 'strong', __: 'strong', '*': 'em', _: 'em', '~~': 'del', '||': 'spoiler' };
const BLOCK = /^```[\w+#.-]*$/;
const LIST_ITEM = /^( *)(?:[-*]|(\d{1,9})[.)]) +(.*)$/;
/** Each fails fast, or where its end is missing for all that come after it, too: so the time is linear. */
const TOKEN = new RegExp([
	/\\(?<escaped>[!-/:-@[-`{-~])/,
	/(?<ticks>`{1,3})(?<code>[^]+?)\k<ticks>/,
	/:(?<emoji>[a-z0-9_-]{1,32}):/,
	/(?<![\p{L}\p{N}_])@/,
	/(?<![\p{L}\p{N}])(?<url>https?:\/\/[^\s<>"`|[\]]+)/,
	/\[/,
	/\](?:\((?<target>https?:\/\/[^\s<>()]+(?:\([^\s<>()]*\)[^\s<>()]*)*|mailto:[^\s<>()]+)\))?/,
	/(?<mark>\*\*|__|~~|\|\||[*_])/,
].map(({ source }) => source).join('|'), 'gu');

/** Nodes: a string, or {type} with `children`; code has a `text`. `known`: `findMember(text, at)`, `hasEmoji(name)`. */
export const parse = (text, known) => parseBlocks(text.split('\n'), known, 0);

const parseBlocks = (lines, known, depth) => {
	const nodes = [];
	let at = 0;
	const takeWhile = (isPart) => {
		const from = at++;
		while (at < lines.length && isPart(lines[at])) at++;
		return lines.slice(from, at);
	};
	const isPlain = (line) => depth === NESTING_MAX || !(BLOCK.test(line) || line.startsWith('>') || LIST_ITEM.test(line));
	while (at < lines.length) {
		const line = lines[at];
		if (isPlain(line)) {
			nodes.push({ type: 'text', children: parseInline(takeWhile(isPlain).join('\n'), known) });
		} else if (line.startsWith('>')) {
			const inner = takeWhile((next) => next.startsWith('>')).map((next) => next.replace(/^> ?/, ''));
			nodes.push({ type: 'quote', children: parseBlocks(inner, known, depth + 1) });
		} else if (BLOCK.test(line)) {
			nodes.push({ type: 'block', text: takeWhile((next) => next.trimEnd() !== '```').slice(1).join('\n') });
			at++;
		} else {
			const [, indent, start, text] = LIST_ITEM.exec(line);
			const [, ...inner] = takeWhile((next) => LIST_ITEM.exec(next)?.[1].length > indent.length);
			const item = { type: 'item', children: [...parseInline(text, known), ...parseBlocks(inner, known, depth + 1)] };
			const last = nodes.at(-1);
			if (last?.type === 'list' && !last.start === !start) last.children.push(item);
			else nodes.push({ type: 'list', start, children: [item] });
		}
	}
	return nodes;
};

const parseInline = (text, known) => {
	const stack = [{ nodes: [] }]; // of open spans
	const isOpen = (mark) => stack.some((span) => span.mark === mark);
	const push = (node) => {
		const { nodes } = stack.at(-1);
		if (typeof node === 'string' && typeof nodes.at(-1) === 'string') nodes[nodes.length - 1] += node;
		else nodes.push(node);
	};
	const open = (mark) => (stack.length < NESTING_MAX && !isOpen(mark) ? stack.push({ mark, nodes: [] }) : push(mark));
	/** The nodes since `mark`, or all. What is open in between was no span. */
	const close = (mark) => {
		for (;;) {
			const span = stack.pop();
			if (span.mark === mark) return span.nodes;
			[span.mark, ...span.nodes].forEach(push);
		}
	};
	/** Gives the length of what it took. */
	const take = ({ 0: whole, index, groups: { escaped, code, emoji, url, target, mark } }) => {
		const member = whole === '@' && known.findMember(text, index + 1);
		if (escaped) {
			push(escaped);
		} else if (code) {
			push({ type: 'code', text: code.trim() });
		} else if (emoji && known.hasEmoji(emoji)) {
			push({ type: 'emoji', name: emoji });
		} else if (member) {
			push({ type: 'mention', ...member });
			return 1 + member.name.length;
		} else if (url) {
			const found = withoutEnd(url);
			push(!isOpen('[') && URL.canParse(found) ? { type: 'link', url: found, children: [found] } : found);
			return found.length;
		} else if (whole === '[') {
			open('[');
		} else if (whole[0] === ']' && isOpen('[')) {
			const children = close('[');
			if (!URL.canParse(target)) {
				['[', ...children, ']'].forEach(push);
				return 1;
			}
			push({ type: 'link', url: target, children });
		} else if (mark) {
			const [before, after] = [text[index - 1] ?? ' ', text[index + mark.length] ?? ' '];
			const isWord = (letter) => mark[0] === '_' && /[\p{L}\p{N}]/u.test(letter);
			if (isOpen(mark) && /\S/.test(before) && !isWord(after)) push({ type: SPANS[mark], children: close(mark) });
			else if (/\S/.test(after) && !isWord(before)) open(mark);
			else push(mark);
		} else {
			push(whole[0]);
			return 1;
		}
		return whole.length;
	};
	for (let at = 0; at < text.length;) {
		TOKEN.lastIndex = at;
		const token = TOKEN.exec(text);
		push(text.slice(at, token?.index));
		at = token ? token.index + take(token) : text.length;
	}
	return close();
};

/** What ends a sentence ends no URL. No pattern with a `$`: it would begin anew at each of many dots. */
const withoutEnd = (url) => {
	let end = url.length;
	while (".,;:!?'*_~".includes(url[end - 1])) end--;
	if (url[end - 1] === ')' && !url.includes('(')) end--;
	return url.slice(0, end);
};

export const isPicture = (url) => /^https?:\/\/[^?#]+\.(png|jpe?g|gif|webp|avif)([?#]|$)/i.test(url);
