/**
 * Any rows of a data set of any kind by their number. Text is found by marks: places every so many bytes from which rows are counted
 * on, so that what is held in memory does not grow with the rows. Rows are there at once; far ones are fast once the marks are made.
 */

import { type FileHandle, mkdtemp, open, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LabError } from '../../core/errors.js';
import { readBytes } from '../read/bytes.js';
import { cannotRead, type FileKind, fileKind, type TextKind } from '../read/kinds.js';
import { openTable, type RawRecord, readRecords } from '../read/records.js';
import { type Table, tableRows } from '../read/table.js';
import { parseText, splitText, type TextLayout, textLayout } from '../read/text.js';

export interface Rows {
  readonly kind: FileKind;
  /** Rows known so far; all of them once `complete`. */
  readonly count: number;
  readonly complete: boolean;
  /** How a text file is laid out; undefined for tables. */
  readonly layout: TextLayout | undefined;
  /**
   * @param keepSource with the lines of JSON that they were read from, where the file is of such
   * @returns fewer at the end; a row of which more than `count` lie before the nearest mark takes longer
   */
  read(from: number, count: number, keepSource?: boolean): Promise<RawRecord[]>;
  /** Takes the marks that workers made of the file's parts (JSONL). */
  setMarks(marks: Float64Array, rows: number): void;
  /** Makes the marks here, where no workers do. */
  index(progress: (rows: number) => void): Promise<void>;
  close(): Promise<void>;
}

const markSpacing = 1 << 16;
const maxMarks = 1 << 16;
const readSize = 1 << 17;
/** Packed files unpack into a temporary file, to be read anywhere in them; so much of the disk stays free. */
const leastFree = 2 * 1024 * 1024 * 1024;
const spoolStep = 128 * 1024 * 1024;
const headRows = 1000;
const keptBytes = 16 * 1024 * 1024;

/** Bytes between marks: such that a file of any size has a bounded number. */
export function spacingFor(size: number): number {
  return Math.max(markSpacing, Math.ceil(size / maxMarks));
}

/** @throws LabError where it cannot be opened at all */
export async function openRows(path: string): Promise<Rows> {
  const kind = await fileKind(path);
  try {
    switch (kind.kind) {
      case 'parquet':
      case 'arrow':
        return new TableRows(kind, await openTable(kind, keptBytes));
      case 'xlsx':
        return new SpooledRows(kind);
      default:
        return kind.packing === 'none' ? await TextRows.open(kind, kind.kind, path) : new SpooledRows(kind);
    }
  } catch (error) {
    throw cannotRead(path, error);
  }
}

class TableRows implements Rows {
  readonly complete = true;
  readonly layout = undefined;

  constructor(
    readonly kind: FileKind,
    private readonly table: Table,
  ) {}

  get count(): number {
    return this.table.rows;
  }

  async read(from: number, count: number): Promise<RawRecord[]> {
    const records: RawRecord[] = [];
    const end = Math.min(this.count, from + count);
    for (let at = from; at < end; ) {
      const part = Math.min(end - at, this.table.window(at));
      for (const record of await tableRows(this.table, this.kind.path, at, part)) records.push(record);
      at += part;
    }
    return records;
  }

  setMarks(): void {}

  async index(progress: (rows: number) => void): Promise<void> {
    progress(this.count);
  }

  close(): Promise<void> {
    return this.table.close();
  }
}

/** A place to begin at. `column` matters in arrays alone. */
interface Mark {
  readonly offset: number;
  readonly row: number;
  readonly line: number;
  readonly column: number;
}

export class TextRows implements Rows {
  complete = false;
  /** Offset, row, line and column of each mark. */
  private marks: Float64Array = new Float64Array(0);
  private known = 0;
  /** Used again by every reading of rows: buffers that are thrown away are given back late. */
  private readonly kept = [Buffer.alloc(0), Buffer.alloc(0)];
  private keptInUse = false;

  private constructor(
    readonly kind: FileKind,
    readonly layout: TextLayout,
    private readonly file: FileHandle,
    private readonly size: number,
  ) {}

  get count(): number {
    return this.known;
  }

