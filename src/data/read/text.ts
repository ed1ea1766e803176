/** How a text data set is laid out, and its records from any place in it on. */

import { LabError } from '../../core/errors.js';
import type { TextKind } from './kinds.js';
import { csvColumns, type Parsed, parseCsv, parseJson } from './parse.js';
import { arrayBatches, type Begin, csvBatches, lineBatches, type Piece, splitCsv } from './split.js';

/** `start`: the byte at which the records (of an array: its bracket) begin, after a byte order mark and a header. */
export type TextLayout =
  | { readonly kind: 'jsonl' | 'json'; readonly start: number; readonly line: number }
  | {
      readonly kind: 'csv';
      readonly start: number;
      readonly line: number;
      readonly separator: string;
      readonly columns: readonly string[];
    };

const newline = 0x0a;
const maxHead = 1 << 20;

/**
 * Looks at the first bytes. A byte order mark is passed over; the first character that is not white space tells an array from lines.
 *
 * @returns undefined where more bytes are needed to tell; never with `atEnd`, or a megabyte
 * @throws LabError for encodings that are not UTF-8, and headers that are none
 */
export async function textLayout(
  head: Buffer,
  kind: TextKind,
  file: string,
  atEnd: boolean,
): Promise<TextLayout | undefined> {
  const enough = atEnd || head.length >= maxHead;
  if (head.length < 4 && !enough) return undefined;
  const start = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0;
  const utf16 = (head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff);
  if (utf16 || looksUtf16(head)) {
    throw new LabError('is UTF-16; data sets are UTF-8', { place: { file }, advice: 'Save the file as UTF-8.' });
  }
  if (kind === 'csv' || kind === 'tsv') return csvLayout(head, kind, file, start, enough);
  const first = head
    .subarray(start)
    .find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0d && byte !== newline);
  if (first === undefined && !enough) return undefined;
  return { kind: first === 0x5b ? 'json' : 'jsonl', start, line: 1 };
}

/** UTF-16 without a mark: ASCII characters with a zero byte each. */
function looksUtf16(head: Buffer): boolean {
  if (head.length < 4) return false;
  const [a, b, c, d] = head;
  return (a === 0 && b !== 0 && c === 0 && d !== 0) || (a !== 0 && b === 0 && c !== 0 && d === 0);
}

async function csvLayout(
  head: Buffer,
  kind: 'csv' | 'tsv',
  file: string,
  start: number,
  enough: boolean,
): Promise<TextLayout | undefined> {
  const firstLine = head.subarray(start, start + 65_536);
  const lineEnd = firstLine.indexOf(newline);
  const line = lineEnd < 0 ? firstLine : firstLine.subarray(0, lineEnd);
  // Spreadsheets of many countries write semicolons.
  const separator = kind === 'tsv' ? '\t' : !line.includes(',') && line.includes(';') ? ';' : ',';
  const begin = { offset: start, line: 1, separator: separator.charCodeAt(0) };
  const pieces = splitCsv(once(head.subarray(start)), begin);
  const header = (await pieces.next()).value as Piece | undefined;
  const second = header === undefined ? undefined : ((await pieces.next()).value as Piece | undefined);
  if (!enough && second === undefined) return undefined;
  if (header === undefined) throw new LabError('the data set has no records', { place: { file } });
  const columns = csvColumns(header, separator);
  if (!Array.isArray(columns)) {
    throw new LabError(`the header cannot be read: ${columns.problem}`, { place: { file, line: header.line } });
  }
  return {
    kind: 'csv',
    separator,
    columns,
    start: header.start + header.bytes.length + 1,
    line: header.line + count(header.bytes, newline) + 1,
  };
}

function count(bytes: Buffer, byte: number): number {
  let found = 0;
  for (let at = bytes.indexOf(byte); at >= 0; at = bytes.indexOf(byte, at + 1)) found++;
  return found;
}

async function* once(buffer: Buffer): AsyncGenerator<Buffer> {
  yield buffer;
}

/**
 * The pieces from a record's start on, those of each chunk together.
 *
 * @param begin where the bytes begin: the layout's start, or where a piece began
 */
export function splitText(
  chunks: AsyncIterable<Buffer>,
  layout: TextLayout,
  begin: Begin & { readonly column?: number; readonly row: number },
): AsyncGenerator<readonly Piece[]> {
  switch (layout.kind) {
    case 'jsonl':
      return lineBatches(chunks, begin);
    case 'json': {
      const inside =
        begin.offset === layout.start ? {} : { inside: { column: begin.column ?? 0, first: begin.row === 0 } };
      return arrayBatches(chunks, { offset: begin.offset, line: begin.line, ...inside });
    }
    case 'csv':
      return csvBatches(chunks, { ...begin, separator: layout.separator.charCodeAt(0) });
  }
}

export function parseText(piece: Piece, layout: TextLayout): Parsed {
  return layout.kind === 'csv' ? parseCsv(piece, layout.separator, layout.columns) : parseJson(piece);
}
