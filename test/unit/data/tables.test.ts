/** Every kind of file, as written by pandas, pyarrow, openpyxl, zstandard and Hugging Face datasets, read back as the same records. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openArrow } from '../../../src/data/read/arrow.js';
import { fileKind } from '../../../src/data/read/kinds.js';
import { openParquet } from '../../../src/data/read/parquet.js';
import { type RawRecord, readRecords } from '../../../src/data/read/records.js';
import type { Table } from '../../../src/data/read/table.js';
import { toJsonValue } from '../../../src/data/read/values.js';
import { fileWith, temporaryFolder } from './support.js';

const folder = fileURLToPath(new URL('../../fixtures/tables/', import.meta.url));
const rows = z.array(z.record(z.string(), z.unknown()));
const expected = z
  .object({ flat: rows, nested: rows, datasets: rows })
  .parse(JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')));

async function all(path: string): Promise<RawRecord[]> {
  const records: RawRecord[] = [];
  for await (const record of readRecords(path)) records.push(record);
  return records;
}

const values = (records: readonly RawRecord[]): unknown[] =>
  records.map((record) => ('problem' in record ? `problem: ${record.problem}` : record.value));

describe('flat records', () => {
  test.each([
    'flat.jsonl',
    'flat.jsonl.gz',
    'flat.jsonl.zst',
    'flat.csv',
    'flat.csv.gz',
    'flat.tsv',
    'flat.semicolon.csv',
    'flat.xlsx',
    'flat.parquet',
  ])('%s', async (name) => {
    const records = await all(join(folder, name));
    expect(values(records)).toEqual(expected.flat);
    expect(records.map(({ place }) => place.index)).toEqual(expected.flat.map((_, i) => i));
  });

  test('lines of quoted fields that span lines are those on which the records begin', async () => {
    const records = await all(fileWith('a,b\n1,"x\ny"\n2,z\n', 'data.csv'));
    expect(records.map(({ place }) => place.line)).toEqual([2, 4]);
  });
});

describe('nested records', () => {
  const nested = ['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4', 'v2', 'index'];
  test.each([...nested.map((name) => `nested.${name}.parquet`), 'file.arrow'])('%s', async (name) => {
    expect(values(await all(join(folder, name)))).toEqual(expected.nested);
  });

  test.each(['datasets', 'datasets.parquet'])('%s, with the names of its classes', async (name) => {
    expect(values(await all(join(folder, name)))).toEqual(expected.datasets);
  });
});

describe('any rows of a table, in any order', () => {
  const check = async (table: Table): Promise<void> => {
    try {
      const property = fc.asyncProperty(fc.nat(530), fc.integer({ min: 1, max: 120 }), async (from, count) => {
        const read = (await table.read(from, count)).map((row) => toJsonValue(row));
        expect(read).toEqual(expected.nested.slice(from, from + count));
      });
      await fc.assert(property, { numRuns: 60, seed: 5 });
    } finally {
      await table.close();
    }
  };
  test.each(['none', 'v2', 'index', 'zstd'])('nested.%s.parquet', async (name) => {
    for (const kept of [0, 4000, 1 << 20]) {
      await check(await openParquet(join(folder, `nested.${name}.parquet`), kept));
    }
  });
  test('file.arrow', async () => check(await openArrow(await fileKind(join(folder, 'file.arrow')))));
});

describe('spreadsheets', () => {
  test('dates, numbers and truth values; a formula without a value is named, an empty row passed over', async () => {
    const records = await all(join(folder, 'kinds.xlsx'));
    expect(values(records)).toEqual([
      expect.stringMatching(/the cell B2 holds a formula without a saved value/),
      { prompt: 'day', completion: 'text', when: '1999-12-31T00:00:00.000Z', ok: false, n: -7 },
      { prompt: 'last', completion: 'bell \u0007', when: null, ok: null, n: 3 },
    ]);
    expect(records.map(({ place }) => place.line)).toEqual([2, 3, 5]);
  });
});

describe('damage', () => {
  test.each([
    ['nested.snappy.parquet', /footer/],
    ['file.arrow', /cut off/],
    ['flat.xlsx', /directory at its end/],
    ['flat.jsonl.gz', /gzip data is damaged or ends too early/],
    ['flat.jsonl.zst', /zstd data is damaged or ends too early/],
  ])('%s cut in the middle', async (name, message) => {
    const whole = readFileSync(join(folder, name));
    const cut = fileWith(whole.subarray(0, Math.floor(whole.length * 0.6)), name);
    await expect(all(cut)).rejects.toThrow(message);
  });

  test('a damaged row group is named, the groups after it are read', async () => {
    const bytes = Buffer.from(readFileSync(join(folder, 'nested.gzip.parquet')));
    bytes.fill(0xa5, 40, 1200);
    const records = await all(fileWith(bytes, 'damaged.parquet'));
    const bad = records.filter((record) => 'problem' in record);
    expect(bad.length).toBeGreaterThan(0);
    expect(bad[0]?.place.index).toBe(0);
    // Whoever counts records has the numbers of the rows.
    expect(records.map(({ place }) => place.index)).toEqual([...expected.nested.keys()]);
    expect(values(records).slice(-123)).toEqual(expected.nested.slice(-123));
  });

  test('a file that only has the name of another kind', async () => {
    await expect(all(fileWith('version https://git-lfs', 'x.parquet'))).rejects.toThrow(/does not begin like/);
    await expect(all(temporaryFolder())).rejects.toThrow(/without Arrow files/);
  });

  test.each([
    ['a,b\n1\n', /1 fields, the header 2/],
    ['a,b\n"1"x,2\n', /expected the end of the field/],
    ['a,b\n1,"2\n', /inside a quoted field/],
  ])('CSV %j', async (content, message) => {
    expect(values(await all(fileWith(content, 'bad.csv')))[0]).toMatch(message);
  });
});
