// The server goes away and comes back: nothing is lost, nothing is doubled.

import assert from 'node:assert/strict';

import { composer, openChannel, ready, row, rows, say, shot, story, until } from './harness.mjs';

const numbers = async (page, word) => (await rows(page).allTextContents()).flatMap((text) => text.match(new RegExp(`${word} \\d+`, 'g')) ?? []);

/** The server is back only after the owner has done `work`, on another port: no page sends anything before that. */
const comesBackAfter = async (server, work) => {
  const { port } = server;
  const run = async (on) => {
    server.config.port = on;
    await server.run();
    const owner = await server.client();
    await owner.ask('login', { uname: 'Olive', passwd: 'Olive' });
    return owner;
  };
  await work(await run(0));
  await server.end();
  return run(port);
};

story('written without a connection, sent once after it; what was missed is there', async (stage) => {
  const server = await stage.server();
  const ann = await stage.member(server, 'Ann');
  const ben = await stage.member(server, 'Ben');
  const general = (await ann.channels())[0].uuid;
  const gone = await ben.send(general, 'to be deleted');
  const changed = await ben.send(general, 'to be edited');
  const page = await stage.pageOf(ann);
  await row(page, 'to be edited').waitFor();
  await server.end('SIGKILL');
  await page.getByText(/Next try in/).waitFor();
  await say(page, 'written offline 1');
  await row(page, 'written offline 1').getByText(/Not sent yet/).waitFor();
  await say(page, 'written offline 2');
  await shot(page, 'offline');
  await server.run();
  const back = await server.client();
  await back.ask('login', { uname: 'Ben', passwd: 'Ben' });
  await back.ask('delete', { message: gone });
  await back.ask('edit', { message: changed, new_content: 'edited meanwhile' });
  for (let n = 1; n <= 3; n++) await back.send(general, `meanwhile ${n}`);
  await row(page, 'written offline 2').waitFor();
  await until('nothing waits', async () => await page.getByText(/Not sent yet/).count() === 0);
  await row(page, 'edited meanwhile').waitFor();
  await until('the deleted one is gone', async () => await row(page, 'to be deleted').count() === 0);
  await until('all three are there', async () => (await numbers(page, 'meanwhile')).length === 3);
  assert.deepEqual(await numbers(page, 'meanwhile'), ['meanwhile 1', 'meanwhile 2', 'meanwhile 3']);
  assert.deepEqual(await numbers(page, 'written offline'), ['written offline 1', 'written offline 2']);
  const own = (await back.history(general)).filter(({ author_uuid: author }) => author === ann.uuid);
  assert.deepEqual(own.map(({ content }) => content), ['written offline 1', 'written offline 2']);
});

story('killed while messages are on their way: each arrives once, in order, also after a reload', async (stage) => {
  const server = await stage.server();
  const ann = await stage.member(server, 'Ann');
  const page = await stage.pageOf(ann);
  const general = (await ann.channels())[0].uuid;
  await composer(page).waitFor();
  for (let n = 1; n <= 15; n++) await say(page, `number ${n}`);
  const killed = server.end('SIGKILL');
  for (let n = 16; n <= 25; n++) await say(page, `number ${n}`);
  await killed;
  // What was not sent lasts over a reload, once there is a page again.
  await server.run();
  await page.reload();
  await ready(page);
  const back = await server.client();
  const { uuid } = await back.ask('login', { uname: 'Ann', passwd: 'Ann' });
  const expected = Array.from({ length: 25 }, (_, n) => `number ${n + 1}`);
  await until('all are on disk', async () => (await back.history(general)).length >= 25);
  await until('all are shown', async () => (await numbers(page, 'number')).length >= 25);
  assert.deepEqual((await back.history(general)).map(({ content }) => content), expected);
  assert.deepEqual(await numbers(page, 'number'), expected);
  assert.ok((await back.history(general)).every(({ author_uuid: author }) => author === uuid));
  assert.ok(!(await page.evaluate(() => Object.keys(localStorage).some((key) => key.startsWith('aster.outbox')))), 'nothing is left to be sent');
});

