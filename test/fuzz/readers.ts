/** What a damaged file may do to the readers: give records, name problems, or be refused with a LabError. Nothing else. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from '../../src/core/errors.js';
import { Random } from '../../src/core/random.js';
import { type RawRecord, readRecords } from '../../src/data/read/records.js';
import { Examiner } from '../../src/data/view/examine.js';
import { Fold } from '../../src/data/view/fold.js';
import { schemaOf } from '../../src/data/view/json-scan.js';
import { openRows } from '../../src/data/view/rows.js';
import { scanSegment } from '../../src/data/view/segment.js';
import { mutate } from './mutate.js';

const sources = [
  'flat.jsonl',
  'flat.jsonl.gz',
  'flat.jsonl.zst',
  'flat.csv',
  'flat.tsv',
  'flat.semicolon.csv',
  'flat.xlsx',
  'kinds.xlsx',
  'flat.parquet',
  'nested.none.parquet',
  'nested.snappy.parquet',
  'nested.zstd.parquet',
  'nested.gzip.parquet',
  'nested.lz4.parquet',
  'nested.brotli.parquet',
  'nested.v2.parquet',
  'nested.index.parquet',
  'datasets.parquet',
  'file.arrow',
  'datasets/data-00000-of-00002.arrow',
];
const maxRecords = 3000;

export interface FuzzResult {
  readonly source: string;
  readonly outcome: 'records' | 'refused';
  readonly milliseconds: number;
}

/** @throws whatever a reader throws that is no LabError, with the case's number in front */
export async function fuzzCase(number: number, tables: string, folder: string): Promise<FuzzResult> {
  const random = new Random(20_260_101, number);
  const source = sources[random.below(sources.length)] ?? 'flat.jsonl';
  const other = sources[random.below(sources.length)] ?? 'flat.jsonl';
  const bytes = mutate(readFileSync(join(tables, source)), readFileSync(join(tables, other)), random);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `case-${number}-${source.replaceAll('/', '-')}`);
  writeFileSync(file, bytes);
  const begin = performance.now();
  try {
    const outcome = await readAll(file, random);
    return { source, outcome, milliseconds: performance.now() - begin };
  } catch (error) {
    throw new Error(`case ${number} (${source}): ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    rmSync(file, { force: true });
  }
}

async function readAll(file: string, random: Random): Promise<FuzzResult['outcome']> {
  const examiner = new Examiner({ path: file, format: 'auto' }, true);
  const records: RawRecord[] = [];
  const refused = await labErrorOf(async () => {
    for await (const record of readRecords(file)) {
      examiner.add(record);
      records.push(record);
      if (records.length >= maxRecords) break;
    }
  });
  const fold = new Fold({ path: file, evaluation: [] });
  fold.add(examiner.take());
  JSON.stringify(fold.finish(false, schemaOf([examiner.root]), undefined));
  fold.close();
  await labErrorOf(async () => {
    const rows = await openRows(file);
    try {
      for (let i = 0; i < 3; i++) JSON.stringify(await rows.read(random.below(Math.max(1, records.length)), 5));
      await rows.index(() => undefined);
      await rows.read(random.below(Math.max(1, records.length)), 5);
    } finally {
      await rows.close();
    }
  });
  if (/\.(jsonl|csv|tsv)$/.test(file)) {
    const to = 1 << 30;
    scanSegment({ file, from: 0, to, start: 0, spacing: 100, check: true }, () => undefined);
  }
  return refused ? 'refused' : 'records';
}

async function labErrorOf(work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (error instanceof LabError) return true;
    throw error;
  }
}
