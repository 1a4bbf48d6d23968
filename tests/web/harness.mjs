// What the stories stand on: a real server, the protocol spoken plainly, and browsers that are watched.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import tls from 'node:tls';

import { chromium } from 'playwright-core';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const BINARY = path.resolve(process.env.ASTER_SERVER ?? path.join(ROOT, 'target/release/aster-server'));
/** Screenshots, and the logs of what failed. */
export const OUT = path.resolve(process.env.ASTER_WEB_OUT ?? path.join(ROOT, 'target/web'));
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** For working on the client: its files from this folder, not those in the binary. */
const ASSETS = process.env.ASTER_ASSETS;
export const DEADLINE_MS = 15_000;
const STORY_MS_MAX = 120_000;

mkdirSync(OUT, { recursive: true });

/** Every permission allowed, and none set, as on the wire. */
export const EVERYTHING = [0x55, 0x55, 0x05];
export const bits = (settings) => {
  const names = ['modify_channels', 'modify_icon_name', 'modify_groups', 'modify_user_groups', 'ban_users',
    'send_messages', 'read_messages', 'manage_messages', 'join_voice', 'view_channel'];
  const bytes = [0, 0, 0];
  for (const [name, value] of Object.entries(settings)) {
    const index = names.indexOf(name);
    bytes[index >> 2] |= value << ((index & 3) * 2);
  }
  return bytes;
};
export const ALLOW = 1;
export const DENY = 2;

/** Waits for a condition, which may be async, and gives what it gave. */
export const until = async (what, condition, deadline = DEADLINE_MS) => {
  const end = Date.now() + deadline;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
};

/** The built program in a folder of its own, on a free port of loopback. */
export class Server {
  log = '';

  static async start(config = {}) {
    const server = new Server();
    server.folder = mkdtempSync(path.join(tmpdir(), 'aster-web-'));
    server.config = { addr: '127.0.0.1', port: 0, name: 'The Kettle', ...config };
    await server.run();
    return server;
  }

