/**
 * One part of a JSONL file: its rows counted, every so many bytes marked, and, where asked, each line checked, its fields and its
 * length counted. Parts are read by several workers at once and put together in their order.
 */

import { isUtf8 } from 'node:buffer';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { LabError } from '../../core/errors.js';
import { parseJson } from '../read/parse.js';
import { isBlank, maxRecordBytes } from '../read/split.js';
import { lengthBin, lengthBins } from './histogram.js';
import { addValue, type FieldNode, JsonScanner } from './json-scan.js';
import { lineStart } from './line-reader.js';

export interface SegmentTask {
  readonly file: string;
  /** Bytes `from` to `to`; lines belong to the part that they begin in. */
  readonly from: number;
  readonly to: number;
  /** Byte at which the first line of the file begins, after a byte order mark. */
  readonly start: number;
  /** A mark for each so many bytes. */
  readonly spacing: number;
  /** Whether lines are checked, or only counted. */
  readonly check: boolean;
}

export interface BadLine {
  readonly row: number;
  readonly line: number;
  readonly problem: string;
}

export interface SegmentResult {
  readonly rows: number;
  readonly lines: number;
  /** Marks, three numbers each: the offset at which a line begins, the row and the line (counted from this part's start) it is. */
  readonly marks: Float64Array;
  readonly fields: FieldNode | undefined;
  readonly bins: Float64Array;
  readonly totalBytes: number;
  readonly longest: { readonly row: number; readonly bytes: number };
  readonly bad: readonly BadLine[];
  readonly badCount: number;
  /** Lines with a key twice in one object. */
  readonly duplicateKeys: {
    readonly count: number;
    readonly rows: readonly { readonly row: number; readonly line: number }[];
  };
}

const newline = 0x0a;
const chunkBytes = 1 << 18;
const maxListed = 1000;

const blank = new Uint8Array(256);
for (const byte of [0x20, 0x09, 0x0d]) blank[byte] = 1;

/**
 * @param beat called now and then with the offset that it is at
 * @throws LabError where the file cannot be read
 */
export function scanSegment(task: SegmentTask, beat: (offset: number) => void): SegmentResult {
  const fd = opened(task.file);
  try {
    return new Segment(fd, task).run(beat);
  } finally {
    closeSync(fd);
  }
}

function opened(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (cause) {
    const advice = cause instanceof Error ? cause.message : String(cause);
    throw new LabError('cannot be opened', { place: { file }, advice, cause });
  }
}

class Segment {
  private readonly scanner = new JsonScanner();
  private readonly bins = new Float64Array(lengthBins);
  private readonly marks: number[] = [];
  private readonly bad: BadLine[] = [];
  private readonly twice: { row: number; line: number }[] = [];
  private badCount = 0;
  private twiceCount = 0;
  private longest = { row: 0, bytes: 0 };
  private totalBytes = 0;
  private rows = 0;
  private lines = 0;
  private nextMark: number;
  private readonly size: number;

  constructor(
    private readonly fd: number,
    private readonly task: SegmentTask,
  ) {
    this.size = fstatSync(fd).size;
    this.nextMark = task.from;
  }

  run(beat: (offset: number) => void): SegmentResult {
    const { from, to, start } = this.task;
    const first = lineStart(this.fd, from, start, this.size);
    if (first < to) this.read(first, beat);
    beat(to);
    return {
      rows: this.rows,
      lines: this.lines,
      marks: Float64Array.from(this.marks),
      fields: this.task.check ? this.scanner.root : undefined,
      bins: this.bins,
      totalBytes: this.totalBytes,
      longest: this.longest,
      bad: this.bad,
      badCount: this.badCount,
      duplicateKeys: { count: this.twiceCount, rows: this.twice },
    };
  }

