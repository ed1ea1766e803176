/** Tables of typed columns (Parquet, Arrow): any rows of them, in bounded memory. */

import { LabError } from '../../core/errors.js';
import type { RawRecord } from './values.js';
import { toJsonValue } from './values.js';

export interface Table {
  readonly rows: number;
  /** Bytes on disk for a row, on average. */
  readonly rowBytes: number;
  /** Rows that can be read at once from `from` on without reading anything twice; at least 1 before the end. */
  window(from: number): number;
  /**
   * @returns the rows as objects by column, fewer only at the end
   * @throws LabError where the file is damaged
   */
  read(from: number, count: number): Promise<Row[]>;
  close(): Promise<void>;
}

export type Row = Readonly<Record<string, unknown>>;

const maxWindow = 1000;
/** Rows of so many bytes are in memory together, several times over while they are put together. */
const windowBytes = 1 << 18;

/** All records. What cannot be read is a problem of every row of its window; the windows after it are read. */
export async function* tableRecords(table: Table, file: string): AsyncGenerator<RawRecord> {
  try {
    for (const { row, count } of tableWindows(table, 0, table.rows)) yield* await tableRows(table, file, row, count);
  } finally {
    await table.close();
  }
}

/** Rows that are read together, when rows `from` to `to` are read one after another. */
export function* tableWindows(table: Table, from: number, to: number): Generator<{ row: number; count: number }> {
  const most = Math.max(1, Math.min(maxWindow, Math.floor(windowBytes / table.rowBytes)));
  for (let row = from; row < to; ) {
    const count = Math.min(most, table.window(row), to - row);
    yield { row, count };
    row += count;
  }
}

/** The rows as records; where they cannot be read together, all of them with what is wrong. */
export async function tableRows(table: Table, file: string, from: number, count: number): Promise<RawRecord[]> {
  const place = (row: number) => ({ file, index: row, line: row + 1 });
  const bytes = table.rowBytes;
  let rows: Row[];
  try {
    rows = await table.read(from, count);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const last = Math.min(table.rows, from + count);
    const problem = `${last - from > 1 ? `rows ${from + 1} to ${last}` : 'the row'} cannot be read: ${why}`;
    return Array.from({ length: last - from }, (_, i) => ({ place: place(from + i), bytes, problem }));
  }
  return rows.map((row, i): RawRecord => {
    try {
      return { place: place(from + i), bytes, value: toJsonValue(row) };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { place: place(from + i), bytes, problem: why };
    }
  });
}

/** The names behind the numbers of `ClassLabel` columns, from the metadata that Hugging Face `datasets` writes. */
export function classNames(metadata: string | undefined): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, readonly string[]>();
  if (metadata === undefined || metadata.length > 1 << 22) return names;
  let value: unknown;
  try {
    value = JSON.parse(metadata);
  } catch {
    return names; // metadata for others; the rows are readable without it
  }
  const features = field(field(value, 'info'), 'features');
  if (typeof features !== 'object' || features === null) return names;
  for (const [column, feature] of Object.entries(features)) {
    const list = field(feature, '_type') === 'ClassLabel' ? field(feature, 'names') : undefined;
    if (Array.isArray(list) && list.every((name): name is string => typeof name === 'string')) names.set(column, list);
  }
  return names;
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

/** A column's value, with the name where it is the number of a class. */
export function named(value: unknown, names: readonly string[] | undefined): unknown {
  if (names === undefined || (typeof value !== 'number' && typeof value !== 'bigint')) return value;
  return names[Number(value)] ?? value;
}

export function damaged(file: string, why: string): LabError {
  return new LabError(`is damaged or cut off: ${why}`, { place: { file } });
}
