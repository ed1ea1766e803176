/** Chosen rows as a new data set. */

import { LabError } from '../../core/errors.js';
import { readRecords } from '../../data/read/records.js';
import { lineOf, NewFile } from '../../data/view/new-file.js';
import type { Task } from './worker.js';

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
  const file = await NewFile.create(target);
  try {
    const done = await write(path, rows, file, task);
    await file.finish();
    return done;
  } finally {
    await file.discard();
  }
}

async function write(
  path: string,
  rows: Uint32Array | undefined,
  file: NewFile,
  task: Task,
): Promise<{ written: number; left: number }> {
  const inOrder = rows === undefined || rows.every((row, i) => i === 0 || row > (rows[i - 1] ?? 0));
  const wanted = rows === undefined ? undefined : inOrder ? rows : rows.slice().sort();
  // Rows in another order than the file's are kept until their turn comes.
  const held = inOrder ? undefined : new Map<number, Buffer>();
  let heldBytes = 0;
  let next = 0;
  let written = 0;
  let left = 0;
  const put = async (line: Buffer): Promise<void> => {
    written++;
    await file.writeLine(line);
  };
  for await (const record of readRecords(path, { keepSource: true })) {
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
    else if (held === undefined) await put(lineOf(record));
    else {
      // A copy: what was read is a part of a larger buffer.
      const line = Buffer.from(lineOf(record));
      heldBytes += line.length;
      if (heldBytes > mostHeld) {
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
  return { written, left };
}
