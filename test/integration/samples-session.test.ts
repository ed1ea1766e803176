/** The samples view's session on runs that were really trained: what its page would be sent. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  firstQuery,
  type PromptDetail,
  type SamplesQuery,
  type ToSamples,
  toSamples,
} from '../../src/core/view/samples.js';
import { SamplesSession } from '../../src/editor/samples/session.js';
import { EventFollower } from '../../src/runs/follow.js';
import { makeWorkspace, run, until } from './support.js';

const workspace = makeWorkspace();
const folderOf = (name: string): string => workspace.path('.sft', 'words', name);

beforeAll(async () => {
  for (const [name, seed] of [
    ['one', 1],
    ['two', 2],
  ] as const) {
    const config = workspace.config(`${name}.sft.json`, {
      ...{ experiment: 'words', run_name: name, seed, output_dir: '.sft', save_strategy: 'no' },
      ...{ eval_on_start: true, eval_generate_samples: 6, num_sample_generations: 2 },
    });
    expect((await run(workspace, 'train', config, '--quiet')).stderr).toBe('');
  }
});
afterAll(() => workspace.remove());

/** A page that keeps what it was sent. */
class Page {
  readonly messages: ToSamples[] = [];
  readonly session: SamplesSession;
  query: SamplesQuery = firstQuery;

  constructor(...names: string[]) {
    this.session = new SamplesSession(
      {
        run: (folder) => {
          const label = names.find((name) => folderOf(name) === folder);
          if (label === undefined) return undefined;
          const { config } = JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8'));
          return { label, experiment: 'words', state: 'finished', config };
        },
        follow: (folder, listener) => {
          const follower = new EventFollower(join(folder, 'events.jsonl'), listener, { pollMs: 50 });
          return { dispose: () => follower.close() };
        },
        // What does not fit the page's schema would be dropped there.
        send: (message) => this.messages.push(toSamples.parse(structuredClone(message))),
      },
      names.map(folderOf),
    );
  }

  ask(patch: Partial<SamplesQuery>): void {
    this.query = { ...this.query, selected: this.detail?.key ?? null, ...patch };
    this.session.ask(this.query);
  }

  last<T extends ToSamples['type']>(type: T): Extract<ToSamples, { type: T }> | undefined {
    return this.messages.findLast((message): message is Extract<ToSamples, { type: T }> => message.type === type);
  }

  get detail(): PromptDetail | null {
    return this.last('detail')?.detail ?? null;
  }

  async open(): Promise<this> {
    this.session.start(this.query);
    await until('a list', () => this.last('list') !== undefined);
    return this;
  }
}

async function opened<T>(names: readonly string[], work: (page: Page) => Promise<T>): Promise<T> {
  const page = await new Page(...names).open();
  try {
    return await work(page);
  } finally {
    page.session.close();
  }
}

