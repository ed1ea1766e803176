/** Rows and their tokens for the page, as many as it shows at a time. */

import type { FromPreview, ToPreview } from '../../core/view/preview.js';
import type { PreviewClient } from './client.js';
import { range } from './found.js';
import { Relay, type RowsWish, type TokensWish } from './relay.js';
import type { Search } from './search.js';

export interface RowPagesOwner {
  /** Rows of the whole set; undefined while they are still counted. */
  readonly total: number | undefined;
  /** It could not be read, which was told; there are no rows. */
  readonly lost: boolean;
  send(message: ToPreview): void;
  failed(error: unknown): void;
}

export class RowPages {
  private readonly relay = new Relay(
    (wish) => this.sendRows(wish),
    (wish, signal) => this.sendTokens(wish, signal),
  );

  constructor(
    private readonly rows: PreviewClient,
    private readonly search: Search,
    private readonly owner: RowPagesOwner,
  ) {}

  wantRows(wish: RowsWish): Promise<void> {
    return this.relay.wantRows(wish);
  }

  wantTokens(wish: TokensWish): Promise<void> {
    return this.relay.wantTokens(wish);
  }

  async sendWhole({ row, view }: Extract<FromPreview, { type: 'whole' }>): Promise<void> {
    try {
      const rows = Uint32Array.of(row);
      const [shown] = await this.rows.ask('rows', { rows, view, whole: true });
      const [tokens] = view === 'tokens' ? await this.rows.ask('tokens', { rows, whole: true }) : [];
      this.owner.send({
        type: 'whole',
        row,
        ...(shown === undefined ? {} : { shown }),
        ...(tokens === undefined || tokens === null ? {} : { tokens }),
      });
    } catch (error) {
      this.owner.failed(error);
    }
  }

  private async sendRows({ version, from, count, view }: RowsWish): Promise<void> {
    if (this.outdated(version)) return;
    try {
      const rows = await this.rows.ask('rows', { rows: this.rowsOf(from, count), view, whole: false });
      this.owner.send({ type: 'rows', version, from, rows });
    } catch (error) {
      this.owner.failed(error);
    }
  }

  private async sendTokens({ version, from, count }: TokensWish, signal: AbortSignal): Promise<void> {
    if (this.outdated(version)) return;
    try {
      const tokens = await this.rows.ask('tokens', { rows: this.rowsOf(from, count), whole: false }, { signal });
      this.owner.send({ type: 'tokens', version, from, tokens });
    } catch (error) {
      if (!signal.aborted) this.owner.failed(error);
    }
  }

  private outdated(version: number): boolean {
    return version !== this.search.version || this.owner.lost;
  }

  private rowsOf(from: number, count: number): Uint32Array {
    const { total } = this.owner;
    return this.search.slice(from, count) ?? range(from, total === undefined ? count : Math.min(count, total - from));
  }
}
