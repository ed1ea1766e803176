/** The bench's pure parts: what is counted, what is drawn, what is shown. */

import { expect, test } from 'vitest';
import { blockParameters, usefulFlops } from '../../../native/bench/kit/flops.js';
import {
  growthShapes,
  type ModelShape,
  parameterCount,
  referenceShape,
  words,
} from '../../../native/bench/kit/model.js';
import { othersShare, ticks } from '../../../native/bench/kit/others.js';
import { operationShares } from '../../../native/bench/kit/perf.js';
import { parsePeerStep } from '../../../native/bench/kit/process.js';
import { makeRecords } from '../../../native/bench/kit/records.js';
import { figuresTable, formatValue, sectionEnd, sectionStart, withSection } from '../../../native/bench/kit/table.js';
import { isMet, ratio } from '../../../native/bench/kit/targets.js';
import type { Figure } from '../../../native/bench/kit/trial.js';
import { interleave, measuredSeconds, measuredTokens, median, type Work } from '../../../native/bench/kit/work.js';

const tiny: ModelShape = {
  name: 'tiny',
  hidden: 8,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  intermediate: 16,
  vocabulary: 400,
  tied: false,
};

const work: Work = {
  model: '',
  data: '',
  sizes: [10, 20, 30, 40].map((tokens) => ({ tokens, lossTokens: tokens / 5 })),
  method: 'full',
  precision: 'fp32',
  batchSize: 1,
  accumulation: 1,
  steps: 4,
  maxLength: 64,
  learningRate: 0,
  gradientCheckpointing: false,
  threads: 0,
};

const figure: Figure = {
  key: 'a',
  title: 'speed',
  unit: 'tokens/s',
  better: 'more',
  ours: 300,
  peers: { one: 100, two: 150, three: null },
};

test('parameters of the layers are the matrices: q, o, k, v, gate, up, down', () => {
  expect(blockParameters(tiny)).toBe(2 * (8 * 8 * 2 + 2 * 8 * 4 + 3 * 8 * 16));
});

test('all parameters: the layers, their norms, the last norm, embedding and head', () => {
  const untied = blockParameters(tiny) + 2 * 2 * 8 + 8 + 2 * 400 * 8;
  expect(parameterCount(tiny)).toBe(untied);
  expect(parameterCount({ ...tiny, tied: true })).toBe(untied - 400 * 8);
});

test('models of the growth table have the sizes that they are called by', () => {
  for (const shape of growthShapes) {
    expect(Math.abs(parameterCount(shape) / (Number.parseInt(shape.name, 10) * 1e6) - 1)).toBeLessThan(0.05);
  }
});

test('useful FLOP: 6 for each parameter and token, 4 with LoRA, the head for trained-on tokens only', () => {
  const blocks = blockParameters(tiny);
  expect(usefulFlops(tiny, { tokens: 10, lossTokens: 0 }, 'full')).toBe(6 * blocks * 10);
  expect(usefulFlops(tiny, { tokens: 10, lossTokens: 2 }, 'full')).toBe(6 * (blocks * 10 + 8 * 400 * 2));
  expect(usefulFlops(tiny, { tokens: 10, lossTokens: 2 }, 'lora')).toBe(4 * (blocks * 10 + 8 * 400 * 2));
});

test('every word of a vocabulary is another word', () => {
  expect(new Set(words(referenceShape.vocabulary)).size).toBe(referenceShape.vocabulary - 258);
});

test('records have the tokens that their sizes say, a fifth of them trained on', () => {
  const options = {
    count: 16,
    group: 8,
    shortest: 64,
    longest: 512,
    completion: 0.2,
    vocabulary: 2000,
    seed: 3,
  };
  const { records, sizes } = makeRecords(options);
  const known = new Set(words(2000));
  records.forEach(({ prompt, completion }, i) => {
    const prompts = prompt.trim().split(' ');
    const completions = completion.trim().split(' ');
    expect([...prompts, ...completions].every((word) => known.has(word))).toBe(true);
    // The end token is the last of both.
    expect(sizes[i]).toEqual({ tokens: prompts.length + completions.length + 1, lossTokens: completions.length + 1 });
  });
  expect(Math.min(...sizes.map(({ tokens }) => tokens))).toBeGreaterThanOrEqual(64);
  expect(Math.max(...sizes.map(({ tokens }) => tokens))).toBeLessThanOrEqual(512);
  const sum = (key: 'tokens' | 'lossTokens') => sizes.reduce((total, size) => total + size[key], 0);
  expect(sum('lossTokens') / sum('tokens')).toBeCloseTo(0.2, 2);
  expect(makeRecords(options)).toEqual({ records, sizes });
  // One of each part of the bounds in every step: no step is much larger than another.
  const step = (from: number) => sizes.slice(from, from + 8).reduce((total, { tokens }) => total + tokens, 0);
  expect(Math.abs(step(0) / step(8) - 1)).toBeLessThan(0.2);
});

test('tokens are those of the steps after the warm-up; records are used again at the end of the file', () => {
  expect(measuredTokens(work, 1)).toEqual({ tokens: 90, lossTokens: 18 });
  expect(measuredTokens({ ...work, steps: 5 }, 1).tokens).toBe(100);
});

