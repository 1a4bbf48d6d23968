// An outbox whose member has left sends and keeps nothing more.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from './sources.mjs';

/** What a browser has: the names are keys of the object itself. */
globalThis.localStorage = Object.create({
  getItem(name) { return this[name] ?? null; },
  setItem(name, text) { this[name] = text; },
  removeItem(name) { delete this[name]; },
});

test('what was on its way at a logout is neither kept nor sent by whoever comes next', async () => {
  const [{ Outbox }, { forget, loadAll }] = await load('outbox.js', 'storage.js');
  const answers = [];
  const community = {
    address: 'a:1', state: 'ready', logs: new Map(), tell: () => {}, can: () => true,
    request: (command, fields) => new Promise((resolve, reject) => { answers.push({ fields, reject }); }),
  };
  const outbox = new Outbox(community);
  outbox.add(7, 'from the first member', null);
  outbox.add(7, 'and one behind it', null);
  assert.equal(loadAll('outbox.a:1.').length, 2);
  outbox.close();
  forget('a:1');
  // Cut off; and by then somebody else has logged in.
  answers[0].reject(new Error('cut'));
  await new Promise((resolve) => { setTimeout(resolve); });
  assert.deepEqual(loadAll('outbox.a:1.'), []);
  assert.equal(answers.length, 1);
});
