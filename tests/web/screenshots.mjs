// The README's pictures: a small community, as it might look after an evening.
// node screenshots.mjs FOLDER

import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';

import { bits, composer, enter, openBrowser, openChannel, row, Server } from './harness.mjs';
import { disc, png } from './png.mjs';

const BYTES_MAX = 150 * 1024;
const folder = path.resolve(process.argv[2] ?? 'assets/screenshots');
const base64 = (bytes) => bytes.toString('base64');

const NAMES = ['Olive', 'Marek', 'Ines', 'Tomasz', 'Wren', 'Yusuf', 'Edda', 'Noor'];
const COLOURS = [[60, 110, 80], [170, 70, 50], [70, 80, 160], [150, 110, 40], [40, 120, 140], [120, 60, 130], [90, 90, 100], [170, 60, 100]];

/** A kettle, more or less. */
const kettle = png(48, 48, (x, y) => {
  const body = Math.hypot(x - 22, (y - 29) * 1.15) < 15;
  const spout = x > 32 && x < 44 && Math.abs(y - 40 + (x - 30) * 1.4) < 4;
  const handle = Math.abs(Math.hypot(x - 22, y - 15) - 9) < 2 && y < 16;
  return body || spout || handle ? [214, 120, 60] : [255, 250, 240];
});

const TALK = [
  ['Marek', 'Has anybody tried the new relay on a **Raspberry Pi**? Mine runs it beside the weather station.'],
  ['Ines', 'Since Tuesday. 14 MiB of memory, and I have not touched it.'],
  ['Ines', 'One line, as promised:\n```\naster-server --config /srv/aster/config.json\n```'],
  ['Tomasz', '> One line, as promised\nAnd the certificate?'],
  ['Wren', 'It makes one itself. For the public server I put these in:\n- `certificate_chain`\n- `private_key`', 3],
  ['Olive', '@Marek could you write that down for the newcomers? :kettle: is on me.'],
  ['Marek', 'Tonight. There will be ||cake|| as well.', 5],
  ['Noor', 'Then I shall be there *early*.'],
];

const seed = async (server) => {
  const owner = await server.owner('Olive');
  const members = { Olive: owner };
  for (const name of NAMES.slice(1)) members[name] = await server.member(name);
  for (const [index, name] of NAMES.entries()) await members[name].ask('pfp', { data: base64(disc(96, COLOURS[index])) });
  await owner.ask('set_icon', { data: base64(kettle) });
  await owner.ask('create_emoji', { name: 'kettle', data: base64(kettle) });
  await owner.ask('create_group', { name: 'Keepers', colour: 0x2f8f83, permissions: bits({ ban_users: 1, manage_messages: 1, modify_channels: 1 }), position: 1 });
  await owner.ask('create_group', { name: 'Gardeners', colour: 0x7a9a2e, permissions: bits({}), position: 2 });
  const groups = Object.fromEntries((await owner.ask('list_groups')).data.map(({ name, uuid }) => [name, uuid]));
  for (const name of ['Marek', 'Ines']) await owner.ask('update_user_groups', { user: members[name].uuid, groups: [groups.Keepers] });
  for (const name of ['Wren', 'Noor']) await owner.ask('update_user_groups', { user: members[name].uuid, groups: [groups.Gardeners] });
  for (const name of ['garden', 'recipes', 'servers']) await owner.ask('create_channel', { name });
  await owner.ask('create_channel', {
    name: 'keepers', permissions: { 'group:0': bits({ view_channel: 2 }), [`group:${groups.Keepers}`]: bits({ view_channel: 1 }) },
  });
  const channels = Object.fromEntries((await owner.channels()).map(({ name, uuid }) => [name, uuid]));
  for (const [name, channel] of Object.entries(channels)) if (name !== 'general') await owner.ask('mark_as_read', { message: await owner.send(channel, `This is ${name}.`) });
  const sent = [];
  for (const [name, content, reply] of TALK) sent.push(await members[name].send(channels.general, content, { reply: sent[reply] ?? null }));
  await owner.ask('mark_as_read', { message: sent.at(-1) });
  await members.Wren.send(channels.garden, 'The tomatoes are in.');
  await members.Noor.send(channels.garden, 'So are the slugs.');
  await members.Ines.send(channels.recipes, '@Olive the one with pears, please');
  for (const name of ['Edda', 'Yusuf']) await members[name].leave();
  return owner;
};

const server = await Server.start({ name: 'Kettle & Garden' });
try {
  const owner = await seed(server);
  mkdirSync(folder, { recursive: true });
  const open = async (options) => {
    const context = await (await openBrowser()).newContext({ ignoreHTTPSErrors: true, locale: 'en-GB', viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    await enter(page, owner);
    await openChannel(page, 'general');
    await row(page, 'Then I shall be there').waitFor();
    await page.waitForLoadState('networkidle');
    await page.mouse.move(0, 799); // nothing is pointed at
    return page;
  };
  const take = async (page, name) => {
    const file = path.join(folder, `${name}.png`);
    // Pictures that are still being decoded would be holes.
    await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => {}))));
    await page.screenshot({ path: file });
    const { size } = statSync(file);
    if (size > BYTES_MAX) throw new Error(`${name}.png has ${size} bytes`);
    console.log(`${file}: ${size} bytes`);
  };
  await take(await open({ colorScheme: 'light' }), 'light');
  const dark = await open({ colorScheme: 'dark' });
  await composer(dark).pressSequentially('Cake it is, @');
  await dark.getByRole('option').first().waitFor();
  await take(dark, 'dark');
  await take(await open({ colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }), 'telephone');
  const rights = await open({ colorScheme: 'light' });
  await rights.getByRole('button', { name: 'Settings of #keepers' }).click();
  const dialog = rights.getByRole('dialog');
  await dialog.getByText('What it comes to for each member').click();
  await dialog.getByRole('rowheader', { name: 'Ines' }).waitFor();
  await dialog.locator('.scroll').first().evaluate((box) => { box.scrollTop = 0; });
  await take(rights, 'permissions');
} finally {
  (await openBrowser()).close();
  await server.stop();
}
