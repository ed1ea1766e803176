/**
 * Bytes of a text data set cut into the bytes of its records, each with its place, before anything is decoded: so that invalid UTF-8
 * and broken JSON are named by their line and the records after them are still read.
 */

/** No record of a fine-tuning data set is longer; a file without line ends would otherwise fill the memory. */
export const maxRecordBytes = 64 * 1024 * 1024;

const newline = 0x0a;
const carriageReturn = 0x0d;
const quote = 0x22;
const backslash = 0x5c;

export interface Piece {
  readonly bytes: Buffer;
  /** Line and column (in characters, from 1) of its first character that is not blank. */
  readonly line: number;
  readonly column: number;
  /** Offset in the file of the first of `bytes`. */
  readonly start: number;
  /** The bytes begin at the start of the line, blanks and all, and `column` is 1. */
  readonly fromLineStart?: boolean;
  /** In arrays: line and column of the comma or bracket that ends it, which the next one begins after. */
  readonly end?: { readonly line: number; readonly column: number };
  readonly problem?: string;
}

/** Where to begin: the offset of the first byte given, and its line. */
export interface Begin {
  readonly offset: number;
  readonly line: number;
}

const none = Buffer.alloc(0);

/** The bytes since the last cut, kept only while a record may be that long. */
class Held {
  private parts: Buffer[] = [];
  size = 0;

  add(bytes: Buffer): void {
    this.size += bytes.length;
    if (this.size <= maxRecordBytes) this.parts.push(bytes);
    else this.parts = [];
  }

  /** All of it with the last part; empty where it is too long. */
  take(last: Buffer): { bytes: Buffer; size: number } {
    const size = this.size + last.length;
    const bytes = size > maxRecordBytes ? none : this.parts.length === 0 ? last : Buffer.concat([...this.parts, last]);
    this.parts = [];
    this.size = 0;
    return { bytes, size };
  }
}

/** Pieces one by one out of those of each chunk. */
async function* flat(batches: AsyncIterable<readonly Piece[]>): AsyncGenerator<Piece> {
  for await (const batch of batches) yield* batch;
}

export function splitLines(chunks: AsyncIterable<Buffer>, begin: Begin): AsyncGenerator<Piece> {
  return flat(lineBatches(chunks, begin));
}

/** Of each chunk the pieces that end in it: waiting for one piece at a time takes longer than to cut it. */
export async function* lineBatches(chunks: AsyncIterable<Buffer>, begin: Begin): AsyncGenerator<readonly Piece[]> {
  const held = new Held();
  let line = begin.line;
  let start = begin.offset;
  const take = (last: Buffer): Piece | undefined => {
    const { bytes, size } = held.take(last);
    const piece = { bytes, line, column: 1, start };
    start += size + 1;
    if (size > maxRecordBytes) return { ...piece, problem: tooLong(size) };
    return isBlank(bytes) ? undefined : { ...piece, fromLineStart: true };
  };
  for await (const chunk of chunks) {
    const batch: Piece[] = [];
    let at = 0;
    for (;;) {
      const end = chunk.indexOf(newline, at);
      if (end < 0) break;
      const piece = take(chunk.subarray(at, end));
      if (piece !== undefined) batch.push(piece);
      line++;
      at = end + 1;
    }
    held.add(chunk.subarray(at));
    yield batch;
  }
  const piece = take(none);
  if (piece !== undefined) yield [piece];
}

/**
 * Cuts an array at its top-level commas; what stands between them is parsed whole.
 *
 * @param begin `inside`: the bytes begin after the opening bracket or a comma, in column `column` + 1 of the line
 */