describe('the samples session', () => {
  it('lists what was answered, with the first of the list in detail', () =>
    opened(['one'], async (page) => {
      const list = page.last('list');
      expect(list).toMatchObject({
        set: 'eval',
        steps: [0, 8, 16, 24],
        count: 6,
        checked: true,
        samplesKept: 2,
        position: 0,
      });
      expect(list?.counts).toMatchObject({ answered: 6, all: 9, differ: 0 });
      page.session.rows(list?.version ?? -1, 0, 50);
      await until('all titles', () => page.last('rows')?.rows.every(({ title }) => title !== null) === true);
      expect(page.last('rows')?.rows).toHaveLength(6);
      expect(page.last('rows')?.rows[0]).toMatchObject({
        key: page.detail?.key,
        title: expect.stringMatching(/^Word 10\d: /),
      });
      expect(page.last('rows')?.rows[0]?.verdicts).toHaveLength(4);
    }));

  it('reads from the data set what the log does not hold', () =>
    opened(['one'], async (page) => {
      page.ask({ filter: 'all', order: 'file' });
      const version = page.last('list')?.version ?? -1;
      page.session.rows(version, 0, 50);
      // The last record was neither asked nor sampled.
      page.session.select(8);
      await until('the record', () => page.detail?.source.kind === 'file');
      expect(page.detail).toMatchObject({
        ...{ prompt: expect.stringMatching(/^Word 108: /), reference: 'yes', place: { record: 9, line: 9 } },
        shown: { step: 24, answer: null, tokens: null },
      });
      expect(page.detail?.tracks[0]?.points.every(({ loss }) => loss !== null)).toBe(true);
      page.session.select(0);
      expect(page.detail).toMatchObject({ source: { kind: 'log' }, shown: { tokens: { ends: expect.any(Array) } } });
    }));

  it('finds text in records that were only read', () =>
    opened(['one'], async (page) => {
      page.ask({ filter: 'all', text: 'word 108' });
      await until('the record', () => page.last('list')?.count === 1);
      page.ask({ filter: 'all', text: 'no such words' });
      expect(page.last('list')).toMatchObject({ count: 0, position: null });
    }));

  it('goes along evaluations and runs, and compares', () =>
    opened(['one', 'two'], async (page) => {
      expect(page.last('runs')?.runs.map(({ label }) => label)).toEqual(['one', 'two']);
      expect(page.detail?.tracks.map(({ points }) => points.length)).toEqual([4, 4]);
      expect(page.detail).toMatchObject({ shown: { run: folderOf('one'), step: 24 }, base: { step: 16 } });
      page.ask({ step: 8 });
      expect(page.detail).toMatchObject({ shown: { step: 8 }, base: { step: 0 } });
      page.ask({ step: 0 });
      expect(page.detail).toMatchObject({ shown: { step: 0 }, base: null });
      expect(page.session.compared()).toBeUndefined();
      page.ask({ step: null, base: { kind: 'run', run: folderOf('two') } });
      expect(page.detail).toMatchObject({ shown: { run: folderOf('one') }, base: { run: folderOf('two'), step: 24 } });
      expect(page.session.compared()).toMatchObject({
        before: { run: folderOf('two') },
        after: { run: folderOf('one'), step: 24 },
      });
      page.ask({ shown: folderOf('two'), step: 8, base: { kind: 'reference' } });
      expect(page.detail).toMatchObject({ shown: { run: folderOf('two'), step: 8 }, base: null });
      await until('the reference', () => page.detail?.reference !== null);
      expect(page.session.compared()?.before).toMatchObject({ step: null, text: page.detail?.reference });
      expect(page.last('list')?.run).toBe(folderOf('one'));
      page.session.remove(folderOf('one'));
      await until('the other run', () => page.last('list')?.run === folderOf('two'));
    }));

  it('takes what is new without losing the selection', () =>
    opened(['one'], async (page) => {
      page.session.select(2);
      const { key } = page.detail ?? {};
      const log = join(folderOf('one'), 'events.jsonl');
      const before = readFileSync(log, 'utf8');
      const lines = before
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      const seq = lines.at(-1).seq;
      const { items, files } = lines.findLast(({ type }) => type === 'examples');
      const more = { ...lines.at(-1), type: 'examples', set: 'eval', step: 32, seq: seq + 1, files, items };
      try {
        writeFileSync(log, `${before}${JSON.stringify(more)}\n`);
        await until('one more evaluation', () => page.last('list')?.steps.at(-1) === 32);
        expect(page.detail).toMatchObject({ key, shown: { step: 32 } });
      } finally {
        writeFileSync(log, before);
      }
    }));

  it('says what is missing when the data set is another one by now', () =>
    opened(['one'], async (page) => {
      const file = workspace.path('eval.jsonl');
      const before = readFileSync(file, 'utf8');
      try {
        writeFileSync(file, `\n${before}`);
        page.ask({ filter: 'all', order: 'file' });
        page.session.select(8);
        await until('the reason', () => page.detail?.source.kind === 'missing');
        expect(page.detail).toMatchObject({ prompt: null, source: { reason: 'the data set has changed since' } });
      } finally {
        writeFileSync(file, before);
      }
    }));

  it('is empty and says so where nothing was evaluated', () =>
    opened([], async (page) => {
      expect(page.last('runs')).toMatchObject({ runs: [], sets: [], reading: false });
      expect(page.detail).toBeNull();
    }));
});
