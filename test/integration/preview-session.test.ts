/** The preview's session with its real workers: what a page would be sent. */

import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { countLoss } from '../../src/core/mask.js';
import { type Filter, noFilter, type ToPreview, toPreview, type ViewKind } from '../../src/core/view/preview.js';
import { openTrainingData } from '../../src/data/index.js';
import { PreviewSession } from '../../src/editor/preview/session.js';
import buildDataWorker from '../setup/data-worker.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const starter = join(root, 'media', 'starter-model');
const tickets = join(root, 'media', 'examples', 'tickets.train.jsonl');
// Where the data workers lie that its own worker starts.
mkdirSync(join(root, 'build'), { recursive: true });
const folder = mkdtempSync(join(root, 'build', 'test-preview-'));
const program = join(folder, 'preview-worker.mjs');

beforeAll(async () => {
  await buildDataWorker();
  await build({
    absWorkingDir: root,
    entryPoints: ['src/editor/preview/worker.ts'],
    outfile: program,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    banner: {
      js: "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);",
    },
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

class Page {
  readonly messages: ToPreview[] = [];
  readonly session: PreviewSession;
  private version = 0;
  private readonly hearers = new Set<() => void>();

  constructor(path: string, { model = starter, evaluation = '', recordLimitMs = 60_000 } = {}) {
    this.session = new PreviewSession({
      path,
      name: 'set',
      folder: '',
      program,
      mapping: { format: 'auto' },
      choices: Promise.resolve({ models: [], model, evaluations: [], evaluation }),
      canTrain: true,
      recordLimitMs,
      // What does not fit the page's schema would be dropped there.
      send: (message) => {
        this.messages.push(toPreview.parse(message));
        for (const hear of this.hearers) hear();
      },
      note: (error) => {
        throw error;
      },
    });
  }

  async until<T>(look: (page: Page) => T | undefined): Promise<T> {
    for (;;) {
      const found = look(this);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        const hear = (): void => {
          this.hearers.delete(hear);
          resolve();
        };
        this.hearers.add(hear);
      });
    }
  }

  last<K extends ToPreview['type']>(type: K): Extract<ToPreview, { type: K }> | undefined {
    return this.messages.findLast((one): one is Extract<ToPreview, { type: K }> => one.type === type);
  }

  async show(patch: Partial<Filter> = {}): Promise<Extract<ToPreview, { type: 'rowCount' }>> {
    const version = ++this.version;
    void this.session.receive({ type: 'show', version, filter: { ...noFilter, ...patch } });
    return this.until(() => {
      const count = this.last('rowCount');
      return count?.version === version && (count.complete || count.problem !== undefined) ? count : undefined;
    });
  }

  async rows(from: number, count: number, view: ViewKind = 'chat') {
    await this.session.receive({ type: 'rows', version: this.version, from, count, view });
    return this.last('rows')?.rows ?? [];
  }

  async tokens(from: number, count: number) {
    await this.session.receive({ type: 'tokens', version: this.version, from, count });
    return this.last('tokens')?.tokens ?? [];
  }

  scanned() {
    return this.until(() => {
      const figures = this.last('figures')?.figures;
      return figures?.done === true ? figures : undefined;
    });
  }
}

const pages: Page[] = [];
function open(...parts: ConstructorParameters<typeof Page>): Page {
  const page = new Page(...parts);
  pages.push(page);
  return page;
}
afterEach(() => {
  for (const page of pages.splice(0)) page.session.close();
});

function write(name: string, lines: readonly unknown[]): string {
  const file = join(folder, name);
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  writeFileSync(file, `${text}\n`);
  return file;
}

describe('rows', () => {
  it.each([
    'flat.jsonl',
    'flat.csv',
    'flat.tsv',
    'flat.xlsx',
    'flat.parquet',
    'flat.jsonl.gz',
    'flat.jsonl.zst',
    'datasets',
  ])('are the same of %s as the trainer reads', async (name) => {
    const path = join(root, 'test', 'fixtures', 'tables', name);
    const page = open(path);
    void page.session.begin();
    const { count } = await page.show();
    const rows = await page.rows(0, 20);
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.map(({ row }) => row)).toEqual(rows.map((_, i) => i));
    const raw = await page.rows(count - 1, 1, 'raw');
    expect(JSON.parse(raw[0]?.raw ?? '')).toBeTypeOf('object');
  });

  it('have the tokens and the mask of the trainer, byte for byte', async () => {
    const page = open(tickets);
    void page.session.begin();
    await page.show();
    await page.until(() => (page.last('set')?.set.maskSource === undefined ? undefined : true));
    await page.rows(0, 50);
    const shown = await page.tokens(0, 50);
    for (const lossOn of ['completion', 'all'] as const) {
      const maxLength = 60;
      const data = await openTrainingData({
        modelDirectory: starter,
        promptPrefix: '',
        instructionResponseSeparator: '\n\n',
        train: [{ path: tickets, format: 'auto' }],
        evaluation: {},
        testSize: 0,
        lossOn,
        maxLength,
        onBadRecord: 'stop',
        streaming: false,
        shuffle: false,
        shuffleBufferSize: 1,
        seed: 1,
        maxTrainSamples: 0,
        maxEvalSamples: 0,
      });
      await data.seek(0, 0);
      let compared = 0;
      for (const example of await data.next(50)) {
        const row = shown[example.place.index];
        // Records with no token left to train on are passed over by the trainer.
        if (example.place.index >= shown.length) break;
        compared++;
        expect(row?.ids.slice(0, maxLength)).toEqual([...example.tokens]);
        expect((row?.total ?? 0) - example.tokens.length).toBe(example.truncated);
        const trained = example.mask.reduce((sum, one) => sum + one, 0);
        expect(countLoss(row?.runs ?? [], lossOn, maxLength)).toBe(trained);
      }
      expect(compared).toBeGreaterThan(20);
      await data.close();
    }
  });

  it('are shown raw as they stand in the file', async () => {
    const page = open(
      write('raw.jsonl', ['{"prompt":"a", "n": 1.0, "n": 12345678901234567890, "completion":"\\u00e9"}']),
    );
    void page.session.begin();
    await page.show();
    const [row] = await page.rows(0, 1, 'raw');
    expect(row?.raw).toBe(
      '{\n  "prompt": "a",\n  "n": 1.0,\n  "n": 12345678901234567890,\n  "completion": "\\u00e9"\n}',
    );
  });

  it('say what is wrong with those that are none, and keep long ones short', async () => {
    const long = 'x'.repeat(100_000);
    const page = open(
      write('bad.jsonl', [
        { prompt: 'a', completion: 'b' },
        '{"prompt": "a", ',
        { prompt: long, completion: '\u202e<script>alert(1)</script>' },
        { prompt: 'a' },
      ]),
    );
    void page.session.begin();
    await page.show();
    const [good, bad, cut, lacking] = await page.rows(0, 10);
    expect(good?.messages?.map(({ content }) => content)).toEqual(['a', 'b']);
    expect(bad?.problem).toMatch(/JSON/);
    expect(bad?.line).toBe(2);
    expect(cut?.cut).toBeGreaterThan(90_000);
    expect(JSON.stringify(cut).length).toBeLessThan(10_000);
    expect(lacking?.field).toBe('completion');
    await page.session.receive({ type: 'whole', row: 2, view: 'chat' });
    const whole = page.last('whole')?.shown;
    expect(whole?.messages?.[0]?.content).toBe(long);
    expect(whole?.messages?.[1]?.content).toContain('<script>');
  });
});

describe('a file that changes while it is open', () => {
  it('is read again with what it holds now, and says so when it is gone', async () => {
    const path = write('changing.jsonl', [{ prompt: 'a', completion: '1' }]);
    const page = open(path);
    await page.session.begin();
    expect((await page.show()).count).toBe(1);
    appendFileSync(path, '{"prompt":"b","completion":"2"}\n');
    await page.session.receive({ type: 'reload' });
    expect((await page.show()).count).toBe(2);
    await page.scanned();
    rmSync(path);
    await page.session.receive({ type: 'reload' });
    await page.until(() => page.last('failed'));
    expect((await page.show()).count).toBe(0);
    // What the page still asks for covers up nothing.
    expect(await page.rows(0, 10)).toEqual(page.last('rows')?.rows ?? []);
    expect(page.last('failed')?.message).toMatch(/cannot be opened/);
  });
});

describe('the overview', () => {
  it('counts, follows the mask, and finds problems', async () => {
    const evaluation = write('eval.jsonl', [{ prompt: 'two', completion: '2' }]);
    const page = open(
      write('set.jsonl', [
        { prompt: 'one', completion: '1' },
        { prompt: 'one', completion: '1' },
        { prompt: 'one', completion: 'uno' },
        { prompt: 'two', completion: '2' },
        { prompt: 'three', completion: '' },
        '[1, 2',
        {
          messages: [
            { role: 'user', content: 'four' },
            { role: 'assistant', content: '4' },
          ],
        },
      ]),
      { evaluation },
    );
    void page.session.begin();
    const figures = await page.scanned();
    expect(figures.records).toBe(7);
    expect(figures.formats).toEqual([
      ['custom', 5],
      ['messages', 1],
    ]);
    expect(Object.fromEntries(figures.problems.map(({ kind, count }) => [kind, count]))).toMatchObject({
      malformed: 1,
      'exact-duplicate': 1,
      'conflicting-answers': 1,
      'eval-overlap': 1,
      'empty-completion': 1,
      'mixed-formats': 1,
    });
    expect(figures.lossTokens).toBeGreaterThan(0);
    expect(figures.truncated).toBe(0);
    await page.session.receive({ type: 'mask', lossOn: 'all', maxLength: 4 });
    const masked = page.last('figures')?.figures;
    expect(masked?.truncated).toBe(6);
    expect(masked?.keptTokens).toBe(24);
    expect(masked?.lossTokens).toBe(18);
    const { count } = await page.show({ problem: 'exact-duplicate' });
    expect(count).toBe(1);
    expect((await page.rows(0, 5)).map(({ row }) => row)).toEqual([1]);
    expect((await page.show({ problem: 'truncated' })).count).toBe(6);
  });
});

describe('find', () => {
  it('finds text and expressions, by role and field, label and length', async () => {
    const page = open(tickets);
    void page.session.begin();
    const lines = readFileSync(tickets, 'utf8').trim().split('\n');
    const having = (text: string): number => lines.filter((line) => line.toLowerCase().includes(text)).length;
    expect((await page.show({ text: 'PARCEL', matchCase: false })).count).toBe(having('parcel'));
    expect((await page.show({ text: 'PARCEL', matchCase: true })).count).toBe(
      lines.filter((line) => line.includes('PARCEL')).length,
    );
    expect((await page.show({ text: '^(billing|sales)$', regex: true, scope: 'role:assistant' })).count).toBe(
      lines.filter((line) => /"output":"(billing|sales)"/.test(line)).length,
    );
    expect((await page.show({ text: 'shipping', scope: 'field:output' })).count).toBe(
      lines.filter((line) => /"output":"shipping"/.test(line)).length,
    );
    expect((await page.show({ label: 'shipping' })).count).toBe(
      lines.filter((line) => /"output":"shipping"/.test(line)).length,
    );
    expect((await page.show({ text: '(', regex: true })).problem).toMatch(/Not a regular expression/);
    await page.show({ sort: 'longest' });
    const first = await page.rows(0, 3);
    const tokens = await page.tokens(0, 3);
    const totals = tokens.map((one) => one?.total ?? 0);
    expect(first).toHaveLength(3);
    expect(totals).toEqual([...totals].sort((a, b) => b - a));
    expect(totals[0]).toBe((await page.scanned()).longest);
  });

  it('stops an expression that runs away, and goes on', async () => {
    const page = open(
      write('runaway.jsonl', [
        { prompt: 'a', completion: 'b' },
        { prompt: `${'a'.repeat(40)}!`, completion: 'b' },
      ]),
      { recordLimitMs: 4000 },
    );
    void page.session.begin();
    await page.show();
    const { problem } = await page.show({ text: '^(a+)+$', regex: true });
    expect(problem).toMatch(/longer than 4 s in row 2/);
    expect((await page.show({ text: 'a' })).count).toBe(2);
  }, 60_000);

  it('saves the view as a new data set, never over another', async () => {
    const page = open(tickets);
    void page.session.begin();
    const { count } = await page.show({ text: 'parcel' });
    const target = join(folder, 'saved.jsonl');
    const signal = new AbortController().signal;
    expect(await page.session.save(target, signal)).toEqual({ written: count, left: 0 });
    const saved = readFileSync(target, 'utf8');
    expect(saved.trim().split('\n')).toHaveLength(count);
    await expect(page.session.save(target, signal)).rejects.toThrow('exists already');
    expect(readFileSync(target, 'utf8')).toBe(saved);
    await expect(page.session.save(tickets, signal)).rejects.toThrow('exists already');
  });
});
