/** Several threads find what one finds, and the one that asks finds it alone. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRecords } from '../../../src/data/read/records.js';
import { type AnalysisOptions, analyse } from '../../../src/data/view/analyse.js';
import { Examiner } from '../../../src/data/view/examine.js';
import { examineAll } from '../../../src/data/view/examine-all.js';
import { Fold } from '../../../src/data/view/fold.js';
import { schemaOf } from '../../../src/data/view/json-scan.js';
import { runJob } from '../../../src/data/view/run-job.js';
import { indexParts, layoutFor } from '../../../src/data/view/segments.js';
import buildDataWorker from '../../setup/data-worker.js';
import { plainOptions, tokenizerFolder } from './support.js';

const folder = mkdtempSync(join(tmpdir(), 'sft-lab-shared-'));
beforeAll(() => buildDataWorker());
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const silent = { row: () => undefined, share: () => undefined };

/** Nine megabytes with every kind of trouble, none of it where parts meet by plan. */
function troubled(): string {
  const words = (seed: number, count: number): string =>
    Array.from({ length: count }, (_, i) => `w${(i * 31 + seed * 17) % 9973}`).join(' ');
  const lines: string[] = [''];
  for (let i = 0; i < 16_000; i++) {
    const prompt = `question ${i} ${words(i, 40 + (i % 50))}`;
    const line = JSON.stringify({ prompt, completion: i % 3 === 0 ? 'yes' : 'no' });
    if (i % 997 === 3) lines.push('{"prompt": "broken');
    else if (i % 1009 === 5) lines.push(lines.at(-1) ?? '');
    else if (i % 1013 === 7) lines.push(JSON.stringify({ prompt: 'the same', completion: `answer ${i}` }));
    else if (i % 1019 === 11) lines.push(JSON.stringify({ prompt, completion: '' }));
    else if (i % 1021 === 13) lines.push('', '  ', JSON.stringify({ text: `raw \u0000 ${prompt}` }));
    else if (i % 1031 === 17)
      lines.push(`{"prompt": ${JSON.stringify(prompt)}, "prompt": "again ${i}", "completion": "no"}`);
    else if (i % 1033 === 19) lines.push(JSON.stringify({ prompt: `${prompt}`, completion: words(i, 60) }));
    else if (i % 1039 === 23)
      lines.push(
        JSON.stringify({ prompt: `question ${i - 1} ${words(i - 1, 40 + ((i - 1) % 50))}`, completion: 'no' }),
      );
    else lines.push(line);
  }
  const file = join(folder, 'troubled.jsonl');
  writeFileSync(file, lines.join('\n'));
  return file;
}

async function byOne(options: AnalysisOptions) {
  const examiner = new Examiner(options, true);
  const fold = new Fold(options);
  await fold.readEvaluation(silent);
  for await (const record of readRecords(options.path)) examiner.add(record);
  fold.add(examiner.take());
  return fold.finish(false, schemaOf([examiner.root]), examiner.maskSource);
}

/** The same by threads that nobody marked lines for. @returns how many blocks came, too */
async function byThreads(options: AnalysisOptions, threads: number) {
  const { blocks, fields, maskSource } = examineAll(options, undefined, { beat: () => undefined, threads });
  const fold = new Fold(options);
  let count = 0;
  for await (const block of blocks) {
    count++;
    fold.add(block);
  }
  const analysis = fold.finish(false, schemaOf([fields()]), maskSource());
  fold.close();
  return { count, analysis };
}

