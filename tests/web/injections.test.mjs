// Hostile texts in every field that members fill; then every view is opened and looked through.

import assert from 'node:assert/strict';

import { bits, composer, fill, openChannel, rows, story, until } from './harness.mjs';
import { MARKDOWN, NAMES, TEXTS, URLS } from './injections.mjs';
import { disc } from './png.mjs';

const EMOJI = ['__proto__', 'constructor', 'valueof', '--', '_', 'a'.repeat(32)];

/** Ports of servers that are in the list, and away. */
const LISTED = [65001, 65002, 65003, 65004, 65005, 65006];

/** Runs in the page: whatever should not be there. */
const intruders = () => {
  const found = [];
  if ('__pwned' in window || Object.prototype.__pwned) found.push('a script ran');
  const scripts = [...document.scripts].filter(({ src }) => !/\/web\/\w+\/main\.js$/.test(src));
  const forbidden = document.querySelectorAll('iframe, frame, object, embed, style, base, meta[http-equiv], math, template, audio, video, marquee, foreignObject, animate, svg script, [srcdoc], [formaction], form[action]');
  const sheets = [...document.querySelectorAll('link')].filter(({ href }) => !href.startsWith(`${location.origin}/web/`) && !/^(data:|blob:)/.test(href));
  for (const element of [...scripts, ...forbidden, ...sheets]) found.push(element.outerHTML.slice(0, 200));
  for (const element of document.querySelectorAll('*')) {
    for (const { name, value } of element.attributes) {
      const scheme = value.trim().match(/^[\w\s\0-\x20]*:/)?.[0] ?? '';
      if (name.startsWith('on')) found.push(`${element.localName} ${name}=${value}`);
      if (['href', 'xlink:href'].includes(name) && scheme && !['https:', 'http:', 'mailto:'].includes(scheme) && !(element.localName === 'link' && /^(data|blob):$/.test(scheme))) found.push(`${name}=${value}`);
      if (['src', 'srcset', 'poster', 'background', 'data', 'action'].includes(name) && !/^(blob:|data:(image\/(gif|png)|,))/.test(value) && element.localName !== 'script') found.push(`${name}=${value}`);
      if (name === 'style' && /url\(|expression|@import/i.test(value)) found.push(`style=${value}`);
    }
  }
  return found;
};

const clean = async (page, where) => assert.deepEqual(await page.evaluate(intruders), [], where);

/** The server's own rules decide what is a name at all. */
const accepted = async (requests) => {
  const answers = await Promise.all(requests);
  return answers.filter(({ status }) => status === 200).length;
};

const seed = async (stage, server) => {
  const owner = await stage.owner(server);
  const members = [];
  for (const name of NAMES) {
    const client = await server.client();
    const { status, uuid } = await client.try('register', { uname: name, passwd: 'x' });
    if (status === 200) members.push(Object.assign(client, { name, uuid }));
  }
  assert.ok(members.length >= 30, `${members.length} members`);
  const general = (await owner.channels())[0].uuid;
  for (const member of members) {
    const message = await member.send(general, `I am ${member.name}`);
    await owner.send(general, `You are @${member.name}`, { reply: message });
    await member.ask('pfp', { data: disc(32, [90, 20, 20], TEXTS).toString('base64') });
  }
  const channels = await accepted(NAMES.map((name) => owner.try('create_channel', { name })));
  const groups = await accepted(NAMES.map((name, index) => owner.try('create_group', { name, colour: index * 99991, permissions: [0, 0, 0], position: 1 })));
  assert.ok(channels >= 30 && groups >= 30, `${channels} channels, ${groups} groups`);
  const { data } = await owner.ask('list_groups');
  for (const [index, member] of members.entries()) {
    await owner.ask('update_user_groups', { user: member.uuid, groups: [data[1 + index % (data.length - 1)].uuid] });
  }
  const texts = (await owner.ask('create_channel', { name: 'texts', position: 1, permissions: { [`group:${data[1].uuid}`]: bits({ send_messages: 1 }), [`user:${members[0].uuid}`]: bits({ view_channel: 1 }) } })).uuid;
  await fill([owner], texts, TEXTS.length, (n) => TEXTS[n]);
  const markdown = (await owner.ask('create_channel', { name: 'markdown', position: 2 })).uuid;
  await fill([owner], markdown, MARKDOWN.length, (n) => MARKDOWN[n]);
  for (const [index, name] of EMOJI.entries()) await owner.ask('create_emoji', { name, data: disc(16, [20, index * 20, 90], TEXTS.slice(0, 3)).toString('base64') });
  await owner.ask('set_icon', { data: disc(64, [20, 90, 20], TEXTS).toString('base64') });
  const bans = members.slice(0, 12);
  for (const [index, member] of bans.entries()) await owner.ask('ban', { user: member.uuid, reason: TEXTS[index].slice(0, 200) });
  await accepted(NAMES.map((name) => owner.try('create_session', { name })));
  await owner.ask('sync_set', { uname: NAMES[0], pfp: '"><script>' });
  // Addresses that are none, and some where nobody is but the names are shown.
  const entry = (ip, port, idx) => ({ uuid: null, uname: NAMES[idx], ip, port, pfp: URLS[idx % URLS.length], name: NAMES[idx], idx });
  await owner.ask('sync_set_servers', {
    servers: [...URLS.map((url, idx) => entry(url, 2345, idx)), ...LISTED.map((port, n) => entry('127.0.0.1', port, URLS.length + n))],
  });
  for (const port of LISTED) stage.allow(`127.0.0.1:${port}`);
  return { owner, members };
};

story('hostile texts are shown as they are, in every view', async (stage) => {
  const server = await stage.server();
  const { owner, members } = await seed(stage, server);
  const page = await stage.pageOf(owner);
  const side = page.getByRole('complementary', { name: 'Members' });
  const dialog = () => page.getByRole('dialog').last();
  const close = () => dialog().getByRole('button', { name: 'Close' }).first().click();

  await page.getByText(`I am ${members.at(-1).name}`, { exact: true }).first().waitFor();
  await clean(page, 'general');
  const shown = await side.locator('.name').allTextContents();
  for (const { name } of members) assert.ok(shown.includes(name.trim()), `member ${JSON.stringify(name)}`);
  const { data: groups } = await owner.ask('list_groups');
  const channels = await page.getByRole('navigation', { name: 'Channels' }).locator('.name').allTextContents();
  for (const { name } of await owner.channels()) assert.ok(channels.includes(name), `channel ${JSON.stringify(name)}`);

  const listed = await page.getByRole('navigation', { name: 'Servers' }).getByRole('button').allTextContents();
  for (const name of NAMES.slice(URLS.length, URLS.length + LISTED.length)) assert.ok(listed.some((text) => text.includes(name)), `server ${JSON.stringify(name)}`);
  await clean(page, 'the list of servers');

  // All of the corpus, as messages.
  const showAll = async (channel, last) => {
    await openChannel(page, channel);
    await page.getByText(last, { exact: true }).first().waitFor();
    await until('all is loaded', async () => {
      await page.locator('.scroller').evaluate((scroller) => { scroller.scrollTop = 0; });
      return page.getByText(`This is the beginning of #${channel}`).isVisible();
    });
    await clean(page, channel);
  };
  await showAll('texts', TEXTS.at(-1));
  const contents = await rows(page).allTextContents();
  for (const text of TEXTS) assert.ok(contents.some((content) => content.includes(text)), `message ${JSON.stringify(text.slice(0, 100))}`);
  await openChannel(page, 'markdown');
  await until('all of it is drawn', async () => {
    await page.locator('.scroller').evaluate((scroller) => { scroller.scrollTop = 0; });
    return await rows(page).count() === MARKDOWN.length;
  });
  await clean(page, 'markdown');
  const unsafe = await page.getByRole('main').locator('a').evaluateAll((links) =>
    links.filter(({ rel, target, protocol }) => !rel.includes('noopener') || target !== '_blank' || !/^(https?|mailto):$/.test(protocol)).map(({ outerHTML }) => outerHTML));
  assert.deepEqual(unsafe, []);

  // Channels by their names, drafts in them, and what completes.
  for (const name of NAMES.slice(0, 6)) {
    await page.getByRole('navigation', { name: 'Channels' }).locator('button.channel').filter({ has: page.getByText(name, { exact: true }) }).first().click();
    await page.getByRole('main').getByRole('heading', { name, exact: true }).waitFor();
    await composer(page).fill(TEXTS[0]);
    await clean(page, name);
  }
  await openChannel(page, 'general');
  await composer(page).pressSequentially('@<');
  await page.getByRole('option').first().waitFor();
  await clean(page, 'completion of members');
  await composer(page).fill('');
  await composer(page).pressSequentially(':__');
  await page.getByRole('option').first().waitFor();
  await clean(page, 'completion of emoji');
  await composer(page).fill('');

  // Profiles and dialogs.
  for (const { name } of members.slice(12, 16)) {
    await side.getByRole('button').filter({ has: page.getByText(name, { exact: true }) }).first().click();
    await dialog().getByRole('heading', { name, exact: true }).waitFor();
    await clean(page, `profile of ${name}`);
    await close();
  }
  await page.getByRole('button', { name: 'Settings', exact: true }).click();
  await dialog().getByText(NAMES[1], { exact: true }).first().waitFor();
  await clean(page, 'settings');
  await close();
  await page.getByRole('button', { name: 'Manage server' }).click();
  await dialog().getByRole('tab', { name: 'Groups' }).click();
  const named = await dialog().locator('.name').allTextContents();
  for (const { name } of groups) assert.ok(named.includes(name), `group ${JSON.stringify(name)}`);
  await clean(page, 'groups');
  await dialog().getByRole('tab', { name: 'Bans' }).click();
  for (const text of TEXTS.slice(0, 12)) await dialog().getByText(text.slice(0, 200), { exact: true }).first().waitFor();
  await clean(page, 'bans');
  await dialog().getByRole('tab', { name: 'Server' }).click();
  await dialog().getByText(':__proto__:').waitFor();
  await clean(page, 'server');
  await dialog().getByRole('tab', { name: 'Record' }).click();
  await dialog().getByText(TEXTS[11].slice(0, 100)).first().waitFor();
  await clean(page, 'record');
  await close();
  await page.getByRole('button', { name: 'Settings of #texts' }).click();
  await dialog().getByText('What it comes to for each member').click();
  await dialog().getByRole('rowheader', { name: members[20].name, exact: true }).first().waitFor();
  await clean(page, "a channel's settings");
  await close();

  // The server's name, in the page, its title and the side.
  for (const name of NAMES.slice(0, 10)) {
    await owner.ask('set_name', { name });
    await page.getByRole('heading', { name, exact: true, level: 1 }).waitFor();
    await until('the title says it', async () => (await page.title()).includes(name.replace(/\s+/g, ' ')));
  }
  await clean(page, "the server's name");

  // To somebody who is not logged in, too.
  const stranger = await stage.page();
  await stranger.goto(server.url);
  await stranger.getByRole('heading', { name: NAMES[9], exact: true }).waitFor();
  await clean(stranger, 'the login');
});