test('seconds run from the end of the warm-up to the end of the last step', () => {
  const steps = [1, 2, 3].map((step) => ({ step, time: 100 + step ** 2, loss: 1 }));
  expect(measuredSeconds({ started: 0, steps, peakBytes: 0 }, 1)).toBe(8);
  expect(() => measuredSeconds({ started: 0, steps: steps.slice(0, 1), peakBytes: 0 }, 1)).toThrow('too few');
});

test('sides take turns, and one that fails is not asked again', async () => {
  const order: string[] = [];
  const side = (name: string, fails: boolean) => ({
    name,
    run: async () => {
      order.push(name);
      if (fails) throw new Error('no');
      return { started: 0, steps: [], peakBytes: 1 };
    },
  });
  const entries = [side('a', false), side('b', true)].map((one) => ({ key: one.name, side: one, work }));
  const results = await interleave(entries, 2, () => undefined);
  expect(order).toEqual(['a', 'b', 'a']);
  expect(results.get('b')?.[0]).toBeInstanceOf(Error);
});

test('a peer reports its steps; other lines are not steps', () => {
  expect(parsePeerStep('@bench {"step": 2, "time": 5.5, "loss": 1.25}')).toEqual({ step: 2, time: 5.5, loss: 1.25 });
  expect(parsePeerStep("{'loss': '10.55'}")).toBeUndefined();
  expect(() => parsePeerStep('@bench {"step": "two"}')).toThrow();
});

test('the ratio is to the best peer', () => {
  expect(ratio(figure)).toBe(2);
  expect(ratio({ ...figure, better: 'less' })).toBe(3);
  expect(ratio({ ...figure, ours: null })).toBeUndefined();
});

test('a target is met on its bound, and never without a value', () => {
  expect(isMet(figure, { of: 'ratio', bound: 2 })).toBe(true);
  expect(isMet(figure, { of: 'ratio', bound: 2.01 })).toBe(false);
  expect(isMet({ ...figure, better: 'less' }, { of: 'value', bound: 300 })).toBe(true);
  expect(isMet({ ...figure, better: 'less' }, { of: 'value', bound: 299 })).toBe(false);
  expect(isMet({ ...figure, ours: null }, { of: 'value', bound: 1 })).toBe(false);
  expect(isMet(figure, undefined)).toBeUndefined();
});

test('values keep three figures or so', () => {
  expect([1234.5, 12.34, 0.5].map((value) => formatValue(value, 's'))).toEqual(['1,235 s', '12.3 s', '0.50 s']);
  expect(formatValue(null, 's')).toBe('–');
});

test('the table: a column for each peer, the ratio, the target and whether it is met', () => {
  const lines = figuresTable([figure, { ...figure, key: 'b', title: 'other', ours: null }], {
    a: { of: 'ratio', bound: 2.5 },
  }).split('\n');
  const cells = (line = '') =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  expect(cells(lines[0])).toEqual(['figure', 'SFT Lab', 'one', 'two', 'three', 'ours / best peer', 'target', '']);
  expect(cells(lines[2])).toEqual([
    'speed',
    '300 tokens/s',
    '100 tokens/s',
    '150 tokens/s',
    '–',
    '2.00×',
    '≥ 2.5×',
    'not met',
  ]);
  expect(cells(lines[3])).toEqual(['other', '–', '100 tokens/s', '150 tokens/s', '–', '–', '–', '–']);
  expect(new Set(lines.map((line) => line.length)).size).toBe(1);
});

test('a section of a document is replaced, and only it', () => {
  const document = `before\n${sectionStart}\nold\n${sectionEnd}\nafter\n`;
  expect(withSection(document, 'new')).toBe(`before\n${sectionStart}\nnew\n${sectionEnd}\nafter\n`);
  expect(() => withSection('nothing', 'new')).toThrow('lacks the marks');
});

test('the median of an even number is between the two', () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
});

test('samples are added up by operation', () => {
  const shares = operationShares(
    [
      '# Overhead  Shared Object       Symbol',
      '    50.00%  sft_lab_bench_step  [.] sftlab::bf16::(anonymous namespace)::tile<6, 4>',
      '    10.00%  [JIT] tid 27941     [.] 0x00007f557fc6fa6e',
      '     7.50%  sft_lab_bench_step  [.] sftlab::bf16::packRight',
      '     4.00%  sft_lab_bench_step  [.] sftlab::ThreadPool::run<sftlab::CpuBackend::adamw(std::vector<sftlab::AdamParameter> const&)::{lambda(long, int)#1}>',
      '     2.50%  [kernel.kallsyms]   [k] clear_page_erms',
      '     1.00%  libm.so.6           [.] something',
      '',
    ].join('\n'),
  );
  expect(Object.fromEntries(shares)).toEqual({
    'matrix products (in bf16 those of attention too)': 60,
    'packing of the products\u2019 operands': 7.5,
    'AdamW, gradient norm': 4,
    'kernel: pages, scheduling': 2.5,
    'the rest': 1,
  });
});

test('what others took of the machine is what was busy and not ours', () => {
  const self = (own: number) => `77 (a (b) c) R ${Array.from({ length: 10 }, () => 9).join(' ')} ${own} 1 2 3 9 9`;
  const before = ticks('cpu  100 0 0 900 0 0 0 0 0 0\ncpu0 1 1 1', self(10));
  const after = ticks('cpu  150 10 20 970 30 0 0 20 0 0\ncpu0 1 1 1', self(50));
  // 200 in all, 100 of them busy, 40 of those ours.
  expect(othersShare(before, after)).toBeCloseTo(0.3);
});
