/** The data set preview without an editor: what it is sent when it asks, and that its tokens are the trainer's. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { FromPreview, ToPreview } from '../../src/core/view/preview.js';
import { toPreview } from '../../src/core/view/preview.js';
import { openTrainingData } from '../../src/data/index.js';
import { openDataView } from '../../src/data/view/index.js';
import { automatic, keepMapping, readMapping } from '../../src/editor/preview/mappings.js';
import { PreviewSession } from '../../src/editor/preview/session.js';
import buildDataWorker from '../setup/data-worker.js';
import {
  fileWith,
  jsonl,
  templateText,
  temporaryFolder,
  tokenizerFolder,
  trainingOptions,
} from '../unit/data/support.js';

beforeAll(buildDataWorker);

const sessions: PreviewSession[] = [];
afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()));
});

/** A preview and what it was sent, each message checked as the page checks it. */
function preview(path: string) {
  const sent: ToPreview[] = [];
  const session = new PreviewSession(
    { path, name: 'data', models: [], mapping: automatic, model: '' },
    {
      show: (message) => sent.push(toPreview.parse(message)),
      keepMapping: async () => undefined,
      note: () => undefined,
    },
  );
  sessions.push(session);
  const last = <T extends ToPreview['type']>(type: T) =>
    sent.findLast((message): message is Extract<ToPreview, { type: T }> => message.type === type);
  return { session, sent, last, ask: (message: FromPreview) => session.receive(message) };
}

const records = Array.from({ length: 300 }, (_, i) => ({
  prompt: `question ${i}`,
  completion: i % 3 === 0 ? 'yes' : `no ${i}`,
}));

describe('a preview', () => {
  test('opens, counts, gives rows, an overview and a filter', async () => {
    const { ask, last } = preview(fileWith(`${jsonl(records)}{"broken\n`));
    await ask({ type: 'ready' });
    expect(last('opened')).toMatchObject({ detected: 'custom', fieldNames: ['prompt', 'completion'] });
    expect(last('count')).toMatchObject({ count: 301, complete: true, filter: null });
    expect(last('overview')?.overview).toMatchObject({ records: 301, usable: 300, sampled: false, tokens: null });
    await ask({ type: 'rows', version: 7, from: 299, count: 50 });
    expect(last('rows')).toMatchObject({
      version: 7,
      from: 299,
      rows: [{ row: 299, summary: 'question 299' }, { row: 300 }],
    });
    expect(last('rows')?.rows[1]?.problem).toMatch(/not valid JSON/);
    await ask({ type: 'filter', where: 'completion = yes', sort: '-length' });
    expect(last('count')).toMatchObject({ count: 100, total: 301 });
    await ask({ type: 'rows', version: 8, from: 0, count: 2 });
    expect(last('rows')?.rows.every(({ messages }) => messages[1]?.content === 'yes')).toBe(true);
    await ask({ type: 'goTo', row: 1 });
    expect(last('failed')?.message).toMatch(/row 2 is not among the rows shown/);
    await ask({ type: 'filter', where: 'nonsense > 3', sort: '' });
    expect(last('failed')).toMatchObject({
      about: 'filter',
      message: expect.stringMatching(/cannot compare nonsense/),
    });
    await ask({ type: 'filter', where: '', sort: '' });
    expect(last('count')).toMatchObject({ count: 301, filter: null });
    await ask({ type: 'tokens', row: 0 });
    expect(last('tokens')?.problem).toMatch(/no model is chosen/);
  });

  test('a mapping changes how rows are read', async () => {
    const { ask, last } = preview(fileWith(jsonl([{ ask: 'a?', say: 'b.' }])));
    await ask({ type: 'ready' });
    await ask({ type: 'rows', version: 1, from: 0, count: 1 });
    expect(last('rows')?.rows[0]?.problem).toMatch(/no known format/);
    await ask({ type: 'mapping', mapping: { format: 'custom', fields: { prompt: 'ask', completion: 'say' } } });
    await ask({ type: 'rows', version: 2, from: 0, count: 1 });
    expect(last('rows')?.rows[0]?.messages.map(({ content }) => content)).toEqual(['a?', 'b.']);
  });

  test('a file that cannot be read says so', async () => {
    const { ask, last } = preview(fileWith('version https://git-lfs', 'x.parquet'));
    await ask({ type: 'ready' });
    expect(last('failed')).toMatchObject({ about: 'file' });
  });

  test('a text of megabytes is cut, and says so', async () => {
    const { ask, last } = preview(fileWith(jsonl([{ prompt: 'a', completion: 'x'.repeat(10_000_000) }])));
    await ask({ type: 'ready' });
    await ask({ type: 'rows', version: 1, from: 0, count: 1 });
    expect(last('rows')?.rows[0]).toMatchObject({ cut: true, length: 10_000_002 });
    expect(JSON.stringify(last('rows')).length).toBeLessThan(200_000);
  });

  test('mappings are kept by path, and the automatic one is nothing to keep', async () => {
    const root = temporaryFolder();
    const mapping = { format: 'custom' as const, fields: { prompt: 'q' } };
    await keepMapping(root, join(root, 'data', 'a.jsonl'), mapping);
    expect(await readMapping(root, join(root, 'data', 'a.jsonl'))).toEqual(mapping);
    expect(await readMapping(root, join(root, 'data', 'b.jsonl'))).toEqual(automatic);
    expect(await readMapping(root, join(root, '__proto__'))).toEqual(automatic);
    await keepMapping(root, join(root, 'data', 'a.jsonl'), automatic);
    expect(await readMapping(root, join(root, 'data', 'a.jsonl'))).toEqual(automatic);
  });
});