  static async open(kind: FileKind, text: TextKind, path: string): Promise<TextRows> {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const head = Buffer.alloc(Math.min(size, 1 << 20));
      const { bytesRead } = await file.read(head, 0, head.length, 0);
      const layout = await textLayout(head.subarray(0, bytesRead), text, kind.path, true);
      if (layout === undefined) throw new LabError('the data set has no records', { place: { file: kind.path } });
      return new TextRows(kind, layout, file, size);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  setMarks(marks: Float64Array, rows: number): void {
    const count = Math.floor(marks.length / 3);
    this.marks = new Float64Array(count * 4);
    for (let i = 0; i < count; i++) {
      this.marks[4 * i] = marks[3 * i] ?? 0;
      this.marks[4 * i + 1] = marks[3 * i + 1] ?? 0;
      this.marks[4 * i + 2] = (marks[3 * i + 2] ?? 0) + this.layout.line;
      this.marks[4 * i + 3] = 0;
    }
    this.known = rows;
    this.complete = true;
  }

  async index(progress: (rows: number) => void): Promise<void> {
    const marks: number[] = [];
    const spacing = spacingFor(this.size);
    let next = 0;
    let row = 0;
    for await (const piece of this.pieces(this.markOf(-1))) {
      if (piece.start >= next) {
        marks.push(piece.start, row, piece.markLine, piece.markColumn);
        next = piece.start + spacing;
        this.known = row;
        progress(row);
      }
      row++;
    }
    this.marks = Float64Array.from(marks);
    this.known = row;
    this.complete = true;
    progress(row);
  }

  async read(from: number, count: number, keepSource = false): Promise<RawRecord[]> {
    const { size } = await this.file.stat();
    if (size < this.size) {
      throw new LabError('became shorter while it was open', {
        place: { file: this.kind.path },
        advice: 'Open it again to see what it holds now.',
      });
    }
    const begin = this.markOf(from);
    const records: RawRecord[] = [];
    let row = begin.row;
    const reuse = !this.keptInUse;
    this.keptInUse = true;
    try {
      for await (const piece of this.pieces(begin, reuse)) {
        if (row >= from) {
          const place = { file: this.kind.path, index: row, line: piece.line };
          const record = { place, bytes: piece.bytes.length, ...parseText(piece, this.layout) };
          const whole = keepSource && this.layout.kind === 'jsonl' && 'value' in record;
          records.push(whole ? { ...record, source: Buffer.from(piece.bytes) } : record);
        }
        row++;
        if (records.length >= count) break;
      }
    } finally {
      if (reuse) this.keptInUse = false;
    }
    this.known = Math.max(this.known, row);
    return records;
  }

  close(): Promise<void> {
    return this.file.close();
  }

  /** The last mark that is not after the row; the file's start where there is none. */
  private markOf(row: number): Mark {
    const { marks } = this;
    let low = 0;
    let high = marks.length / 4;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((marks[4 * middle + 1] ?? 0) <= row) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return { offset: this.layout.start, row: 0, line: this.layout.line, column: 0 };
    const at = 4 * (low - 1);
    return { offset: marks[at] ?? 0, row: marks[at + 1] ?? 0, line: marks[at + 2] ?? 1, column: marks[at + 3] ?? 0 };
  }

  /** Pieces from a mark on, each with the line and column to begin at were it marked. */
  private async *pieces(begin: Mark, reuse = false) {
    let last: { readonly line: number; readonly column: number } | undefined;
    if (this.layout.kind === 'json') last = begin;
    for await (const pieces of splitText(this.bytes(begin.offset, reuse), this.layout, begin)) {
      for (const piece of pieces) {
        yield { ...piece, markLine: last?.line ?? piece.line, markColumn: last?.column ?? 0 };
        last = piece.end;
      }
    }
  }

  /** @param reuse into the kept buffers, as far as they go: a line may reach from one into the next, so none is filled twice */
  private async *bytes(from: number, reuse: boolean): AsyncGenerator<Buffer> {
    // Small at first: most who ask want a few rows.
    for (let at = from, size = readSize, part = 0; at < this.size; size = Math.min(1 << 20, size * 2), part++) {
      const buffer = this.buffer(Math.min(size, this.size - at), reuse ? part : this.kept.length);
      const { bytesRead } = await this.file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  private buffer(size: number, part: number): Buffer {
    if (part >= this.kept.length) return Buffer.allocUnsafe(size);
    const known = this.kept[part];
    if (known !== undefined && known.length >= size) return known.subarray(0, size);
    const made = Buffer.from(new ArrayBuffer(size));
    this.kept[part] = made;
    return made;
  }
}

/** What can only be read from its start on: the first rows at once, the others from an unpacked copy. */
class SpooledRows implements Rows {
  readonly layout = undefined;
  private head: RawRecord[] | undefined;
  private folder: string | undefined;
  private spool: TextRows | undefined;
  private making: Promise<TextRows> | undefined;
  private closed = false;

  constructor(readonly kind: FileKind) {}

  get count(): number {
    return this.spool?.count ?? this.head?.length ?? 0;
  }

  get complete(): boolean {
    return this.spool?.complete ?? false;
  }

  setMarks(): void {}

  async read(from: number, count: number, keepSource = false): Promise<RawRecord[]> {
    if (this.spool === undefined && from + count <= headRows) {
      this.head ??= await this.readHead();
      const records = this.head.slice(from, from + count);
      return keepSource ? records : records.map(withoutSource);
    }
    const spool = await this.spooled();
    const records = await spool.read(from, count, keepSource && this.kind.kind !== 'xlsx');
    return this.kind.kind === 'xlsx' ? records.map(unwrapped) : records;
  }

  async index(progress: (rows: number) => void): Promise<void> {
    await (await this.spooled()).index(progress);
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.making?.catch(() => undefined);
    await this.spool?.close();
    if (this.folder !== undefined) await rm(this.folder, { recursive: true, force: true });
  }

  private async readHead(): Promise<RawRecord[]> {
    const head: RawRecord[] = [];
    for await (const record of readRecords(this.kind.path, { keepSource: true })) {
      // A copy: the line is a part of a larger buffer.
      const source = 'source' in record && record.source !== undefined ? { source: Buffer.from(record.source) } : {};
      head.push({ ...record, ...source });
      if (head.length >= headRows) break;
    }
    return head;
  }

  private spooled(): Promise<TextRows> {
    this.making ??= this.makeSpool();
    return this.making;
  }

  private async makeSpool(): Promise<TextRows> {
    this.folder = await mkdtemp(join(tmpdir(), 'sft-lab-view-'));
    const { kind, path, packing } = this.kind;
    const sheet = kind === 'xlsx';
    const target = join(this.folder, sheet ? 'rows.jsonl' : 'rows');
    const bytes = sheet ? wrappedRows(path) : readBytes(path, packing);
    await writeFile(target, this.limited(bytes, this.folder), { mode: 0o600 });
    const text = sheet || kind === 'parquet' || kind === 'arrow' ? 'jsonl' : kind;
    this.spool = await TextRows.open(this.kind, text, target);
    return this.spool;
  }

  private async *limited(chunks: AsyncIterable<Buffer>, folder: string): AsyncGenerator<Buffer> {
    let sinceLook = spoolStep;
    for await (const chunk of chunks) {
      if (this.closed) throw new LabError('the data set is closed');
      sinceLook += chunk.length;
      if (sinceLook > spoolStep) {
        sinceLook = 0;
        const { bavail, bsize } = await statfs(folder);
        if (bavail * bsize < leastFree) {
          throw new LabError('unpacks to more than the disk has room for', {
            place: { file: this.kind.path },
            advice: `Unpack it where there is room, or make room in ${tmpdir()}.`,
          });
        }
      }
      yield chunk;
    }
  }
}

function withoutSource(record: RawRecord): RawRecord {
  if ('problem' in record || record.source === undefined) return record;
  const { source: _, ...rest } = record;
  return rest;
}

/** Records of a spreadsheet as lines of JSON that keep their places. */
async function* wrappedRows(path: string): AsyncGenerator<Buffer> {
  let text = '';
  for await (const record of readRecords(path)) {
    const { place, bytes, ...rest } = record;
    text += `${JSON.stringify({ line: place.line, bytes, ...rest })}\n`;
    if (text.length < 1 << 18) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text);
}

function unwrapped(record: RawRecord): RawRecord {
  if ('problem' in record || typeof record.value !== 'object' || record.value === null) return record;
  const { line, bytes, value, problem } = record.value as {
    line?: number;
    bytes?: number;
    value?: unknown;
    problem?: string;
  };
  const place = { ...record.place, line: line ?? record.place.line };
  return problem === undefined ? { place, bytes: bytes ?? 0, value } : { place, bytes: bytes ?? 0, problem };
}
