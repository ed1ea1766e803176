/**
 * Tokens a second, peak memory and the share of the machine's peak: full fine-tuning and LoRA, in fp32 and bf16, on records of mixed
 * length of which a fifth is trained on. All from the same runs: `sft-lab train` and the peers, in turn.
 */

import { usefulFlops } from '../kit/flops.js';
import { referenceShape } from '../kit/model.js';
import type { Bench, Check, Figure, Trial } from '../kit/trial.js';
import {
  interleave,
  loraRank,
  measuredSeconds,
  measuredTokens,
  median,
  type RunResult,
  type Side,
  succeeded,
  type Work,
} from '../kit/work.js';

const warmup = 1;

/** Largest difference of a step's loss from ours, in parts of the loss. Adapters begin at other random values everywhere. */
const tolerances = { full: { fp32: 1e-3, bf16: 5e-3 }, lora: { fp32: 1e-2, bf16: 1e-2 } } as const;

export const training: Trial = {
  name: 'training',
  title: 'Training steps',
  async run(bench) {
    const longest = bench.quick ? 512 : 1024;
    const group = bench.quick ? 4 : 8;
    const steps = warmup + (bench.quick ? 1 : 2);
    const rounds = bench.quick ? 1 : 2;
    const { path, sizes } = await bench.records({
      name: 'training',
      count: group * steps,
      group,
      shortest: longest / 8,
      longest,
      vocabulary: referenceShape.vocabulary,
    });
    const model = await bench.model(referenceShape);
    const works = (['full', 'lora'] as const).flatMap((method) =>
      (['fp32', 'bf16'] as const).map(
        (precision): Work => ({
          model,
          data: path,
          sizes,
          method,
          precision,
          batchSize: group,
          accumulation: 1,
          steps,
          maxLength: longest,
          learningRate: method === 'lora' ? 1e-3 : 1e-4,
          gradientCheckpointing: false,
          threads: 0,
        }),
      ),
    );
    const figures: Figure[] = [];
    const checks: Check[] = [];
    const notes: string[] = [];
    for (const work of works) {
      const part = await measure(bench, work, rounds);
      figures.push(...part.figures);
      checks.push(...part.checks);
      notes.push(...part.notes);
    }
    const tokens = sizes.reduce((sum, size) => sum + size.tokens, 0) / steps;
    return {
      setting:
        `hidden 896, 8 layers, 14/2 heads, vocabulary 32,000, random weights; ${group} records of ${longest / 8} to ${longest} ` +
        `tokens a step and a microbatch (${Math.round(tokens).toLocaleString('en')} tokens, a fifth in completions), AdamW, ` +
        `LoRA r=${loraRank} on all linear layers; ${steps - warmup} steps after ${warmup}, ${rounds} round(s)`,
      figures,
      checks,
      notes,
    };
  },
};

interface Measured {
  readonly tokensPerSecond: number;
  readonly peakBytes: number;
  /** Of the machine's bf16 peak. */
  readonly share: number;
}

async function measure(bench: Bench, work: Work, rounds: number) {
  const name = `${work.method === 'full' ? 'full' : `LoRA r=${loraRank}`}, ${work.precision}`;
  const sides: readonly Side[] = [bench.ours, bench.trainer, bench.trl];
  const peak = await bench.peak();
  const results = await interleave(
    sides.map((side) => ({ key: `${name}: ${side.name}`, side, work })),
    rounds,
    bench.say,
  );
  const notes: string[] = [];
  const measured = new Map<string, Measured>();
  const curves = new Map<string, readonly number[]>();
  for (const side of sides) {
    const runs = results.get(`${name}: ${side.name}`);
    const good = succeeded(runs);
    if (good === undefined) {
      const fault = runs?.find((one) => one instanceof Error);
      notes.push(`${name}: ${side.name} failed: ${fault instanceof Error ? lastLine(fault.message) : 'no run'}`);
      continue;
    }
    measured.set(side.name, figuresOf(work, good, peak.bf16));
    curves.set(side.name, good[0]?.steps.map(({ loss }) => loss) ?? []);
  }
  const row = (what: string, title: string, unit: string, better: 'more' | 'less', pick: (one: Measured) => number) => {
    const value = (side: string) => {
      const one = measured.get(side);
      return one === undefined ? null : pick(one);
    };
    return {
      key: `training.${what}.${work.method}.${work.precision}`,
      title: `${title}, ${name}`,
      unit,
      better,
      ours: value(bench.ours.name),
      peers: Object.fromEntries(sides.slice(1).map((side) => [side.name, value(side.name)])),
    } satisfies Figure;
  };
  return {
    figures: [
      row('speed', 'tokens/s', 'tokens/s', 'more', (one) => one.tokensPerSecond),
      row('share', 'share of the bf16 peak', '%', 'more', (one) => 100 * one.share),
      row('memory', 'peak memory', 'MB', 'less', (one) => one.peakBytes / 1e6),
    ],
    checks: agreement(name, curves, bench.ours.name, tolerances[work.method][work.precision]),
    notes,
  };
}

/** Rates over all rounds together; the most memory of any. */
function figuresOf(work: Work, runs: readonly RunResult[], peakGflops: number): Measured {
  const size = measuredTokens(work, warmup);
  const seconds = median(runs.map((run) => measuredSeconds(run, warmup)));
  return {
    tokensPerSecond: size.tokens / seconds,
    share: usefulFlops(referenceShape, size, work.method) / seconds / (peakGflops * 1e9),
    peakBytes: Math.max(...runs.map((run) => run.peakBytes)),
  };
}

/** Whether the peers' losses are ours at every step: only then was it the same work. */
function agreement(
  name: string,
  curves: ReadonlyMap<string, readonly number[]>,
  ours: string,
  tolerance: number,
): Check[] {
  const reference = curves.get(ours);
  if (reference === undefined) return [];
  return [...curves]
    .filter(([side]) => side !== ours)
    .map(([side, losses]) => {
      const differences = reference.map((loss, i) => Math.abs((losses[i] ?? Number.NaN) - loss) / loss);
      const largest = Math.max(...differences);
      return {
        title: `${name}: losses of ${side} and ours, step by step`,
        value: `differ by ${largest.toExponential(1)} at most (tolerance ${tolerance}); ours ${reference
          .map((loss) => loss.toFixed(3))
          .join(' ')}`,
        holds: largest <= tolerance && losses.length === reference.length,
      };
    });
}

const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? '';