describe('its tokens are those of the trainer, byte for byte', () => {
  const folder = new URL('../fixtures/data/templates/', import.meta.url).pathname;
  const templates = readdirSync(folder).map((name) => name.replace('.jinja', ''));
  const tokenizerOf = (template: string) =>
    template.startsWith('llama3') ? 'llama3' : /^(llama2|mistral)/.test(template) ? 'llama2' : 'qwen';
  const formats: Record<string, readonly unknown[]> = {
    alpaca: [
      { instruction: 'Add', input: '2 and 3', output: '5' },
      { instruction: 'Größe?', input: '', output: 'naïve café 🙂' },
    ],
    sharegpt: [
      {
        conversations: [
          { from: 'human', value: 'Hi' },
          { from: 'gpt', value: 'Hello!' },
          { from: 'human', value: 'Bye' },
          { from: 'gpt', value: ' Bye. ' },
        ],
      },
    ],
    messages: [
      {
        messages: [
          { role: 'user', content: 'a\n\nb' },
          { role: 'assistant', content: 'def f():\n    return 1\n' },
        ],
      },
    ],
    custom: [{ question: 'What?', answer: 'That.' }],
    text: [{ text: 'plain text, 東京タワー' }],
  };
  test.each(templates.flatMap((template) => Object.keys(formats).map((format) => [template, format] as const)))(
    '%s, %s',
    async (template, format) => {
      const path = fileWith(jsonl(formats[format] ?? []));
      const model = { modelDirectory: tokenizerFolder(tokenizerOf(template)), chatTemplate: templateText(template) };
      for (const [lossOn, maxLength] of [
        ['completion', 512],
        ['all', 12],
      ] as const) {
        const options = trainingOptions({
          train: [{ path, format: 'auto' }],
          ...model,
          lossOn,
          maxLength,
          shuffle: false,
        });
        const data = await openTrainingData({ ...options, onBadRecord: 'skip' }).catch(() => undefined);
        const view = await openDataView(path);
        try {
          const shown = await view.tokens({ from: 0, count: 10, model: options, format: 'auto' });
          await data?.seek(0, 0);
          let compared = 0;
          for (const example of (await data?.next(10)) ?? []) {
            const row = shown[example.place.index];
            if (row === undefined || 'problem' in row) throw new Error(`row ${example.place.index} has no tokens`);
            expect(row.tokens.slice(0, maxLength)).toEqual(example.tokens);
            expect(row.groups.slice(0, maxLength)).toEqual(example.groups);
            expect(Math.max(0, row.tokens.length - maxLength)).toBe(example.truncated);
            const mask = row.groups
              .slice(0, maxLength)
              .map((group, i) => (i > 0 && (group === 2 || lossOn === 'all') ? 1 : 0));
            expect(mask).toEqual(example.mask);
            compared++;
          }
          // A template may refuse a record; then neither has tokens of it.
          expect(compared > 0 || shown.every((row) => 'problem' in row)).toBe(true);
        } finally {
          await data?.close();
          await view.close();
        }
      }
    },
  );
});
