/** Reading the small text files of a model folder. */

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from '../../core/errors.js';

const maxBytes = 256 * 1024 * 1024;

/** The file's text; undefined where there is none. */
export function readText(directory: string, name: string): string | undefined {
  const file = join(directory, name);
  const status = statSync(file, { throwIfNoEntry: false });
  if (status === undefined) return undefined;
  if (!status.isFile()) throw new LabError('is not a file', { place: { file } });
  if (status.size > maxBytes) throw new LabError(`is larger than ${maxBytes} bytes`, { place: { file } });
  return readFileSync(file, 'utf8');
}

/** The JSON object in the file; undefined where there is no file. */
export function readObject(directory: string, name: string): Readonly<Record<string, unknown>> | undefined {
  const text = readText(directory, name);
  if (text === undefined) return undefined;
  const file = join(directory, name);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new LabError(`is not valid JSON: ${cause instanceof Error ? cause.message : String(cause)}`, {
      place: { file },
      cause,
    });
  }
  if (!isObject(value)) throw new LabError('is not a JSON object', { place: { file } });
  return value;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
