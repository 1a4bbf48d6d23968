// Two members talk: everything that one does to a message, seen by the other.

import assert from 'node:assert/strict';

import { bits, composer, DENY, openChannel, ready, register, row, rows, said, say, shot, story, until } from './harness.mjs';
import { disc } from './png.mjs';

const nav = (page) => page.getByRole('navigation', { name: 'Channels' });
const act = async (page, text, action) => {
  const first = rows(page).filter({ hasText: text }).first(); // later ones may quote it
  await first.hover();
  await first.getByRole('button', { name: action, exact: true }).click();
};
const confirm = (page, name) => page.getByRole('dialog').last().getByRole('button', { name, exact: true }).click();

story('from the first start to an answer', async (stage) => {
  const server = await stage.server();
  const ann = await stage.page();
  const ben = await stage.page();
  await register(ann, server, 'Ann');
  await ann.getByText('This is the beginning of #general').waitFor();
  await register(ben, server, 'Ben');
  await say(ann, 'Is the kettle on?');
  await row(ben, 'Is the kettle on?').waitFor();
  await row(ben, 'Is the kettle on?').getByText('Ann', { exact: true }).first().waitFor();
  await say(ben, 'It is.');
  await row(ann, 'It is.').waitFor();
  // Grouped: the second one in a row has no name of its own to be seen.
  await say(ben, 'Two minutes.');
  await row(ann, 'Two minutes.').waitFor();
  assert.equal(await row(ann, 'Two minutes.').locator('img').count(), 0);
  await ann.getByText('Today').waitFor();
  await shot(ann, 'talking');
  await ann.reload();
  await ready(ann);
  await row(ann, 'Two minutes.').waitFor();
  assert.equal(await rows(ann).count(), 3);
});

story('edited, deleted, replied to: the other sees it at once', async (stage) => {
  const server = await stage.server();
  const ann = await stage.member(server, 'Ann');
  const ben = await stage.member(server, 'Ben');
  const annPage = await stage.pageOf(ann);
  const benPage = await stage.pageOf(ben);
  await said(annPage, 'Teh kettle');
  await row(benPage, 'Teh kettle').waitFor();
  await act(annPage, 'Teh kettle', 'Edit');
  assert.equal(await composer(annPage).inputValue(), 'Teh kettle');
  await composer(annPage).fill('The kettle');
  await composer(annPage).press('Enter');
  await row(benPage, 'The kettle').getByText(/edited/).waitFor();
  assert.equal(await composer(annPage).inputValue(), '');
  // Not one's own: no editing, no deleting.
  await row(benPage, 'The kettle').hover();
  assert.equal(await row(benPage, 'The kettle').getByRole('button', { name: 'Edit', exact: true }).count(), 0);
  assert.equal(await row(benPage, 'The kettle').getByRole('button', { name: 'Delete', exact: true }).count(), 0);
  await act(benPage, 'The kettle', 'Reply');
  await benPage.getByText(/^Reply to Ann/).waitFor();
  await said(benPage, 'what of it?');
  await row(annPage, 'what of it?').getByRole('button', { name: /The kettle/ }).click();
  await shot(annPage, 'reply');
  await act(annPage, 'The kettle', 'Delete');
  await confirm(annPage, 'Delete');
  await until('it is gone', async () => await rows(benPage).count() === 1);
  await row(annPage, 'what of it?').getByText('Further back, or deleted').waitFor();
  // Arrow up in an empty composer edits one's own last message; Esc gives it up.
  await composer(benPage).press('ArrowUp');
  await until('it is there to be edited', async () => await composer(benPage).inputValue() === 'what of it?');
  await composer(benPage).press('Escape');
  await until('it is not any more', async () => await composer(benPage).inputValue() === '');
});

