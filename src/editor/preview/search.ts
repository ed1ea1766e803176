/** The rows that a page wants to see: all, or those that a search under way has found. */

import { type Filter, noFilter, type ToPreview } from '../../core/view/preview.js';
import type { PreviewClient } from './client.js';
import { Found } from './found.js';
import { messageOf } from './messages.js';
import type { Mask } from './protocol.js';

export class Search {
  /** Of the page's last wish. */
  version = 0;
  private filter: Filter = noFilter;
  private found: Found | undefined;
  private running = new AbortController();

  constructor(
    private readonly scan: PreviewClient,
    private readonly send: (message: ToPreview) => void,
  ) {}

  get filtered(): boolean {
    return this.found !== undefined;
  }

  /** All rows found so far; undefined where all rows are shown. */
  get rows(): Uint32Array | undefined {
    return this.found?.slice(0, this.found.length);
  }

  slice(from: number, count: number): Uint32Array | undefined {
    return this.found?.slice(from, count);
  }

  wish(version: number, filter: Filter): void {
    this.version = version;
    this.filter = filter;
  }

  stop(): void {
    this.running.abort();
  }

  /** @returns false where all rows are shown, so that there is nothing to search */
  async start(mask: Mask): Promise<boolean> {
    this.running.abort();
    const controller = new AbortController();
    this.running = controller;
    const { filter, version } = this;
    if (JSON.stringify(filter) === JSON.stringify(noFilter)) {
      this.found = undefined;
      return false;
    }
    const found = new Found();
    this.found = found;
    let searched = 0;
    const tell = (complete: boolean, problem?: string): void => {
      if (version !== this.version || found !== this.found) return;
      const problems = problem === undefined ? {} : { problem };
      this.send({ type: 'rowCount', version, count: found.length, complete, searched, ...problems });
    };
    try {
      const end = await this.scan.ask(
        'find',
        { filter, mask },
        {
          signal: controller.signal,
          event: (part) => {
            // A sorted view is shown when it is sorted.
            if (filter.sort === 'file') found.add(part.rows);
            searched = part.searched;
            tell(false);
          },
        },
      );
      if (end.sorted !== undefined) found.replace(end.sorted);
      searched = end.searched;
      tell(true);
    } catch (error) {
      // A newer search has taken its place, and tells.
      if (this.running === controller) {
        tell(true, controller.signal.aborted ? 'The search was stopped.' : messageOf(error));
      }
    }
    return true;
  }
}
