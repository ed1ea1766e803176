import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { placeKey } from '../../../../src/core/data.js';
import type { BodyOf, EventBody, RunEvent } from '../../../../src/core/events.js';
import { keptAnswer, RunSamples, type SetBook, Verdict } from '../../../../src/core/view/samples-book.js';
import {
  courseOf,
  listPrompts,
  type PromptQuery,
  promptTable,
  verdictsOf,
} from '../../../../src/core/view/samples-list.js';

const file = '/data/eval.jsonl';

function log(...bodies: EventBody[]): RunEvent[] {
  return bodies.map((body, seq) => ({ v: 1, seq, time: '2026-01-01T00:00:00.000Z', ...body }));
}

/** An evaluation: for each record whether its answer was right; undefined: not asked. */
function examples(step: number, rights: readonly (boolean | undefined)[], set = 'eval'): BodyOf<'examples'> {
  const items = rights.map((right, index) => ({
    ...{ file: 0, index, line: index + 1, loss: right === true ? 0.1 + index : 2 + index },
    ...(right === undefined ? {} : { answer: right ? 'yes' : `no ${index}`, right }),
  }));
  return { type: 'examples', set, step, files: [file], items };
}

function sample(step: number, index: number, answer: string, right: boolean | null = null): BodyOf<'sample'> {
  return {
    ...{ type: 'sample', set: 'eval', step, place: { file, index, line: index + 1 }, prompt: `ask ${index}` },
    ...{ reference: 'yes', answer, right, finish: 'stop', tokens: [answer, '<end>'], entropies: [0.5, 0.25] },
  };
}

function status(name: BodyOf<'status'>['status'], step: number): BodyOf<'status'> {
  return { type: 'status', status: name, step, totalSteps: 100, trainSeconds: 0 };
}

function book(...bodies: EventBody[]): SetBook {
  const run = new RunSamples();
  run.add(log(...bodies));
  const found = run.sets.get('eval');
  if (found === undefined) throw new Error('no set');
  return found;
}

const query: PromptQuery = { filter: 'all', order: 'file', text: '' };
const noText = (): string => '';

describe('RunSamples', () => {
  it('keeps the answers of every evaluation, with tokens where there is a sample', () => {
    const one = book(
      examples(10, [true, false, undefined]),
      sample(10, 1, 'no, and here is why'),
      examples(20, [true, true]),
    );
    expect(one.points.map(({ step }) => step)).toEqual([10, 20]);
    const [first, second] = one.points;
    const row = one.row(placeKey({ file, index: 1 })) ?? -1;
    expect(first?.answer(row)).toBe('no, and here is why');
    expect(first?.verdict(row)).toBe(Verdict.wrong);
    expect(first?.loss(row)).toBe(3);
    expect(first?.samples.get(row)).toMatchObject({ text: 'no, and here is why<end>', finish: 'stop' });
    expect([...(first?.samples.get(row)?.ends ?? [])]).toEqual([19, 24]);
    expect(one.text(row)).toEqual({ prompt: 'ask 1', reference: 'yes' });
    expect(second?.answer(row)).toBe('yes');
    expect(first?.answer(2)).toBeUndefined();
    expect(first?.verdict(2)).toBe(Verdict.none);
    expect(keptAnswer).toBe(200);
  });

  it('drops what a resumed attempt repeats, and all of it at a new start', () => {
    const run = new RunSamples();
    const events = log(
      status('started', 0),
      examples(10, [false]),
      examples(20, [true]),
      status('resumed', 10),
      examples(20, [false]),
      status('started', 0),
      examples(5, [true]),
    );
    run.add(events.slice(0, 4));
    expect(run.sets.get('eval')?.points.map(({ step }) => step)).toEqual([10]);
    run.add(events.slice(3, 5));
    expect(run.sets.get('eval')?.points[1]?.verdict(0)).toBe(Verdict.wrong);
    run.add(events);
    expect(run.sets.get('eval')?.points.map(({ step }) => step)).toEqual([5]);
    expect(run.add(events)).toBe(false);
    run.reset();
    expect(run.sets.size).toBe(0);
    expect(run.add(events)).toBe(true);
  });

  it('is the same however the events were cut into batches', () => {
    const step = fc.integer({ min: 0, max: 40 });
    const body: fc.Arbitrary<EventBody> = fc.oneof(
      fc
        .tuple(step, fc.array(fc.option(fc.boolean(), { nil: undefined }), { maxLength: 6 }))
        .map(([at, list]) => examples(at, list)),
      fc.tuple(step, fc.nat(5), fc.string()).map(([at, index, answer]) => sample(at, index, answer)),
      fc
        .tuple(fc.constantFrom('started' as const, 'resumed' as const, 'failed' as const), step)
        .map(([name, at]) => status(name, at)),
    );
    fc.assert(
      fc.property(fc.array(body, { maxLength: 30 }), fc.integer({ min: 1, max: 9 }), (bodies, size) => {
        const [whole, parts] = [new RunSamples(), new RunSamples()];
        const events = log(...bodies);
        whole.add(events);
        for (let at = 0; at < events.length; at += size) parts.add(events.slice(at, at + size));
        expect([...parts.sets.values()]).toEqual([...whole.sets.values()]);
        for (const { points } of whole.sets.values()) {
          expect(points.map((point) => point.step)).toEqual(
            [...new Set(points.map((point) => point.step))].sort((a, b) => a - b),
          );
        }
      }),
    );
  });
});

