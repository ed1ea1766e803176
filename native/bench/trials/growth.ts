/** How the rate of full fine-tuning goes with the length of records, the number of threads and the size of the model. */

import { availableParallelism } from 'node:os';
import { growthShapes, type ModelShape, parameterCount, referenceShape } from '../kit/model.js';
import type { Bench, Check, Figure, Trial } from '../kit/trial.js';
import { interleave, measuredSeconds, measuredTokens, succeeded, type Work } from '../kit/work.js';

const warmup = 1;

/** A model of more parameters takes one step instead of two: a peer spends minutes on each. */
const largeModel = 2e8;

interface Point {
  readonly key: string;
  readonly title: string;
  readonly shape: ModelShape;
  /** Tokens of every record. */
  readonly length: number;
  /** 0: one for each core. */
  readonly threads: number;
}

function points(): Point[] {
  const point = { shape: referenceShape, length: 512, threads: 0 };
  return [
    ...[128, 512, 2048].map((length) => ({
      ...point,
      key: `length-${length}`,
      title: `${length.toLocaleString('en')} tokens a record`,
      length,
    })),
    ...[1, 2]
      .filter((threads) => threads <= availableParallelism())
      .map((threads) => ({
        ...point,
        key: `threads-${threads}`,
        title: `${threads} thread${threads > 1 ? 's' : ''}`,
        threads,
      })),
    ...growthShapes.map((shape) => ({
      ...point,
      key: `size-${shape.name}`,
      title: `${(parameterCount(shape) / 1e6).toFixed(0)}M parameters`,
      shape,
    })),
  ];
}

export const growth: Trial = {
  name: 'growth',
  title: 'Growth',
  async run(bench) {
    const tokens = bench.quick ? 512 : 2048;
    const precision = await bestPrecision(bench);
    const figures: Figure[] = [];
    const notes: string[] = [];
    const known = new Map<string, Figure>();
    for (const point of points()) {
      // As many threads as there are cores is what is done elsewhere.
      const same = JSON.stringify([point.shape.name, point.length, point.threads || availableParallelism()]);
      const earlier = known.get(same);
      if (earlier !== undefined) {
        figures.push({ ...earlier, key: `growth.${point.key}`, title: `tokens/s, ${point.title}` });
        continue;
      }
      const work = await workOf(bench, point, Math.max(tokens, point.length), precision);
      const sides = [bench.ours, bench.trl];
      const entries = sides.map((side) => ({ key: `${point.title}: ${side.name}`, side, work }));
      const results = await interleave(entries, 1, bench.say);
      const rate = (name: string) => {
        const runs = results.get(`${point.title}: ${name}`);
        const run = succeeded(runs)?.[0];
        if (run !== undefined) return measuredTokens(work, warmup).tokens / measuredSeconds(run, warmup);
        const fault = runs?.find((one) => one instanceof Error);
        notes.push(`${point.title}: ${name} failed: ${fault?.message.split('\n').at(-1) ?? 'no run'}`);
        return null;
      };
      const figure: Figure = {
        key: `growth.${point.key}`,
        title: `tokens/s, ${point.title}`,
        unit: 'tokens/s',
        better: 'more',
        ours: rate(bench.ours.name),
        peers: { [bench.trl.name]: rate(bench.trl.name) },
      };
      known.set(same, figure);
      figures.push(figure);
    }
    return {
      setting: `full fine-tuning in ${precision}, at least ${tokens.toLocaleString('en')} tokens a step; unless said: the model of the training steps, 512 tokens a record, all cores`,
      figures,
      checks: cliffs(new Map(figures.map(({ key, ours }) => [key.replace('growth.', ''), ours]))),
      notes,
    };
  },
};

/** What would be a cliff: a length that costs more than its attention does, or a second thread that does not help. */
function cliffs(rates: ReadonlyMap<string, number | null>): Check[] {
  const compare = (title: string, slow: string, fast: string, least: number): Check[] => {
    const [a, b] = [rates.get(slow), rates.get(fast)];
    if (a === undefined || a === null || b === undefined || b === null) return [];
    return [{ title, value: `${(a / b).toFixed(2)}× (at least ${least}×)`, holds: a / b >= least }];
  };
  return [
    ...compare('128 against 512 tokens a record', 'length-128', 'length-512', 0.8),
    ...compare('2,048 against 512 tokens a record', 'length-2048', 'length-512', 0.7),
    ...compare('two threads against one', 'threads-2', 'threads-1', 1.6),
  ];
}

/** bf16 where this engine computes in it. */
async function bestPrecision(bench: Bench): Promise<Work['precision']> {
  const shape = growthShapes[0];
  if (shape === undefined) return 'fp32';
  const work = await workOf(bench, { key: '', title: '', shape, length: 128, threads: 0 }, 128, 'bf16');
  return bench.ours.run({ ...work, steps: 1 }).then(
    () => 'bf16',
    () => 'fp32',
  );
}

async function workOf(bench: Bench, point: Point, tokens: number, precision: Work['precision']): Promise<Work> {
  const each = Math.max(1, Math.round(tokens / point.length));
  const steps = warmup + (bench.quick || parameterCount(point.shape) > largeModel ? 1 : 2);
  const { path, sizes } = await bench.records({
    name: 'growth',
    count: each * steps,
    group: 1,
    shortest: point.length,
    longest: point.length,
    vocabulary: point.shape.vocabulary,
  });
  return {
    model: await bench.model(point.shape),
    data: path,
    sizes,
    method: 'full',
    precision,
    batchSize: each,
    accumulation: 1,
    steps,
    maxLength: point.length,
    learningRate: 1e-4,
    gradientCheckpointing: false,
    threads: point.threads,
  };
}
