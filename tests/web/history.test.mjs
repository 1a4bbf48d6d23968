// A long history: loaded while one scrolls up, without a jump, each message once and in order.

import assert from 'node:assert/strict';

import { fill, row, rows, shot, story, until } from './harness.mjs';

const COUNT = 2000;
const JUMP_PX_MAX = 2;
const lines = (n) => `entry ${n}${'\nand a line more'.repeat(n % 4)}`;
const numberOf = (text) => Number(text.match(/entry (\d+)/)[1]);

/**
 * Runs in the page: scrolls by `by` once, and follows a row that stays in view over the frames after
 * it. Gives by how much it moved otherwise than scrolled, and the rows that are in the page.
 */
const step = async (by) => {
  const scroller = document.querySelector('.scroller');
  const box = scroller.getBoundingClientRect();
  const frame = () => new Promise(requestAnimationFrame);
  const all = () => [...scroller.querySelectorAll('ol > li[data-uuid]')];
  const anchor = all().find((element) => element.getBoundingClientRect().top >= box.top + (by < 0 ? 0 : box.height / 2));
  const { uuid } = anchor.dataset;
  const top = () => all().find(({ dataset }) => dataset.uuid === uuid)?.getBoundingClientRect().top;
  const before = top();
  const room = by < 0 ? scroller.scrollTop : scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
  const expected = before - Math.sign(by) * Math.min(Math.abs(by), room);
  scroller.scrollTop += by;
  let jump = 0;
  for (let n = 0; n < 8; n++) {
    await frame();
    await new Promise((resolve) => { setTimeout(resolve); }); // after this frame's work
    jump = Math.max(jump, Math.abs((top() ?? Infinity) - expected));
  }
  return { jump, texts: all().map(({ textContent }) => textContent), isAtTop: scroller.scrollTop === 0, left: scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop };
};

story(`${COUNT} messages up to the first one and down again`, async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  const general = (await owner.channels())[0].uuid;
  await fill([ann], general, COUNT, lines);
  const page = await stage.pageOf(owner);
  await row(page, `entry ${COUNT - 1}`).waitFor();
  const seen = new Set();
  let worst = 0;
  let most = 0;
  const look = async (by) => {
    const { jump, texts, ...rest } = await page.evaluate(step, by);
    const numbers = texts.map(numberOf);
    for (let n = 1; n < numbers.length; n++) assert.equal(numbers[n], numbers[n - 1] + 1, 'in order, each once');
    numbers.forEach((number) => seen.add(number));
    worst = Math.max(worst, jump);
    most = Math.max(most, numbers.length);
    assert.ok(jump <= JUMP_PX_MAX, `a jump of ${jump} px at entry ${numbers[0]}`);
    return rest;
  };
  const isFirst = () => page.getByText('This is the beginning of #general').isVisible();
  for (let n = 0; n < 1000; n++) {
    const { isAtTop } = await look(-900);
    if (isAtTop && await isFirst() && seen.has(0)) break;
  }
  assert.equal(seen.size, COUNT, 'every message was seen');
  assert.ok(most <= 300, `${most} rows at once`);
  await shot(page, 'history');

  // Others write, edit and delete meanwhile: what one reads stays where it is.
  await look(600);
  const place = () => page.evaluate(() => {
    const scroller = document.querySelector('.scroller');
    const first = [...scroller.querySelectorAll('ol > li')].find((element) => element.getBoundingClientRect().top >= scroller.getBoundingClientRect().top);
    return [first.dataset.uuid, first.getBoundingClientRect().top];
  });
  const [uuid, top] = await place();
  const { data: [one, two] } = await ann.ask('history', { channel: general, num: 2, after_message: (await ann.history(general))[0].uuid });
  await ann.ask('edit', { message: one.uuid, new_content: 'entry 1 is long\n'.repeat(20) });
  await ann.ask('delete', { message: two.uuid });
  await ann.send(general, 'entry 2000, just now');
  await page.getByRole('button', { name: /New messages: 1/ }).waitFor();
  const [uuidThen, topThen] = await place();
  assert.equal(uuidThen, uuid);
  assert.ok(Math.abs(topThen - top) <= JUMP_PX_MAX, `moved by ${topThen - top} px`);

  await page.getByRole('button', { name: /New messages: 1/ }).click();
  await row(page, 'entry 2000, just now').waitFor();
  await until('the newest is in view', async () => (await page.evaluate(() => {
    const scroller = document.querySelector('.scroller');
    return scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
  })) < 5);
  console.log(`${COUNT} messages: the largest jump was ${worst.toFixed(1)} px, at most ${most} rows in the page`);
});

story('a reply leads to what it answers, far back', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  const general = (await owner.channels())[0].uuid;
  await fill([ann], general, 300, lines);
  const first = (await ann.history(general))[3].uuid;
  await ann.send(general, 'an answer, late', { reply: first });
  const page = await stage.pageOf(owner);
  await row(page, 'an answer, late').getByRole('button').filter({ hasText: 'Further back' }).click();
  const target = rows(page).filter({ hasText: 'entry 3' }).first();
  await until('it has the focus, in view', () => target.evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return document.activeElement === element && top > 0 && bottom < innerHeight;
  }));
});
