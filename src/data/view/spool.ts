/** Blocks of bytes that are read again later: the first ones in memory, those after them in a file that goes when it is closed. */

import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LabError } from '../../core/errors.js';

const keptBytes = 256 * 1024;

interface Place {
  /** In the file; what is in memory has `bytes`. */
  readonly offset: number;
  readonly size: number;
  readonly bytes: Uint8Array | undefined;
}

export class Spool {
  private readonly places: Place[] = [];
  private kept = 0;
  private written = 0;
  private file: TemporaryFile | undefined;
  private closed = false;

  /** Bytes of a block. */
  size(block: number): number {
    return this.places[block]?.size ?? 0;
  }

  /** Takes a copy. @throws LabError where the temporary file cannot be written */
  add(block: Uint8Array): void {
    if (this.closed) throw new Error('the spool is closed');
    const size = block.byteLength;
    if (this.kept + size <= keptBytes) {
      this.places.push({ offset: 0, size, bytes: block.slice() });
      this.kept += size;
      return;
    }
    try {
      this.file ??= openTemporary();
      for (let at = 0; at < size; ) at += writeSync(this.file.fd, block, at, size - at, this.written + at);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new LabError(`a temporary file cannot be written: ${why}`, {
        advice: `Make room in ${tmpdir()}, or set TMPDIR to a folder that has some.`,
        cause,
      });
    }
    this.places.push({ offset: this.written, size, bytes: undefined });
    this.written += size;
  }

  /** Fills `into` with the bytes of a block from `from` on. */
  read(block: number, from: number, into: Uint8Array): void {
    const place = this.places[block];
    if (place === undefined || from + into.byteLength > place.size) throw new RangeError(`no such block: ${block}`);
    if (place.bytes !== undefined) {
      into.set(place.bytes.subarray(from, from + into.byteLength));
      return;
    }
    for (let at = 0; at < into.byteLength; ) {
      const read = readSync(this.file?.fd ?? -1, into, at, into.byteLength - at, place.offset + from + at);
      if (read === 0) throw new Error('the temporary file became shorter');
      at += read;
    }
  }

  /** Afterwards nothing can be read. */
  close(): void {
    this.closed = true;
    this.places.length = 0;
    if (this.file !== undefined) {
      closeSync(this.file.fd);
      remove(this.file.folder);
    }
    this.file = undefined;
  }
}

interface TemporaryFile {
  readonly fd: number;
  readonly folder: string;
}

/**
 * Its name is gone at once, so that nobody else opens it and nothing is left when the process is killed; on Windows, which does not
 * let go of a name while the file is open, when it is closed.
 */
function openTemporary(): TemporaryFile {
  const folder = mkdtempSync(join(tmpdir(), 'sft-lab-spool-'));
  try {
    return { fd: openSync(join(folder, 'blocks'), 'wx+', 0o600), folder };
  } finally {
    remove(folder);
  }
}

function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // Somebody has it open, or it is ours to be closed yet.
  }
}
