/** Writing that survives a crash, and file system errors in words. */

import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as z from 'zod';
import { codeOf, LabError } from '../core/errors.js';
import { onWindows } from './system.js';

/** Forces a file's data, or a folder's entries, to the disk. */
export async function syncPath(path: string): Promise<void> {
  // Windows syncs only what may be written to.
  const handle = await open(path, onWindows ? 'r+' : 'r').catch((error: unknown) => {
    if (!isInUse(error)) throw error;
  });
  try {
    await handle?.sync();
  } catch (error) {
    // Some network file systems cannot sync a folder; the rename is all they offer.
    if (!['EINVAL', 'ENOTSUP', 'EPERM', 'EISDIR'].includes(codeOf(error) ?? '')) throw error;
  } finally {
    await handle?.close();
  }
}

/** Whether Windows refused, because somebody has the file (or one in the folder) open, or because it may not be written to. */
export function isInUse(error: unknown): boolean {
  return onWindows && ['EPERM', 'EACCES', 'EBUSY', 'ENOTEMPTY'].includes(codeOf(error) ?? '');
}

/** Virus scanners and indexers open what is new for a moment: what Windows refuses is tried again for a second or so. */
export async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!isInUse(error) || tries === 50) throw error;
      await sleep(25);
    }
  }
}

/** Renames a file, over another of that name too, or a folder. */
export function move(from: string, to: string): Promise<void> {
  return patiently(() => rename(from, to));
}

/** Removes a folder with all that is in it. What somebody has open stays on Windows, for the next who cleans up. */
export async function removeFolder(path: string): Promise<void> {
  await patiently(() => rm(path, { recursive: true, force: true })).catch((error: unknown) => {
    if (!isInUse(error)) throw error;
  });
}

/** Writes a file beside its place, syncs it and renames it into place: readers see the old one or the new one. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID().slice(0, 8)}`);
  try {
    const handle = await open(temporary, 'wx');
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await move(temporary, path);
    await syncPath(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(error, path);
  }
}

/** Reads and checks a JSON file of ours. */
export async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw readError(error, path);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LabError('not valid JSON', { place: { file: path }, cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new LabError(issue?.message ?? 'not as expected', {
    place: { file: path, ...(issue === undefined || issue.path.length === 0 ? {} : { field: issue.path.join('.') }) },
    advice: 'The file was written by another version, or changed by hand.',
  });
}

/** Makes a folder and those above it, with an error that says which one could not be made. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeOne(path);
    await access(path, constants.W_OK);
  } catch (error) {
    throw writeError(error, path);
  }
}

/** Not `recursive`: Node's never ends where a folder exists but takes no entries, as in `/proc`. */
async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path || (await isThere(dirname(path)))) throw error;
    await makeOne(dirname(path));
    await makeOne(path);
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What a failed write means to a person. Errors that are not of the file system come back as they are. */
export function writeError(error: unknown, path: string): unknown {
  if (error instanceof LabError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error) ?? /\b(ENOSPC|EDQUOT|EROFS|EACCES|EPERM)\b/.exec(message)?.[1];
  const place = { file: path };
  if (code === 'ENOSPC' || code === 'EDQUOT' || /no space left/i.test(message)) {
    return new LabError('no space is left on the disk', {
      place,
      advice: 'Free some space, then resume the run. Checkpoints written before are intact.',
      cause: error,
    });
  }
  if (code === 'EBUSY') return new LabError('another program has it open', { place, cause: error });
  if (
    code === 'EROFS' ||
    code === 'EACCES' ||
    code === 'EPERM' ||
    /read-only file system|permission denied/i.test(message)
  ) {
    return new LabError('cannot be written: the folder is read-only for you', {
      place,
      advice: 'Choose another output_dir, or change the permissions.',
      cause: error,
    });
  }
  if (code === 'ENOTDIR' || code === 'EEXIST') {
    return new LabError('cannot be made: a file stands in its way', { place, cause: error });
  }
  if (code === 'ENOENT') return new LabError('cannot be written: its folder does not exist', { place, cause: error });
  if (code === 'EIO') return new LabError('the disk reported an error', { place, cause: error });
  return error;
}

export function readError(error: unknown, path: string): unknown {
  if (error instanceof LabError) return error;
  const code = codeOf(error);
  const place = { file: path };
  if (code === 'ENOENT' || code === 'ENOTDIR') return new LabError('no such file', { place, cause: error });
  if (code === 'EISDIR') return new LabError('is a folder; a file was expected', { place, cause: error });
  if (code === 'EACCES' || code === 'EPERM') return new LabError('may not be read', { place, cause: error });
  return error;
}