  private read(first: number, beat: (offset: number) => void): void {
    const { to } = this.task;
    let buffer = Buffer.from(new ArrayBuffer(chunkBytes * 2));
    /** `buffer[0..filled)` are the bytes from `base` on, which begins a line. */
    let base = first;
    let filled = 0;
    while (base < to) {
      const space = buffer.length - filled;
      const read = readSync(this.fd, buffer, filled, Math.min(space, chunkBytes), base + filled);
      filled += read;
      const atEnd = read === 0;
      const used = this.wholeLines(buffer, filled, base, atEnd);
      beat(base);
      if (used > 0) {
        buffer.copy(buffer, 0, used, filled);
        base += used;
        filled -= used;
      }
      if (atEnd) return;
      if (filled === buffer.length) {
        if (filled >= maxRecordBytes) {
          base = this.passLong(base, filled, beat);
          filled = 0;
          buffer = Buffer.from(new ArrayBuffer(chunkBytes * 2));
        } else {
          const larger = Buffer.from(new ArrayBuffer(Math.min(maxRecordBytes, buffer.length * 4)));
          buffer.copy(larger, 0, 0, filled);
          buffer = larger;
        }
      }
    }
  }

  /** Works on the whole lines that begin before the part's end; returns how many bytes they took. */
  private wholeLines(buffer: Buffer, filled: number, base: number, atEnd: boolean): number {
    const { to, check } = this.task;
    const all = buffer.subarray(0, filled);
    let utf8: boolean | undefined;
    if (check) this.scanner.load(all);
    let at = 0;
    while (at < filled && base + at < to) {
      let end = all.indexOf(newline, at);
      if (end < 0) {
        if (!atEnd) break;
        end = filled;
      }
      const isRow = blank[all[at] ?? 0] === 0 ? end > at : !isBlank(all.subarray(at, end));
      const offset = base + at;
      if (offset >= this.nextMark) {
        this.marks.push(offset, this.rows, this.lines);
        this.nextMark = offset + this.task.spacing;
      }
      if (isRow) {
        if (check) {
          // Almost always all of it is UTF-8; where not, each line is asked.
          utf8 ??= isUtf8(all.subarray(at, all.lastIndexOf(newline) + 1 || filled));
          this.check(all, at, end, utf8);
        }
        this.rows++;
      }
      this.lines++;
      at = end + 1;
    }
    return Math.min(at, filled);
  }

  private check(all: Buffer, from: number, to: number, utf8: boolean): void {
    const bytes = to - from;
    this.count(bytes);
    if (bytes > maxRecordBytes) {
      this.addBad(`the record has ${bytes} bytes; ${maxRecordBytes} are allowed`);
      return;
    }
    if (this.scanner.line(from, to) && (utf8 || isUtf8(all.subarray(from, to)))) {
      if (this.scanner.duplicateKey) {
        this.twiceCount++;
        if (this.twice.length < maxListed) this.twice.push({ row: this.rows, line: this.lines + 1 });
      }
      return;
    }
    const piece = { bytes: Buffer.from(all.subarray(from, to)), line: this.lines + 1, column: 1, start: 0 };
    const parsed = parseJson({ ...piece, fromLineStart: true });
    if ('problem' in parsed) this.addBad(parsed.problem);
    else addValue(this.scanner.root, parsed.value);
  }

  private count(bytes: number): void {
    const bin = lengthBin(bytes);
    this.bins[bin] = (this.bins[bin] ?? 0) + 1;
    this.totalBytes += bytes;
    if (bytes > this.longest.bytes) this.longest = { row: this.rows, bytes };
  }

  private addBad(problem: string): void {
    this.badCount++;
    if (this.bad.length < maxListed) this.bad.push({ row: this.rows, line: this.lines + 1, problem });
  }

  /** Passes by a line longer than any record; returns where the next one begins. */
  private passLong(base: number, filled: number, beat: (offset: number) => void): number {
    const buffer = Buffer.allocUnsafe(chunkBytes);
    let at = base + filled;
    for (;;) {
      const read = readSync(this.fd, buffer, 0, buffer.length, at);
      beat(at);
      const end = buffer.subarray(0, read).indexOf(newline);
      at += end >= 0 ? end + 1 : read;
      if (end >= 0 || read === 0) {
        const bytes = at - base - (end >= 0 ? 1 : 0);
        this.marks.push(base, this.rows, this.lines);
        this.count(bytes);
        this.addBad(`the record has ${bytes} bytes; ${maxRecordBytes} are allowed`);
        this.rows++;
        this.lines++;
        return at;
      }
    }
  }
}
