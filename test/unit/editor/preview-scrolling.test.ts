/** Scrolling: what the page asks for, and which of it is answered. */

import { describe, expect, it } from 'vitest';
import type { FromPreview, PreviewRow } from '../../../src/core/view/preview.js';
import { Relay, type RowsWish, type TokensWish } from '../../../src/editor/preview/relay.js';
import { RowStore } from '../../../webview/preview/store.js';

const rows = (from: number): RowsWish => ({ type: 'rows', version: 1, from, count: 10, view: 'chat' });
const tokens = (from: number): TokensWish => ({ type: 'tokens', version: 1, from, count: 10 });

describe('the relay', () => {
  /** Answers when it is told to. */
  function relayed() {
    const done: string[] = [];
    const open: (() => void)[] = [];
    const wait = (): Promise<void> => new Promise((resolve) => void open.push(resolve));
    const relay = new Relay(
      async ({ from }) => {
        await wait();
        done.push(`rows ${from}`);
      },
      async ({ from }, signal) => {
        await Promise.race([wait(), new Promise((resolve) => signal.addEventListener('abort', resolve))]);
        done.push(signal.aborted ? `no tokens ${from}` : `tokens ${from}`);
      },
    );
    const step = async (): Promise<void> => {
      open.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { relay, done, step };
  }

  it('passes over what a newer wish has overtaken, and serves rows before tokens', async () => {
    const { relay, done, step } = relayed();
    const all = relay.wantRows(rows(0));
    void relay.wantTokens(tokens(0));
    void relay.wantRows(rows(100));
    void relay.wantRows(rows(200));
    await step();
    await step();
    await step();
    await all;
    expect(done).toEqual(['rows 0', 'rows 200', 'tokens 0']);
  });

  it('gives tokens up for rows, and takes them up again', async () => {
    const { relay, done, step } = relayed();
    const all = relay.wantTokens(tokens(0));
    void relay.wantRows(rows(50));
    await step();
    await step();
    await step();
    await all;
    expect(done).toEqual(['no tokens 0', 'rows 50', 'tokens 0']);
  });
});

describe('the store', () => {
  function store(count: number) {
    const asked: { from: number; count: number }[] = [];
    const made = new RowStore(
      (message: FromPreview) => {
        if (message.type === 'rows') asked.push({ from: message.from, count: message.count });
      },
      1,
      'chat',
    );
    made.count = count;
    const answer = ({ from, count: many }: { from: number; count: number }): void =>
      made.putRows(
        from,
        Array.from({ length: many }, (_, i): PreviewRow => ({ row: from + i, line: 0, bytes: 1, cut: 0 })),
      );
    return { made, asked, answer };
  }

  it('asks for what is seen at once, though an older question waits', () => {
    const { made, asked } = store(1_000_000);
    made.show(0, 10);
    made.show(500_000, 500_010);
    expect(asked.map(({ from }) => from)).toEqual([0, 500_000]);
    // The same again is no new question.
    made.show(500_001, 500_011);
    expect(asked).toHaveLength(2);
  });

  it('reads ahead in the direction of scrolling, and never beyond the end', () => {
    const { made, asked, answer } = store(200);
    made.show(0, 10);
    answer(asked[0] ?? { from: 0, count: 0 });
    const first = asked[0]?.count ?? 0;
    expect(first).toBeGreaterThan(40);
    made.show(first - 20, first - 10);
    expect(asked[1]).toMatchObject({ from: first });
    answer(asked[1] ?? { from: 0, count: 0 });
    made.show(190, 200);
    expect(asked.every(({ from, count }) => from >= 0 && from + count <= 200)).toBe(true);
    // Upwards from the end: rows above come with what is seen.
    made.show(150, 160);
    const last = asked.at(-1);
    expect(last?.from).toBeLessThan(150);
    expect((last?.from ?? 0) + (last?.count ?? 0)).toBeGreaterThanOrEqual(160);
  });
});
