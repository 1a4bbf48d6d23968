// Those with the rights: channels and who sees them, groups, bans, the record, the server's face.

import assert from 'node:assert/strict';

import { ALLOW, bits, DENY, openChannel, shot, story, until } from './harness.mjs';
import { disc } from './png.mjs';

const nav = (page) => page.getByRole('navigation', { name: 'Channels' });
const dialog = (page) => page.getByRole('dialog').last();
const file = (name, bytes) => ({ name, mimeType: 'image/png', buffer: bytes });
const choose = (table, permission, who, choice) =>
  table.getByLabel(`${permission}: ${who}`, { exact: true }).selectOption({ label: choice });

const manage = async (page, tab) => {
  await page.getByRole('button', { name: 'Manage server' }).click();
  await dialog(page).getByRole('tab', { name: tab }).click();
  return dialog(page);
};

story('the owner makes a private channel, and only who is let in sees it', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  await stage.member(server, 'Ben');
  const page = await stage.pageOf(owner);
  const annPage = await stage.pageOf(ann);
  await page.getByRole('button', { name: 'New channel' }).click();
  await dialog(page).getByLabel('Name', { exact: true }).fill('back room');
  await dialog(page).getByLabel('Private: only for those allowed below').check();
  await dialog(page).getByLabel('Search').fill('ann');
  await choose(dialog(page), 'See channels', 'Ann', 'Allow');
  await dialog(page).getByLabel('Search').fill('');
  await dialog(page).getByText('What it comes to for each member').waitFor();
  const comesTo = (permission, who) => dialog(page).getByLabel(`${permission}: ${who}`, { exact: true }).locator('option:checked').textContent();
  await shot(page, 'private-channel');
  assert.equal(await comesTo('See channels', 'Ann'), 'Allow ✓');
  assert.equal(await comesTo('Write', 'Ann'), 'Inherit ✓');
  assert.equal(await comesTo('See channels', 'Ben'), 'Inherit ✕');
  assert.equal(await comesTo('Write', 'Ben'), 'Inherit ✕');
  assert.equal(await comesTo('See channels', 'Olive'), 'Inherit ✓');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await nav(page).getByRole('button', { name: /^back room/ }).waitFor();
  await nav(annPage).getByRole('button', { name: /^back room/ }).waitFor();

  const { uuid, permissions } = await owner.channel('back room');
  assert.deepEqual(permissions['group:0'], bits({ view_channel: DENY }));
  assert.deepEqual(permissions[`user:${ann.uuid}`], bits({ view_channel: ALLOW }));
  const ben = await server.client();
  await ben.ask('login', { uname: 'Ben', passwd: 'Ben' });
  assert.equal((await ben.channel('back room')), undefined);
  assert.equal((await ben.try('history', { channel: uuid, num: 1 })).status, 404);
  await openChannel(annPage, 'back room');

  // Taken away while it is in view.
  await owner.ask('update_channel', { uuid, permissions: { 'group:0': bits({ view_channel: DENY }) } });
  await nav(annPage).getByRole('button', { name: /^back room/ }).waitFor({ state: 'detached' });
  await annPage.getByRole('main').getByRole('heading', { name: 'general', exact: true }).waitFor();
});

