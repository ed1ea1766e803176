/**
 * The records of a data set of any kind, one at a time and in bounded memory, each with its place: the one way in, for training and
 * for every preview.
 */

import { LabError } from '../../core/errors.js';
import { type Consumed, readBytes } from './bytes.js';
import { cannotRead, type FileKind, fileKind, type TextKind } from './kinds.js';
import type { Piece } from './split.js';
import { type Table, tableRecords } from './table.js';
import { parseText, splitText, type TextLayout, textLayout } from './text.js';
import type { RawRecord } from './values.js';

export type { RawRecord } from './values.js';

export interface ReadOptions {
  /** Records of lines of JSON come with their line, to be written as it was. */
  readonly keepSource?: boolean;
}

/** @throws LabError where the file cannot be read at all, or has no records */
export async function* readRecords(path: string, options: ReadOptions = {}): AsyncGenerator<RawRecord> {
  for await (const batch of readBatches(path, options)) yield* batch;
}

/** The same, as they come together: waiting for one record at a time takes longer than to read it. Throws as `readRecords` does. */
export async function* readBatches(path: string, options: ReadOptions = {}): AsyncGenerator<Iterable<RawRecord>> {
  const kind = await fileKind(path);
  let records = 0;
  const counted = function* (batch: Iterable<RawRecord>): Generator<RawRecord> {
    for (const record of batch) {
      records++;
      yield record;
    }
  };
  try {
    for await (const batch of batchesOf(kind, options)) yield counted(batch);
  } catch (error) {
    throw cannotRead(path, error);
  }
  if (records === 0) throw new LabError('the data set has no records', { place: { file: path } });
}

async function* batchesOf(kind: FileKind, options: ReadOptions): AsyncGenerator<Iterable<RawRecord>> {
  switch (kind.kind) {
    case 'parquet':
    case 'arrow':
      return yield* single(tableRecords(await openTable(kind), kind.path));
    case 'xlsx':
      return yield* single((await import('./xlsx.js')).readSheet(kind.path));
    default:
      return yield* readText(kind, kind.kind, options);
  }
}

/**
 * Of a file that is a table. What reads them is large, and loaded where there is one.
 *
 * @param keptBytes for what is asked for again when rows are read here and there
 * @throws LabError where it is damaged
 */
export async function openTable(kind: FileKind, keptBytes = 0): Promise<Table> {
  return kind.kind === 'arrow'
    ? (await import('./arrow.js')).openArrow(kind)
    : (await import('./parquet.js')).openParquet(kind.path, keptBytes);
}

async function* single(records: AsyncIterable<RawRecord>): AsyncGenerator<Iterable<RawRecord>> {
  for await (const record of records) yield [record];
}

async function* readText(
  { path, packing }: FileKind,
  kind: TextKind,
  { keepSource = false }: ReadOptions,
): AsyncGenerator<Iterable<RawRecord>> {
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
    // Parsed as it is asked for: whoever asks is told of one record before the next is begun.
    const parsed = function* (pieces: readonly Piece[], layout: TextLayout): Generator<RawRecord> {
      const share = packing === 'none' ? 1 : consumed.packed / Math.max(1, consumed.unpacked);
      for (const piece of pieces) {
        const place = { file: path, index: index++, line: piece.line };
        const record = { place, bytes: piece.bytes.length * share, ...parseText(piece, layout) };
        yield keepSource && layout.kind === 'jsonl' && 'value' in record ? { ...record, source: piece.bytes } : record;
      }
    };
    for await (const pieces of splitText(rest(), layout, { offset: start, line, row: 0 })) yield parsed(pieces, layout);
  } finally {
    await chunks.return(undefined);
  }
}

/** Bytes on disk: of the file, or of a folder's files. */
export async function fileSize(path: string): Promise<number> {
  return (await fileKind(path)).size;
}