describe('courseOf', () => {
  it('says how the answers to a record went', () => {
    const one = book(examples(1, [false]), examples(2, [true]), examples(3, [undefined]), examples(4, [false]));
    expect(courseOf(one, 0)).toEqual({
      ...{ first: 0, last: 0, changes: 2, loss: 2, answer: 'no 0', sampled: false },
    });
    expect(verdictsOf(one, 0)).toEqual([0, 1, -1, 0]);
    expect(verdictsOf(one, undefined)).toEqual([]);
    expect(courseOf(one, undefined)).toMatchObject({ last: Verdict.none, loss: null });
  });
});

describe('listPrompts', () => {
  const [r, w, u] = [true, false, undefined];
  // By record: became right, became wrong, flip-flopped to wrong, always right, never asked.
  const one = book(examples(1, [w, r, w, r, u]), examples(2, [w, r, r, r, u]), examples(3, [r, w, w, r, u]));
  const table = promptTable([one], 0);
  const shown = (patch: Partial<PromptQuery>): number[] => listPrompts(table, { ...query, ...patch }, noText).order;

  it('filters by how the answers went', () => {
    expect(shown({ filter: 'becameRight' })).toEqual([0]);
    expect(shown({ filter: 'becameWrong' })).toEqual([1]);
    expect(shown({ filter: 'flipFlopped' })).toEqual([2]);
    expect(shown({ filter: 'wrong' })).toEqual([1, 2]);
    expect(shown({ filter: 'right' })).toEqual([0, 3]);
    expect(shown({ filter: 'answered' })).toEqual([0, 1, 2, 3]);
    const { counts } = listPrompts(table, query, noText);
    expect(counts).toEqual({
      ...{
        answered: 4,
        wrong: 2,
        right: 2,
        becameRight: 1,
        becameWrong: 1,
        flipFlopped: 1,
        differ: 0,
        sampled: 0,
        all: 5,
      },
    });
  });

  it('shows the worst first: wrong, not checked, right, by loss', () => {
    expect(shown({ order: 'worst' })).toEqual([2, 1, 4, 3, 0]);
    expect(shown({ order: 'best' })).toEqual([0, 3, 4, 1, 2]);
    expect(shown({ order: 'file' })).toEqual([0, 1, 2, 3, 4]);
  });

  it('finds text in prompt, reference and answer', () => {
    const found = (text: string): number[] =>
      listPrompts(table, { ...query, text }, ({ place }) => `Question ${place.index}`).order;
    expect(found('question 3')).toEqual([3]);
    expect(found('NO 1')).toEqual([1]);
    expect(found('nowhere')).toEqual([]);
  });

  it('puts runs together by the places of their records, and finds those on which they do not agree', () => {
    const other = book(examples(7, [r, r, w]), sample(7, 9, 'yes'));
    const books = [one, other, undefined];
    const joined = promptTable(books, 0);
    expect(joined.entries.map(({ place }) => place.index)).toEqual([0, 1, 2, 3, 4, 9]);
    expect(joined.entries[5]?.rows).toEqual([undefined, 3, undefined]);
    expect(listPrompts(joined, { ...query, filter: 'differ' }, noText).order).toEqual([1]);
    expect(listPrompts(promptTable(books, 1), { ...query, filter: 'sampled' }, noText).order).toEqual([5]);
    expect(listPrompts(promptTable(books, 1), { ...query, filter: 'wrong' }, noText).order).toEqual([2]);
  });

  it('counts as it filters, whatever the answers', () => {
    const rights = fc.array(fc.array(fc.option(fc.boolean(), { nil: undefined }), { minLength: 4, maxLength: 4 }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(rights, fc.constantFrom('worst' as const, 'best' as const, 'file' as const), (steps, order) => {
        const any = book(...steps.map((list, i) => examples(i, list)));
        const all = promptTable([any], 0);
        for (const filter of [
          'answered',
          'wrong',
          'right',
          'becameRight',
          'becameWrong',
          'flipFlopped',
          'all',
        ] as const) {
          const list = listPrompts(all, { filter, order, text: '' }, noText);
          expect(list.order).toHaveLength(list.counts[filter]);
          expect(new Set(list.order).size).toBe(list.order.length);
        }
      }),
    );
  });
});
