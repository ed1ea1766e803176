/** Measures and prints the table: the run panel, its targets, and chart.js without decimation on the same machine. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { type FrameTimes, frameTimes } from './trace-frames.js';

const root = process.env.SFT_LAB_ROOT ?? process.cwd();
const quick = process.argv.includes('--quick');
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice(7);
const runs = 20;
const points = quick ? 5_000 : 50_000;
const origin = 'http://lab.bench/';

const pages: Readonly<Record<string, (url: URL) => string>> = {
  '/panel': () => page('panel.css', '<main id="root"></main>', 'bench-panel.js', 'run.js'),
  '/peer': ({ searchParams: of }) => {
    const box = `width: ${of.get('width')}px; height: ${of.get('height')}px; position: relative`;
    return page('panel.css', `<div style="${box}"><canvas></canvas></div>`, 'bench-peer.js');
  },
};
const files: Readonly<Record<string, string>> = {
  '/bench-panel.js': 'build/bench-charts/panel.js',
  '/bench-peer.js': 'build/bench-charts/peer.js',
  '/run.js': 'dist/webview/run.js',
  '/panel.css': 'dist/webview/run.css',
};

/** Of VS Code's Dark Modern. */
const colors = {
  ...{
    foreground: '#cccccc',
    'editor-foreground': '#cccccc',
    'editor-background': '#1f1f1f',
    'charts-blue': '#3794ff',
  },
  ...{ 'charts-orange': '#d18616', 'charts-green': '#89d185', 'charts-purple': '#b180d7', 'charts-red': '#f14c4c' },
  ...{ 'charts-yellow': '#cca700', descriptionForeground: '#9d9d9d', 'font-family': 'sans-serif', 'font-size': '13px' },
  ...{ focusBorder: '#0078d4', 'button-background': '#0078d4', 'button-secondaryBackground': '#313131' },
  ...{ 'editorHoverWidget-background': '#202020', 'editorHoverWidget-border': '#454545', 'widget-shadow': '#0005' },
};
const theme = Object.entries(colors)
  .map(([name, value]) => `--vscode-${name}: ${value}`)
  .join('; ');

function page(style: string, body: string, ...scripts: string[]): string {
  const made = scripts.map((script) => `<script type="module" src="/${script}"></script>`).join('');
  return `<!DOCTYPE html><html style="${theme}"><meta charset="utf-8"><link rel="stylesheet" href="/${style}">
<body class="vscode-dark">${body}${made}`;
}

async function open(browser: Browser, path: string, height = 900): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1400, height } });
  const made = await context.newPage();
  made.on('pageerror', (error) => console.error(error));
  await made.route(`${origin}**`, async (route) => {
    const url = new URL(route.request().url());
    const html = pages[url.pathname];
    const file = files[url.pathname];
    if (html !== undefined) await route.fulfill({ contentType: 'text/html', body: html(url) });
    else if (file === undefined) await route.fulfill({ status: 404 });
    else {
      const contentType = file.endsWith('.css') ? 'text/css' : 'text/javascript';
      await route.fulfill({ contentType, body: readFileSync(join(root, file)) });
    }
  });
  await made.goto(`${origin}${path}`);
  return made;
}

/** A number that the page computes. As text: it runs in the page, whose types are not ours. */
async function ask(page: Page, expression: string): Promise<number> {
  return Number(await page.evaluate(expression));
}

/** Real input, until the page has drawn so many frames, or what makes it draw is over; what each of them cost. */
async function input(
  page: Page,
  global: string,
  frames: number,
  act: (i: number, page: Page) => Promise<void>,
  over: () => boolean = () => false,
) {
  await browser.startTracing(page, {
    categories: [
      ...['devtools.timeline', 'disabled-by-default-devtools.timeline', 'devtools.timeline.frame'],
      ...['disabled-by-default-devtools.timeline.frame', 'toplevel', 'blink.user_timing'],
    ],
  });
  await page.evaluate(`performance.mark('bench-begin')`);
  const until = (await ask(page, `${global}.frames()`)) + frames;
  for (let i = 0; !over() && (await ask(page, `${global}.frames()`)) < until; i++) await act(i, page);
  await page.evaluate(`performance.mark('bench-end')`);
  return frameTimes(await browser.stopTracing(), 'bench-begin', 'bench-end');
}

