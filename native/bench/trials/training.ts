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
  type OwnFigures,
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
    const group = 4;
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
    const measured = new Map<Work, Part>();
    for (const work of works) {
      await bench.peak();
      measured.set(work, await measure(bench, work, rounds));
    }
    // The fastest of all along: a slow moment before one of them does not make its share look larger.
    const peak = await bench.peak();
    for (const method of ['full', 'lora'] as const) {
      const parts = works.flatMap((work) => (work.method === method ? (measured.get(work) ?? []) : []));
      figures.push(
        ...summary(bench, method, parts, peak.bf16),
        ...parts.flatMap((part) => details(bench, method, part)),
      );
      checks.push(...parts.flatMap((part) => part.checks));
      notes.push(...parts.flatMap((part) => part.notes));
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
  /** Ours alone. */
  readonly own: OwnFigures | undefined;
  /** Useful arithmetic alone. */
  readonly gflops: number;
}

/** All sides in one precision. */
interface Part {
  readonly precision: Work['precision'];
  readonly measured: ReadonlyMap<string, Measured>;
  readonly checks: readonly Check[];
  readonly notes: readonly string[];
}

const peersOf = ({ trainer, trl, trlSingle }: Bench): readonly Side[] => [trainer, trl, trlSingle];

const nameOf = (method: Work['method']) => (method === 'full' ? 'full' : `LoRA r=${loraRank}`);

async function measure(bench: Bench, work: Work, rounds: number): Promise<Part> {
  const name = `${nameOf(work.method)}, ${work.precision}`;
  const sides: readonly Side[] = [bench.ours, ...peersOf(bench)];
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
    measured.set(side.name, figuresOf(work, good));
    curves.set(side.name, good[0]?.steps.map(({ loss }) => loss) ?? []);
  }
  const tolerance = tolerances[work.method][work.precision];
  return {
    precision: work.precision,
    measured,
    checks: [...agreement(name, curves, bench.ours.name, tolerance), ...planned(name, measured.get(bench.ours.name))],
    notes,
  };
}

/** The figures that have targets: each side in the precision that is faster for it. */
function summary(bench: Bench, method: Work['method'], parts: readonly Part[], peakGflops: number): Figure[] {
  const best = (side: string, among = parts) => {
    const all = among.flatMap(({ measured }) => measured.get(side) ?? []);
    return all.sort((a, b) => b.tokensPerSecond - a.tokensPerSecond)[0];
  };
  const share = (side: string) => {
    const one = best(side);
    return percent(one === undefined ? undefined : one.gflops / peakGflops);
  };
  const speed = (side: string, among = parts) => best(side, among)?.tokensPerSecond ?? null;
  const fp32 = parts.filter(({ precision }) => precision === 'fp32');
  const { ours, trainer } = bench;
  const peers = peersOf(bench);
  const rate = { unit: 'tokens/s', better: 'more' } as const;
  return [
    {
      ...rate,
      key: `training.speed.${method}`,
      title: `tokens/s, ${nameOf(method)}, each at its better precision`,
      ours: speed(ours.name),
      peers: Object.fromEntries(peers.map(({ name }) => [name, speed(name)])),
    },
    {
      ...rate,
      key: `training.speed-padded.${method}`,
      title: `the same against padded Trainer`,
      ours: speed(ours.name),
      peers: { [trainer.name]: speed(trainer.name) },
    },
    {
      ...rate,
      key: `training.speed-padded-fp32.${method}`,
      title: `the same in fp32 on both sides`,
      ours: speed(ours.name, fp32),
      peers: { [trainer.name]: speed(trainer.name, fp32) },
    },
    {
      key: `training.share.${method}`,
      title: `useful FLOP/s over the bf16 peak, ${nameOf(method)}`,
      unit: '%',
      better: 'more',
      ours: share(ours.name),
      peers: Object.fromEntries(peers.map(({ name }) => [name, share(name)])),
    },
  ];
}

/** The figures of one precision. */
function details(bench: Bench, method: Work['method'], { precision, measured }: Part): Figure[] {
  const row = (
    title: string,
    figure: Pick<Figure, 'key' | 'unit' | 'better'>,
    peers: readonly Side[],
    pick: (one: Measured) => number | null,
  ): Figure => {
    const value = (side: Side) => {
      const one = measured.get(side.name);
      return one === undefined ? null : pick(one);
    };
    return {
      ...figure,
      key: `training.${figure.key}.${method}.${precision}`,
      title: `${title}, ${nameOf(method)}, ${precision}`,
      ours: value(bench.ours),
      peers: Object.fromEntries(peers.map((side) => [side.name, value(side)])),
    };
  };
  const speed = { key: 'speed', unit: 'tokens/s', better: 'more' } as const;
  const memory = { key: 'memory', unit: 'MB', better: 'less' } as const;
  const share = (key: string) => ({ key, unit: '%', better: 'less' }) as const;
  return [
    row('tokens/s', speed, peersOf(bench), (one) => one.tokensPerSecond),
    // Of the same microbatch alone: a smaller one takes less memory on any side.
    row('peak memory', memory, [bench.trainer, bench.trl], (one) => one.peakBytes / 1e6),
    row('a step’s time outside the engine, not waiting', share('outside'), [], (one) => percent(one.own?.outside)),
    row('a step’s time waiting for data', share('waiting'), [], (one) => percent(one.own?.waiting)),
  ];
}

/** Rates over all rounds together; the most memory of any. */
function figuresOf(work: Work, runs: readonly RunResult[]): Measured {
  const size = measuredTokens(work, warmup);
  const seconds = median(runs.map((run) => measuredSeconds(run, warmup)));
  return {
    tokensPerSecond: size.tokens / seconds,
    gflops: usefulFlops(referenceShape, size, work.method) / seconds / 1e9,
    peakBytes: Math.max(...runs.map((run) => run.peakBytes)),
    own: runs.at(-1)?.own,
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

/** What the memory plan said before the first step, against what was taken; the process holds Node and the mapped file of weights too. */
function planned(name: string, ours: Measured | undefined): Check[] {
  if (ours?.own === undefined) return [];
  const [said, taken, held] = [ours.own.plannedBytes / 1e6, ours.own.takenBytes / 1e6, ours.peakBytes / 1e6];
  const value = `${said.toFixed(0)} MB planned, ${taken.toFixed(0)} MB taken (${((100 * said) / taken).toFixed(1)} %; within 10 %); the process held ${held.toFixed(0)} MB`;
  return [{ title: `${name}: the memory plan`, value, holds: Math.abs(said / taken - 1) <= 0.1 }];
}

const percent = (share: number | undefined) => (share === undefined ? null : 100 * share);

const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? '';