describe('a set looked at by several threads', () => {
  test('gives the figures and the problems, rows and lines, that one thread finds', async () => {
    const path = troubled();
    const model = {
      ...plainOptions,
      modelDirectory: tokenizerFolder('qwen'),
      maxLength: 100,
      lossOn: 'completion' as const,
    };
    const options = { path, format: 'auto' as const, evaluation: [], model };
    const [one, several] = [await byOne(options), await analyse(options, silent)];
    const { problems, schema, ...rest } = several;
    const { problems: expected, schema: fields, ...figures } = one;
    expect(rest).toEqual(figures);
    expect(problems.filter(({ kind }) => kind !== 'duplicate-keys')).toEqual(expected);
    expect(problems.find(({ kind }) => kind === 'duplicate-keys')?.count).toBeGreaterThan(10);
    expect(problems.length).toBeGreaterThan(7);
    expect(schema.map((field) => field.path).sort()).toEqual(fields.map((field) => field.path).sort());
  }, 120_000);

  test('and so does the one that asks, for files that have no parts', async () => {
    const path = join(folder, 'troubled.jsonl.gz');
    writeFileSync(path, gzipSync(readFileSync(troubled())));
    const options = { path, format: 'auto' as const, evaluation: [] };
    const { count, analysis } = await byThreads(options, 3);
    expect(count).toBeGreaterThan(3);
    expect(analysis).toEqual(await byOne(options));
  }, 120_000);

  const asCsv = (records: readonly object[]): string => {
    const quoted = (text: unknown): string => `"${String(text ?? '').replaceAll('"', '""')}"`;
    const lines = records.map(
      (record) => `${quoted(Reflect.get(record, 'prompt'))},${quoted(Reflect.get(record, 'completion'))}`,
    );
    // A field too many, and one that is not closed: the rest of the file is in it.
    return ['prompt,completion', ...lines.slice(0, -20), 'a,b,c', ...lines.slice(-20), '"open,\n'].join('\r\n');
  };
  const asParquet = (records: readonly object[]): Buffer => {
    const column = (name: string) => ({
      name,
      type: 'STRING' as const,
      data: records.map((one) => Reflect.get(one, name) ?? null),
    });
    const columnData = [column('prompt'), column('completion'), column('text')];
    return Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize: [700, 4700], pageSize: 50_000 }));
  };
  test.each([
    ['csv', (records: readonly object[]) => asCsv(records)],
    ['json', (records: readonly object[]) => `[${records.map((one) => JSON.stringify(one, null, 1)).join(' ,\n')}`],
    ['parquet', (records: readonly object[]) => asParquet(records)],
  ])(
    'by parts of %s files too, and the fields',
    async (kind, write) => {
      const records = readFileSync(troubled(), 'utf8')
        .split('\n')
        .flatMap((line): object[] => {
          try {
            return line.trim() === '' ? [] : [{ ...JSON.parse(line), at: { line: line.length } }];
          } catch {
            return [];
          }
        });
      const path = join(folder, `troubled.${kind}`);
      writeFileSync(path, write(records));
      const options = { path, format: 'auto' as const, evaluation: [] };
      const one = await byOne(options);
      expect(one.problems.length).toBeGreaterThan(4);
      for (const threads of [1, 3]) {
        const { count, analysis } = await byThreads(options, threads);
        expect(count).toBeGreaterThan(5);
        expect(analysis).toEqual(one);
      }
    },
    120_000,
  );

  test('stops when it is given up, and names the row that does not end', async () => {
    const path = troubled();
    const layout = await layoutFor(path);
    if (layout === undefined) throw new Error('unreachable');
    const { marks } = await indexParts(path, layout);
    for (const threads of [1, 3]) {
      const stop = new AbortController();
      const environment = { beat: () => undefined, signal: stop.signal, threads };
      const { blocks } = examineAll({ path, format: 'auto' }, marks, environment);
      await blocks.next();
      stop.abort(new Error('given up'));
      await expect(all(blocks)).rejects.toThrow('given up');
    }
    // A template that never ends for one record: of the third part, which the second thread has.
    const options = { path, format: 'auto' as const, model: { ...plainOptions, ...endless('again 3110') } };
    const hung = examineAll(options, marks, { beat: () => undefined, stallMs: 3000, threads: 3 });
    await expect(all(hung.blocks)).rejects.toThrow(/row 31\d\d takes longer than 3 s/);
  }, 120_000);

  test('is stopped by whoever started the one that asks, where that one stands still', async () => {
    const path = troubled();
    const model = { ...plainOptions, ...endless('again 17'), maxLength: 100, lossOn: 'completion' as const };
    const job = runJob('analyse', { path, format: 'auto', evaluation: [], model }, { stallSeconds: 2 });
    await expect(job).rejects.toThrow(/row 1\d takes longer than 2 s/);
  }, 60_000);
});

/** A template that never ends for messages of one text. */
function endless(text: string) {
  const forever = '{% for i in range(100000000) %}{% for j in range(100000000) %}{% endfor %}{% endfor %}';
  const chatTemplate = `{% for m in messages %}{% if m['content'] == '${text}' %}${forever}{% endif %}{{ m['content'] }}{% endfor %}`;
  return { modelDirectory: tokenizerFolder('qwen'), chatTemplate };
}

async function all(blocks: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of blocks);
}
