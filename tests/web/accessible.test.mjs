// axe-core in every view and dialog: light and dark, on a screen and at a telephone's size.

import assert from 'node:assert/strict';

import { axeSource, bits, composer, enter, openChannel, shot, story } from './harness.mjs';
import { disc } from './png.mjs';

const WIDE = { viewport: { width: 1280, height: 800 } };
const NARROW = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const look = async (page, where) => {
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const grave = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary.split('\n')[1] ?? ''}`).slice(0, 3).join(' | ')}`);
  assert.deepEqual(grave, [], where);
};

const seed = async (stage, server) => {
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  const channel = (await owner.channels())[0].uuid;
  for (const [index, [name, colour]] of [['Yellow', 0xffee00], ['Navy', 0x000066], ['Grey', 0x808080], ['White', 0xffffff], ['Black', 0]].entries()) {
    await owner.ask('create_group', { name, colour, permissions: bits({ manage_messages: 1 }), position: index + 1 });
  }
  const { data } = await owner.ask('list_groups');
  for (const group of data.slice(1)) {
    const member = await stage.member(server, `Of ${group.name}`);
    await owner.ask('update_user_groups', { user: member.uuid, groups: [group.uuid] });
    await member.send(channel, `In ${group.name}: @Olive, **bold**, *slanted*, ~~gone~~ and \`code\``);
  }
  const first = await ann.send(channel, 'Hello @Olive, see https://ok.example/ and ||a secret||');
  const reply = await owner.send(channel, '> quoted\n- one\n- two\n\n```\nblock\n```\nhttps://pictures.example/cat.png', { reply: first });
  await owner.ask('edit', { message: reply, new_content: '> quoted\n- one\n- two\n\n```\nblock\n```\n:kettle: https://pictures.example/cat.png' });
  await owner.ask('create_emoji', { name: 'kettle', data: disc(32, [120, 60, 20]).toString('base64') });
  await owner.ask('create_channel', { name: 'tea', permissions: { 'group:0': bits({ view_channel: 2 }), [`user:${ann.uuid}`]: bits({ view_channel: 1 }) } });
  await ann.send((await owner.channel('tea')).uuid, 'Unread');
  const banned = await stage.member(server, 'Banned');
  await owner.ask('ban', { user: banned.uuid, reason: 'spills the milk' });
  return owner;
};

for (const [size, options] of Object.entries({ wide: WIDE, narrow: NARROW })) {
  for (const colorScheme of ['light', 'dark']) {
    story(`no grave finding: ${size}, ${colorScheme}`, async (stage) => {
      const server = await stage.server();
      const owner = await seed(stage, server);
      const page = await stage.page({ ...options, colorScheme });
      const prepare = () => page.evaluate(axeSource());
      const dialog = () => page.getByRole('dialog').last();
      const close = () => dialog().getByRole('button', { name: 'Close' }).first().click();
      const inDialog = async (where) => {
        await dialog().waitFor();
        await look(page, where);
        await shot(page, `axe-${size}-${colorScheme}-${where}`);
      };
      const toChannels = async () => {
        const back = page.getByRole('button', { name: 'Show channels' });
        if (await back.isVisible()) await back.click();
      };

      await page.goto(server.url);
      await prepare();
      await page.getByRole('button', { name: 'I have an account' }).waitFor();
      await look(page, 'registering');
      await page.getByRole('button', { name: 'I have an account' }).click();
      await look(page, 'logging in');
      await shot(page, `axe-${size}-${colorScheme}-login`);

      await enter(page, owner);
      await prepare();
      await page.getByRole('navigation', { name: 'Channels' }).getByRole('button', { name: /^general/ }).waitFor();
      if (size === 'narrow') {
        await look(page, 'channels');
        await shot(page, `axe-${size}-${colorScheme}-channels`);
      }
      await openChannel(page, 'general');
      await page.getByText('block').first().waitFor();
      await look(page, 'messages');
      await shot(page, `axe-${size}-${colorScheme}-messages`);
      await composer(page).pressSequentially('@O');
      await page.getByRole('option').first().waitFor();
      await look(page, 'completion');
      await shot(page, `axe-${size}-${colorScheme}-completion`);
      await composer(page).press('Escape');
      await composer(page).fill('');

      if (size === 'narrow') {
        await page.getByRole('button', { name: 'Show members' }).click();
        await look(page, 'members');
        await shot(page, `axe-${size}-${colorScheme}-members`);
      }
      await page.getByRole('complementary', { name: 'Members' }).getByRole('button', { name: /Ann/ }).click();
      await dialog().getByText('Ban', { exact: true }).first().click();
      await inDialog('profile');
      await close();
      if (size === 'narrow') await page.getByRole('button', { name: 'Show members' }).click();
      await toChannels();
      await page.getByRole('button', { name: 'Settings', exact: true }).click();
      await dialog().getByText('Change password').first().click();
      await dialog().getByText('last used').first().waitFor();
      await inDialog('settings');
      await close();
      await page.getByRole('button', { name: 'Manage server' }).click();
      for (const tab of ['Groups', 'Bans', 'Server', 'Record']) {
        await dialog().getByRole('tab', { name: tab }).click();
        await page.waitForLoadState('networkidle');
        await inDialog(tab);
      }
      await dialog().getByRole('tab', { name: 'Groups' }).click();
      await dialog().getByRole('button', { name: 'Edit: Navy' }).click();
      await inDialog('group');
      await close();
      await close();
      await page.getByRole('button', { name: 'Settings of #tea' }).click();
      await dialog().getByText('What it comes to for each member').click();
      await inDialog('channel');
      await dialog().getByRole('button', { name: 'Delete', exact: true }).click();
      await inDialog('asking');
      await close();
      await close();
      await page.getByRole('button', { name: 'Add a server' }).click();
      await inDialog('add server');
      await close();
    });
  }
}
