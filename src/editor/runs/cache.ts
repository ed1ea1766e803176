/** What the list of runs knew when it was last shown in this workspace: a file, so that a new window reads only what is new. */

import { writeFileSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import type * as vscode from 'vscode';

/** Entries turned into text before others get their turn. */
const entriesPerTurn = 200;

export class RunCache {
  private readonly file: string | undefined;

  constructor({ storageUri }: vscode.ExtensionContext) {
    this.file = storageUri === undefined ? undefined : join(storageUri.fsPath, 'runs.json');
  }

  async read(): Promise<unknown> {
    if (this.file === undefined) return {};
    try {
      return JSON.parse(await readFile(this.file, 'utf8'));
    } catch {
      return {};
    }
  }

  /** In turns, and beside the old one first: a window that is killed leaves the old one whole. */
  async write(snapshot: Readonly<Record<string, unknown>>): Promise<void> {
    if (this.file === undefined) return;
    const parts: string[] = [];
    for (const [folder, entry] of Object.entries(snapshot)) {
      parts.push(`${JSON.stringify(folder)}:${JSON.stringify(entry)}`);
      if (parts.length % entriesPerTurn === 0) await pause();
    }
    const aside = `${this.file}.${process.pid}`;
    try {
      await mkdir(dirname(this.file), { recursive: true });
      await writeFile(aside, `{${parts.join(',')}}`);
      await rename(aside, this.file);
    } catch {
      // The next session reads the logs instead.
    }
  }

  /** As the window closes, nobody waits. */
  writeNow(snapshot: Readonly<Record<string, unknown>>): void {
    if (this.file === undefined) return;
    try {
      writeFileSync(this.file, JSON.stringify(snapshot));
    } catch {
      // The next session reads the logs instead.
    }
  }
}
