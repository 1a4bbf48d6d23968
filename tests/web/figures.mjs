// The figures of the README, printed. The bounds here are generous: a busy machine is no fault.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { fill, openBrowser, openChannel, row, story, until } from './harness.mjs';

const LEEWAY = 3;
const LEEWAY_OF_ONE = 10; // what happened once may be another process's doing
const MESSAGES = 10_000;

const figure = (what, value, unit, goal, leeway = LEEWAY) => {
  console.log(`figure: ${what}: ${value.toFixed(1)} ${unit} (goal: under ${goal} ${unit})`);
  assert.ok(value < goal * leeway, `${what}: ${value} ${unit}`);
};
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

story('first paint', async (stage) => {
  const server = await stage.server();
  const times = [];
  for (let n = 0; n < 7; n++) {
    const page = await stage.page(); // each with an empty cache
    await page.goto(server.url);
    const [document, paint] = await until('it is painted', () => page.evaluate(() => {
      const [navigation] = performance.getEntriesByType('navigation');
      const first = performance.getEntriesByName('first-contentful-paint')[0];
      return first && [navigation.responseEnd, first.startTime];
    }));
    times.push(paint - document);
    await page.close();
  }
  figure('first contentful paint after the document, median of 7, nothing cached', median(times), 'ms', 100, LEEWAY_OF_ONE);
});

/** The page's own process, as the kernel counts it, and the script's heap. */
const memory = async (page) => {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  await session.send('Performance.enable');
  const { metrics } = await session.send('Performance.getMetrics');
  const heap = metrics.find(({ name }) => name === 'JSHeapUsedSize').value / 2 ** 20;
  const root = await (await openBrowser()).newBrowserCDPSession();
  const { processInfo } = await root.send('SystemInfo.getProcessInfo');
  const pss = processInfo.filter(({ type }) => type === 'renderer')
    .map(({ id }) => { try { return Number(readFileSync(`/proc/${id}/smaps_rollup`, 'utf8').match(/Pss:\s+(\d+)/)[1]) / 1024; } catch { return 0; } });
  return { heap, pss: Math.max(...pss) };
};

/** Runs in the page: scrolls to the top as fast as it goes, a screen a frame, and measures the frames. */
const scrollThrough = async () => {
  const scroller = document.querySelector('.scroller');
  const isFirst = () => /beginning/.test(scroller.firstChild.textContent) && scroller.scrollTop === 0;
  const frames = [];
  let last = await new Promise(requestAnimationFrame);
  for (const begun = last; !isFirst() && last - begun < 90_000;) {
    scroller.scrollTop -= 600;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  frames.sort((a, b) => b - a);
  return { longest: frames[0], percentile: frames[Math.floor(frames.length / 100)], count: frames.length, done: isFirst() };
};

story(`${MESSAGES} messages`, async (stage) => {
  const server = await stage.server();
  const owner = await stage.owner(server);
  const others = [];
  for (const name of ['Ann', 'Ben', 'Cleo', 'Dora']) others.push(await stage.member(server, name));
  const general = (await owner.channels())[0].uuid;
  await fill(others, general, MESSAGES, (n) => `message **${n}** of many${n % 5 ? '' : ', with a few more words in it, so that it takes a second line on most screens, as some do, and `code` as well'}`);
  const tea = (await owner.ask('create_channel', { name: 'tea' })).uuid;
  await fill(others, tea, 300, (n) => `cup ${n} of *tea*`);
  const page = await stage.pageOf(owner);
  await openChannel(page, 'general');
  await row(page, 'of many').waitFor();
  const before = await memory(page);
  const { longest, percentile, count, done } = await page.evaluate(scrollThrough);
  assert.ok(done, 'the first message was reached');
  const after = await memory(page);
  figure(`longest of ${count} frames, ${MESSAGES} messages scrolled through`, longest, 'ms', 100, LEEWAY_OF_ONE);
  figure('99 of 100 of these frames at most', percentile, 'ms', 100);
  figure(`page's process after it (PSS; ${before.pss.toFixed(0)} before)`, after.pss, 'MiB', 150);
  figure(`script heap after it (${before.heap.toFixed(1)} before)`, after.heap, 'MiB', 150);

  await openChannel(page, 'tea');
  await row(page, 'of tea').waitFor();
  await openChannel(page, 'general');
  await row(page, 'of many').waitFor();
  // From the click to the end of the frame that shows it.
  const times = await page.evaluate(async () => {
    const button = (name) => [...document.querySelectorAll('button.channel')].find(({ textContent }) => textContent.startsWith(name));
    const taken = [];
    for (const name of ['tea', 'general', 'tea', 'general', 'tea', 'general', 'tea', 'general', 'tea']) {
      await new Promise((resolve) => { setTimeout(resolve, 150); });
      const begun = performance.now();
      button(name).click();
      await new Promise(requestAnimationFrame);
      await new Promise((resolve) => { const { port1, port2 } = new MessageChannel(); port1.onmessage = resolve; port2.postMessage(null); });
      taken.push(performance.now() - begun);
      const shown = document.querySelector('.scroller ol').textContent;
      if (!shown.includes(name === 'tea' ? 'cup' : 'message')) throw new Error(`${name} is not shown`);
    }
    return taken;
  });
  figure('channel switch, history cached, median of 9', median(times), 'ms', 50);
  figure('channel switch, history cached, the longest', Math.max(...times), 'ms', 50, LEEWAY_OF_ONE);
});