story('channels are renamed, moved and deleted', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  await owner.ask('create_channel', { name: 'tea' });
  const page = await stage.pageOf(owner);
  const settings = async (name) => {
    await nav(page).getByRole('button', { name: `Settings of #${name}` }).click();
    return dialog(page);
  };
  const tea = await settings('tea');
  await tea.getByLabel('Name', { exact: true }).fill('coffee');
  await tea.getByRole('button', { name: 'Move up' }).click();
  await until('it moved', async () => (await owner.channels())[0].name === 'tea');
  await tea.getByRole('button', { name: 'Save' }).click();
  await nav(page).getByRole('button', { name: /^coffee/ }).waitFor();
  assert.deepEqual((await owner.channels()).map(({ name }) => name), ['coffee', 'general']);

  // Somebody renames it while the dialog is open: what stands follows, and is not sent back.
  const coffee = await settings('coffee');
  await owner.ask('update_channel', { uuid: (await owner.channel('coffee')).uuid, name: 'cocoa' });
  await until('the dialog follows', async () => await coffee.getByLabel('Name', { exact: true }).inputValue() === 'cocoa');
  await coffee.getByRole('button', { name: 'Delete', exact: true }).click();
  await dialog(page).getByRole('button', { name: 'Delete', exact: true }).click();
  await nav(page).getByRole('button', { name: /^cocoa/ }).waitFor({ state: 'detached' });
  const general = await settings('general');
  await general.getByRole('button', { name: 'Delete', exact: true }).click();
  await dialog(page).getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByText('The last channel cannot be deleted.').waitFor();
});

story('groups and what they allow, live on both sides', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  const page = await stage.pageOf(owner);
  const annPage = await stage.pageOf(ann);
  const groups = await manage(page, 'Groups');
  await groups.getByRole('button', { name: 'New group' }).click();
  await dialog(page).getByLabel('Name', { exact: true }).fill('Stewards');
  await dialog(page).getByLabel('Colour').fill('#aa3366');
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await groups.getByText('Stewards').first().waitFor();
  await choose(groups, 'Change channels', 'Stewards', 'Allow');
  await choose(groups, 'Ban', 'Stewards', 'Allow');
  await shot(page, 'groups');
  await groups.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.').waitFor();
  const { data } = await owner.ask('list_groups');
  const stewards = data.find(({ name }) => name === 'Stewards');
  assert.deepEqual(stewards.permissions, bits({ modify_channels: ALLOW, ban_users: ALLOW }));
  assert.equal(stewards.colour, 0xaa3366);

  await owner.ask('update_user_groups', { user: ann.uuid, groups: [stewards.uuid] });
  await annPage.getByRole('button', { name: 'New channel' }).waitFor();
  await annPage.getByRole('complementary', { name: 'Members' }).getByText('Stewards').waitFor();
  // Ann is offered what she may do, and no more.
  await annPage.getByRole('button', { name: 'Manage server' }).click();
  const hers = dialog(annPage);
  assert.deepEqual(await hers.getByRole('tab').allTextContents(), ['Bans', 'Record']);
  await owner.ask('update_group', { uuid: stewards.uuid, permissions: bits({}) });
  await hers.waitFor({ state: 'detached' });
  await annPage.getByRole('button', { name: 'New channel' }).waitFor({ state: 'hidden' });

  // The base, for everybody: no event tells of it, a refusal does.
  await choose(groups, 'Write', 'Everybody', 'Deny');
  await groups.getByRole('button', { name: 'Save' }).click();
  await until('the base is changed', async () => (await ann.try('get_permissions')).permissions?.[1] === bits({ send_messages: DENY, read_messages: ALLOW, manage_messages: DENY, ban_users: DENY })[1]);
});

story('overrides of a channel keep what others change meanwhile', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  const ben = await stage.member(server, 'Ben');
  const { uuid } = await owner.channel('general');
  const page = await stage.pageOf(owner);
  await nav(page).getByRole('button', { name: 'Settings of #general' }).click();
  await choose(dialog(page), 'Write', 'Ann', 'Deny');
  await owner.ask('update_channel', { uuid, permissions: { [`user:${ben.uuid}`]: bits({ send_messages: DENY }) } });
  await until('the table follows', async () => await dialog(page).getByLabel('Write: Ben', { exact: true }).inputValue() === String(DENY));
  assert.equal(await dialog(page).getByLabel('Write: Ann', { exact: true }).inputValue(), String(DENY));
  await dialog(page).getByRole('button', { name: 'Save' }).click();
  await until('both are there', async () => {
    const { permissions } = await owner.channel('general');
    return Object.keys(permissions).length === 2
      && String(permissions[`user:${ann.uuid}`]) === String(bits({ send_messages: DENY }))
      && String(permissions[`user:${ben.uuid}`]) === String(bits({ send_messages: DENY }));
  });
});