/** Into the charts and out again. */
async function zoom(i: number, page: Page): Promise<void> {
  await page.mouse.wheel(0, Math.floor(i / 60) % 2 === 0 ? -25 : 25);
}

/** To the right and back. */
async function pan(i: number, page: Page): Promise<void> {
  await page.mouse.wheel(Math.floor(i / 80) % 2 === 0 ? 12 : -12, 0);
}

const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
/** Half of the time went into frames that took longer: those in which hardly anything was drawn do not count as typical. */
function typical({ cpu }: FrameTimes): number {
  const half = cpu.reduce((sum, one) => sum + one, 0) / 2;
  let spent = 0;
  for (const one of [...cpu].sort((a, b) => b - a)) {
    spent += one;
    if (spent >= half) return one;
  }
  return Number.NaN;
}
const ms = (value: number): string => `${value.toFixed(value < 100 ? 1 : 0)} ms`;
const spread = (values: readonly number[]): string =>
  `${[0.5, 0.95, 1].map((share) => quantile(values, share).toFixed(1)).join(' / ')} ms`;

function say(name: string, value: string, target = ''): void {
  console.log(`${name.padEnd(62)} ${value.padStart(28)}   ${target}`.trimEnd());
}

function sayFrames(name: string, { wall, cpu }: FrameTimes, target: string): void {
  say(`${name}, by the clock (${wall.length} frames)`, spread(wall), target);
  say(`${name}, processor time`, spread(cpu));
}

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    ...['--disable-component-update', '--disable-sync', '--force-color-profile=srgb'],
  ],
});

/** What is measured of a page: milliseconds until the first paint, and what frames cost. */
interface Trial {
  readonly first: number;
  readonly append: FrameTimes;
  readonly zoom: FrameTimes;
  readonly pan: FrameTimes;
}

interface Arrival {
  readonly page: Page;
  readonly first: number;
  readonly all: number;
}

/** The loss alone, as a chart without smoothing, evaluations and checkpoints: what chart.js draws too. */
const loss = encodeURIComponent(
  JSON.stringify({
    ...{ keys: [], xAxis: 'step', smoothing: 0, raw: true, train: true, checkpoints: false, hiddenRuns: [] },
    ...{ hiddenSets: ['held-out', 'other'], hiddenCharts: [], logCharts: [], enlarged: 'loss', zoom: null, sort: null },
    differencesOnly: true,
  }),
);

/** Opens a page so many times and gives it all data at once; the last one stays open. */
async function arrive(path: string, global: string, times: number): Promise<Arrival> {
  const arrivals: Arrival[] = [];
  for (let i = 0; i < times; i++) {
    await arrivals.at(-1)?.page.context().close();
    const made = await open(browser, path);
    await ask(made, `(${global}.prepare(${runs}, ${points}, false), 0)`);
    const all = await ask(made, `${global}.arrive()`);
    arrivals.push({ page: made, first: await ask(made, `${global}.first`), all });
  }
  const median = (pick: 'first' | 'all'): number =>
    quantile(
      arrivals.map((arrival) => arrival[pick]),
      0.5,
    );
  const [last] = arrivals.slice(-1);
  if (last === undefined) throw new Error('nothing was opened');
  return { page: last.page, first: median('first'), all: median('all') };
}