story('unread counts, mentions, the line "new", and marks that last', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const tea = (await owner.ask('create_channel', { name: 'tea' })).uuid;
  await owner.send(tea, 'the first one');
  const ann = await stage.member(server, 'Ann');
  const page = await stage.pageOf(ann);
  await openChannel(page, 'tea');
  await row(page, 'the first one').waitFor();
  await until('it is marked', async () => String(tea) in (await ann.ask('get_last_reads')).last_reads);
  await openChannel(page, 'general');
  await owner.send(tea, 'two');
  await owner.send(tea, 'three');
  await nav(page).getByRole('button', { name: /^tea.*2 unread messages/ }).waitFor();
  await owner.send(tea, 'hello @Ann');
  await nav(page).getByRole('button', { name: /^tea.*1 mention of you/ }).waitFor();
  await until('the title says so', async () => (await page.title()).startsWith('(1)'));
  await page.reload();
  await ready(page);
  await nav(page).getByRole('button', { name: /^tea.*1 mention of you/ }).waitFor();
  await shot(page, 'unread');
  await openChannel(page, 'tea');
  await row(page, 'two').getByText('New').waitFor();
  assert.ok((await row(page, 'hello @Ann').getAttribute('class')).includes('mention'));
  await until('all is read', async () => (await ann.ask('get_num_unread', { channel: tea })).num === 0);
  assert.equal(await nav(page).getByRole('button', { name: /unread|mention/ }).count(), 0);
});

story('rights taken in the middle of a view', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  const general = (await owner.channels())[0].uuid;
  await owner.ask('create_channel', { name: 'tea' });
  await owner.send(general, 'for those who may read');
  const page = await stage.pageOf(ann);
  const override = (settings) => owner.ask('update_channel', { uuid: general, permissions: { 'group:0': bits(settings) } });
  await row(page, 'for those who may read').waitFor();
  await override({ send_messages: DENY });
  await page.getByText('You may not write here.').waitFor();
  assert.ok(await composer(page).isDisabled());
  await shot(page, 'may-not-write');
  await override({ read_messages: DENY });
  await page.getByText('You may not read here.').waitFor();
  assert.equal(await rows(page).count(), 0);
  await owner.send(general, 'not for Ann');
  await override({});
  await row(page, 'not for Ann').waitFor();
  assert.ok(!(await composer(page).isDisabled()));
  await override({ view_channel: DENY });
  await page.getByRole('main').getByRole('heading', { name: 'tea', exact: true }).waitFor();
  assert.equal(await nav(page).getByRole('button', { name: /^general/ }).count(), 0);
});

story('Markdown, mentions, emoji, spoilers, and pictures that wait for a click', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  await stage.member(server, 'Ann');
  await stage.member(server, 'Anna Two');
  await owner.ask('create_emoji', { name: 'kettle', data: disc(32, [120, 60, 20]).toString('base64') });
  const page = await stage.pageOf(owner);
  const picture = 'https://pictures.example/cat.png';
  const asked = [];
  await page.route(picture, (route) => {
    asked.push(route.request());
    return route.fulfill({ contentType: 'image/png', body: disc(80, [20, 60, 120]) });
  });
  await say(page, 'so **bold** and *slanted*, `code`, ~~gone~~');
  const first = row(page, 'so bold');
  for (const [tag, text] of [['strong', 'bold'], ['em', 'slanted'], ['code', 'code'], ['del', 'gone']]) {
    assert.equal(await first.locator(tag).textContent(), text);
  }
  await composer(page).pressSequentially('hello @ann');
  await page.getByRole('option').first().waitFor();
  assert.deepEqual(await page.getByRole('option').allTextContents(), ['@Ann', '@Anna Two']);
  await shot(page, 'completion');
  await composer(page).press('ArrowDown');
  await composer(page).press('Enter');
  assert.equal(await composer(page).inputValue(), 'hello @Anna Two ');
  await composer(page).pressSequentially(':ket');
  await page.getByRole('option', { name: /kettle/ }).waitFor();
  await composer(page).press('Tab');
  await composer(page).press('Enter');
  await row(page, 'hello').getByRole('img', { name: ':kettle:' }).waitFor();
  await row(page, 'hello').getByText('@Anna Two').waitFor();

  await said(page, 'he is ||the butler||', 'he is');
  const spoiler = row(page, 'he is').getByRole('button', { name: /Spoiler/ });
  await spoiler.focus();
  await page.keyboard.press('Enter');
  await until('it is shown', async () => await row(page, 'he is').getByText('the butler').isVisible());

  await said(page, `look: ${picture}`, 'look:');
  await row(page, 'look:').getByRole('button', { name: 'Show picture from pictures.example' }).waitFor();
  await shot(page, 'markdown');
  assert.equal(asked.length, 0, 'nothing was asked of the other host');
  stage.allow('pictures.example');
  await row(page, 'look:').getByRole('button', { name: 'Show picture from pictures.example' }).click();
  await until('it is loaded', () => row(page, 'look:').locator(`img[src="${picture}"]`).evaluate((image) => image.naturalWidth > 0));
  assert.ok(!asked[0].headers().referer, 'without a referrer');
  await say(page, '[https://good.example/](https://evil.example/)');
  await row(page, 'good.example').getByText('evil.example').waitFor();

  // What is too long does not leave.
  await composer(page).fill('a'.repeat(16_385));
  await composer(page).press('Enter');
  await page.getByRole('status').getByText('The server did not take this: too long').first().waitFor();
  await composer(page).fill('a'.repeat(16_384));
  await composer(page).press('Enter');
  await until('it is sent', async () => (await owner.history((await owner.channels())[0].uuid)).some(({ content }) => content.length === 16_384));
});

