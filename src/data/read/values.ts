/** Values of typed tables (Parquet, Arrow, spreadsheets) as the JSON that a text data set would hold. */

import type { RecordPlace } from '../../core/data.js';

/**
 * A record as it stands in the file, or what is wrong with it. `bytes` is its share of the file. `source` is the line that it was read
 * from, without its end, where lines were asked for; it is a part of a larger buffer.
 */
export type RawRecord =
  | { readonly place: RecordPlace; readonly bytes: number; readonly value: unknown; readonly source?: Buffer }
  | { readonly place: RecordPlace; readonly bytes: number; readonly problem: string };

/** Far beyond any real record, far below what overflows a recursive reader's stack. */
export const maxDepth = 512;

/**
 * Whole numbers that a double cannot hold become their digits, dates ISO 8601 texts, bytes UTF-8 texts (base64 where they are none),
 * whatever is missing null.
 *
 * @throws RangeError where values are nested more than `maxDepth` deep
 */
export function toJsonValue(value: unknown, depth = 0): unknown {
  if (depth > maxDepth) throw new RangeError(`the record is nested more than ${maxDepth} levels deep`);
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'bigint':
      return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value);
    case 'object':
      break;
    default:
      return null;
  }
  if (value === null) return null;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return bytesText(value);
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, one]) => [String(key), toJsonValue(one, depth + 1)]));
  }
  if (Array.isArray(value)) return value.map((one) => toJsonValue(one, depth + 1));
  if (ArrayBuffer.isView(value) || isIterable(value)) {
    return Array.from(value as unknown as Iterable<unknown>, (one) => toJsonValue(one, depth + 1));
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, toJsonValue(one, depth + 1)]));
}

function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value;
}

const strict = new TextDecoder('utf-8', { fatal: true });

function bytesText(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  }
}
