/** Rows that have come so far, and which to ask for next: one question at a time, always for what is seen now. */

import type { FromPreview, PreviewRow, RowTokens, ViewKind } from '../../src/core/view/preview.js';

const pageRows = 24;
const ahead = 24;
const mostKept = 1500;
const lostMs = 5000;

export class RowStore {
  count = 0;
  complete = false;
  private readonly rows = new Map<number, PreviewRow>();
  private readonly tokens_ = new Map<number, RowTokens | null>();
  private readonly whole = new Map<number, { row?: PreviewRow; tokens?: RowTokens }>();
  private waiting = { rows: 0, tokens: 0 };
  private seen = { from: 0, to: 0 };
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
    this.waiting = { rows: 0, tokens: 0 };
    this.shortAt = Infinity;
  }

  clearTokens(): void {
    this.tokens_.clear();
    this.waiting.tokens = 0;
  }

  clearFrom(position: number): void {
    for (const key of this.rows.keys()) if (key >= position) this.rows.delete(key);
    for (const key of this.tokens_.keys()) if (key >= position) this.tokens_.delete(key);
  }

  putRows(from: number, rows: readonly PreviewRow[]): void {
    this.waiting.rows = 0;
    for (const [i, row] of rows.entries()) this.rows.set(from + i, row);
    if (rows.length === 0) this.shortAt = Math.min(this.shortAt, from);
    this.forget();
    this.next();
  }

  putTokens(from: number, tokens: readonly (RowTokens | null)[]): void {
    this.waiting.tokens = 0;
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
    this.seen = { from, to };
    this.next();
  }

  private next(): void {
    const { from, to } = this.seen;
    const now = Date.now();
    const end = Math.min(this.count, to + ahead, this.shortAt);
    if (now - this.waiting.rows > lostMs) {
      const missing = firstMissing(this.rows, from, end) ?? firstMissing(this.rows, Math.max(0, from - ahead), from);
      if (missing !== undefined) {
        this.waiting.rows = now;
        const start = missing < from ? Math.max(0, from - ahead) : missing;
        const { version, view } = this;
        this.send({ type: 'rows', version, from: start, count: Math.min(pageRows, end - start), view });
      }
    }
    if (now - this.waiting.tokens > lostMs) {
      const missing = firstMissing(this.tokens_, from, end);
      if (missing !== undefined && this.rows.has(missing)) {
        let count = 1;
        while (count < pageRows && this.rows.has(missing + count) && !this.tokens_.has(missing + count)) count++;
        this.waiting.tokens = now;
        this.send({ type: 'tokens', version: this.version, from: missing, count });
      }
    }
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
