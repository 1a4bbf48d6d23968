// Accounts and people: coming and going, sessions, profiles, and other servers at the side.

import assert from 'node:assert/strict';

import { enter, logIn, ready, register, shot, showForm, story, until } from './harness.mjs';
import { png } from './png.mjs';

const dialog = (page) => page.getByRole('dialog').last();
const members = (page) => page.getByRole('complementary', { name: 'Members' });
const servers = (page) => page.getByRole('navigation', { name: 'Servers' });

const openSettings = async (page) => {
  await page.getByRole('button', { name: 'Settings', exact: true }).click();
  return page.getByRole('dialog', { name: 'Settings' });
};

story('a newcomer registers, stays logged in over a reload, logs out and back in', async (stage) => {
  const server = await stage.server();
  const page = await stage.page();
  await register(page, server, 'Ann', 'open sesame');
  const kept = await page.evaluate(() => JSON.stringify(localStorage));
  assert.ok(!kept.includes('open sesame'), 'no password is kept');
  await page.reload();
  await ready(page);
  await members(page).getByText('Ann').waitFor();
  await shot(page, 'first-start');

  const settings = await openSettings(page);
  await settings.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('button', { name: /^(Create account|Log in)$/ }).waitFor();
  assert.ok(!(await page.evaluate(() => Object.keys(localStorage).some((key) => key.startsWith('aster.session')))));
  await page.reload();
  await page.getByRole('button', { name: /^(Create account|Log in)$/ }).waitFor();
  await shot(page, 'login');

  // Taken, wrong, right.
  await showForm(page, 'Create account');
  await page.getByLabel('Name').fill('Ann');
  await page.getByLabel('Password').fill('x');
  await page.getByRole('button', { name: 'Create account', exact: true }).click();
  await page.getByRole('alert').getByText('This name is taken. Is it yours? Then log in.').waitFor();
  await page.getByRole('button', { name: 'I have an account' }).click();
  await page.getByLabel('Name').fill('Ann');
  await page.getByLabel('Password').fill('open barley');
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await page.getByRole('alert').getByText('Wrong password').waitFor();
  await page.getByLabel('Password').fill('open sesame');
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await members(page).getByText('Ann').waitFor();
});

story('by invite: the code is asked for, and a link brings it along', async (stage) => {
  const server = await stage.server({ registration: 'invite' });
  const code = server.errand(['invite', '--uses', '2']).match(/\S{8,}/)[0];
  const page = await stage.page();
  await page.goto(server.url);
  await page.getByLabel('Name').fill('Ann');
  await page.getByLabel('Password').fill('Ann');
  await page.getByRole('button', { name: 'Create account', exact: true }).click();
  await page.getByRole('alert').getByText('By invite only').waitFor();
  await page.getByLabel('Invite code').fill(code);
  await page.getByRole('button', { name: 'Create account', exact: true }).click();
  await ready(page);
  const other = await stage.page();
  await other.goto(`${server.url}#invite=${code}`);
  assert.equal(await other.getByLabel('Invite code').inputValue(), code);
});

story('sessions are listed and ended; a new password ends the others', async (stage) => {
  const server = await stage.server();
  const one = await stage.page();
  const two = await stage.page();
  await register(one, server, 'Ann', 'open sesame');
  await two.goto(server.url);
  await logIn(two, 'Ann', 'open sesame');
  const settings = await openSettings(one);
  const others = settings.getByRole('button', { name: /^Log out there/ });
  await others.waitFor();
  await shot(one, 'settings');
  await others.click();
  await two.getByRole('alert').getByText('You were logged out here.').waitFor();
  await others.waitFor({ state: 'detached' });

  await logIn(two, 'Ann', 'open sesame');
  await settings.getByText('Change password').first().click();
  await settings.getByLabel('New password').fill('open barley');
  await settings.getByRole('button', { name: 'Change password' }).click();
  await two.getByRole('alert').getByText('You were logged out here.').waitFor();
  await shot(two, 'thrown-out');
  // It stays logged in itself, and the new one is good.
  await one.reload();
  await ready(one);
  await logIn(two, 'Ann', 'open barley');
});

