import { describe, expect, it } from 'vitest';
import { type EventBody, formatEvent, parseEvent, type RunEvent } from '../../../src/core/events.js';
import { emptyHistory, foldEvent, foldEvents, runStateOf } from '../../../src/core/history.js';

const time = new Date('2026-01-02T03:04:05.678Z');
let seq = 0;
const event = (body: EventBody): RunEvent => formatEvent(body, seq++, time).event;

const status = (kind: 'started' | 'resumed' | 'finished' | 'interrupted', step: number): RunEvent =>
  event({ type: 'status', status: kind, step, totalSteps: 10, trainSeconds: step });
const train = (step: number, loss = 1): RunEvent =>
  event({
    type: 'train',
    step,
    epoch: step / 10,
    tokens: step * 100,
    lossTokens: 50,
    loss,
    promptLoss: null,
    completionLoss: loss,
    tokenAccuracy: 0.5,
    entropy: 1,
    learningRate: 1e-4,
    gradNorm: 1,
    tokensPerSecond: 100,
    memory: { current: 1, peak: 2, process: 3 },
    trainSeconds: step,
  });
const evaluation = (step: number, loss: number, set = 'eval'): RunEvent =>
  event({
    type: 'eval',
    set,
    step,
    epoch: 1,
    examples: 3,
    loss,
    promptLoss: null,
    completionLoss: loss,
    tokenAccuracy: null,
    entropy: null,
    seconds: 1,
    answers: null,
  });
const checkpoint = (step: number, deleted: string[] = []): RunEvent =>
  event({
    type: 'checkpoint',
    step,
    path: `checkpoints/step-${step}`,
    bytes: 1,
    verified: true,
    seconds: 1,
    deleted,
    trainSeconds: step,
  });

describe('events on the wire', () => {
  it('come back as they were written, one line each', () => {
    const { event: written, line } = formatEvent(
      {
        type: 'sample',
        set: 'eval',
        step: 3,
        place: { file: 'a', index: 0, line: 1 },
        prompt: 'two\nlines\u2028',
        reference: 'r',
        answer: '\u001b[31m',
        right: null,
        finish: 'stop',
        tokens: ['a'],
        entropies: [0.5],
      },
      7,
      time,
    );
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(parseEvent(line)).toEqual(written);
    expect(written).toMatchObject({ v: 1, seq: 7, time: '2026-01-02T03:04:05.678Z' });
  });

  it.each([
    '',
    '{',
    'null',
    '{"v":1}',
    '{"v":2,"seq":0,"time":"2026-01-02T03:04:05.678Z","type":"warning","kind":"a","message":"b"}',
  ])('%j is no event', (line) => {
    expect(parseEvent(line)).toBeUndefined();
  });

  it('has no place for losses that are no numbers', () => {
    const { line } = formatEvent({ ...train(1), type: 'train' } as EventBody, 0, time);
    expect(parseEvent(line.replace('"loss":1', '"loss":null'))).toBeUndefined();
  });
});

describe('history', () => {
  it('shows the overlap of attempts once, the later one', () => {
    const events = [
      status('started', 0),
      train(1),
      train(2),
      checkpoint(2),
      train(3, 9),
      evaluation(3, 9),
      checkpoint(3),
      train(4, 9),
      status('resumed', 2),
      train(3),
      train(4),
      evaluation(4, 1),
      status('finished', 4),
    ];
    const history = foldEvents(events);
    expect(history.train.map(({ step, loss }) => [step, loss])).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 1],
    ]);
    expect(history.evals.map(({ step }) => step)).toEqual([4]);
    expect(history.checkpoints.map(({ step }) => step)).toEqual([2]);
    expect(history.status?.status).toBe('finished');
  });

  it('begins anew when a run starts again from nothing', () => {
    const history = foldEvents([status('started', 0), train(1, 9), evaluation(0, 9), status('started', 0), train(1)]);
    expect(history.train.map(({ loss }) => loss)).toEqual([1]);
    expect(history.evals).toEqual([]);
  });

  it('keeps evaluations of the step that a run resumes at, and replaces those done again', () => {
    const history = foldEvents([
      status('started', 0),
      train(1),
      evaluation(1, 5),
      status('interrupted', 1),
      status('resumed', 1),
      evaluation(1, 4),
      evaluation(1, 6, 'other'),
    ]);
    expect(history.evals.map(({ set, loss }) => [set, loss])).toEqual([
      ['eval', 4],
      ['other', 6],
    ]);
  });

  it('forgets deleted checkpoints', () => {
    const history = foldEvents([status('started', 0), checkpoint(1), checkpoint(2, ['checkpoints/step-1'])]);
    expect(history.checkpoints.map(({ step }) => step)).toEqual([2]);
  });

  it('takes an event once, whichever way it came', () => {
    const history = emptyHistory();
    const first = train(1);
    foldEvent(history, first);
    foldEvent(history, first);
    expect(history.train).toHaveLength(1);
  });
});

describe('run states', () => {
  it.each([
    [undefined, false, 'created'],
    [undefined, true, 'running'],
    ['finished', true, 'running'],
    ['started', false, 'interrupted'],
    ['resumed', false, 'interrupted'],
    ['failed', false, 'failed'],
    ['finished', false, 'finished'],
  ] as const)('last status %s, live %s: %s', (last, live, state) => {
    expect(runStateOf(last, live)).toBe(state);
  });
});
