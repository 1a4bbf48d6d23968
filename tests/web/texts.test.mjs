// The languages: the same texts in each, with the same gaps to be filled.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { load, WEB } from './sources.mjs';

const files = readdirSync(WEB, { recursive: true }).map(String).filter((name) => name.endsWith('.js'));
const read = (name) => readFileSync(path.join(WEB, name), 'utf8');
const [{ default: en }, { default: de }] = await load('lang/en.js', 'lang/de.js');

test('both languages have the same keys', () => {
  assert.deepEqual(Object.keys(de).sort(), Object.keys(en).sort());
});

test('both languages have the same gaps', () => {
  const gaps = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort().join();
  for (const key of Object.keys(en)) {
    if (key.endsWith('_one')) continue; // "a message" needs no number
    assert.equal(gaps(de[key]), gaps(en[key]), key);
  }
});

test('no key stands twice, and plurals have both forms', () => {
  for (const name of ['lang/en.js', 'lang/de.js']) {
    const keys = [...read(name).matchAll(/(?:^|[\s{,])(\w+): ['"`]/g)].map(([, key]) => key);
    assert.deepEqual(keys.filter((key, index) => keys.indexOf(key) !== index), [], name);
  }
  for (const key of Object.keys(en).filter((one) => one.endsWith('_other'))) {
    assert.ok(key.replace(/_other$/, '_one') in en, `${key} alone`);
  }
});

test('every text that is asked for by name is there', () => {
  for (const name of files.filter((one) => !one.startsWith('lang'))) {
    for (const [, key] of read(name).matchAll(/\bt\('(\w+)'/g)) {
      assert.ok(key in en || `${key}_other` in en, `${name}: ${key}`);
    }
  }
});
