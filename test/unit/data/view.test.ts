import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RawRecord, readRecords } from '../../../src/data/read/records.js';
import { mergeSegments } from '../../../src/data/view/check.js';
import { binStart, lengthBin, lengthBins, quantile } from '../../../src/data/view/histogram.js';
import { JsonScanner, schemaOf } from '../../../src/data/view/json-scan.js';
import { openRows } from '../../../src/data/view/rows.js';
import { scanSegment } from '../../../src/data/view/segment.js';
import { fileWith } from './support.js';

const tables = fileURLToPath(new URL('../../fixtures/tables/', import.meta.url));

function scan(text: string): { good: boolean; scanner: JsonScanner } {
  const bytes = Buffer.from(text);
  const aligned = Buffer.from(new ArrayBuffer(bytes.length + 8));
  bytes.copy(aligned);
  const scanner = new JsonScanner();
  scanner.load(aligned);
  return { good: scanner.line(0, bytes.length), scanner };
}

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe('checking JSON without parsing it', () => {
  test('whatever JSON.stringify writes is good, but for keys with escapes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), fc.integer({ min: 0, max: 3 }), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(scan(text).good || /\\[^"]*":|\\"[^"]*":/.test(text)).toBe(true);
      }),
      { numRuns: 2000, seed: 1 },
    );
  });

  test('nothing is good that JSON.parse refuses', () => {
    const pieces = fc.constantFrom(
      ...'{}[],:"\\ \n\t0123456789.-+eEtrufalsn/bx\u0001\u00e9',
      '"a"',
      'true',
      'null',
      '\\u00',
      '12',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 14 }), (parts) => {
        const text = parts.join('');
        if (scan(text).good) expect(parses(text)).toBe(true);
      }),
      { numRuns: 20_000, seed: 2 },
    );
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(), pieces, (value, at, piece) => {
        const text = JSON.stringify({ key: value, text: 'some words, "quoted"\n and more of them' });
        const place = at % text.length;
        const mutated = text.slice(0, place) + piece + text.slice(place + 1);
        if (scan(mutated).good) expect(parses(mutated)).toBe(true);
      }),
      { numRuns: 20_000, seed: 3 },
    );
  });

  test('fields with their types, and keys that come twice', () => {
    const { scanner, good } = scan('{"a":[{"b":1,"c":"x"},{"b":null}],"a":true}');
    expect(good).toBe(true);
    expect(scanner.duplicateKey).toBe(true);
    expect(schemaOf([scanner.root])).toEqual([
      { path: 'a', types: { boolean: 1, list: 1 } },
      { path: 'a[]', types: { object: 2 } },
      { path: 'a[].b', types: { null: 1, number: 1 } },
      { path: 'a[].c', types: { text: 1 } },
    ]);
  });
});

describe('histogram', () => {
  test('bins hold the lengths that they say', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31), (length) => {
        const bin = lengthBin(length);
        expect(binStart(bin)).toBeLessThanOrEqual(length);
        if (bin + 1 < lengthBins && length > 0) expect(length).toBeLessThan(2 ** (bin / 4) * 1.0000001);
      }),
      { seed: 4 },
    );
    const bins = new Float64Array(lengthBins);
    for (let i = 1; i <= 1000; i++) bins[lengthBin(i)] = (bins[lengthBin(i)] ?? 0) + 1;
    expect(quantile(bins, 0.5)).toBeGreaterThan(480);
    expect(quantile(bins, 0.5)).toBeLessThan(620);
  });
});

async function all(path: string): Promise<RawRecord[]> {
  const records: RawRecord[] = [];
  for await (const record of readRecords(path)) records.push(record);
  return records;
}

