/** Parquet files, nested columns too: the footer is read when one is opened, pages when rows of them are asked for. */

import { type FileHandle, open } from 'node:fs/promises';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { parquetMetadata, parquetSchema } from 'hyparquet';
import { assembleNested } from 'hyparquet/src/assemble.js';
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { getTreePath } from 'hyparquet/src/schema.js';
import type { ColumnChunk, DecodedArray, FileMetaData, RowGroup, SchemaTree } from 'hyparquet/src/types.js';
import { compressors as packings } from 'hyparquet-compressors';
import { LeafColumn } from './parquet-column.js';
import { DensePages } from './parquet-page.js';
import { classNames, damaged, named, type Row, type Table } from './table.js';

const maxFooter = 256 * 1024 * 1024;
const maxLeaves = 10_000;

/** Node's own where it has them: they keep to the size that is claimed, whatever the bytes are. */
const compressors = {
  ...packings,
  GZIP: (packed: Uint8Array, size: number) =>
    size === 0 ? new Uint8Array() : gunzipSync(packed, { maxOutputLength: size }),
  BROTLI: (packed: Uint8Array, size: number) =>
    size === 0 ? new Uint8Array() : brotliDecompressSync(packed, { maxOutputLength: size }),
};

/** Row groups whose pages are remembered. */
const maxKnownGroups = 256;

interface Group {
  readonly firstRow: number;
  readonly rows: number;
  readonly chunks: readonly ColumnChunk[];
}

interface Leaf {
  /** Name of the column of the table that it is in, and its whole path. */
  readonly top: string;
  readonly path: string;
  readonly column: LeafColumn;
}

/**
 * @param keptBytes for pages that rows here and there ask for again; who reads on and on needs none
 * @throws LabError where the file is not Parquet, or cut off
 */
export async function openParquet(path: string, keptBytes = 0): Promise<Table> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    return new ParquetFile(path, file, size, await readFooter(file, path, size), keptBytes);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readFooter(file: FileHandle, path: string, size: number): Promise<FileMetaData> {
  if (size < 12) throw damaged(path, 'it is shorter than any Parquet file');
  const end = Buffer.alloc(8);
  await file.read(end, 0, 8, size - 8);
  const mark = end.toString('latin1', 4);
  if (mark === 'PARE') throw damaged(path, 'it is encrypted');
  if (mark !== 'PAR1') throw damaged(path, 'the footer at its end is missing');
  const length = end.readUInt32LE(0);
  if (length > size - 12 || length > maxFooter) throw damaged(path, `its footer claims ${length} bytes`);
  const footer = new Uint8Array(length + 8);
  const { bytesRead } = await file.read(footer, 0, footer.length, size - footer.length);
  if (bytesRead < footer.length) throw damaged(path, 'its footer cannot be read whole');
  try {
    // Geometry columns stay bytes: their metadata is a stranger's JSON.
    return parquetMetadata(footer.buffer, { geoparquet: false });
  } catch (error) {
    throw damaged(path, `its footer: ${error instanceof Error ? error.message : String(error)}`);
  }
}

class ParquetFile implements Table {
  readonly rows: number;
  readonly rowBytes: number;
  private readonly groups: readonly Group[];
  private readonly schema: SchemaTree;
  private readonly classes: ReadonlyMap<string, readonly string[]>;
  private readonly dense: DensePages;
  /** The row groups read last; the last one holds its pages. */
  private readonly known = new Map<Group, readonly Leaf[]>();
  private current: Group | undefined;

