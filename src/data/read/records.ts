/**
 * The records of a JSONL file or a JSON array, one at a time and in bounded memory, each with its place.
 *
 * Bytes are split into records before any text is decoded, so that invalid UTF-8 and broken JSON are named by their line and the
 * records after them are still read.
 */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { RecordPlace } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { findJsonError } from './json-error.js';

/** A record as it stands in the file, or what is wrong with it. */
export type RawRecord =
  | { readonly place: RecordPlace; readonly bytes: number; readonly value: unknown }
  | { readonly place: RecordPlace; readonly bytes: number; readonly problem: string };

/** No record of a fine-tuning data set is longer; a file without line ends would otherwise fill the memory. */
const maxRecordBytes = 64 * 1024 * 1024;
/** Far beyond any real record, far below what overflows a recursive reader's stack. */
const maxDepth = 512;

const newline = 0x0a;
const quote = 0x22;
const backslash = 0x5c;

interface Piece {
  readonly bytes: Buffer;
  /** Line and column (in characters, from 1) of its first character that is not blank. */
  readonly line: number;
  readonly column: number;
  /** The bytes begin at the start of the line, blanks and all, and `column` is 1. */
  readonly fromLineStart?: boolean;
  readonly problem?: string;
}

export async function* readRecords(file: string): AsyncGenerator<RawRecord> {
  const bytes = await fileSize(file);
  if (bytes === 0) throw new LabError('the data set is empty', { place: { file } });
  const chunks = createReadStream(file, { highWaterMark: 1 << 20 });
  let index = 0;
  try {
    for await (const piece of split(chunks, file)) {
      const place: RecordPlace = { file, index: index++, line: piece.line };
      const size = piece.bytes.length;
      if (piece.problem !== undefined) yield { place, bytes: size, problem: piece.problem };
      else yield { place, bytes: size, ...parse(piece) };
    }
  } catch (error) {
    if (error instanceof LabError) throw error;
    throw new LabError(`cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      place: { file },
      cause: error,
    });
  } finally {
    chunks.destroy();
  }
  if (index === 0) throw new LabError('the data set has no records', { place: { file } });
}

export async function fileSize(file: string): Promise<number> {
  try {
    const status = await stat(file);
    if (status.isFile()) return status.size;
  } catch (error) {
    throw new LabError('cannot be opened', {
      place: { file },
      advice: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
  throw new LabError('is not a file', { place: { file } });
}

/** A byte order mark is dropped; the first character that is not white space tells an array from lines. */
async function* split(chunks: AsyncIterable<Buffer>, file: string): AsyncGenerator<Piece> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let array: boolean | undefined;
  let atEnd = false;
  while (array === undefined && !atEnd) {
    const next = await iterator.next();
    atEnd = next.done === true;
    if (next.done !== true) head = Buffer.concat([head, next.value]);
    if (head.length < 3 && !atEnd) continue;
    if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) head = head.subarray(3);
    if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff)) {
      throw new LabError('is UTF-16; data sets are UTF-8', { place: { file }, advice: 'Save the file as UTF-8.' });
    }
    const first = head.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0d && byte !== newline);
    if (first !== undefined) array = first === 0x5b;
    else if (head.length > 1 << 20) array = false;
  }
  const rest = async function* (): AsyncGenerator<Buffer> {
    yield head;
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  };
  if (array === true) yield* splitArray(rest());
  else yield* splitLines(rest());
}

async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Piece> {
  let parts: Buffer[] = [];
  let held = 0;
  let line = 1;
  const take = (last: Buffer): Piece | undefined => {
    const size = held + last.length;
    const bytes = held > maxRecordBytes ? Buffer.alloc(0) : parts.length === 0 ? last : Buffer.concat([...parts, last]);
    parts = [];
    held = 0;
    if (size > maxRecordBytes) return { bytes: Buffer.alloc(0), line, column: 1, problem: tooLong(size) };
    return isBlank(bytes) ? undefined : { bytes, line, column: 1, fromLineStart: true };
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      if (end < 0) break;
      const piece = take(chunk.subarray(start, end));
      if (piece !== undefined) yield piece;
      line++;
      start = end + 1;
    }
    held += chunk.length - start;
    if (held <= maxRecordBytes) parts.push(chunk.subarray(start));
    else parts = [];
  }
  const piece = take(Buffer.alloc(0));
  if (piece !== undefined) yield piece;
}

/** Cuts an array at its top-level commas; what stands between them is parsed whole. */
async function* splitArray(chunks: AsyncIterable<Buffer>): AsyncGenerator<Piece> {
  let depth = 0;
  let inText = false;
  let escaped = false;
  let line = 1;
  let column = 0;
  /** Where the current element begins; line 0 while only blanks were seen. */
  let begin = { line: 0, column: 0 };
  let elements = 0;
  let ended = false;
  let parts: Buffer[] = [];
  let held = 0;
  const take = (last: Buffer): Piece => {
    const size = held + last.length;
    const bytes = size > maxRecordBytes ? Buffer.alloc(0) : Buffer.concat([...parts, last]);
    const place = begin.line === 0 ? { line, column } : begin;
    parts = [];
    held = 0;
    begin = { line: 0, column: 0 };
    elements++;
    if (size > maxRecordBytes) return { ...place, bytes, problem: tooLong(size) };
    if (isBlank(bytes)) return { ...place, bytes, problem: notJson(place.line, place.column, 'a value') };
    return { ...place, bytes };
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] ?? 0;
      if (byte === newline) {
        line++;
        column = 0;
      } else if ((byte & 0xc0) !== 0x80) column++;
      if (inText) {
        if (escaped) escaped = false;
        else if (byte === backslash) escaped = true;
        else if (byte === quote) inText = false;
        continue;
      }
      const blank = byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === newline;
      if (blank) continue;
      if (ended) {
        yield {
          bytes: Buffer.alloc(0),
          line,
          column,
          problem: notJson(line, column, 'nothing more after the end of the array'),
        };
        return;
      }
      const closes = byte === 0x5d || byte === 0x7d;
      if (depth === 1 && (byte === 0x2c || closes)) {
        // `[]` has no element before its end.
        if (byte === 0x2c || begin.line > 0 || elements > 0) yield take(chunk.subarray(start, i));
        start = i + 1;
        if (closes) {
          ended = true;
          parts = [];
          held = 0;
        }
        continue;
      }
      if (depth > 0 && begin.line === 0) begin = { line, column };
      if (byte === quote) inText = true;
      else if (byte === 0x5b || byte === 0x7b) {
        if (++depth === 1) start = i + 1;
      } else if (closes) depth--;
    }
    if (ended) continue;
    const tail = chunk.subarray(start);
    held += tail.length;
    if (held <= maxRecordBytes) parts.push(tail);
    else parts = [];
  }
  if (ended) return;
  // What is left is a last element without the closing bracket, or one whose own brackets do not close.
  const end = { line, column: column + 1 };
  if (begin.line > 0) yield take(Buffer.alloc(0));
  yield { ...end, bytes: Buffer.alloc(0), problem: 'the file ends before the array does: a closing ] is missing' };
}

function notJson(line: number, column: number, expected: string): string {
  return `the text is not valid JSON at line ${line}, column ${column}: expected ${expected}`;
}

function tooLong(size: number): string {
  return `the record has ${size} bytes; ${maxRecordBytes} are allowed`;
}

function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d && byte !== newline) return false;
  return true;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function parse(piece: Piece): { value: unknown } | { problem: string } {
  let text: string;
  try {
    text = decoder.decode(piece.bytes);
  } catch {
    return { problem: 'the text is not valid UTF-8' };
  }
  if (tooDeep(text)) return { problem: `the record is nested more than ${maxDepth} levels deep` };
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    const found = findJsonError(text);
    if (found === undefined) return { problem: `the text is not valid JSON: ${String(error)}` };
    const before = text.slice(0, found.offset).trimStart();
    const lineStart = before.lastIndexOf('\n') + 1;
    const line = piece.line + before.split('\n').length - 1;
    const inLine = Array.from(before.slice(lineStart)).length;
    // In a line of JSONL the blanks before the record count too; in an array the column of its first character is known.
    const indent = text.length - text.trimStart().length;
    const column = lineStart > 0 ? inLine + 1 : inLine + piece.column + (piece.fromLineStart === true ? indent : 0);
    return { problem: notJson(line, column, found.expected) };
  }
}

function tooDeep(text: string): boolean {
  let depth = 0;
  let inText = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inText) {
      if (code === backslash) i++;
      else if (code === quote) inText = false;
    } else if (code === quote) inText = true;
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > maxDepth) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
}
