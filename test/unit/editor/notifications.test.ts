import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Claims } from '../../../src/editor/notifications/claims.js';
import { tellingOfComparison, tellingOfRun } from '../../../src/editor/notifications/words.js';
import { experiment, row } from '../runs/rows.js';

describe('what a person is told', () => {
  const run = { ...row('a', 'finished'), label: 'The run', step: 1200, totalSteps: 3000, trainSeconds: 65 };

  it('of a run that ended', () => {
    expect(tellingOfRun(run, 'finished')).toEqual({
      severity: 'info',
      text: '“The run” finished: 1,200 steps in 1:05.',
    });
    const best = { metric: 'accuracy', set: 'eval', step: 1000, value: 0.898 } as const;
    expect(tellingOfRun({ ...run, best }, 'finished').text).toContain('1:05, accuracy 89.8 % on eval.');
    const killed = tellingOfRun(run, 'interrupted');
    expect(killed.severity).toBe('warning');
    expect(killed.text).toContain('“The run” was interrupted at step 1,200 of 3,000');
  });

  it('of a failure: the reason in short, never its whole list of places', () => {
    const reason = `data.jsonl:7: the loss is not finite at step 2\n  ${'Lower learning_rate. '.repeat(50)}`;
    expect(tellingOfRun({ ...run, reason }, 'failed')).toEqual({
      severity: 'error',
      text: '“The run” failed at step 1,200 of 3,000: data.jsonl:7: the loss is not finite at step 2',
    });
    expect(tellingOfRun({ ...run, reason: 'x'.repeat(5000) }, 'failed').text.length).toBeLessThan(320);
    expect(tellingOfRun(run, 'failed').text).toContain('no reason was logged');
  });

  it('of a comparison: how many ended how, and which is best', () => {
    const whole = experiment([row('a', 'finished'), row('b', 'finished'), row('c', 'finished')]);
    expect(tellingOfComparison(whole, 'Best: b with accuracy 0.9000')).toEqual({
      severity: 'info',
      text: 'The comparison “e” has ended: 3 finished. Best: b with accuracy 0.9000.',
    });
    const partly = experiment([row('a', 'finished'), row('b', 'failed'), row('c', 'interrupted')]);
    expect(tellingOfComparison(partly, undefined)).toEqual({
      severity: 'warning',
      text: 'The comparison “e” has ended: 1 finished, 1 failed, 1 interrupted.',
    });
    expect(tellingOfComparison(experiment([row('a', 'stopped')]), undefined).text).toBe(
      'The comparison “e” was stopped: 0 finished, 1 stopped, 2 not begun.',
    );
  });
});

describe('several windows', () => {
  it('tell of one end once, and of each end', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sft-claims-'));
    try {
      const windows = Array.from({ length: 8 }, () => new Claims(join(folder, 'told')));
      const claimed = await Promise.all(windows.map((claims) => claims.claim('run a\nfinished')));
      expect(claimed.filter(Boolean)).toHaveLength(1);
      expect(await windows[3]?.claim('run b\nfinished')).toBe(true);
      const [first] = readdirSync(join(folder, 'told'));
      utimesSync(join(folder, 'told', first ?? ''), 1, 1);
      await windows[0]?.clean();
      expect(readdirSync(join(folder, 'told'))).toHaveLength(1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
