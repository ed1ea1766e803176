import { describe, expect, it } from 'vitest';
import type { AnswerStats, EventBody } from '../../../src/core/events.js';
import { formatEvent } from '../../../src/core/events.js';
import { labelOf, slugOf, variantsOf } from '../../../src/core/experiment.js';
import { foldEvents, type RunHistory } from '../../../src/core/history.js';
import {
  bestSentence,
  buildReport,
  reportCsv,
  reportMarkdown,
  reportSchema,
  reportTable,
} from '../../../src/core/report.js';

const time = new Date('2026-01-02T03:04:05Z');

function history(
  accuracy: number | null,
  completionLoss: number,
  status: 'finished' | 'failed' = 'finished',
): RunHistory {
  const answers: AnswerStats | null =
    accuracy === null
      ? null
      : {
          verifier: 'label',
          count: 10,
          accuracy,
          kappa: accuracy - 0.1,
          meanScore: 3 * accuracy - 1,
          unparsable: 1,
          msPerSample: 4,
          entropy: 0.2,
          confusion: {
            labels: ['a', 'b|c'],
            counts: [
              [4, 1, 0],
              [0, 4, 1],
            ],
          },
        };
  const bodies: EventBody[] = [
    { type: 'status', status: 'started', step: 0, totalSteps: 4, trainSeconds: 0 },
    {
      type: 'train',
      step: 4,
      epoch: 2,
      tokens: 400,
      lossTokens: 40,
      loss: 1,
      promptLoss: 2,
      completionLoss,
      tokenAccuracy: 0.5,
      entropy: 1,
      learningRate: 0,
      gradNorm: 1,
      tokensPerSecond: 100,
      memory: { current: 0, peak: 0, process: 0 },
      trainSeconds: 4,
    },
    {
      type: 'eval',
      set: 'eval',
      step: 4,
      epoch: 2,
      examples: 10,
      loss: completionLoss,
      promptLoss: 2,
      completionLoss,
      tokenAccuracy: 0.5,
      entropy: 1,
      seconds: 1,
      answers,
    },
    {
      type: 'checkpoint',
      step: 4,
      path: 'checkpoints/step-000004',
      bytes: 1,
      verified: true,
      seconds: 1,
      deleted: [],
      trainSeconds: 4,
    },
    {
      type: 'status',
      status,
      step: 4,
      totalSteps: 4,
      trainSeconds: 4,
      ...(status === 'failed' ? { reason: 'disk | full' } : {}),
    },
  ];
  return foldEvents(bodies.map((body, seq) => formatEvent(body, seq, time).event));
}

const run = (name: string, accuracy: number | null, loss: number, state: 'finished' | 'failed' = 'finished') => ({
  run: name,
  label: `Run ${name}`,
  kind: 'train' as const,
  state,
  values: {},
  history: history(accuracy, loss, state),
});
const untuned = { ...run('untuned', 0.1, 3), kind: 'baseline' as const, label: 'Untuned' };
const missing = {
  run: 'c',
  label: 'Run c',
  kind: 'train' as const,
  state: 'missing' as const,
  values: {},
  history: undefined,
};

