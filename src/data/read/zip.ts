/** Zip archives (as XLSX files are), entry by entry and in bounded memory. */

import type { FileHandle } from 'node:fs/promises';
import { createInflateRaw } from 'node:zlib';
import { damaged } from './table.js';

const chunkBytes = 1 << 18;
const maxDirectory = 64 * 1024 * 1024;
/** Sheets pack 10 to 100 times. What grows further, and is large, is made to fill a memory. */
const maxGrowth = 200;
const freeBytes = 64 * 1024 * 1024;

export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly packed: number;
  readonly offset: number;
}

/** @throws LabError where the directory at the archive's end is not one */
export async function zipEntries(file: FileHandle, path: string, size: number): Promise<ReadonlyMap<string, ZipEntry>> {
  const tail = await readAt(file, path, Math.max(0, size - 65_557), Math.min(size, 65_557));
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (end < 0 || end + 22 > tail.length) throw damaged(path, 'the directory at its end is missing');
  const length = tail.readUInt32LE(end + 12);
  const offset = tail.readUInt32LE(end + 16);
  if (length > maxDirectory || offset + length > size) throw damaged(path, 'its directory claims an impossible size');
  const directory = await readAt(file, path, offset, length);
  const entries = new Map<string, ZipEntry>();
  for (let at = 0; at + 46 <= length && directory.readUInt32LE(at) === 0x02014b50; ) {
    const nameLength = directory.readUInt16LE(at + 28);
    const name = directory.toString('utf8', at + 46, at + 46 + nameLength);
    entries.set(name, {
      name,
      method: directory.readUInt16LE(at + 10),
      packed: directory.readUInt32LE(at + 20),
      offset: directory.readUInt32LE(at + 42),
    });
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return entries;
}

/** @throws LabError where the entry is damaged, or unpacks to far more than it can hold */
export async function* readEntry(file: FileHandle, path: string, entry: ZipEntry): AsyncGenerator<Buffer> {
  const head = await readAt(file, path, entry.offset, 30);
  if (head.readUInt32LE(0) !== 0x04034b50) throw damaged(path, `the entry ${entry.name} is not where it should be`);
  const start = entry.offset + 30 + head.readUInt16LE(26) + head.readUInt16LE(28);
  const packed = async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < entry.packed; at += chunkBytes) {
      yield await readAt(file, path, start + at, Math.min(chunkBytes, entry.packed - at));
    }
  };
  if (entry.method === 0) {
    yield* packed();
    return;
  }
  if (entry.method !== 8) throw damaged(path, `the entry ${entry.name} is packed by method ${entry.method}`);
  const inflate = createInflateRaw({ chunkSize: chunkBytes });
  let failure: unknown;
  const feed = (async () => {
    try {
      for await (const chunk of packed()) {
        if (inflate.destroyed) return;
        if (!inflate.write(chunk)) await drained(inflate);
      }
      inflate.end();
    } catch (error) {
      failure = error;
      inflate.destroy();
    }
  })();
  let unpacked = 0;
  try {
    for await (const chunk of inflate as AsyncIterable<Buffer>) {
      unpacked += chunk.length;
      if (unpacked > freeBytes + entry.packed * maxGrowth) {
        throw damaged(path, `the entry ${entry.name} unpacks to more than ${maxGrowth} times its size`);
      }
      yield chunk;
    }
  } catch (error) {
    throw failure ?? error;
  } finally {
    inflate.destroy();
    await feed;
  }
}

/** Resolves once a stream can be written to again, or never will. */
export function drained(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, go);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) stream.once(event, go);
  });
}

async function readAt(file: FileHandle, path: string, offset: number, size: number): Promise<Buffer> {
  const buffer = Buffer.alloc(size);
  const { bytesRead } = await file.read(buffer, 0, size, offset);
  if (bytesRead < size) throw damaged(path, 'it ends too early');
  return buffer;
}
