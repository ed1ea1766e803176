/**
 * Tells when a file may have changed: by the file system's notices, and by a slow poll where they do not come (network file
 * systems). The folder is watched, not the file: it may not be there yet, and may be replaced.
 */

import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

export class FileWake {
  private readonly timer: NodeJS.Timeout;
  private watcher: FSWatcher | undefined;
  private closed = false;

  constructor(
    private readonly path: string,
    private readonly wake: () => void,
    pollMs = 1000,
  ) {
    this.timer = setInterval(() => {
      this.watchAgain();
      wake();
    }, pollMs);
    this.watchAgain();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.watcher?.close();
  }

  private watchAgain(): void {
    if (this.watcher !== undefined || this.closed) return;
    const name = basename(this.path);
    try {
      const watcher = watch(dirname(this.path), { persistent: false }, (_kind, file) => {
        if (file === null || file === name) this.wake();
      });
      const forget = (): void => {
        watcher.close();
        if (this.watcher === watcher) this.watcher = undefined;
      };
      watcher.on('error', forget);
      this.watcher = watcher;
    } catch {
      // No folder yet, or no notices to be had: the poll does.
    }
  }
}
