/** A lock file that a dead process does not keep. */

import { constants, copyFileSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** A process by its id and, where /proc tells it, its start: ids are used again. Undefined when there is no such process. */
function identity(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything; the start is the 20th field after it.
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    // Gone, or a system without /proc.
  }
  if (process.platform === 'linux') return undefined;
  try {
    process.kill(pid, 0);
    return String(pid);
  } catch (error) {
    return error.code === 'EPERM' ? String(pid) : undefined;
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Puts a file in place unless there is one; with its content at once, so that nobody reads a half-written lock. */
function place(source, target) {
  try {
    linkSync(source, target);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
  }
  // A file system without hard links.
  try {
    copyFileSync(source, target, constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Waits until `file` is ours; `onWait` is told once, by whom it is held. Returns what gives it back. */
export async function takeLock(file, onWait) {
  const mine = identity(process.pid);
  const aside = `${file}.${process.pid}`;
  writeFileSync(aside, mine);
  try {
    for (let waited = false; ; ) {
      if (place(aside, file)) break;
      const holder = read(file);
      if (holder === undefined) continue;
      const pid = Number.parseInt(holder, 10);
      if (!(pid > 0) || identity(pid) !== holder) {
        dropStale(file, holder);
        continue;
      }
      if (!waited) onWait(`process ${pid}`);
      waited = true;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  } finally {
    rmSync(aside, { force: true });
  }
  return () => {
    if (read(file) === mine) rmSync(file, { force: true });
  };
}

/** Removes the lock of a dead process, and puts back what another process has placed there in the meantime. */
function dropStale(file, holder) {
  const stale = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, stale);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  if (read(stale) !== holder) place(stale, file);
  rmSync(stale, { force: true });
}
