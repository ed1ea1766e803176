import { describe, expect, it } from 'vitest';
import { describeRun, statusText } from '../../../src/editor/status/words.js';

const run = (step: number, totalSteps: number, trainSeconds: number, loss?: number) => ({
  step,
  totalSteps,
  trainSeconds,
  loss,
});

describe('the status bar', () => {
  it('says how far one run is and how long it takes', () => {
    expect(statusText([run(25, 100, 50)])).toBe('25 % · 2:30 left');
    expect(statusText([run(25, 100, 50)], 'run 2 of 6')).toBe('run 2 of 6 · 25 % · 2:30 left');
    expect(statusText([run(0, 0, 0)])).toBe('step 0');
    expect(statusText([run(0, 40, 0)])).toBe('0 %');
    expect(statusText([run(1234, 0, 3)])).toBe('step 1,234');
    expect(statusText([run(100, 100, 50)])).toBe('100 % · 0:00 left');
  });

  it('says of several how far they are together, and the time of the longest', () => {
    expect(statusText([run(50, 100, 50), run(0, 100, 0)])).toBe('2 runs · 25 %');
    expect(statusText([run(50, 100, 50), run(10, 100, 10)])).toBe('2 runs · 30 % · 1:30 left');
    expect(statusText([run(50, 100, 50), run(10, 0, 10)])).toBe('2 runs · step 60');
  });

  it('has each run in its tooltip', () => {
    expect(describeRun(run(12, 60, 12, 0.12345))).toBe('step 12 of 60 (20 %) · loss 0.1235 · 0:48 left');
    expect(describeRun(run(3, 0, 12))).toBe('step 3');
  });
});