export async function* arrayBatches(
  chunks: AsyncIterable<Buffer>,
  begin: Begin & { readonly inside?: { readonly column: number; readonly first: boolean } },
): AsyncGenerator<readonly Piece[]> {
  const held = new Held();
  let depth = begin.inside === undefined ? 0 : 1;
  let inText = false;
  let escaped = false;
  let line = begin.line;
  let column = begin.inside?.column ?? 0;
  /** Where the current element begins; line 0 while only blanks were seen. */
  let element = { line: 0, column: 0 };
  let elements = begin.inside?.first === false ? 1 : 0;
  let ended = false;
  let start = begin.offset;
  let base = begin.offset;
  const take = (last: Buffer, next: number): Piece => {
    const { bytes, size } = held.take(last);
    const place = { ...(element.line === 0 ? { line, column } : element), start, end: { line, column } };
    start = next;
    element = { line: 0, column: 0 };
    elements++;
    if (size > maxRecordBytes) return { ...place, bytes: none, problem: tooLong(size) };
    if (isBlank(bytes)) return { ...place, bytes, problem: notJson(place.line, place.column, 'a value') };
    return { ...place, bytes };
  };
  for await (const chunk of chunks) {
    const batch: Piece[] = [];
    let at = 0;
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
      if (byte === 0x20 || byte === 0x09 || byte === carriageReturn || byte === newline) continue;
      if (ended) {
        batch.push({
          bytes: none,
          line,
          column,
          start: base + i,
          problem: notJson(line, column, 'nothing more after the end of the array'),
        });
        yield batch;
        return;
      }
      const closes = byte === 0x5d || byte === 0x7d;
      if (depth === 1 && (byte === 0x2c || closes)) {
        // `[]` has no element before its end.
        if (byte === 0x2c || element.line > 0 || elements > 0) batch.push(take(chunk.subarray(at, i), base + i + 1));
        at = i + 1;
        if (closes) {
          ended = true;
          held.take(none);
        }
        continue;
      }
      if (depth > 0 && element.line === 0) element = { line, column };
      if (byte === quote) inText = true;
      else if (byte === 0x5b || byte === 0x7b) {
        if (++depth === 1) {
          at = i + 1;
          start = base + at;
        }
      } else if (closes) depth--;
    }
    base += chunk.length;
    if (!ended) held.add(chunk.subarray(at));
    yield batch;
  }
  if (ended) return;
  // What is left is a last element without the closing bracket, or one whose own brackets do not close.
  const end = { line, column: column + 1, start: base };
  if (element.line > 0) yield [take(none, base)];
  yield [{ ...end, bytes: none, problem: 'the file ends before the array does: a closing ] is missing' }];
}

export function splitCsv(
  chunks: AsyncIterable<Buffer>,
  begin: Begin & { readonly separator: number },
): AsyncGenerator<Piece> {
  return flat(csvBatches(chunks, begin));
}

/** Cuts CSV into records: at line ends that stand in no quoted field (RFC 4180). */
export async function* csvBatches(
  chunks: AsyncIterable<Buffer>,
  begin: Begin & { readonly separator: number },
): AsyncGenerator<readonly Piece[]> {
  const { separator } = begin;
  const held = new Held();
  let line = begin.line;
  let first = begin.line;
  let start = begin.offset;
  let atFieldStart = true;
  let quoted = false;
  const take = (last: Buffer): Piece | undefined => {
    const { bytes, size } = held.take(last);
    const piece = { bytes, line: first, column: 1, start };
    start += size + 1;
    first = line;
    if (size > maxRecordBytes) return { ...piece, problem: tooLong(size) };
    return isBlank(bytes) ? undefined : piece;
  };
  for await (const chunk of chunks) {
    const batch: Piece[] = [];
    let at = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (quoted) {
        // The next quote closes the field, or is the first of a doubled one, which opens it again.
        if (byte === quote) quoted = false;
        else if (byte === newline) line++;
        continue;
      }
      if (byte === newline) {
        line++;
        const piece = take(chunk.subarray(at, i));
        if (piece !== undefined) batch.push(piece);
        at = i + 1;
        atFieldStart = true;
      } else if (byte === quote) {
        // After a closing quote too (`""`): then `atFieldStart` is still set.
        if (atFieldStart) quoted = true;
      } else atFieldStart = byte === separator;
    }
    held.add(chunk.subarray(at));
    yield batch;
  }
  const unclosed = quoted;
  const piece = take(none);
  if (piece === undefined) return;
  yield [
    unclosed && piece.problem === undefined
      ? { ...piece, problem: 'the file ends inside a quoted field: a closing " is missing' }
      : piece,
  ];
}

export function notJson(line: number, column: number, expected: string): string {
  return `the text is not valid JSON at line ${line}, column ${column}: expected ${expected}`;
}

function tooLong(size: number): string {
  return `the record has ${size} bytes; ${maxRecordBytes} are allowed`;
}

export function isBlank(bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte !== 0x20 && byte !== 0x09 && byte !== carriageReturn && byte !== newline) return false;
  }
  return true;
}
