/**
 * The records of a data set of any kind, one at a time and in bounded memory, each with its place: the one way in, for training and
 * for every preview.
 */

import { LabError } from '../../core/errors.js';
import { readArrow } from './arrow.js';
import { type Consumed, readBytes } from './bytes.js';
import { cannotRead, type FileKind, fileKind, type TextKind } from './kinds.js';
import { readParquet } from './parquet.js';
import { parseText, splitText, textLayout } from './text.js';
import type { RawRecord } from './values.js';
import { readSheet } from './xlsx.js';

export type { RawRecord } from './values.js';

/** @throws LabError where the file cannot be read at all, or has no records */
export async function* readRecords(path: string): AsyncGenerator<RawRecord> {
  const kind = await fileKind(path);
  let records = 0;
  try {
    for await (const record of recordsOf(kind)) {
      records++;
      yield record;
    }
  } catch (error) {
    throw cannotRead(path, error);
  }
  if (records === 0) throw new LabError('the data set has no records', { place: { file: path } });
}

function recordsOf(kind: FileKind): AsyncGenerator<RawRecord> {
  switch (kind.kind) {
    case 'parquet':
      return readParquet(kind.path);
    case 'arrow':
      return readArrow(kind);
    case 'xlsx':
      return readSheet(kind.path);
    default:
      return readText(kind, kind.kind);
  }
}

async function* readText({ path, packing }: FileKind, kind: TextKind): AsyncGenerator<RawRecord> {
  const consumed: Consumed = { packed: 0, unpacked: 0 };
  const chunks = readBytes(path, packing, consumed);
  try {
    let head = Buffer.alloc(0);
    let layout: Awaited<ReturnType<typeof textLayout>>;
    while (layout === undefined) {
      const next = await chunks.next();
      if (next.done !== true) head = Buffer.concat([head, next.value]);
      layout = await textLayout(head, kind, path, next.done === true);
    }
    const { start, line } = layout;
    const rest = async function* (): AsyncGenerator<Buffer> {
      yield head.subarray(start);
      head = Buffer.alloc(0);
      yield* chunks;
    };
    let index = 0;
    for await (const piece of splitText(rest(), layout, { offset: start, line, row: 0 })) {
      const place = { file: path, index: index++, line: piece.line };
      const share = packing === 'none' ? 1 : consumed.packed / Math.max(1, consumed.unpacked);
      yield { place, bytes: piece.bytes.length * share, ...parseText(piece, layout) };
    }
  } finally {
    await chunks.return(undefined);
  }
}

/** Bytes on disk: of the file, or of a folder's files. */
export async function fileSize(path: string): Promise<number> {
  return (await fileKind(path)).size;
}