story('banned in view, and let in again; the record says who did it', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  const page = await stage.pageOf(owner);
  const annPage = await stage.pageOf(ann);
  await page.getByRole('complementary', { name: 'Members' }).getByRole('button', { name: /Ann/ }).click();
  const profile = dialog(page);
  await profile.getByText('Ban', { exact: true }).first().click();
  await profile.getByLabel('Reason').fill('spills the milk');
  await profile.getByLabel('Until').fill('2199-12-31T12:00');
  await profile.getByRole('button', { name: 'Ban', exact: true }).click();
  await page.getByText('Saved.').waitFor();
  await shot(page, 'profile-banned');
  await profile.getByRole('button', { name: 'Close' }).click();
  const bans = await manage(page, 'Bans');
  await bans.getByRole('listitem').filter({ hasText: 'spills the milk' }).getByText(/until: .*2199/).waitFor();
  await shot(page, 'bans');
  // Out, and told so where she was.
  await annPage.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  await annPage.getByLabel('Name').fill('Ann');
  await annPage.getByLabel('Password').fill('Ann');
  await annPage.getByRole('button', { name: 'Log in', exact: true }).click();
  await annPage.getByText('Wrong password, or you are banned here.').waitFor();
  await bans.getByRole('button', { name: /^Let in again: Ann/ }).click();
  await bans.getByText('Nobody is banned.').waitFor();
  await annPage.getByRole('button', { name: 'Log in', exact: true }).click();
  await nav(annPage).waitFor();

  await bans.getByRole('button', { name: 'Close' }).click();
  const record = await manage(page, 'Record');
  await record.getByRole('listitem').filter({ hasText: 'Olive ban Ann' }).getByText('spills the milk').waitFor();
  await record.getByRole('listitem').filter({ hasText: 'Olive unban Ann' }).waitFor();
  await shot(page, 'record');
});

story('the name, the icon and emoji of the server', async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const ann = await stage.member(server, 'Ann');
  const page = await stage.pageOf(owner);
  const annPage = await stage.pageOf(ann);
  const panel = await manage(page, 'Server');
  await panel.getByLabel('Name', { exact: true }).first().fill('Tea House');
  await panel.getByRole('button', { name: 'Save' }).first().click();
  await annPage.getByRole('heading', { name: 'Tea House' }).waitFor();
  await panel.getByLabel('Picture').first().setInputFiles(file('icon.png', disc(300, [20, 90, 60])));
  await panel.getByRole('button', { name: 'Save' }).nth(1).click();
  await page.getByText('Saved.').first().waitFor();
  await until('the icon is shown', () => annPage.getByRole('navigation', { name: 'Servers' }).locator('img').count());
  await panel.getByLabel('Name', { exact: true }).nth(1).fill('Kettle!');
  await panel.getByLabel('Picture').nth(1).setInputFiles(file('kettle.png', disc(64, [160, 60, 20])));
  await panel.getByRole('button', { name: 'Save' }).nth(2).click();
  await panel.getByText('The server did not take this').waitFor();
  await panel.getByLabel('Name', { exact: true }).nth(1).fill('kettle');
  await panel.getByRole('button', { name: 'Save' }).nth(2).click();
  await panel.getByText(':kettle:').waitFor();
  assert.deepEqual((await ann.ask('list_emoji')).data.map(([name]) => name), ['kettle']);
  await shot(page, 'server');
  await panel.getByRole('button', { name: 'Delete: kettle' }).click();
  await dialog(page).getByRole('button', { name: 'Delete', exact: true }).click();
  await panel.getByText(':kettle:').waitFor({ state: 'detached' });
});
