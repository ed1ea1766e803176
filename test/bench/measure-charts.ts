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

const pages: Readonly<Record<string, () => string>> = {
  '/panel': () => page('panel.css', '<main id="root"></main>', 'bench-panel.js', 'run.js'),
  '/peer': () => page('panel.css', '<div style="height: 500px"><canvas></canvas></div>', 'bench-peer.js'),
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

async function open(browser: Browser, path: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  const made = await context.newPage();
  made.on('pageerror', (error) => console.error(error));
  await made.route(`${origin}**`, async (route) => {
    const { pathname } = new URL(route.request().url());
    const html = pages[pathname];
    const file = files[pathname];
    if (html !== undefined) await route.fulfill({ contentType: 'text/html', body: html() });
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
  browser: Browser,
  page: Page,
  global: string,
  frames: number,
  act: (i: number) => Promise<void>,
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
  for (let i = 0; !over() && (await ask(page, `${global}.frames()`)) < until; i++) await act(i);
  await page.evaluate(`performance.mark('bench-end')`);
  return frameTimes(await browser.stopTracing(), 'bench-begin', 'bench-end');
}

/** Into the charts and out again. */
async function zoom(page: Page, i: number): Promise<void> {
  await page.mouse.wheel(0, Math.floor(i / 60) % 2 === 0 ? -25 : 25);
}

/** To the right and back. */
async function pan(page: Page, i: number): Promise<void> {
  await page.mouse.wheel(Math.floor(i / 80) % 2 === 0 ? 12 : -12, 0);
}

const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
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

interface Trial {
  readonly first: number;
  readonly all: number;
  readonly zoom: FrameTimes;
  readonly pan: FrameTimes;
}

const loss = encodeURIComponent(
  JSON.stringify({
    ...{ keys: [], xAxis: 'step', smoothing: 0, raw: true, train: true, checkpoints: false, hiddenRuns: [] },
    ...{ hiddenSets: ['held-out', 'other'], hiddenCharts: [], logCharts: [], enlarged: 'loss', zoom: null, sort: null },
    differencesOnly: true,
  }),
);

async function panelFirst(path: string): Promise<{ page: Page; first: number; all: number }> {
  const made = await open(browser, path);
  await ask(made, `(bench.prepare(${runs}, ${points}, false), 0)`);
  const all = await ask(made, 'bench.arrive()');
  return { page: made, first: await ask(made, 'bench.first'), all };
}

async function panel(path: string): Promise<Trial> {
  const arrivals: { readonly first: number; readonly all: number }[] = [];
  for (let i = 0; i < 5; i++) {
    const { page, first, all } = await panelFirst(path);
    await page.context().close();
    arrivals.push({ first, all });
  }
  const middle = (pick: 'first' | 'all'): number =>
    quantile(
      arrivals.map((arrival) => arrival[pick]),
      0.5,
    );
  const { page: made } = await panelFirst(path);
  await made.locator('.chart-frame').first().hover();
  await made.keyboard.down('Control');
  const zoomed = await input(browser, made, 'bench', 240, (i) => zoom(made, i));
  await made.mouse.wheel(0, -400);
  await made.keyboard.up('Control');
  const panned = await input(browser, made, 'bench', 240, (i) => pan(made, i));
  await made.context().close();
  return { first: middle('first'), all: middle('all'), zoom: zoomed, pan: panned };
}

async function chartJs(): Promise<Trial> {
  const made = await open(browser, 'peer');
  await ask(made, `(peer.prepare(${runs}, ${points}), 0)`);
  const first = await ask(made, 'peer.arrive()');
  await made.mouse.move(700, 250);
  await made.keyboard.down('Control');
  const zoomed = await input(browser, made, 'peer', 12, (i) => zoom(made, i));
  await made.keyboard.up('Control');
  const panned = await input(browser, made, 'peer', 12, (i) => pan(made, i));
  await made.context().close();
  return { first, all: first, zoom: zoomed, pan: panned };
}

async function live(): Promise<FrameTimes> {
  const made = await open(browser, 'panel');
  await ask(made, `(bench.prepare(${runs}, ${points}, true), 0)`);
  await ask(made, 'bench.arrive()');
  let over = false;
  const updates = made.evaluate(`bench.live(6, ${points}, 3)`).finally(() => {
    over = true;
  });
  const pause = (): Promise<void> => made.evaluate(`new Promise(requestAnimationFrame)`).then(() => undefined);
  const times = await input(browser, made, 'bench', 300, pause, () => over);
  await updates;
  await made.context().close();
  return times;
}

try {
  console.log(
    `${runs} runs of ${points.toLocaleString('en')} points; Chromium ${browser.version()}, no GPU; p50 / p95 / max\n`,
  );
  if (only === undefined || only === 'panel') {
    const all = await panel('panel');
    say('first paint after arrival: a chart (median of 5)', ms(all.first), '≤ 100 ms');
    say('all charts in the window', ms(all.all));
    sayFrames('all charts: a frame while zooming', all.zoom, '≤ 16 ms');
    sayFrames('all charts: a frame while panning', all.pan, '≤ 16 ms');
  }
  if (only === undefined || only === 'live') {
    sayFrames(`all charts: a frame while ${runs} runs are live`, await live(), '≤ 16 ms');
  }
  if (only === undefined || only === 'peer') {
    const alone = await panel(`panel?state=${loss}`);
    const peer = await chartJs();
    say('the loss alone, enlarged: first paint', ms(alone.first));
    say('chart.js, the loss alone: first paint', ms(peer.first));
    sayFrames('the loss alone: a frame while zooming', alone.zoom, '');
    sayFrames('chart.js: a frame while zooming', peer.zoom, '');
    sayFrames('the loss alone: a frame while panning', alone.pan, '');
    sayFrames('chart.js: a frame while panning', peer.pan, '');
    const times = (ours: number, theirs: number): string => `${(theirs / ours).toFixed(0)}×`;
    const middle = ({ cpu }: FrameTimes): number => quantile(cpu, 0.5);
    say('first paint, times as fast as chart.js', times(alone.first, peer.first), '≥ 100×');
    say('zooming, times as fast (processor time, medians)', times(middle(alone.zoom), middle(peer.zoom)), '≥ 100×');
    say('panning, times as fast (processor time, medians)', times(middle(alone.pan), middle(peer.pan)), '≥ 100×');
  }
} finally {
  await browser.close();
}