describe('buildReport', () => {
  const report = buildReport(
    'demo',
    [untuned, run('a', 0.8, 1), run('b', 0.9, 2), run('d', 0.95, 1, 'failed'), missing],
    time,
  );

  it('calls out the best finished run, by accuracy, never the baseline', () => {
    expect(report).toMatchObject({ metric: 'accuracy', best: 'b', set: 'eval' });
    expect(bestSentence(report)).toBe('Best: Run b with accuracy 0.9000 (untuned: 0.1000)');
  });

  it('holds what was measured, and nothing that was not', () => {
    expect(report.rows[1]).toMatchObject({
      run: 'a',
      epochs: 2,
      accuracy: 0.8,
      kappa: 0.7000000000000001,
      trainSeconds: 4,
      msPerSample: 4,
      promptLoss: 2,
      completionLoss: 1,
      tokensPerSecond: 100,
      checkpoint: 'a/checkpoints/step-000004',
      reason: null,
    });
    expect(report.rows[4]).toMatchObject({ state: 'missing', accuracy: null, trainSeconds: null, checkpoint: null });
    expect(report.rows[3]).toMatchObject({ state: 'failed', reason: 'disk | full' });
  });

  it('keeps its wire format', () => {
    expect(reportSchema.parse(JSON.parse(JSON.stringify(report)))).toEqual(report);
  });

  it('breaks ties of accuracy by the loss of the completions', () => {
    expect(buildReport('x', [run('a', 0.8, 2), run('b', 0.8, 1)], time).best).toBe('b');
  });

  it('goes by the loss where nothing is answered, and by nothing where no run finished', () => {
    expect(buildReport('x', [run('a', null, 2), run('b', null, 1)], time)).toMatchObject({
      metric: 'completionLoss',
      best: 'b',
    });
    expect(buildReport('x', [missing], time)).toMatchObject({ metric: null, best: null, rows: [{ run: 'c' }] });
  });

  it('prints an aligned table with the best run marked', () => {
    const lines = reportTable(report);
    expect(lines[1]).toContain('Experiment');
    expect(lines[1]).toContain('Train (s)');
    expect(lines.find((line) => line.startsWith('* Run b'))).toContain('0.9000');
    expect(new Set([lines[0]?.length, lines[2]?.length]).size).toBe(1);
  });

  it('leaves out columns where the terminal is narrow, those that matter last', () => {
    const whole = reportTable(report);
    const all = whole[0]?.length ?? 0;
    expect(reportTable(report, all)).toEqual(whole);
    const narrower = reportTable(report, all - 1);
    expect(narrower[0]?.length).toBeLessThan(all);
    expect(narrower[1]).not.toContain('State');
    expect(narrower[1]).toContain('Tokens/s');
    expect(reportTable(report, 20)[1]).toMatch(/^Experiment +Accuracy +Kappa +Mean Score +Completion$/);
  });

  it('leaves out columns that no run has', () => {
    expect(reportTable(buildReport('x', [run('a', null, 1)], time))[1]).not.toContain('Accuracy');
  });

  it('writes Markdown with unfinished runs and confusion tables, text escaped', () => {
    const text = reportMarkdown(report);
    expect(text).toContain('| **Run b** |');
    expect(text).toContain('- Run d (d): failed at step 4: disk \\| full');
    expect(text).toContain('- Run c (c): missing');
    expect(text).toContain('| b\\|c | 0 | 4 | 1 | 0.800 |');
  });

  it('writes CSV that spreadsheets read and do not execute', () => {
    const text = reportCsv(buildReport('x', [{ ...run('a', 0.5, 1), label: '=cmd, "x"' }], time));
    const lines = text.split('\r\n');
    expect(lines).toHaveLength(3);
    expect(lines[1]).toContain(`"'=cmd, ""x"""`);
  });
});

describe('variants', () => {
  it('are every combination, named for people and for folders', () => {
    const variants = variantsOf({ loss_on: ['completion', 'all'], num_train_epochs: [1, 2, 3] });
    expect(variants.map(({ label }) => label)).toEqual([
      'Completion-only, 1 epoch',
      'Completion-only, 2 epochs',
      'Completion-only, 3 epochs',
      'Full sequence, 1 epoch',
      'Full sequence, 2 epochs',
      'Full sequence, 3 epochs',
    ]);
    expect(variants[4]).toMatchObject({
      name: 'full-sequence-2-epochs',
      values: { loss_on: 'all', num_train_epochs: 2 },
    });
  });

  it('have names of their own', () => {
    const names = variantsOf({ learning_rate: [1e-4, 1e-4], model_name_or_path: ['/a/m', '/b/m'] }).map(
      ({ name }) => name,
    );
    expect(new Set(names).size).toBe(4);
  });

  it('are limited', () => {
    const many = Array.from({ length: 40 }, (_, i) => i);
    expect(() => variantsOf({ seed: many, max_steps: many })).toThrow('more than 1000 runs');
  });

  it('slugs are safe folder names', () => {
    expect(slugOf('../../etc/passwd')).toBe('etc-passwd');
    expect(slugOf('...')).toBe('run');
    expect(slugOf('Zwölf µ/Läufe')).toMatch(/^[\w.+-]+$/);
    expect(labelOf({})).toBe('run');
  });
});
