/**
 * Measures and prints the table: each operation of the previewer, what it took, its target, and whether that is met. What passes through
 * an open preview is asked of its session, which has the workers that the editor starts.
 */

import { openSync, readSync } from 'node:fs';
import type { ToPreview } from '../../src/core/view/preview.js';
import { openDataView } from '../../src/data/view/index.js';
import { PreviewSession } from '../../src/editor/preview/session.js';

const [what = '', jsonl = '', parquet = '', model = '', program = ''] = process.argv.slice(2);

/** One line of the table, as JSON: the driver prints it. */
const say = (name: string, value: number, unit: string, target?: { most?: number; least?: number }): void =>
  console.log(JSON.stringify({ name, value, unit, ...target }));
const quantile = (values: number[], share: number): number =>
  values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;
const timed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
  const begin = performance.now();
  const value = await work();
  return [value, performance.now() - begin];
};
const best = async (times: number, work: () => Promise<unknown>): Promise<number> => {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times; i++) least = Math.min(least, (await timed(work))[1]);
  return least;
};
const random = (bound: number): number => Math.floor(Math.random() * bound);

/** Into the page cache, so that the disk is not what is measured. */
function warm(file: string): void {
  const fd = openSync(file, 'r');
  const buffer = Buffer.alloc(1 << 22);
  while (readSync(fd, buffer) > 0);
}

/** Resident memory over what it was, at its highest. */
class Memory {
  private readonly idle: number;
  private peak = 0;
  private readonly timer: NodeJS.Timeout;

  constructor() {
    globalThis.gc?.();
    this.idle = process.memoryUsage.rss();
    this.timer = setInterval(() => {
      this.peak = Math.max(this.peak, process.memoryUsage.rss());
    }, 5);
  }

  get megabytes(): number {
    this.peak = Math.max(this.peak, process.memoryUsage.rss());
    return Math.round((this.peak - this.idle) / 1e6);
  }

  stop(): void {
    clearInterval(this.timer);
  }
}

/** A page of an open preview. */
class Page {
  private readonly session: PreviewSession;
  private readonly hearers = new Set<(message: ToPreview) => void>();
  private begun: Promise<void> | undefined;

  constructor(path: string, modelName: string) {
    this.session = new PreviewSession({
      path,
      name: 'bench',
      folder: '',
      program,
      mapping: { format: 'auto' },
      choices: Promise.resolve({ models: [], model: modelName, evaluations: [], evaluation: '' }),
      canTrain: true,
      send: (message) => {
        // Whoever waits for figures would wait for ever.
        if (message.type === 'failed') throw new Error(message.message);
        if (message.type === 'figures' && modelName !== '' && !message.figures.hasTokens) throw new Error('no tokens');
        for (const hear of this.hearers) hear(message);
      },
      note: (error) => {
        throw error;
      },
    });
  }

  until<T>(look: (message: ToPreview) => T | undefined): Promise<T> {
    return new Promise((resolve) => {
      const hear = (message: ToPreview): void => {
        const found = look(message);
        if (found === undefined) return;
        this.hearers.delete(hear);
        resolve(found);
      };
      this.hearers.add(hear);
    });
  }

  /** Resolves once the rows are counted, with how many there are. */
  async open(): Promise<number> {
    const counted = this.until((message) =>
      message.type === 'rowCount' && message.complete ? message.count : undefined,
    );
    this.begun = this.session.begin();
    return counted;
  }

  async rows(from: number, count: number): Promise<void> {
    const came = this.until((message) => (message.type === 'rows' && message.from === from ? true : undefined));
    void this.session.receive({ type: 'rows', version: 0, from, count, view: 'chat' });
    await came;
  }

  async close(): Promise<void> {
    this.session.close();
    await this.begun;
  }
}

