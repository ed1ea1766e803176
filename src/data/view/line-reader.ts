/** The records of a part of a JSONL file, read through one buffer that is used again: buffers that are thrown away are given back late. */

import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { parseJson } from '../read/parse.js';
import { maxRecordBytes, splitLines } from '../read/split.js';
import type { RawRecord } from '../read/values.js';

const newline = 0x0a;
const bufferBytes = 1 << 16;

/** Lines of JSONL from the start of one to the start of another; the row and the line that the first one is. */
export interface LinePart {
  readonly from: number;
  readonly to: number;
  readonly row: number;
  readonly line: number;
}

export class LineReader {
  private readonly buffer = Buffer.from(new ArrayBuffer(bufferBytes));

  /** One part at a time. @param beat told how far it is, as an offset */
  async *records(
    path: string,
    { from, to, row, line }: LinePart,
    beat?: (at: number) => void,
  ): AsyncGenerator<RawRecord> {
    const file = await open(path, 'r');
    try {
      let index = row;
      for await (const piece of splitLines(this.wholeLines(file, from, to, beat), { offset: from, line })) {
        const place = { file: path, index: index++, line: piece.line };
        yield { place, bytes: piece.bytes.length, ...parseJson(piece) };
      }
    } finally {
      await file.close();
    }
  }

  /** Chunks that end where a line does, so that nothing of one is needed when the buffer is filled with the next. */
  private async *wholeLines(
    file: FileHandle,
    from: number,
    to: number,
    beat: ((at: number) => void) | undefined,
  ): AsyncGenerator<Buffer> {
    let { buffer } = this;
    let filled = 0;
    for (let at = from; at < to; ) {
      const { bytesRead } = await file.read(buffer, filled, Math.min(buffer.length - filled, to - at), at);
      if (bytesRead === 0) break;
      at += bytesRead;
      filled += bytesRead;
      beat?.(at);
      const end = buffer.lastIndexOf(newline, filled - 1) + 1;
      if (end > 0) {
        yield buffer.subarray(0, end);
        buffer.copyWithin(0, end, filled);
        filled -= end;
      } else if (filled === buffer.length) {
        // Of a line that is longer than any record whoever splits keeps nothing.
        if (filled > maxRecordBytes) {
          yield buffer;
          filled = 0;
        } else {
          const larger = Buffer.from(new ArrayBuffer(Math.min(maxRecordBytes + 1, 4 * filled)));
          buffer.copy(larger);
          buffer = larger;
        }
      }
    }
    if (filled > 0) yield buffer.subarray(0, filled);
  }
}

/** Where the first line begins that begins at or after `from`; the first of the file begins at `start`. */
export function lineStart(fd: number, from: number, start: number, size: number): number {
  if (from <= start) return start;
  const buffer = Buffer.allocUnsafe(1 << 16);
  // The byte before tells whether a line begins there.
  for (let at = from - 1; ; ) {
    const read = readSync(fd, buffer, 0, buffer.length, at);
    if (read === 0) return size;
    const end = buffer.subarray(0, read).indexOf(newline);
    if (end >= 0) return at + end + 1;
    at += read;
  }
}
