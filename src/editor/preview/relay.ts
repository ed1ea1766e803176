/**
 * What the page asks for while it is scrolled: rows before tokens, and of what waits the newest alone. The page asks again for whatever of
 * the others it still shows.
 */

import type { FromPreview } from '../../core/view/preview.js';

export type RowsWish = Extract<FromPreview, { type: 'rows' }>;
export type TokensWish = Extract<FromPreview, { type: 'tokens' }>;

export class Relay {
  private rows: RowsWish | undefined;
  private tokens: TokensWish | undefined;
  private stop = new AbortController();
  private working: Promise<void> | undefined;

  constructor(
    private readonly sendRows: (wish: RowsWish) => Promise<void>,
    /** May be given up, and is asked for again. */
    private readonly sendTokens: (wish: TokensWish, signal: AbortSignal) => Promise<void>,
  ) {}

  /** Settles when nothing waits any more. */
  wantRows(wish: RowsWish): Promise<void> {
    this.rows = wish;
    this.stop.abort();
    return this.start();
  }

  wantTokens(wish: TokensWish): Promise<void> {
    this.tokens = wish;
    return this.start();
  }

  private start(): Promise<void> {
    this.working ??= this.work().finally(() => {
      this.working = undefined;
    });
    return this.working;
  }

  private async work(): Promise<void> {
    for (;;) {
      const { rows, tokens } = this;
      if (rows !== undefined) {
        this.rows = undefined;
        await this.sendRows(rows);
      } else if (tokens !== undefined) {
        this.tokens = undefined;
        const stop = new AbortController();
        this.stop = stop;
        await this.sendTokens(tokens, stop.signal);
        if (stop.signal.aborted) this.tokens ??= tokens;
      } else return;
    }
  }
}
