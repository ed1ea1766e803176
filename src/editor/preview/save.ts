/** Chosen rows as a new data set. The file appears whole under its name, or not at all, and never over another. */

import { constants } from 'node:fs';
import { copyFile, type FileHandle, link, open, rm } from 'node:fs/promises';
import { LabError } from '../../core/errors.js';
import { readRecords } from '../../data/read/records.js';
import type { Task } from './worker.js';

const bufferedCharacters = 1 << 18;
const mostHeld = 512 * 1024 * 1024;

/**
 * @param rows in the order to be written; undefined: all. Malformed records stay out and are counted
 * @throws LabError where there is a file of that name
 */
export async function save(
  path: string,
  rows: Uint32Array | undefined,
  target: string,
  task: Task,
): Promise<{ written: number; left: number }> {
  const aside = `${target}.${process.pid}.partial`;
  const file = await open(aside, 'wx').catch((error: unknown) => {
    throw notWritten(target, error);
  });
  try {
    const done = await write(path, rows, file, task);
    await file.sync();
    await file.close();
    await place(aside, target);
    return done;
  } finally {
    await file.close().catch(() => undefined);
    await rm(aside, { force: true });
  }
}

async function write(
  path: string,
  rows: Uint32Array | undefined,
  file: FileHandle,
  task: Task,
): Promise<{ written: number; left: number }> {
  const inOrder = rows === undefined || rows.every((row, i) => i === 0 || row > (rows[i - 1] ?? 0));
  const wanted = rows === undefined ? undefined : inOrder ? rows : rows.slice().sort();
  // Rows in another order than the file's are kept as text until their turn comes.
  const held = inOrder ? undefined : new Map<number, string>();
  let heldCharacters = 0;
  let text = '';
  let next = 0;
  let written = 0;
  let left = 0;
  const put = async (line: string): Promise<void> => {
    written++;
    text += `${line}\n`;
    if (text.length < bufferedCharacters) return;
    await file.write(text);
    text = '';
  };
  for await (const record of readRecords(path)) {
    task.beat(record.place.index);
    if (record.place.index % 256 === 0) {
      task.signal.throwIfAborted();
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (wanted !== undefined) {
      if (next >= wanted.length) break;
      if (wanted[next] !== record.place.index) continue;
      next++;
    }
    if ('problem' in record) left++;
    else if (held === undefined) await put(JSON.stringify(record.value));
    else {
      const line = JSON.stringify(record.value);
      heldCharacters += line.length;
      if (heldCharacters > mostHeld) {
        throw new LabError('too much to be put in another order', { advice: 'Save it in the order of the file.' });
      }
      held.set(record.place.index, line);
    }
  }
  if (held !== undefined && rows !== undefined) {
    for (const row of rows) {
      const line = held.get(row);
      if (line !== undefined) await put(line);
    }
  }
  await file.write(text);
  return { written, left };
}

async function place(aside: string, target: string): Promise<void> {
  try {
    await link(aside, target);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw notWritten(target, error);
    // A file system without hard links.
    await copyFile(aside, target, constants.COPYFILE_EXCL).catch((why: unknown) => {
      throw notWritten(target, why);
    });
  }
}

function notWritten(target: string, error: unknown): LabError {
  return codeOf(error) === 'EEXIST'
    ? new LabError('exists already; nothing is ever written over', {
        place: { file: target },
        advice: 'Give another name.',
      })
    : new LabError(`cannot be written: ${error instanceof Error ? error.message : String(error)}`, {
        place: { file: target },
      });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
