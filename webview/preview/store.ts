/**
 * Rows that have come so far, and which to ask for next: what is seen now at once, whatever else is under way; then what comes next in the
 * direction of scrolling; then tokens. Of questions that wait the extension answers the newest.
 */

import type { FromPreview, PreviewRow, RowTokens, ViewKind } from '../../src/core/view/preview.js';

const ahead = 48;
const behind = 24;
const mostRows = 120;
const tokenRows = 24;
const mostKept = 1500;
const lostMs = 5000;

export class RowStore {
  count = 0;
  complete = false;
  private readonly rows = new Map<number, PreviewRow>();
  private readonly tokens_ = new Map<number, RowTokens | null>();
  private readonly whole = new Map<number, { row?: PreviewRow; tokens?: RowTokens }>();
  /** Questions for rows without an answer, from the oldest on. */
  private asked: { readonly from: number; readonly to: number; readonly at: number }[] = [];
  private tokensAsked = 0;
  private seen = { from: 0, to: 0 };
  private upwards = false;
  /** The end of the set is known to be here, though the count is not yet exact. */
  private shortAt = Infinity;

  constructor(
    private readonly send: (message: FromPreview) => void,
    public version: number,
    public view: ViewKind,
  ) {}

  row(position: number): PreviewRow | undefined {
    const row = this.rows.get(position);
    return row === undefined ? undefined : (this.whole.get(row.row)?.row ?? row);
  }

  tokens(position: number): RowTokens | null | undefined {
    const tokens = this.tokens_.get(position);
    return tokens === undefined || tokens === null ? tokens : (this.whole.get(tokens.row)?.tokens ?? tokens);
  }

  /** Another view, filter, mapping or model: what has come is of no use. */
  clear(): void {
    this.rows.clear();
    this.tokens_.clear();
    this.whole.clear();
    this.asked = [];
    this.tokensAsked = 0;
    this.shortAt = Infinity;
  }

  clearTokens(): void {
    this.tokens_.clear();
    this.tokensAsked = 0;
  }

  clearFrom(position: number): void {
    for (const key of this.rows.keys()) if (key >= position) this.rows.delete(key);
    for (const key of this.tokens_.keys()) if (key >= position) this.tokens_.delete(key);
  }

  putRows(from: number, rows: readonly PreviewRow[]): void {
    // Older ones were passed over.
    const which = this.asked.findLastIndex((one) => one.from === from);
    this.asked = this.asked.slice(which + 1);
    for (const [i, row] of rows.entries()) this.rows.set(from + i, row);
    if (rows.length === 0) this.shortAt = Math.min(this.shortAt, from);
    this.forget();
    this.next();
  }

  putTokens(from: number, tokens: readonly (RowTokens | null)[]): void {
    this.tokensAsked = 0;
    for (const [i, one] of tokens.entries()) this.tokens_.set(from + i, one);
    this.next();
  }

  putWhole(row: number, shown: PreviewRow | undefined, tokens: RowTokens | undefined): void {
    this.whole.set(row, {
      ...(shown === undefined ? {} : { row: shown }),
      ...(tokens === undefined ? {} : { tokens }),
    });
  }

  positionOf(row: number): number | undefined {
    for (const [position, one] of this.rows) if (one.row === row) return position;
    return undefined;
  }

  show(from: number, to: number): void {
    if (from !== this.seen.from) this.upwards = from < this.seen.from;
    this.seen = { from, to };
    this.next();
  }

  private next(): void {
    const now = Date.now();
    this.asked = this.asked.filter(({ at }) => now - at < lostMs);
    if (!this.nextRows(now)) this.nextTokens(now);
  }

  /** @returns whether rows that are seen are still to come */
  private nextRows(now: number): boolean {
    const { from, to } = this.seen;
    const end = Math.min(this.count, this.shortAt);
    const below = this.upwards ? behind : ahead;
    const above = this.upwards ? ahead : behind;
    const seen = firstMissing(this.rows, from, Math.min(end, to));
    if (seen !== undefined) {
      const last = this.asked.at(-1);
      if (last === undefined || seen < last.from || seen >= last.to) {
        const start = this.upwards ? Math.max(0, from - above) : seen;
        this.ask(start, Math.min(end, to + below), now);
      }
      return true;
    }
    if (this.asked.length > 0) return false;
    const next = firstMissing(this.rows, to, Math.min(end, to + below / 2));
    if (next !== undefined) this.ask(next, Math.min(end, to + below), now);
    else {
      const before = lastMissing(this.rows, Math.max(0, from - above / 2), from);
      if (before !== undefined) this.ask(Math.max(0, before + 1 - above), before + 1, now);
    }
    return false;
  }

  private ask(from: number, to: number, now: number): void {
    const count = Math.min(mostRows, to - from);
    if (count <= 0) return;
    this.asked.push({ from, to: from + count, at: now });
    this.send({ type: 'rows', version: this.version, from, count, view: this.view });
  }

  private nextTokens(now: number): void {
    if (now - this.tokensAsked < lostMs) return;
    const { from, to } = this.seen;
    const missing = firstMissing(this.tokens_, from, Math.min(this.count, to + behind, this.shortAt));
    if (missing === undefined || !this.rows.has(missing)) return;
    let count = 1;
    while (count < tokenRows && this.rows.has(missing + count) && !this.tokens_.has(missing + count)) count++;
    this.tokensAsked = now;
    this.send({ type: 'tokens', version: this.version, from: missing, count });
  }

  /** What is far from what is seen. */
  private forget(): void {
    if (this.rows.size <= mostKept) return;
    const { from, to } = this.seen;
    for (const position of this.rows.keys()) {
      if (position >= from - mostKept / 4 && position <= to + mostKept / 4) continue;
      this.rows.delete(position);
      this.tokens_.delete(position);
    }
  }
}

function firstMissing(map: ReadonlyMap<number, unknown>, from: number, to: number): number | undefined {
  for (let i = from; i < to; i++) if (!map.has(i)) return i;
  return undefined;
}

function lastMissing(map: ReadonlyMap<number, unknown>, from: number, to: number): number | undefined {
  for (let i = to - 1; i >= from; i--) if (!map.has(i)) return i;
  return undefined;
}
