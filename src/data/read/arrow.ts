/**
 * Arrow data as Hugging Face `datasets.save_to_disk` writes it: IPC streams of record batches. (The IPC file format is such a stream
 * between two marks.) The messages' headers are read once; a batch is read and decoded when one of its rows is asked for.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { type Table as ArrowTable, Type, tableFromIPC } from '@uwdata/flechette';
import type { FileKind } from './kinds.js';
import { classNames, damaged, named, type Row, type Table } from './table.js';

const maxHeader = 64 * 1024 * 1024;
const maxBatch = 1024 * 1024 * 1024;
const maxDictionaries = 256 * 1024 * 1024;
/** Rows of a batch without any bytes of their own (null columns). */
const maxBatchRows = 1 << 24;

const messageType = { schema: 1, dictionary: 2, batch: 3 } as const;

interface Message {
  readonly type: number;
  /** Offset and size of the message with its header and body. */
  readonly offset: number;
  readonly size: number;
  readonly rows: number;
}

interface Batch extends Message {
  readonly file: OpenFile;
  readonly firstRow: number;
  /** How many dictionary messages of its file come before it. */
  readonly dictionaries: number;
}

interface OpenFile {
  readonly path: string;
  readonly handle: FileHandle;
  readonly schema: Uint8Array;
  readonly dictionaries: Message[];
}

/** @throws LabError where a file is not an Arrow stream, or is cut off */
export async function openArrow(kind: FileKind): Promise<Table> {
  const table = new ArrowFolder(kind);
  try {
    await table.open();
  } catch (error) {
    await table.close();
    throw error;
  }
  return table;
}

class ArrowFolder implements Table {
  rows = 0;
  private readonly files: OpenFile[] = [];
  private readonly batches: Batch[] = [];
  private decoded: { readonly batch: Batch; readonly rows: (index: number) => Row } | undefined;

  constructor(private readonly kind: FileKind) {}

  get rowBytes(): number {
    return this.kind.size / Math.max(1, this.rows);
  }

  async open(): Promise<void> {
    for (const path of this.kind.files) await this.openFile(path);
  }

  private async openFile(path: string): Promise<void> {
    const handle = await open(path, 'r');
    const { size } = await handle.stat();
    const dictionaries: Message[] = [];
    let file: OpenFile | undefined;
    const start = (await readAt(handle, path, 0, Math.min(6, size))).toString('latin1') === 'ARROW1' ? 8 : 0;
    try {
      for (let offset = start; ; ) {
        const message = await readHeader(handle, path, offset, size);
        if (message === undefined) break;
        offset += message.size;
        if (message.type === messageType.schema) {
          if (file !== undefined) continue;
          const schema = await readAt(handle, path, message.offset, message.size);
          file = { path, handle, schema, dictionaries };
          this.files.push(file);
        } else if (file === undefined) {
          throw damaged(path, 'it does not begin with a schema');
        } else if (message.type === messageType.dictionary) {
          dictionaries.push(message);
          const total = dictionaries.reduce((sum, one) => sum + one.size, 0);
          if (total > maxDictionaries) throw damaged(path, `its dictionaries take more than ${maxDictionaries} bytes`);
        } else if (message.type === messageType.batch && message.rows > 0) {
          this.batches.push({ ...message, file, firstRow: this.rows, dictionaries: dictionaries.length });
          this.rows += message.rows;
        }
      }
      if (file === undefined) throw damaged(path, 'it has no schema');
    } catch (error) {
      if (file === undefined) await handle.close();
      throw error;
    }
  }

  window(from: number): number {
    const batch = this.batchOf(from);
    return batch === undefined ? 1 : batch.firstRow + batch.rows - from;
  }

  async read(from: number, count: number): Promise<Row[]> {
    const rows: Row[] = [];
    while (rows.length < count) {
      const batch = this.batchOf(from + rows.length);
      if (batch === undefined) break;
      const row = await this.decode(batch);
      const end = Math.min(batch.firstRow + batch.rows, from + count);
      for (let at = from + rows.length; at < end; at++) rows.push(row(at - batch.firstRow));
    }
    return rows;
  }

  async close(): Promise<void> {
    await Promise.all(this.files.splice(0).map(({ handle }) => handle.close()));
  }

  private batchOf(row: number): Batch | undefined {
    let low = 0;
    let high = this.batches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.batches[middle]?.firstRow ?? 0) <= row) low = middle + 1;
      else high = middle;
    }
    const batch = this.batches[low - 1];
    return batch !== undefined && row >= 0 && row < batch.firstRow + batch.rows ? batch : undefined;
  }

  private async decode(batch: Batch): Promise<(index: number) => Row> {
    if (this.decoded?.batch === batch) return this.decoded.rows;
    const { handle, path, schema, dictionaries } = batch.file;
    const parts: Uint8Array[] = [schema];
    for (const one of [...dictionaries.slice(0, batch.dictionaries), batch]) {
      parts.push(await readAt(handle, path, one.offset, one.size));
    }
    const table = tableFromIPC(parts, { useBigInt: true, useDate: true, useMap: true });
    if (table.numRows !== batch.rows) throw new Error(`the batch has ${table.numRows} rows, its header ${batch.rows}`);
    const columns = columnsOf(table);
    const rows = (index: number): Row => Object.fromEntries(columns.map(({ name, at }) => [name, at(index)]));
    this.decoded = { batch, rows };
    return rows;
  }
}

