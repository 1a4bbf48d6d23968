// Markdown's parser: what it understands, what stays as it is, and how long hostile text takes.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from './sources.mjs';

const [{ parse, isPicture }] = await load('markdown.js');

const MEMBERS = ['Ann', 'Ann Lee', 'Bob'].map((name, index) => ({ name, uuid: index + 1 }));
const known = {
  findMember: (text, at) => MEMBERS.filter(({ name }) => text.startsWith(name, at)).sort((a, b) => b.name.length - a.name.length)[0],
  hasEmoji: (name) => name === 'kettle',
};

/** A tree in short: `em(so)`, text as it is. */
const short = (node) => {
  if (typeof node === 'string') return node;
  const { type, children, text, url, name } = node;
  const inside = children ? children.map(short).join('') : text ?? '';
  if (type === 'text') return inside;
  return `${type}(${[url ?? name, inside].filter(Boolean).join('|')})`;
};
const read = (text) => parse(text, known).map(short).join('\n');

const CASES = {
  'plain text': 'plain text',
  '*a* _b_ **c** __d__ ~~e~~ ||f||': 'em(a) em(b) strong(c) strong(d) del(e) spoiler(f)',
  '**a *b* c**': 'strong(a em(b) c)',
  'a * b * c': 'a * b * c',
  'snake_case_name': 'snake_case_name',
  '2*3*4': '2em(3)4',
  '**open': '**open',
  '*a **b* c**': 'em(a **b) c**',
  '`a *b*`': 'code(a *b*)',
  '``a ` b``': 'code(a ` b)',
  '`open': '`open',
  '\\*a\\*': '*a*',
  'C:\\dir': 'C:\\dir',
  '```js\na *b*\n```': 'block(a *b*)',
  '```\nnever closed': 'block(never closed)',
  '> a\n> *b*\nc': 'quote(a\nem(b))\nc',
  '> > a': 'quote(quote(a))',
  '- a\n- b': 'list(item(a)item(b))',
  '1. a\n2. b': 'list(item(a)item(b))',
  '- a\n1. b': 'list(item(a))\nlist(item(b))',
  '- a\n  - b\n- c': 'list(item(alist(item(b)))item(c))',
  '# no heading': '# no heading',
  'a\nb': 'a\nb',
  '<b>x</b> &amp;': '<b>x</b> &amp;',
  '[a](https://b.example/)': 'link(https://b.example/|a)',
  '[a](http://b.example/(x))': 'link(http://b.example/(x)|a)',
  '[a](mailto:b@c.example)': 'link(mailto:b@c.example|a)',
  '[a](javascript:x)': '[a](javascript:x)',
  '[a](data:text/html,x)': '[a](data:text/html,x)',
  '[a](//b.example)': '[a](//b.example)',
  '[a] (https://b.example/)': '[a] (link(https://b.example/|https://b.example/))',
  'see https://b.example/x.': 'see link(https://b.example/x|https://b.example/x).',
  'see https://b.example/..a...': 'see link(https://b.example/..a|https://b.example/..a)...',
  'https://%': 'https://%',
  'https://[': 'https://[',
  '[a](https://%)': '[a](https://%)',
  'xhttps://b.example/': 'xhttps://b.example/',
  'hello @Ann Lee, and @Ann.': 'hello mention(Ann Lee), and mention(Ann).',
  'mail@Ann': 'mail@Ann',
  '`@Ann`': 'code(@Ann)',
  '@Nobody': '@Nobody',
  ':kettle: :other: :kettle': 'emoji(kettle) :other: :kettle',
};

for (const [text, expected] of Object.entries(CASES)) {
  test(`${JSON.stringify(text)}`, () => assert.equal(read(text), expected));
}

test('pictures are told by the path alone', () => {
  for (const url of ['https://a.example/x.png', 'http://a.example/x.JPEG?y=1', 'https://a.example/x.webp#z']) assert.ok(isPicture(url), url);
  for (const url of ['https://a.example/x.svg', 'https://a.example/?x.png', 'https://a.example/x.png/y', 'mailto:x.png']) assert.ok(!isPicture(url), url);
});

const depth = (nodes) => 1 + Math.max(0, ...nodes.map((node) => (node.children ? depth(node.children) : 0)));

/** Twice the text may take some more than twice the time; a square or worse takes far more. */
test('no text takes longer than its length, or nests without an end', () => {
  const seeds = ['*', '_', '**a', '*a _b ', '[', ']', '[a](', '![', '>', '> ', '`', '``a', '```\n', '||', '~~', '- ', '  - a\n', '1. a\n', '\\', '@', '@Ann', ':', ':a', ':kettle:', 'https://', 'https://a.b/(', '[](', '](https://a.b)', '[a](https://b.example/)', '\n', '> - *', '*_~~||`['];
  const time = (text) => {
    const begun = process.cpuUsage(); // whatever else runs on the machine is no part of it
    const nodes = parse(text, known);
    const { user } = process.cpuUsage(begun);
    assert.ok(depth(nodes) <= 40, `${text.slice(0, 10)}: ${depth(nodes)} deep`);
    return user / 1e3;
  };
  const best = (text) => Math.min(...Array.from({ length: 4 }, () => time(text)));
  const repeated = (seed) => (length) => seed.repeat(Math.ceil(length / seed.length));
  const texts = [...seeds.map((seed) => [seed, repeated(seed)]), ['a URL of dots', (length) => `https://a${'.'.repeat(length)}a`]];
  for (const [seed, make] of texts) {
    const [once, fourTimes] = [best(make(16384)), best(make(4 * 16384))];
    assert.ok(once < 100, `${JSON.stringify(seed)}: ${once} ms`);
    assert.ok(fourTimes < 100 || fourTimes < once * 10, `${JSON.stringify(seed)}: ${once} ms, four times as much: ${fourTimes} ms`);
  }
});