/** Figures of the overview as they come. */
async function overview(file: string): Promise<void> {
  const memory = new Memory();
  const page = new Page(file, model);
  const lines = file === jsonl;
  const where = `in the preview of the ${lines ? 'JSONL' : 'Parquet'}`;
  const begin = performance.now();
  const at = (): number => performance.now() - begin;
  const sampled = page.until((message) => (message.type === 'figures' ? at() : undefined));
  const sampledTokens = page.until((message) =>
    message.type === 'figures' && message.figures.tokens > 0 ? at() : undefined,
  );
  const checked = page.until((message) =>
    message.type === 'figures' && message.figures.checked !== undefined ? at() : undefined,
  );
  const done = page.until((message) =>
    message.type === 'figures' && message.figures.done ? { figures: message.figures, at: at() } : undefined,
  );
  await page.open();
  const first = await sampled;
  say(`${where}: first figures, sampled, after opening`, first, 'ms');
  await sampledTokens;
  const begun = lines ? await checked : first;
  if (lines) {
    say(`${where}: every line checked, fields and lengths, from the first figures on`, begun - first, 'ms', {
      most: 1000,
    });
  }
  const { figures, at: end } = await done;
  const rate = figures.tokens / (end - begun) / 1000;
  say(
    `${where}: ${figures.tokens} tokens counted, with duplicates and all other problems`,
    Number(rate.toFixed(2)),
    'M tokens/s',
    { least: 2 },
  );
  say(`${where}: memory over idle with all of that`, memory.megabytes, 'MB', { most: 64 });
  memory.stop();
  await page.close();
}

async function rows(): Promise<void> {
  const memory = new Memory();
  const view = await openDataView(jsonl);
  say('first 100 rows of the JSONL, the view being open', (await timed(() => view.rows(0, 100)))[1], 'ms', {
    most: 50,
  });
  const [records, firstIndex] = await timed(() => view.index());
  const rowTimes: number[] = [];
  for (let i = 0; i < 2000; i++) rowTimes.push((await timed(() => view.rows(random(records), 1)))[1]);
  say('any row, 99th percentile', quantile(rowTimes, 0.99), 'ms', { most: 5 });
  const screens: number[] = [];
  for (let i = 0; i < 300; i++) screens.push((await timed(() => view.rows(random(records), 50)))[1]);
  say('a screen of 50 rows anywhere, slowest of 300', quantile(screens, 1), 'ms', { most: 100 });
  say('memory over idle: opened, indexed, read', memory.megabytes, 'MB', { most: 64 });
  const check = await timed(() => view.check());
  say('memory over idle: and every line checked', memory.megabytes, 'MB', { most: 64 });
  memory.stop();
  // Again and again only now: a worker's memory is given back late.
  say(`index of ${records} lines`, Math.min(firstIndex, await best(5, () => view.index())), 'ms', { most: 200 });
  say(
    `every line checked, fields, lengths (${check[0]?.badCount ?? 0} bad)`,
    Math.min(check[1], await best(3, () => view.check())),
    'ms',
    { most: 1000 },
  );
  const counting = {
    format: 'auto' as const,
    model: {
      modelDirectory: model,
      promptPrefix: '',
      instructionResponseSeparator: '\n\n',
      maxLength: 1024,
      lossOn: 'completion' as const,
    },
  };
  const [counts, countTime] = await timed(() => view.countTokens(counting));
  const rate = Number((counts.tokens / countTime / 1000).toFixed(2));
  say(`exact counts of ${counts.tokens} tokens`, rate, 'M tokens/s', { least: 2 });
  await view.close();
}

async function preview(): Promise<void> {
  const memory = new Memory();
  const page = new Page(jsonl, '');
  const [records, counted] = await timed(() => page.open());
  say('in the preview: opened, rows counted', counted, 'ms');
  const times: number[] = [];
  for (let i = 0; i < 500; i++) times.push((await timed(() => page.rows(random(records - 60), 50)))[1]);
  say('in the preview: 50 rows anywhere while it scans, 99th percentile', quantile(times, 0.99), 'ms', { most: 100 });
  memory.stop();
  await page.close();
}

async function tables(): Promise<void> {
  const table = await openDataView(parquet);
  say('first 100 rows of the Parquet, the view being open', (await timed(() => table.rows(0, 100)))[1], 'ms', {
    most: 50,
  });
  const times: number[] = [];
  for (let i = 0; i < 2000; i++) {
    times.push((await timed(() => table.rows(random(table.info.records ?? 1), 1)))[1]);
  }
  say('any row of the Parquet, 99th percentile', quantile(times, 0.99), 'ms', { most: 5 });
  await table.close();
}

warm(what.startsWith('table') ? parquet : jsonl);
switch (what) {
  case 'rows':
    await rows();
    break;
  case 'preview':
    await preview();
    break;
  case 'overview':
    await overview(jsonl);
    break;
  case 'table-overview':
    await overview(parquet);
    break;
  case 'tables':
    await tables();
    break;
  default:
    throw new Error(`nothing to measure is named ${what}`);
}