function columnsOf(table: ArrowTable): { readonly name: string; readonly at: (index: number) => unknown }[] {
  const classes = classNames(table.schema.metadata?.get('huggingface'));
  return table.schema.fields.map(({ name }, i) => {
    const column = table.getChildAt(i);
    for (const batch of column.data) checkBatch(batch);
    const names = classes.get(name);
    return { name, at: (index) => named(column.at(index), names) };
  });
}

/** Offsets of strangers' lists and texts, checked before any is followed: a wrong one would ask for gigabytes. */
function checkBatch(batch: unknown): void {
  if (typeof batch !== 'object' || batch === null) return;
  const part = batch as {
    length?: unknown;
    offsets?: unknown;
    sizes?: unknown;
    values?: unknown;
    children?: unknown;
    type?: { typeId?: number; stride?: number };
  };
  const children = Array.isArray(part.children) ? part.children : [];
  for (const child of children) checkBatch(child);
  const length = typeof part.length === 'number' ? part.length : 0;
  if (length > maxBatchRows) throw new Error(`a column claims ${length} values`);
  const first: unknown = children[0];
  const childLength = typeof first === 'object' && first !== null ? Number(Reflect.get(first, 'length')) : undefined;
  if (part.type?.typeId === Type.FixedSizeList && length * (part.type.stride ?? 0) > (childLength ?? 0)) {
    throw new Error('a list reaches beyond its values');
  }
  if (part.type?.typeId === Type.Union || !ArrayBuffer.isView(part.offsets)) return;
  const limit = childLength ?? (part.values instanceof Uint8Array ? part.values.length : 0);
  const offsets = part.offsets as unknown as ArrayLike<number | bigint>;
  const sizes = ArrayBuffer.isView(part.sizes) ? (part.sizes as unknown as ArrayLike<number | bigint>) : undefined;
  if (offsets.length < length + (sizes === undefined && length > 0 ? 1 : 0))
    throw new Error('a column has too few offsets');
  for (let i = 0; i < length; i++) {
    const start = Number(offsets[i]);
    const end = sizes === undefined ? Number(offsets[i + 1]) : start + Number(sizes[i]);
    if (!(start >= 0 && end >= start && end <= limit)) throw new Error('an offset reaches beyond its column');
  }
}

async function readAt(handle: FileHandle, path: string, offset: number, size: number): Promise<Buffer> {
  // A buffer of its own, for columns are views that have to begin at multiples of eight bytes.
  const buffer = Buffer.from(new ArrayBuffer(size));
  let read = 0;
  while (read < size) {
    const { bytesRead } = await handle.read(buffer, read, size - read, offset + read);
    if (bytesRead === 0) throw damaged(path, `it ends ${size - read} bytes too early`);
    read += bytesRead;
  }
  return buffer;
}

/** The message at `offset`; undefined at the end of the stream. */
async function readHeader(
  handle: FileHandle,
  path: string,
  offset: number,
  fileSize: number,
): Promise<Message | undefined> {
  if (offset + 4 > fileSize) return undefined;
  const prefix = await readAt(handle, path, offset, Math.min(8, fileSize - offset));
  // Streams from before version 0.15 have no continuation mark.
  const marked = prefix.readInt32LE(0) === -1;
  if (marked && prefix.length < 8) throw damaged(path, 'it ends inside a message');
  const length = prefix.readInt32LE(marked ? 4 : 0);
  if (length === 0) return undefined;
  const lead = marked ? 8 : 4;
  if (length < 8 || length > maxHeader || offset + lead + length > fileSize) {
    throw damaged(path, `the message at byte ${offset} has a header of ${length} bytes`);
  }
  const head = await readAt(handle, path, offset + lead, length);
  const { type, body, rows } = messageFields(head, path, offset);
  if (body > maxBatch) throw damaged(path, `the batch at byte ${offset} has ${body} bytes; ${maxBatch} are allowed`);
  if (offset + lead + length + body > fileSize) throw damaged(path, `the batch at byte ${offset} is not all there`);
  if (rows > Math.max(maxBatchRows, 8 * body)) throw damaged(path, `the batch at byte ${offset} claims ${rows} rows`);
  return { type, offset, size: lead + length + body, rows };
}

/** Type, body length and rows from the flatbuffer tables `Message` and `RecordBatch` (format/Message.fbs). */
function messageFields(head: Buffer, path: string, offset: number): { type: number; body: number; rows: number } {
  try {
    const message = head.readInt32LE(0);
    const field = (table: number, slot: number): number | undefined => {
      const vtable = table - head.readInt32LE(table);
      const at = slot < head.readUInt16LE(vtable) ? head.readUInt16LE(vtable + slot) : 0;
      return at === 0 ? undefined : table + at;
    };
    const long = (at: number | undefined): number => (at === undefined ? 0 : Number(head.readBigInt64LE(at)));
    const typeAt = field(message, 6);
    const headerAt = field(message, 8);
    const type = typeAt === undefined ? 0 : head.readUInt8(typeAt);
    const body = long(field(message, 10));
    const rows =
      type === messageType.batch && headerAt !== undefined ? long(field(headerAt + head.readInt32LE(headerAt), 4)) : 0;
    if (!(body >= 0 && rows >= 0)) throw new RangeError('negative size');
    return { type, body, rows };
  } catch {
    throw damaged(path, `the header of the message at byte ${offset} is not one`);
  }
}