describe('the index of lines', () => {
  const line = fc.oneof(
    { weight: 6, arbitrary: fc.record({ a: fc.string(), n: fc.integer() }).map((value) => JSON.stringify(value)) },
    fc.constantFrom('', ' ', '\t', '\r', '{"broken":', '\ufeff', '[1, 2]', '{"\\u0061": 1}', ' {"a":1}'),
  );

  test('parts put together are what reading one after another gives, wherever the borders fall', async () => {
    const property = fc.asyncProperty(
      fc.array(line, { minLength: 1, maxLength: 60 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 200 }),
      async (lines, borders, final, spacing) => {
        const content = `{"first":1}\n${lines.join('\n')}${final ? '\n' : ''}`;
        const file = fileWith(content);
        const expected = await all(file);
        const size = Buffer.byteLength(content);
        const cuts = [0, ...borders.map((border) => Math.floor(border * size)).sort((a, b) => a - b), size];
        const parts = cuts.slice(1).map((to, i) => {
          const task = { file, from: cuts[i] ?? 0, to, start: 0, spacing, check: true };
          return scanSegment(task, () => undefined);
        });
        const merged = mergeSegments(parts);
        expect(merged.records).toBe(expected.length);
        expect(merged.bad.map(({ row, line: at, problem }) => [row, at, problem])).toEqual(
          expected.flatMap((one) => ('problem' in one ? [[one.place.index, one.place.line, one.problem]] : [])),
        );
        const rows = await openRows(file);
        try {
          rows.setMarks(merged.marks, merged.records);
          for (const from of [0, 1, Math.floor(expected.length / 2), expected.length - 1]) {
            expect(await rows.read(from, 3)).toEqual(expected.slice(from, from + 3));
          }
        } finally {
          await rows.close();
        }
      },
    );
    await fc.assert(property, { numRuns: 150, seed: 6 });
  });

  test('a line too long for a record is a bad row, and the rows after it are there', async () => {
    const long = `{"a":"${'x'.repeat(70 * 1024 * 1024)}"}`;
    const file = fileWith(`{"a":1}\n${long}\n{"a":3}\n`);
    const result = mergeSegments([
      scanSegment({ file, from: 0, to: 1 << 28, start: 0, spacing: 65_536, check: true }, () => undefined),
    ]);
    expect(result).toMatchObject({ records: 3, lines: 3, badCount: 1, longest: { row: 1, bytes: long.length } });
    expect(result.bad[0]?.problem).toMatch(/67108864 are allowed/);
    const rows = await openRows(file);
    rows.setMarks(result.marks, result.records);
    expect(await rows.read(2, 1)).toMatchObject([{ value: { a: 3 }, place: { index: 2, line: 3 } }]);
    await rows.close();
  });
});

describe('rows of any kind by their number', () => {
  test.each([
    'flat.jsonl',
    'flat.jsonl.gz',
    'flat.jsonl.zst',
    'flat.csv',
    'flat.csv.gz',
    'flat.tsv',
    'flat.xlsx',
    'kinds.xlsx',
    'flat.parquet',
    'nested.zstd.parquet',
    'datasets',
  ])('%s', async (name) => {
    const path = join(tables, name);
    const expected = (await all(path)).map(({ bytes, ...rest }) => rest);
    const rows = await openRows(path);
    try {
      const read = async (from: number, count: number) =>
        (await rows.read(from, count)).map(({ bytes, ...rest }) => rest);
      expect(await read(0, 100)).toEqual(expected.slice(0, 100));
      await rows.index(() => undefined);
      expect(rows).toMatchObject({ count: expected.length, complete: true });
      for (const from of [0, 2, expected.length - 2, expected.length, expected.length + 5]) {
        expect(await read(from, 4)).toEqual(expected.slice(from, from + 4));
      }
    } finally {
      await rows.close();
    }
  });

  test('an array of JSON over many marks, with lines and columns', async () => {
    const elements = Array.from({ length: 4000 }, (_, i) =>
      JSON.stringify({ i, text: 'word '.repeat(i % 40) }, null, i % 3),
    );
    elements[1234] = '{"i":oops}';
    const file = fileWith(`[${elements.join(' ,\n ')}]`, 'data.json');
    const expected = await all(file);
    const rows = await openRows(file);
    await rows.index(() => undefined);
    expect(rows.count).toBe(4000);
    for (const from of [0, 700, 1230, 1234, 2999, 3999]) {
      expect(await rows.read(from, 7)).toEqual(expected.slice(from, from + 7));
    }
    await rows.close();
  });

  test('a file that becomes shorter while it is open says so', async () => {
    const file = fileWith('{"a":1}\n{"a":2}\n');
    const rows = await openRows(file);
    truncateSync(file, 8);
    await expect(rows.read(0, 2)).rejects.toThrow(/became shorter/);
    await rows.close();
  });

  test('the fixtures that are compared with are not empty', () => {
    expect(readFileSync(join(tables, 'flat.jsonl')).length).toBeGreaterThan(1000);
  });
});