story('a picture is cut to a square, a name is changed; others see both', async (stage) => {
  const server = await stage.server();
  const ann = await stage.member(server, 'Ann');
  const ben = await stage.member(server, 'Ben');
  const page = await stage.pageOf(ann);
  const benPage = await stage.pageOf(ben);
  const settings = await openSettings(page);
  // Noise is what a PNG packs worst: it must still come below the bound.
  let seed = 1;
  const noise = () => { seed = (seed * 48271) % 2147483647; return seed & 255; };
  const photo = png(640, 400, (x) => (x >= 120 && x < 520 ? [noise(), 40, 40] : [40, noise(), noise()]));
  const chooser = page.waitForEvent('filechooser');
  await settings.getByRole('button', { name: 'Change picture' }).click();
  await (await chooser).setFiles({ name: 'photo.png', mimeType: 'image/png', buffer: photo });
  await page.getByText('Saved.').waitFor();
  const { data: { pfp } } = await ben.ask('get_user', { uuid: ann.uuid });
  assert.ok(pfp.length <= 40 * 1024, `${pfp.length} bytes of base64`);
  const bytes = Buffer.from(pfp, 'base64');
  assert.equal(bytes.readUInt32BE(16), bytes.readUInt32BE(20), 'square');
  assert.ok(bytes.readUInt32BE(16) >= 64);
  await until('it is kept for other servers', async () => (await ann.ask('sync_get')).pfp === pfp);
  // What the others see is red: the middle of it.
  const red = () => members(benPage).getByRole('listitem').filter({ hasText: 'Ann' }).locator('img').evaluate(async (image) => {
    await image.decode();
    const canvas2d = new OffscreenCanvas(1, 1).getContext('2d');
    canvas2d.drawImage(image, 0, 0, 4, 4, 0, 0, 1, 1);
    const [r, g, b] = canvas2d.getImageData(0, 0, 1, 1).data;
    return r > 2 * g && r > 2 * b;
  });
  await until('it is red', red);

  const notAPicture = page.waitForEvent('filechooser');
  await settings.getByRole('button', { name: 'Change picture' }).click();
  await (await notAPicture).setFiles({ name: 'x.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
  await page.getByText('This file is no picture that the browser can read.').waitFor();

  const name = settings.getByLabel('Name', { exact: true });
  await name.fill('Ben');
  await settings.getByRole('button', { name: 'Save', exact: true }).first().click();
  await settings.getByRole('alert').getByText('This name is taken.').first().waitFor();
  await name.fill('Anna');
  await settings.getByRole('button', { name: 'Save', exact: true }).first().click();
  await members(benPage).getByText('Anna').waitFor();
  await until('it is kept for other servers', async () => (await ann.ask('sync_get')).uname === 'Anna');
});

story('members are found by group, and put into one from their profile', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  await stage.member(server, 'Long Name With Spaces');
  const page = await stage.pageOf(owner);
  await ann.leave();
  const list = members(page);
  await list.getByRole('heading', { name: 'Offline (1)' }).waitFor();
  await owner.ask('create_group', { name: 'Guests', colour: 0x336699, permissions: [0, 0, 0], position: 1 });
  await list.getByRole('button', { name: /Long Name/ }).click();
  await dialog(page).getByRole('checkbox', { name: /Guests/ }).check();
  await shot(page, 'profile');
  await list.getByRole('heading', { name: 'Guests (1)' }).waitFor();
  await dialog(page).getByRole('checkbox', { name: /Guests/ }).uncheck();
  await list.getByRole('heading', { name: 'Guests (1)' }).waitFor({ state: 'detached' });
});

story('another server at the side: added, its unread shown, there after a reload and elsewhere', async (stage) => {
  const server = await stage.server();
  const away = await stage.server({ name: 'Far Away' });
  const zoe = await stage.member(away, 'Zoe');
  const general = (await zoe.channels())[0].uuid;
  await zoe.send(general, 'Is somebody there?');
  const page = await stage.page();
  await register(page, server, 'Ann');
  stage.allow('127.0.0.1:1'); // where nobody is
  await servers(page).getByRole('button', { name: 'Add a server' }).click();
  const add = dialog(page);
  await add.getByLabel('Address').fill('127.0.0.1:1');
  await add.getByRole('button', { name: 'Connect' }).click();
  await add.getByText('127.0.0.1:1 cannot be reached.').waitFor();
  await add.getByLabel('Address').fill(`https://${away.address}/`);
  await add.getByRole('button', { name: 'Connect' }).click();
  await add.getByText('Far Away').waitFor();
  await shot(page, 'add-server');
  assert.equal(await add.getByLabel('Name').inputValue(), 'Ann');
  await add.getByLabel('Password').fill('elsewhere');
  await add.getByRole('button', { name: 'Create account', exact: true }).click();
  await page.getByRole('heading', { name: 'Far Away', level: 1 }).waitFor();
  await page.getByText('Is somebody there?').waitFor();
  await servers(page).getByRole('button', { name: /The Kettle/ }).click();
  await page.getByRole('heading', { name: 'The Kettle', level: 1 }).waitFor();
  await zoe.send(general, 'Hello @Ann, and hello again');
  await servers(page).getByRole('button', { name: /Far Away.*1 mention of you/ }).waitFor();
  await shot(page, 'two-servers');
  await page.reload();
  await servers(page).getByRole('button', { name: /Far Away.*1 mention of you/ }).waitFor();

  // Another browser knows the list, and asks for the login there.
  const other = await stage.page();
  await other.goto(server.url);
  await logIn(other, 'Ann');
  await servers(other).getByRole('button', { name: /Far Away.*needs a login/ }).click();
  await logIn(other, 'Ann', 'elsewhere');
  await other.getByRole('heading', { name: 'Far Away', level: 1 }).waitFor();
  await other.getByText('Is somebody there?').waitFor();

  // Removed here, gone there at the next start.
  await servers(other).getByRole('button', { name: 'Remove server: Far Away' }).click();
  await dialog(other).getByRole('button', { name: 'Remove', exact: true }).click();
  await servers(other).getByRole('button', { name: 'Far Away', exact: true }).waitFor({ state: 'detached' });
  await page.reload();
  await ready(page);
  await servers(page).getByRole('button', { name: 'Far Away', exact: true }).waitFor({ state: 'detached' });
});

story('the theme is chosen and lasts, the language is the browser\'s', async (stage) => {
  const server = await stage.server();
  const ann = await stage.member(server, 'Ann');
  const page = await stage.pageOf(ann);
  const settings = await openSettings(page);
  await settings.getByLabel('Theme').selectOption('Dark');
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(await background(), 'rgb(27, 29, 34)');
  await page.reload();
  await ready(page);
  assert.equal(await background(), 'rgb(27, 29, 34)');
  await shot(page, 'dark');
  const german = await stage.page({ locale: 'de-AT' });
  await enter(german, ann);
  await german.getByRole('navigation', { name: 'Kanäle' }).waitFor();
  assert.equal(await german.evaluate(() => document.documentElement.lang), 'de');
});
