/** Open data sets of any size, through their workers. */

import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { beforeAll, describe, expect, test } from 'vitest';
import { openTrainingData } from '../../src/data/index.js';
import { countTokens, mergeCounts } from '../../src/data/view/count-tokens.js';
import { openDataView, parseWhere, runJob } from '../../src/data/view/index.js';
import buildDataWorker from '../setup/data-worker.js';
import { fileWith, jsonl, plainOptions, templateText, tokenizerFolder, trainingOptions } from '../unit/data/support.js';

beforeAll(buildDataWorker);

const ask = (prompt: string, completion: string): object => ({ prompt, completion });

describe('in workers', () => {
  test('a regular expression that runs away is stopped and named; the data set stays usable', async () => {
    const path = fileWith(jsonl([ask('a', 'b'), ask(`${'a'.repeat(40)}!`, 'c')]));
    const view = await openDataView(path);
    try {
      const where = parseWhere('prompt ~ /^(a+)+$/');
      const job = runJob('filter', { data: { path, format: 'auto', evaluation: [] }, where }, { stallSeconds: 1 });
      await expect(job).rejects.toThrow(/row 2 takes longer than 1 s/);
      expect(await view.rows(1, 1)).toHaveLength(1);
    } finally {
      await view.close();
    }
  });

  test('rows at once, index and check; a job that is cancelled ends', async () => {
    const path = fileWith(jsonl(Array.from({ length: 5000 }, (_, i) => ask(`q${i}`, `a${i}`))));
    const view = await openDataView(path);
    try {
      expect(view.info).toMatchObject({ kind: 'jsonl', records: undefined });
      expect(await view.rows(0, 100)).toHaveLength(100);
      expect(await view.index()).toBe(5000);
      expect(await view.check()).toMatchObject({ records: 5000, badCount: 0 });
      expect(await view.rows(4999, 5)).toMatchObject([{ value: { prompt: 'q4999' } }]);
      const model = { modelDirectory: tokenizerFolder('qwen'), chatTemplate: templateText('chatml'), ...plainOptions };
      const [row] = await view.tokens({ from: 17, count: 1, model, format: 'auto' });
      if (row === undefined || 'problem' in row) throw new Error('no tokens');
      expect(Buffer.from(row.bytes).toString()).toContain('<|im_start|>user\nq17<|im_end|>');
      expect(row.ends.at(-1)).toBe(row.bytes.length);
      const stop = AbortSignal.abort(new Error('enough'));
      await expect(view.index({ signal: stop })).rejects.toThrow('enough');
      await expect(
        view.tokens({ from: 0, count: 1, model: { ...model, modelDirectory: '/nowhere' }, format: 'auto' }),
      ).rejects.toThrow(/tokenizer.json/);
    } finally {
      await view.close();
    }
    await expect(view.rows(0, 1)).rejects.toThrow(/closed/);
  });

  test('what a packed file unpacked into is removed', async () => {
    const path = fileURLToPath(new URL('../fixtures/tables/flat.jsonl.gz', import.meta.url));
    const unpacked = () => readdirSync(tmpdir()).filter((name) => name.startsWith('sft-lab-view-'));
    const before = unpacked();
    const view = await openDataView(path);
    expect(await view.index()).toBe(57);
    const made = unpacked().filter((name) => !before.includes(name));
    expect(made.length).toBeGreaterThan(0);
    await view.close();
    expect(made.some((name) => existsSync(join(tmpdir(), name)))).toBe(false);
    await expect(openDataView(fileWith('', 'empty.jsonl'))).rejects.toThrow(/empty/);
    const file = fileWith('x');
    writeFileSync(file, '\n\n');
    await expect(openDataView(file)).rejects.toThrow(/no records/);
  });

  test('tokens counted in parts are those of the whole, wherever the borders fall', async () => {
    const text = jsonl(Array.from({ length: 300 }, (_, i) => ask(`question ${i} é`, 'word '.repeat(i % 30))));
    const path = fileWith(`\ufeff${text}{"broken\n`);
    const model = {
      modelDirectory: tokenizerFolder('qwen'),
      chatTemplate: templateText('chatml'),
      ...plainOptions,
      maxLength: 40,
      lossOn: 'completion' as const,
    };
    const silent = { row: () => undefined, share: () => undefined };
    const whole = await countTokens({ path, format: 'auto', model }, silent);
    expect(whole).toMatchObject({ records: 300, unusable: 1 });
    expect(whole.truncatedRecords).toBeGreaterThan(0);
    const size = Buffer.byteLength(text) + 14;
    for (const cut of [4, 5, 1000, 1001, 1002, 1003, 1037, size - 3]) {
      const parts = [
        { kind: 'lines' as const, from: 0, to: cut, start: 3 },
        { kind: 'lines' as const, from: cut, to: size, start: 3 },
      ];
      const counted = await Promise.all(
        parts.map((part) => countTokens({ path, format: 'auto', model, part }, silent)),
      );
      expect(mergeCounts(counted)).toEqual(whole);
    }
    const view = await openDataView(path);
    expect(await view.countTokens({ format: 'auto', model })).toEqual(whole);
    const analysed = await runJob('analyse', { path, format: 'auto', evaluation: [], model });
    expect(whole).toMatchObject(analysed.tokens ?? {});
    await view.close();
  });

  test('and of a table, a damaged window too', async () => {
    const word = (i: number): string => `${'word '.repeat(i % 30)}${i * 7919}`;
    const columnData = ['prompt', 'completion'].map((name) => ({
      name,
      type: 'STRING' as const,
      data: Array.from({ length: 5000 }, (_, i) => word(i)),
    }));
    const bytes = Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize: 1200, codec: 'UNCOMPRESSED' }));
    const path = fileWith(bytes.fill(0xa5, 20, 2000), 'counted.parquet');
    const model = { modelDirectory: tokenizerFolder('qwen'), ...plainOptions, maxLength: 40, lossOn: 'all' as const };
    const silent = { row: () => undefined, share: () => undefined };
    const whole = await countTokens({ path, format: 'auto', model }, silent);
    expect(whole.records).toBeGreaterThan(3000);
    expect(whole.records + whole.unusable).toBe(5000);
    expect(whole.unusable).toBeGreaterThan(0);
    for (const of of [2, 3, 20]) {
      const counted = await Promise.all(
        Array.from({ length: of }, (_, nth) => {
          const part = { kind: 'windows' as const, nth, of };
          return countTokens({ path, format: 'auto', model, part }, silent);
        }),
      );
      expect(mergeCounts(counted)).toEqual(whole);
    }
  });
});

describe('training', () => {
  const tables = fileURLToPath(new URL('../fixtures/tables/', import.meta.url));
  const examples = async (name: string): Promise<unknown[]> => {
    const data = await openTrainingData(
      trainingOptions({ train: [{ path: join(tables, name), format: 'auto' }], shuffle: false }),
    );
    try {
      await data.seek(0, 0);
      return (await data.next(1000)).map(({ tokens, mask, groups }) => [tokens, mask, groups]);
    } finally {
      await data.close();
    }
  };

  test('from any kind of file is training on the same tokens', async () => {
    const expected = await examples('flat.jsonl');
    expect(expected).toHaveLength(57);
    for (const kind of ['csv', 'tsv', 'csv.gz', 'jsonl.gz', 'jsonl.zst', 'xlsx', 'parquet']) {
      expect(await examples(`flat.${kind}`)).toEqual(expected);
    }
  });
});