  constructor(
    path: string,
    private readonly file: FileHandle,
    private readonly size: number,
    footer: FileMetaData,
    keptBytes: number,
  ) {
    this.dense = new DensePages(keptBytes);
    let rows = 0;
    this.groups = footer.row_groups.map((group: RowGroup): Group => {
      const count = Number(group.num_rows);
      if (!Number.isSafeInteger(count) || count < 0) throw damaged(path, 'a row group claims an impossible size');
      const firstRow = rows;
      rows += count;
      return { firstRow, rows: count, chunks: group.columns };
    });
    if (!Number.isSafeInteger(rows)) throw damaged(path, 'it claims an impossible number of rows');
    this.rows = rows;
    this.rowBytes = size / Math.max(1, rows);
    try {
      this.schema = parquetSchema(footer);
    } catch (error) {
      throw damaged(path, `its schema: ${error instanceof Error ? error.message : String(error)}`);
    }
    if ((this.groups[0]?.chunks.length ?? 0) > maxLeaves) throw damaged(path, `it has more than ${maxLeaves} columns`);
    this.classes = classNames(footer.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value);
  }

  window(from: number): number {
    const group = this.groupOf(from);
    return group === undefined ? 1 : group.firstRow + group.rows - from;
  }

  async read(from: number, count: number): Promise<Row[]> {
    const rows: Row[] = [];
    while (rows.length < count) {
      const at = from + rows.length;
      const group = this.groupOf(at);
      if (group === undefined) break;
      const wanted = Math.min(count - rows.length, group.firstRow + group.rows - at);
      for (const row of this.readGroup(group, at - group.firstRow, wanted)) rows.push(row);
    }
    return rows;
  }

  close(): Promise<void> {
    return this.file.close();
  }

  private groupOf(row: number): Group | undefined {
    let low = 0;
    let high = this.groups.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.groups[middle]?.firstRow ?? 0) <= row) low = middle + 1;
      else high = middle;
    }
    const group = this.groups[low - 1];
    return group !== undefined && row >= 0 && row < group.firstRow + group.rows ? group : undefined;
  }

  private readGroup(group: Group, from: number, count: number): Row[] {
    const leaves = this.leavesOf(group);
    const columns: { readonly name: string; readonly values: ArrayLike<unknown> }[] = [];
    for (const child of this.schema.children) {
      const name = child.element.name;
      const parts = new Map<string, DecodedArray>();
      for (const { top, path, column } of leaves) {
        if (top !== name) continue;
        const values = column.rows(from, count);
        if (values.length < count) throw new Error(`the column ${path} ends after ${from + values.length} rows`);
        parts.set(path, values);
      }
      if (parts.size === 0) continue;
      if (child.children.length > 0) assembleNested(parts, child, DEFAULT_PARSERS);
      const classes = this.classes.get(name);
      const values = parts.get(name) ?? [];
      columns.push({ name, values: classes === undefined ? values : Array.from(values, (one) => named(one, classes)) });
    }
    return Array.from({ length: count }, (_, i) => Object.fromEntries(columns.map((one) => [one.name, one.values[i]])));
  }

  private leavesOf(group: Group): readonly Leaf[] {
    if (this.current !== group) {
      for (const { column } of (this.current && this.known.get(this.current)) ?? []) column.release();
    }
    this.current = group;
    const leaves = this.known.get(group) ?? this.openLeaves(group);
    this.known.delete(group);
    this.known.set(group, leaves);
    for (const first of this.known.keys()) if (this.known.size > maxKnownGroups) this.known.delete(first);
    return leaves;
  }

  private openLeaves(group: Group): readonly Leaf[] {
    const leaves: Leaf[] = [];
    for (const chunk of group.chunks) {
      const meta = chunk.meta_data;
      if (meta === undefined || chunk.file_path !== undefined) throw new Error('a column stands in another file');
      const schemaPath = getTreePath(this.schema, meta.path_in_schema);
      const element = schemaPath.at(-1)?.element;
      if (element === undefined) throw new Error(`the column ${meta.path_in_schema.join('.')} is not in the schema`);
      const decoder = {
        pathInSchema: meta.path_in_schema,
        type: meta.type,
        element,
        schemaPath,
        codec: meta.codec,
        parsers: DEFAULT_PARSERS,
        compressors,
        utf8: true,
      };
      leaves.push({
        top: meta.path_in_schema[0] ?? '',
        path: meta.path_in_schema.join('.'),
        column: new LeafColumn(this.file.fd, this.size, this.dense, decoder, chunk, meta),
      });
    }
    return leaves;
  }
}
