/** Cheap looks at files: whether they changed since they were read. */

import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import type * as z from 'zod';

/** Changes when a file does; empty where there is none. */
export function markOf(path: string): string {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    return found === undefined ? '' : `${found.ino}:${found.size}:${found.mtimeMs}`;
  } catch {
    return '';
  }
}

/** When what a mark is of was changed, in milliseconds since 1970; 0 where there is none. */
export function timeOf(mark: string): number {
  return Number(mark.slice(mark.lastIndexOf(':') + 1));
}

/** Folders in a folder, without hidden ones. */
export function folderNames(folder: string): string[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
}

/** Undefined where the file cannot be read, or is not as expected. */
export function readAs<T>(file: string, schema: z.ZodType<T>): T | undefined {
  try {
    return parseAs(readFileSync(file, 'utf8'), schema);
  } catch {
    return undefined;
  }
}

/** Undefined where the text is not as expected. */
export function parseAs<T>(text: string, schema: z.ZodType<T>): T | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