async function panel(): Promise<void> {
  const { page: made, first, all } = await arrive('panel', 'bench', 5);
  say('first paint after arrival: a chart (median of 5)', ms(first), '≤ 100 ms');
  say('all charts in the window', ms(all));
  await made.locator('.chart-frame').first().hover();
  await made.keyboard.down('Control');
  sayFrames('all charts: a frame while zooming', await input(made, 'bench', 240, zoom), '≤ 16 ms');
  await made.mouse.wheel(0, -400);
  await made.keyboard.up('Control');
  sayFrames('all charts: a frame while panning', await input(made, 'bench', 240, pan), '≤ 16 ms');
  await made.context().close();
}

async function live(): Promise<void> {
  // Above the charts, live runs say how far they are.
  const made = await open(browser, 'panel', 1500);
  await ask(made, `(bench.prepare(${runs}, ${points}, true), 0)`);
  await ask(made, 'bench.arrive()');
  let over = false;
  const updates = made.evaluate(`bench.live(6, ${points}, 3)`).finally(() => {
    over = true;
  });
  const pause = (): Promise<void> => made.evaluate(`new Promise(requestAnimationFrame)`).then(() => undefined);
  const times = await input(made, 'bench', 300, pause, () => over);
  await updates;
  await made.context().close();
  sayFrames(`all charts: a frame while ${runs} runs are live`, times, '≤ 16 ms');
}

/** One chart alone, ours or chart.js's: the same interactions with each. */
async function alone(
  path: string,
  global: string,
  { times, frames } = { times: 3, frames: 12 },
): Promise<Trial & { readonly size: string }> {
  const { page: made, first } = await arrive(path, global, times);
  const size = await made.evaluate<string>(
    `(({ width, height }) => \`width=\${width}&height=\${height}\`)(document.querySelector('canvas').getBoundingClientRect())`,
  );
  const append = (i: number): Promise<void> => made.evaluate(`${global}.append(${points + 3 * i}, 3)`);
  const appended = await input(made, global, frames, append);
  await made.locator('canvas').first().hover({ force: true });
  await made.keyboard.down('Control');
  const zoomed = await input(made, global, frames, zoom);
  await made.keyboard.up('Control');
  const panned = await input(made, global, frames, pan);
  await made.context().close();
  return { first, append: appended, zoom: zoomed, pan: panned, size };
}

/** The same work by the panel and by chart.js, and how many times as fast the panel is. */
async function peers(): Promise<void> {
  const { size, ...ours } = await alone(`panel?state=${loss}`, 'bench');
  // Seconds a frame: few are enough.
  const usual = await alone(`peer?${size}`, 'peer', { times: 1, frames: 5 });
  const tuned = await alone(`peer?${size}&tuned`, 'peer');
  const rows = [
    ['first paint, by the clock', ({ first }: Trial) => first],
    ['a frame while zooming, processor time', (trial: Trial) => typical(trial.zoom)],
    ['a frame while panning, processor time', (trial: Trial) => typical(trial.pan)],
    ['a frame with new points, processor time', (trial: Trial) => typical(trial.append)],
  ] as const;
  console.log(
    `\nthe loss alone, a typical frame: the panel; chart.js undecimated as it comes, and tuned as its guide to speed says`,
  );
  for (const [name, pick] of rows) {
    const [own, come, fast] = [pick(ours), pick(usual), pick(tuned)];
    const times = (theirs: number): string => `${ms(theirs)} (${(theirs / own).toFixed(0)}×)`;
    say(
      name,
      `${ms(own)}; ${times(come)}, ${times(fast)}`,
      `≥ 100× as it comes: ${come >= 100 * own ? 'met' : 'missed'}`,
    );
  }
}

const parts = { panel, live, peer: peers };

try {
  console.log(
    `${runs} runs of ${points.toLocaleString('en')} points; Chromium ${browser.version()}, no GPU; p50 / p95 / max\n`,
  );
  for (const [name, measure] of Object.entries(parts)) if (only === undefined || only === name) await measure();
} finally {
  await browser.close();
}
