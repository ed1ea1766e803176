/**
 * Several windows may look at one run, and one of them tells of its end: the first that makes a file of the end's name. The window
 * that a person works in comes first.
 */

import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../../core/errors.js';

const keptMs = 24 * 60 * 60 * 1000;

export class Claims {
  constructor(private readonly folder: string) {}

  /** Whether it is ours to tell. */
  async claim(end: string): Promise<boolean> {
    const name = createHash('sha256').update(end).digest('hex').slice(0, 32);
    try {
      await mkdir(this.folder, { recursive: true });
      await writeFile(join(this.folder, name), '', { flag: 'wx' });
      return true;
    } catch (error) {
      // Twice is better than never.
      return codeOf(error) !== 'EEXIST';
    }
  }

  /** Takes away claims of yesterday. */
  async clean(): Promise<void> {
    const names = await readdir(this.folder).catch(() => []);
    for (const name of names) {
      const file = join(this.folder, name);
      const found = await stat(file).catch(() => undefined);
      if (found !== undefined && Date.now() - found.mtimeMs > keptMs)
        await rm(file, { force: true }).catch(() => undefined);
    }
  }
}