story('a screen reader hears new messages, not one\'s own', async (stage) => {
  const server = await stage.server();
  const ann = await stage.member(server, 'Ann');
  const ben = await stage.member(server, 'Ben');
  const page = await stage.pageOf(ann);
  const general = (await ann.channels())[0].uuid;
  await composer(page).waitFor();
  await page.evaluate(() => {
    window.heard = [];
    new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((node) => window.heard.push(node.textContent))))
      .observe(document.querySelector('[aria-live=polite]'), { childList: true, subtree: true });
  });
  await say(page, 'my own');
  await row(page, 'my own').waitFor();
  await ben.send(general, 'Hello from Ben');
  await ben.send(general, 'and again');
  const heard = () => page.evaluate(() => window.heard.join('\n'));
  await until('it is heard', async () => (await heard()).includes('Ben: Hello from Ben') && (await heard()).includes('Ben: and again'));
  assert.ok(!(await heard()).includes('my own'));
});

story('the keyboard alone suffices', async (stage) => {
  const server = await stage.server();
  await stage.owner(server);
  const page = await stage.page();
  await page.goto(server.url);
  const { keyboard } = page;
  const focused = () => page.evaluate(() => {
    const { activeElement: element } = document;
    return element.getAttribute('aria-label') || element.labels?.[0]?.textContent || element.textContent;
  });
  /** As one does: on and on, until it is there. */
  const tabTo = async (name, key = 'Tab') => {
    for (let n = 0; n < 40; n++) {
      if (name.test(await focused())) return;
      await keyboard.press(key);
    }
    throw new Error(`no way by ${key} to ${name}`);
  };
  await tabTo(/^Name/);
  await keyboard.type('Ann');
  await tabTo(/^Password/);
  await keyboard.type('open sesame');
  await keyboard.press('Enter');
  await ready(page);
  await page.getByText('This is the beginning of #general').waitFor();
  // A desktop's focus is in the composer already.
  await until('one can write', async () => /^Message/.test(await focused()));
  await keyboard.type('first');
  await keyboard.press('Enter');
  await row(page, 'first').waitFor();
  await until('it is on disk', async () => !(await row(page, 'first').getAttribute('class')).includes('sending'));
  await keyboard.type('second');
  await keyboard.press('Enter');
  await row(page, 'second').waitFor();
  await until('it is there', async () => (await rows(page).evaluateAll((all) => all.every(({ dataset }) => dataset.uuid))) && await rows(page).count() === 2);
  // Back to the list, up by one, and a reply.
  await tabTo(/second/, 'Shift+Tab');
  for (let n = 0; n < 10 && !await page.evaluate(() => document.activeElement.matches('li')); n++) await keyboard.press('Shift+Tab');
  await keyboard.press('ArrowUp');
  assert.match(await focused(), /first/);
  await keyboard.press('r');
  await page.getByText(/^Reply to Ann/).waitFor();
  assert.match(await focused(), /^Message/);
  await keyboard.type('a reply');
  await keyboard.press('Enter');
  await row(page, 'a reply').getByRole('button', { name: /first/ }).first().waitFor();
  await until('it is there, too', async () => rows(page).evaluateAll((all) => all.every(({ dataset }) => dataset.uuid)));
  await keyboard.press('ArrowUp');
  await until('the reply is being edited', async () => await composer(page).inputValue() === 'a reply');
  await keyboard.press('End');
  await keyboard.type(', edited');
  await keyboard.press('Enter');
  await row(page, 'a reply, edited').waitFor();
  await tabTo(/a reply, edited/, 'Shift+Tab');
  for (let n = 0; n < 10 && !await page.evaluate(() => document.activeElement.matches('li')); n++) await keyboard.press('Shift+Tab');
  await keyboard.press('Delete');
  await page.getByRole('dialog').waitFor();
  await keyboard.press('Enter');
  await row(page, 'a reply, edited').waitFor({ state: 'detached' });
  await tabTo(/^Settings/, 'Shift+Tab');
  await keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Settings' }).waitFor();
  await keyboard.press('Escape');
  assert.match(await focused(), /^Settings/, 'the focus is back');
});