  /** Once started it keeps its port, so that clients find it again. */
  async run() {
    writeFileSync(path.join(this.folder, 'config.json'), JSON.stringify(this.config));
    const from = this.log.length;
    this.child = spawn(BINARY, ASSETS ? ['--assets', path.resolve(ASSETS)] : [], { cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr.setEncoding('utf8').on('data', (text) => { this.log += text; });
    const ended = () => { if (this.child.exitCode !== null) throw new Error(`no server:\n${this.log}`); };
    const [, port] = await until('the server listens', () => {
      ended();
      return this.log.slice(from).match(/listening on \S+:(\d+)/);
    });
    this.config.port = this.port = Number(port);
  }

  get address() {
    return `127.0.0.1:${this.port}`;
  }

  get url() {
    return `https://${this.address}/`;
  }

  async end(signal = 'SIGTERM') {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  async stop() {
    await this.end('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** An errand of the command line, which must succeed. */
  errand(args, input = '') {
    const { status, stdout, stderr } = spawnSync(BINARY, args, { cwd: this.folder, input, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  }

  /** Makes an owner, with the name as password. */
  async owner(name) {
    this.errand(['owner', name], `${name}\n`);
    const client = await this.client();
    client.uuid = (await client.ask('login', { uname: name, passwd: name })).uuid;
    client.name = name;
    return client;
  }

  client() {
    return Client.connect(this);
  }

  /** A new member, logged in by the plain protocol, whose password is their name. */
  async member(name) {
    const client = await this.client();
    client.uuid = (await client.ask('register', { uname: name, passwd: name })).uuid;
    client.name = name;
    return client;
  }
}

/** JSON lines over TLS: the protocol, and nothing of the web client's. */
export class Client {
  #waiting = new Map();
  #labels = 0;
  #rest = '';
  events = [];
  isOpen = true;

  static async connect(server) {
    const client = new Client();
    client.server = server;
    client.socket = tls.connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false });
    client.socket.setEncoding('utf8').setNoDelay();
    client.socket.on('data', (text) => client.#read(text));
    client.socket.on('error', () => {});
    client.socket.on('close', () => client.#closed());
    await once(client.socket, 'secureConnect');
    client.socket.write('{"command":"ping"}\n'); // the first byte says which framing it is
    return client;
  }

  #read(text) {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop();
    for (const line of lines) {
      const packet = JSON.parse(line);
      const asked = this.#waiting.get(packet.label);
      this.#waiting.delete(packet.label);
      if (asked) asked(packet);
      else this.events.push(packet);
    }
  }

  #closed() {
    this.isOpen = false;
    for (const answer of this.#waiting.values()) answer({ status: 0 });
  }

  /** The response, whatever its status. */
  try(command, fields = {}) {
    return new Promise((resolve) => {
      const label = String(++this.#labels);
      this.#waiting.set(label, resolve);
      this.socket.write(`${JSON.stringify({ command, ...fields, label })}\n`);
    });
  }

  async ask(command, fields = {}) {
    const response = await this.try(command, fields);
    if (response.status !== 200) throw new Error(`${command} ${JSON.stringify(fields).slice(0, 300)}: ${response.status}`);
    return response;
  }

  async send(channel, content, more = {}) {
    return (await this.ask('send', { channel, content, ...more })).message;
  }

  async channels() {
    return (await this.ask('list_channels')).data;
  }

  async channel(name) {
    return (await this.channels()).find((channel) => channel.name === name);
  }

  /** All of a channel's messages, the oldest first. */
  async history(channel) {
    const all = [];
    for (let page; !page || page.length === 500; all.unshift(...page)) {
      page = (await this.ask('history', { channel, num: 500, before_message: all[0]?.uuid ?? null })).data;
    }
    return all;
  }

  /** Waits for an event, also one that has come already. */
  event(command, matches = () => true) {
    return until(`event ${command}`, () => this.events.find((event) => event.command === command && matches(event)));
  }

  async leave() {
    this.socket.destroy();
  }
}

/** Many messages fast: each writer sends its share without waiting for answers. */
export const fill = async (writers, channel, count, text) => {
  await Promise.all(writers.map(async (writer, place) => {
    const sent = [];
    for (let n = place; n < count; n += writers.length) sent.push(writer.ask('send', { channel, content: text(n) }));
    await Promise.all(sent);
  }));
};

// Browsers

let browser = null;

export const openBrowser = async () => {
  browser ??= chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--ignore-certificate-errors', '--disable-dev-shm-usage', '--font-render-hinting=none', ...(process.env.CHROMIUM_ARGS?.split(' ') ?? [])],
  });
  return browser;
};

after(async () => (await browser)?.close());

/** Runs in the page before anything else: what breaks the policy becomes an error of the console. */
const tellViolations = () => {
  document.addEventListener('securitypolicyviolation', (event) =>
    console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`));
};

/** A server that is away is part of some stories; the browser makes errors of it. */
const EXPECTED = [/^WebSocket connection to 'wss:\/\/[\d.:[\]a-z-]+\/' failed/, /net::ERR_CONNECTION_REFUSED/];

/** One story's server, clients and pages, and what must not happen on any of them. */
class Stage {
  #contexts = [];
  #servers = [];
  #clients = [];
  #hosts = new Set();
  pages = [];
  faults = [];

  constructor(name) {
    this.name = name;
  }

  async server(config) {
    const server = await Server.start(config);
    this.#servers.push(server);
    this.#hosts.add(server.address);
    return server;
  }

  async member(server, name) {
    const client = await server.member(name);
    this.#clients.push(client);
    return client;
  }

  async owner(server, name = 'Olive') {
    const client = await server.owner(name);
    this.#clients.push(client);
    return client;
  }

  /** From now on this host may be asked. */
  allow(host) {
    this.#hosts.add(host);
  }

  async context(options = {}) {
    const context = await (await openBrowser()).newContext({
      ignoreHTTPSErrors: true, locale: 'en-GB', timezoneId: 'Europe/London', viewport: { width: 1280, height: 800 }, ...options,
    });
    context.setDefaultTimeout(DEADLINE_MS);
    await context.addInitScript(tellViolations);
    context.on('page', (page) => this.#watch(page));
    this.#contexts.push(context);
    return context;
  }

  /** A page in a browser of its own, unless `context` is one's. */
  async page(options = {}, context) {
    return (context ?? await this.context(options)).newPage();
  }

  /** A page where this client's member is logged in already, by a session. */
  async pageOf(client, options = {}, context) {
    const page = await this.page(options, context);
    await enter(page, client);
    return page;
  }

  #watch(page) {
    this.pages.push(page);
    const fault = (text) => this.faults.push(text);
    page.on('console', (message) => {
      if (message.type() === 'error' && !EXPECTED.some((pattern) => pattern.test(message.text()))) fault(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => fault(`page: ${error.stack}`));
    page.on('dialog', (dialog) => {
      fault(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    const look = (url) => {
      const { protocol, host } = new URL(url);
      if (!['data:', 'blob:'].includes(protocol) && !this.#hosts.has(host)) fault(`request to ${url}`);
    };
    page.on('request', (request) => look(request.url()));
    page.on('websocket', (socket) => look(socket.url()));
  }

  async failed(error) {
    const base = path.join(OUT, `failed-${this.name.replace(/\W+/g, '-')}`);
    for (const [index, page] of this.pages.entries()) {
      if (!page.isClosed()) await page.screenshot({ path: `${base}-${index}.png`, timeout: 5000 }).catch(() => {});
    }
    writeFileSync(`${base}.log`, `${error.stack}\n\n${this.faults.join('\n')}\n\n${this.#servers.map(({ log }) => log).join('\n\n')}`);
  }

  async close() {
    await Promise.all(this.#contexts.map((context) => context.close().catch(() => {})));
    for (const client of this.#clients) client.leave();
    await Promise.all(this.#servers.map((server) => server.stop()));
  }
}

/** A test with a stage. It fails on anything that went wrong on a page, too. */
export const story = (name, tell, options = {}) => test(name, { timeout: STORY_MS_MAX, ...options }, async (t) => {
  const stage = new Stage(name);
  try {
    await tell(stage, t);
    if (stage.faults.length) throw new Error(`on the pages:\n${stage.faults.join('\n')}`);
  } catch (error) {
    await stage.failed(error);
    if (stage.faults.length) error.message += `\n(on the pages: ${stage.faults.join('\n')})`;
    throw error;
  } finally {
    await stage.close();
  }
});

// What people do

/** Opens the page as a member who is logged in by a session that this makes. */
export const enter = async (page, client) => {
  const { server, uuid } = client;
  const { session, token } = await client.ask('create_session', { name: 'Test' });
  const empty = `${server.url}empty`;
  await page.route(empty, (route) => route.fulfill({ contentType: 'text/html', body: '<link rel="icon" href="data:,">' }));
  await page.goto(empty);
  await page.evaluate(([address, kept]) => localStorage.setItem(`aster.session.${address}`, kept),
    [server.address, JSON.stringify({ session, token, uuid, home: null })]);
  await page.goto(server.url);
  await ready(page);
};

export const ready = (page) => page.locator('.shell nav').first().waitFor({ state: 'attached' });

/** Which of the two forms comes first depends on what is known of who comes. */
export const showForm = async (page, wanted) => {
  const submit = page.getByRole('button', { name: wanted, exact: true });
  const other = page.getByRole('button', { name: wanted === 'Log in' ? 'I have an account' : 'New here? Create an account' });
  await submit.or(other).first().waitFor();
  if (!await submit.isVisible()) await other.click();
  return submit;
};

/** As a newcomer does it. */
export const register = async (page, server, name, password = name) => {
  await page.goto(server.url);
  const submit = await showForm(page, 'Create account');
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await submit.click();
  await ready(page);
};

export const logIn = async (page, name, password = name) => {
  const submit = await showForm(page, 'Log in');
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await submit.click();
  await submit.waitFor({ state: 'detached' });
  await ready(page);
};

export const composer = (page) => page.getByRole('combobox', { name: /^Message/ }).or(page.getByRole('textbox', { name: /^Message/ }));

export const say = async (page, text) => {
  await composer(page).fill(text);
  await composer(page).press('Enter');
};

/** And waits until the server has it. `shown`: what of it is to be seen. */
export const said = async (page, text, shown = text) => {
  await say(page, text);
  await delivered(page, shown);
};

export const delivered = (page, text) => until(`${text} is delivered`, async () =>
  !/\b(sending|waiting|sent|refused)\b/.test(await row(page, text).getAttribute('class')));

/** The messages that are in the page, the oldest first. */
export const rows = (page) => page.getByRole('main').locator('.messages ol > li[data-uuid]');

/** The last row that shows this text. */
export const row = (page, text) => rows(page).filter({ hasText: text }).last();

export const openChannel = async (page, name) => {
  await page.getByRole('navigation', { name: 'Channels' }).getByRole('button', { name: new RegExp(`^${name}`) }).first().click();
  await page.getByRole('main').getByRole('heading', { name, exact: true }).waitFor();
};

export const shot = (page, name) => page.screenshot({ path: path.join(OUT, `${name}.png`) });

/** The source of axe-core, to be evaluated in a page. */
export const axeSource = () => readFileSync(path.join(ROOT, 'tests/web/node_modules/axe-core/axe.min.js'), 'utf8');
