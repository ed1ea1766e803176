/** The bytes of a text data set, unpacked where it is packed, a chunk at a time. */

import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { LabError } from '../../core/errors.js';
import { cannotRead, type Packing } from './kinds.js';
import { drained } from './zip.js';

const chunkBytes = 1 << 20;
/** Text packs 3 to 20 times, the most repetitive a few hundred; what grows further than this is made to fill a disk. */
const maxGrowth = 1100;
const freeBytes = 1 << 30;

/** How much of the file was read for what was handed out so far. */
export interface Consumed {
  packed: number;
  unpacked: number;
}

/**
 * @param start byte to begin at, and `end` the one after the last; only for files that are not packed
 * @throws LabError where the file cannot be read, or its packing is damaged
 */
export async function* readBytes(
  file: string,
  packing: Packing,
  consumed: Consumed = { packed: 0, unpacked: 0 },
  start = 0,
  end = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer> {
  const stream = createReadStream(file, { highWaterMark: chunkBytes, start, end: end - 1 });
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      consumed.packed += chunk.length;
      yield chunk;
    }
  };
  try {
    for await (const chunk of unpacked(counted(), packing)) {
      consumed.unpacked += chunk.length;
      if (consumed.unpacked > freeBytes + consumed.packed * maxGrowth) {
        throw new LabError(`unpacks to more than ${maxGrowth} times its size`, { place: { file } });
      }
      yield chunk;
    }
  } catch (error) {
    if (packing !== 'none' && !(error instanceof LabError)) {
      const why = error instanceof Error ? error.message : String(error);
      throw new LabError(`the ${packing} data is damaged or ends too early: ${why}`, { place: { file }, cause: error });
    }
    throw cannotRead(file, error);
  } finally {
    stream.destroy();
  }
}

function unpacked(chunks: AsyncGenerator<Buffer>, packing: Packing): AsyncGenerator<Buffer> {
  switch (packing) {
    case 'none':
      return chunks;
    case 'gzip':
      return gunzip(chunks);
    case 'zstd':
      return unzstd(chunks);
    case 'utf-16le':
    case 'utf-16be':
      return transcode(chunks, packing);
  }
}

/** Half characters become U+FFFD, which is told of where it stands in a record. */
async function* transcode(chunks: AsyncIterable<Buffer>, encoding: 'utf-16le' | 'utf-16be'): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder(encoding);
  for await (const chunk of chunks) yield Buffer.from(decoder.decode(chunk, { stream: true }));
  yield Buffer.from(decoder.decode());
}

async function* gunzip(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const stream = createGunzip({ chunkSize: chunkBytes });
  // Written by hand rather than piped, so that an error on either side ends in this generator.
  const feed = (async () => {
    try {
      for await (const chunk of chunks) {
        if (stream.destroyed) return;
        if (!stream.write(chunk)) await drained(stream);
      }
      stream.end();
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  })();
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield chunk;
  } finally {
    stream.destroy();
    await feed;
  }
}

async function* unzstd(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { Decompress } = await import('fzstd');
  const ready: Buffer[] = [];
  let ended = false;
  const unpack = new Decompress((chunk, final) => {
    // The buffer is the decoder's window, which it goes on writing to.
    if (chunk.length > 0) ready.push(Buffer.from(chunk));
    ended = final === true;
  });
  for await (const chunk of chunks) {
    // Small pieces, so that what one of them unpacks to stays small.
    for (let at = 0; at < chunk.length; at += 1 << 16) {
      unpack.push(chunk.subarray(at, at + (1 << 16)));
      yield* ready.splice(0);
    }
  }
  unpack.push(new Uint8Array(0), true);
  yield* ready.splice(0);
  if (!ended) throw new Error('unexpected end of file');
}
