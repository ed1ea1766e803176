/**
 * A data set in parts that several threads read at once: text between the borders of records, tables by rows. What is packed, and
 * spreadsheets, have none: those are read from their start on. Parts are the same however many threads there are.
 */

import { LabError } from '../../core/errors.js';
import { readBytes } from '../read/bytes.js';
import { cannotRead, type FileKind, fileKind } from '../read/kinds.js';
import { openTable } from '../read/records.js';
import { type Table, tableRows, tableWindows } from '../read/table.js';
import { parseText, splitText, type TextLayout } from '../read/text.js';
import type { RawRecord } from '../read/values.js';
import { type LinePart, LineReader } from './line-reader.js';
import { openRows } from './rows.js';

/** Lines between two of them; records of other text from a place on; rows of a table. */
export type Part =
  | ({ readonly kind: 'lines' } & LinePart)
  | ({ readonly kind: 'text'; readonly column: number; readonly records: number } & LinePart)
  | { readonly kind: 'rows'; readonly from: number; readonly to: number };

/** Of a part; the first one is small, so that there is something to show at once. */
const partBytes = 1 << 20;
const firstBytes = 1 << 18;
const partRows = 1000;
const atEnd = Number.POSITIVE_INFINITY;

/**
 * The parts in the order of the file; undefined where it has none.
 *
 * @param marks where lines of JSONL begin (offset, row and line of each), if it is such a file
 */
export async function partsOf(
  path: string,
  marks: Float64Array | undefined,
): Promise<Iterable<Part> | AsyncIterable<Part> | undefined> {
  if (marks !== undefined) return lineParts(marks);
  const kind = await fileKind(path);
  switch (kind.kind) {
    case 'parquet':
    case 'arrow':
      return tableParts(kind);
    case 'xlsx':
      return undefined;
    default:
      return kind.packing === 'none' ? textParts(path) : undefined;
  }
}

function* lineParts(marks: Float64Array): Generator<Part> {
  let part: LinePart | undefined;
  let parts = 0;
  for (let i = 0; i + 2 < marks.length; i += 3) {
    const from = marks[i] ?? 0;
    if (part !== undefined) {
      if (from - part.from < (parts === 0 ? firstBytes : partBytes)) continue;
      yield { kind: 'lines', ...part, to: from };
      parts++;
    }
    part = { from, to: atEnd, row: marks[i + 1] ?? 0, line: (marks[i + 2] ?? 0) + 1 };
  }
  if (part !== undefined) yield { kind: 'lines', ...part };
}

async function* tableParts(kind: FileKind): AsyncGenerator<Part> {
  const table = await openTable(kind);
  try {
    if (table.rows === 0) throw noRecords(kind.path);
    let from = 0;
    // Windows as they are read one after another: what is damaged is then told of in the same way.
    for (const { row, count } of tableWindows(table, 0, table.rows)) {
      if (row + count - from < partRows && from > 0) continue;
      yield { kind: 'rows', from, to: row + count };
      from = row + count;
    }
    if (from < table.rows) yield { kind: 'rows', from, to: table.rows };
  } finally {
    await table.close();
  }
}

async function* textParts(path: string): AsyncGenerator<Part> {
  const layout = await layoutOf(path);
  let part = { from: layout.start, row: 0, line: layout.line, column: 0 };
  let row = 0;
  let last: { readonly line: number; readonly column: number } | undefined;
  const bytes = readBytes(path, 'none', undefined, layout.start);
  for await (const pieces of splitText(bytes, layout, { offset: layout.start, line: layout.line, row: 0 })) {
    for (const piece of pieces) {
      if (piece.start - part.from >= (part.row === 0 ? firstBytes : partBytes)) {
        yield { kind: 'text', ...part, to: piece.start, records: row - part.row };
        part = { from: piece.start, row, line: last?.line ?? piece.line, column: last?.column ?? 0 };
      }
      row++;
      last = piece.end;
    }
  }
  if (row === 0) throw noRecords(path);
  yield { kind: 'text', ...part, to: atEnd, records: row - part.row };
}

/** Reads parts of one data set, one part at a time. */
export class PartReader {
  private readonly lines = new LineReader();
  private table: Promise<Table> | undefined;
  private layout: Promise<TextLayout> | undefined;

  constructor(private readonly path: string) {}

  async close(): Promise<void> {
    // One that could not be opened was told of.
    await this.table?.then((table) => table.close()).catch(() => undefined);
  }

  async *records(part: Part): AsyncGenerator<RawRecord> {
    const { path } = this;
    try {
      switch (part.kind) {
        case 'lines':
          return yield* this.lines.records(path, part);
        case 'rows': {
          this.table ??= fileKind(path).then((kind) => openTable(kind));
          const table = await this.table;
          for (const { row, count } of tableWindows(table, part.from, part.to)) {
            yield* await tableRows(table, path, row, count);
          }
          return;
        }
        case 'text':
          this.layout ??= layoutOf(path);
          return yield* this.text(part, await this.layout);
      }
    } catch (error) {
      throw cannotRead(path, error);
    }
  }

  private async *text(part: Extract<Part, { kind: 'text' }>, layout: TextLayout): AsyncGenerator<RawRecord> {
    const { from, to, row, line, column, records } = part;
    const bytes = readBytes(this.path, 'none', undefined, from, to);
    let read = 0;
    for await (const pieces of splitText(bytes, layout, { offset: from, line, column, row })) {
      for (const piece of pieces) {
        if (read === records) return;
        const place = { file: this.path, index: row + read++, line: piece.line };
        yield { place, bytes: piece.bytes.length, ...parseText(piece, layout) };
      }
    }
  }
}

async function layoutOf(path: string): Promise<TextLayout> {
  const rows = await openRows(path);
  await rows.close();
  if (rows.layout === undefined) throw new LabError('is no text', { place: { file: path } });
  return rows.layout;
}

function noRecords(path: string): LabError {
  return new LabError('the data set has no records', { place: { file: path } });
}