story('at a telephone\'s size', async (stage) => {
  const server = await stage.server();
  const ben = await stage.member(server, 'Ben');
  const page = await stage.page({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
  await register(page, server, 'Ann');
  await shot(page, 'phone-channels');
  await nav(page).getByRole('button', { name: /^general/ }).tap();
  await composer(page).fill('from a telephone');
  await composer(page).press('Enter'); // a new line, here
  assert.equal(await composer(page).inputValue(), 'from a telephone\n');
  await page.getByRole('button', { name: 'Send' }).tap();
  await row(page, 'from a telephone').waitFor();
  await ben.send((await ben.channels())[0].uuid, 'and an answer');
  await row(page, 'and an answer').waitFor();
  await row(page, 'and an answer').tap();
  await row(page, 'and an answer').getByRole('button', { name: 'Reply' }).waitFor();
  await shot(page, 'phone-messages');
  await page.getByRole('button', { name: 'Show members' }).tap();
  await page.getByRole('complementary', { name: 'Members' }).getByRole('button', { name: /Ben/ }).waitFor();
  await shot(page, 'phone-members');
  await page.getByRole('complementary', { name: 'Members' }).getByRole('button', { name: /Ben/ }).tap();
  await shot(page, 'phone-profile');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).tap();
  await page.getByRole('button', { name: 'Show channels' }).tap();
  await page.getByRole('button', { name: 'Settings', exact: true }).tap();
  await page.getByRole('dialog', { name: 'Settings' }).waitFor();
  await shot(page, 'phone-settings');
  await page.getByRole('dialog', { name: 'Settings' }).getByRole('button', { name: 'Close' }).tap();
  await nav(page).getByRole('button', { name: /^general/ }).tap();
  await page.goBack(); // the telephone's own button
  await nav(page).getByRole('button', { name: /^general/ }).waitFor();
  // Nothing hangs out at the side.
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
});

story('less motion is asked for, and none is made', async (stage) => {
  const server = await stage.server();
  const ann = await stage.member(server, 'Ann');
  const page = await stage.pageOf(ann, { reducedMotion: 'reduce' });
  await say(page, 'still');
  await row(page, 'still').waitFor();
  const moving = await page.evaluate(() => [...document.querySelectorAll('*')].filter((element) => {
    const { animationName, transitionDuration, scrollBehavior } = getComputedStyle(element);
    return animationName !== 'none' || parseFloat(transitionDuration) > 0 || scrollBehavior === 'smooth';
  }).length);
  assert.equal(moving, 0);
});
