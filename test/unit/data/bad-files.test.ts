/** What files may be like: each gives a clear message on its row or file, in bounded time and memory, and the rest stays usable. */

import { appendFileSync, closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type RawRecord, readRecords } from '../../../src/data/read/records.js';
import { mergeSegments } from '../../../src/data/view/check.js';
import { openRows } from '../../../src/data/view/rows.js';
import { scanSegment } from '../../../src/data/view/segment.js';
import { fileWith } from './support.js';

async function all(path: string): Promise<RawRecord[]> {
  const records: RawRecord[] = [];
  for await (const record of readRecords(path)) records.push(record);
  return records;
}
const brief = (records: readonly RawRecord[]): unknown[] =>
  records.map((record) => ('problem' in record ? record.problem : record.value));

const good = '{"prompt":"a","completion":"b"}';
const goodValue = { prompt: 'a', completion: 'b' };

describe('one bad row among good ones', () => {
  test.each<[string, string | Buffer, RegExp]>([
    ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d]), /not valid UTF-8/],
    ['NUL bytes', '\u0000\u0000\u0000', /not valid JSON/],
    ['a hundred thousand brackets', '['.repeat(100_000), /nested more than 512 levels/],
    [
      'objects nested ten thousand deep',
      `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
      /nested more than 512 levels/,
    ],
    ['half a surrogate pair, raw', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), /not valid UTF-8/],
    ['a carriage return inside a text', '{"a":"x\ry"}', /not valid JSON/],
  ])('%s', async (_name, bad, message) => {
    const content = Buffer.concat([Buffer.from(`${good}\n`), Buffer.from(bad), Buffer.from(`\n${good}`)]);
    const file = fileWith(content);
    expect(brief(await all(file))).toEqual([goodValue, expect.stringMatching(message), goodValue]);
    const task = { file, from: 0, to: content.length, start: 0, spacing: 65_536, check: true };
    const checked = mergeSegments([scanSegment(task, () => undefined)]);
    expect(checked).toMatchObject({ records: 3, badCount: 1, bad: [{ row: 1, line: 2 }] });
    expect(checked.bad[0]?.problem).toMatch(message);
  });

  test('prototype keys are keys', async () => {
    const [record] = await all(fileWith('{"__proto__":{"polluted":true},"constructor":1,"prompt":"a"}\n'));
    if (record === undefined || 'problem' in record) throw new Error('not read');
    expect(Object.keys(record.value as object)).toEqual(['__proto__', 'constructor', 'prompt']);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
    const [row] = await all(fileWith('__proto__,toString\na,b\n', 'x.csv'));
    expect(Object.keys((row as { value: object }).value)).toEqual(['__proto__', 'toString']);
  });

  test('duplicate keys are told of', () => {
    const file = fileWith(`${good}\n{"a":1,"a":2}\n{"a":{"b":1},"c":{"b":1}}\n`);
    const checked = mergeSegments([
      scanSegment({ file, from: 0, to: 1 << 20, start: 0, spacing: 65_536, check: true }, () => undefined),
    ]);
    expect(checked.duplicateKeys).toEqual({ count: 1, rows: [{ row: 1, line: 2 }] });
  });

  test('a field of ten megabytes is read', async () => {
    const text = 'x'.repeat(10_000_000);
    expect(brief(await all(fileWith(`${JSON.stringify({ text })}\n`)))).toEqual([{ text }]);
  });
});

describe('files', () => {
  test('UTF-16 inside of a packed file is named', async () => {
    const packed = gzipSync(Buffer.from(`\ufeff${good}`, 'utf16le'));
    await expect(all(fileWith(packed, 'data.jsonl.gz'))).rejects.toThrow(/is UTF-16/);
  });

  test('UTF-16 is there row by row', async () => {
    const lines = Array.from({ length: 5000 }, (_, i) => `{"text":"ä${i}"}`);
    const rows = await openRows(fileWith(Buffer.from(`\ufeff${lines.join('\n')}`, 'utf16le')));
    try {
      expect(brief(await rows.read(0, 1))).toEqual([{ text: 'ä0' }]);
      await rows.index(() => undefined);
      expect(rows.count).toBe(5000);
      expect(brief(await rows.read(4999, 5))).toEqual([{ text: 'ä4999' }]);
    } finally {
      await rows.close();
    }
  });

  test('two gigabytes without a line end take neither the time nor the memory of it', { timeout: 60_000 }, async () => {
    const file = fileWith(`${good}\n`);
    const fd = openSync(file, 'r+');
    ftruncateSync(fd, 2 ** 31);
    writeSync(fd, `\n${good}\n`, 2 ** 31);
    closeSync(fd);
    const before = process.memoryUsage.rss();
    let most = 0;
    const beat = (): void => {
      most = Math.max(most, process.memoryUsage.rss());
    };
    const task = { file, from: 0, to: 2 ** 31 + 1000, start: 0, spacing: 65_536, check: true };
    const checked = mergeSegments([scanSegment(task, beat)]);
    expect(checked).toMatchObject({ records: 3, badCount: 1, longest: { row: 1 } });
    const rows = await openRows(file);
    rows.setMarks(checked.marks, checked.records);
    expect(brief(await rows.read(2, 1))).toEqual([goodValue]);
    await rows.close();
    expect(most - before).toBeLessThan(400e6);
    rmSync(file);
  });

  test('one that grows or is deleted while it is open is read on as it was', async () => {
    const file = fileWith(`${good}\n${good}\n`);
    const rows = await openRows(file);
    await rows.index(() => undefined);
    appendFileSync(file, `${good}\n`);
    expect(await rows.read(0, 10)).toHaveLength(2);
    rmSync(file);
    expect(await rows.read(1, 1)).toHaveLength(1);
    await rows.close();
  });

  test('gzip of a gigabyte of blanks is one bad row, and takes no memory', { timeout: 60_000 }, async () => {
    const part = gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20));
    const before = process.memoryUsage.rss();
    const records = await all(fileWith(Buffer.concat(Array(16).fill(part)), 'bomb.jsonl.gz'));
    expect(brief(records)).toEqual([expect.stringMatching(/1073741824 bytes; 67108864 are allowed/)]);
    expect(process.memoryUsage.rss() - before).toBeLessThan(400e6);
  });

  test('a spreadsheet that unpacks to a thousand times its size is refused', async () => {
    const sheet = Buffer.concat([
      Buffer.from('<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>'),
      Buffer.alloc(300_000_000, 0x20),
    ]);
    const bomb = zip({
      'xl/workbook.xml': '<workbook><sheets><sheet name="a" r:id="r1"/></sheets></workbook>',
      'xl/_rels/workbook.xml.rels':
        '<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>',
      'xl/worksheets/sheet1.xml': sheet,
    });
    await expect(all(fileWith(bomb, 'bomb.xlsx'))).rejects.toThrow(/unpacks to more than|longer than/);
  });

  test('a spreadsheet with a document type (entities that expand) is refused', async () => {
    const evil = zip({
      'xl/workbook.xml': '<!DOCTYPE x [<!ENTITY a "aaaa">]><workbook/>',
      'xl/worksheets/sheet1.xml': '<worksheet/>',
    });
    await expect(all(fileWith(evil, 'evil.xlsx'))).rejects.toThrow(/document type/);
  });
});

/** A zip archive of these entries. */
function zip(entries: Readonly<Record<string, string | Buffer>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(entries)) {
    const bytes = Buffer.from(content);
    const packed = deflateRawSync(bytes);
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(8, 8);
    head.writeUInt32LE(packed.length, 18);
    head.writeUInt32LE(bytes.length, 22);
    head.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(8, 10);
    entry.writeUInt32LE(packed.length, 20);
    entry.writeUInt32LE(bytes.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    parts.push(head, Buffer.from(name), packed);
    directory.push(entry, Buffer.from(name));
    offset += head.length + name.length + packed.length;
  }
  const size = directory.reduce((sum, one) => sum + one.length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}