story('what waits or was refused stays in view, however much was said before', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  const { uuid } = await owner.channel('general');
  for (let n = 1; n <= 300; n++) await owner.send(uuid, `said ${n}`);
  const page = await stage.pageOf(ann);
  await row(page, 'said 300').waitFor();
  await server.end('SIGKILL');
  await page.getByText(/Next try in/).waitFor();
  await say(page, 'kept in view');
  await row(page, 'kept in view').getByText(/Not sent yet/).waitFor();
  const again = await comesBackAfter(server, (there) =>
    there.ask('update_channel', { uuid, permissions: { [`user:${ann.uuid}`]: [0, 2 << 2, 0] } }));
  const refused = row(page, 'kept in view');
  await refused.getByRole('button', { name: 'Discard' }).waitFor();
  // Shown anew, more rows are drawn before those that were drawn first.
  await again.ask('create_channel', { name: 'tea' });
  await openChannel(page, 'tea');
  await openChannel(page, 'general');
  await until('the window has grown', async () => await page.getByRole('main').locator('ol.list > li').count() > 100);
  assert.equal(await refused.count(), 1);
  await refused.getByRole('button', { name: 'Discard' }).click();
  await refused.waitFor({ state: 'detached' });
});

story('a message that the server refuses says why, and can be sent again or thrown away', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  const page = await stage.pageOf(ann);
  const { uuid } = await owner.channel('general');
  await composer(page).waitFor();
  // Refused only after it was written: the connection was cut in between.
  await server.end('SIGKILL');
  await page.getByText(/Next try in/).waitFor();
  await say(page, 'one that is refused');
  await say(page, 'two that is refused');
  const again = await comesBackAfter(server, (there) =>
    there.ask('update_channel', { uuid, permissions: { [`user:${ann.uuid}`]: [0, 2 << 2, 0] } }));
  const refusal = row(page, 'one that is refused');
  await refusal.getByRole('button', { name: 'Try again' }).waitFor();
  await shot(page, 'refused');
  await row(page, 'two that is refused').getByRole('button', { name: 'Discard' }).click();
  await row(page, 'two that is refused').waitFor({ state: 'detached' });
  await again.ask('update_channel', { uuid, permissions: {} });
  await refusal.getByRole('button', { name: 'Try again' }).click();
  await until('it is there', async () => (await again.history(uuid)).some(({ content }) => content === 'one that is refused'));
  await until('it is no longer pending', async () => await page.getByRole('button', { name: 'Discard' }).count() === 0);
});

story('two tabs of one account see the same, and send nothing twice', async (stage) => {
  const server = await stage.server();
  const ann = await stage.member(server, 'Ann');
  await stage.owner(server);
  const context = await stage.context();
  const one = await stage.pageOf(ann, {}, context);
  const two = await stage.page({}, context);
  await two.goto(server.url);
  await ready(two);
  await say(one, 'from one');
  await row(two, 'from one').waitFor();
  await say(two, 'from two');
  await row(one, 'from two').waitFor();
  await server.end('SIGKILL');
  await one.getByText(/Next try in/).waitFor();
  await two.getByText(/Next try in/).waitFor();
  await say(one, 'waiting one');
  await say(two, 'waiting two');
  await server.run();
  const back = await server.client();
  await back.ask('login', { uname: 'Ann', passwd: 'Ann' });
  const general = (await back.channels())[0].uuid;
  for (const page of [one, two]) {
    await row(page, 'waiting one').waitFor();
    await row(page, 'waiting two').waitFor();
    await until('nothing waits', async () => await page.getByText(/Not sent yet/).count() === 0);
  }
  const contents = (await back.history(general)).map(({ content }) => content);
  assert.deepEqual([...contents].sort(), ['from one', 'from two', 'waiting one', 'waiting two']);
});

story('a draft stays with its channel, over other channels and a reload', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  await owner.ask('create_channel', { name: 'tea' });
  const page = await stage.pageOf(owner);
  await openChannel(page, 'general');
  await composer(page).fill('half a sent');
  await openChannel(page, 'tea');
  assert.equal(await composer(page).inputValue(), '');
  await composer(page).fill('of tea');
  await openChannel(page, 'general');
  assert.equal(await composer(page).inputValue(), 'half a sent');
  await page.reload();
  await ready(page);
  await until('the draft is back', async () => await composer(page).inputValue() === 'half a sent');
  await openChannel(page, 'tea');
  assert.equal(await composer(page).inputValue(), 'of tea');
});
