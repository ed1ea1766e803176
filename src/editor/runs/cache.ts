/** What the list of runs knew when it was last shown in this workspace: a file, so that a new window reads only what is new. */

import { writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import { move } from '../../runs/files.js';

/** Runs turned into text before others get their turn. */
const runsPerTurn = 200;

/** A line of the file: the run's folder, a tab, and what is known of it. */
type Known = Iterable<readonly [folder: string, text: string]>;

export class RunCache {
  private readonly file: string | undefined;

  /** @param folder the workspace's own; undefined: there is none, and nothing is kept */
  constructor(folder: string | undefined) {
    this.file = folder === undefined ? undefined : join(folder, 'runs.tsv');
  }

  /** Of thousands of runs that is megabytes: lines are cut here, and read when their run is looked at. */
  async read(): Promise<Map<string, string>> {
    const known = new Map<string, string>();
    if (this.file === undefined) return known;
    const text = await readFile(this.file, 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      const tab = line.indexOf('\t');
      if (tab !== -1) known.set(line.slice(0, tab), line.slice(tab + 1));
    }
    return known;
  }

  /** In turns, and beside the old one first: a window that is killed leaves the old one whole. */
  async write(known: Known): Promise<void> {
    if (this.file === undefined) return;
    const lines: string[] = [];
    for (const one of known) {
      lines.push(lineOf(one));
      if (lines.length % runsPerTurn === 0) await pause();
    }
    const aside = `${this.file}.${process.pid}`;
    try {
      await mkdir(dirname(this.file), { recursive: true });
      await writeFile(aside, lines.join(''));
      await move(aside, this.file);
    } catch {
      // The next session reads the logs instead.
    }
  }

  /** As the window closes, nobody waits. */
  writeNow(known: Known): void {
    if (this.file === undefined) return;
    try {
      writeFileSync(this.file, Array.from(known, lineOf).join(''));
    } catch {
      // The next session reads the logs instead.
    }
  }
}

/** Folders with a tab or a line's end in their names are read anew each time. */
function lineOf([folder, text]: readonly [string, string]): string {
  return /[\t\n]/.test(folder) ? '' : `${folder}\t${text}\n`;
}
