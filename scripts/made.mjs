/** What was made from what: hashes of inputs, and files that keep them. Plain Node: set-up uses it before there are packages. */

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

export function hashOf(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

/** A hash of the names and contents of files and folders, given from the root. */
export function hashFiles(...paths) {
  const parts = [];
  const add = (path) => {
    const full = join(root, path);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory()) for (const name of readdirSync(full).sort()) add(join(path, name));
    else parts.push(path, readFileSync(full));
  };
  for (const path of paths) add(path);
  return hashOf(...parts);
}

/** A file that says what something was made from. It goes before the work begins: half-made is not made. */
export function stamp(file) {
  return {
    holds: (hash) => existsSync(file) && readFileSync(file, 'utf8') === hash,
    drop: () => rmSync(file, { force: true }),
    set: (hash) => writeFileSync(file, hash),
  };
}
