/**
 * Small pieces: a step of many short records that the config cuts into microbatches of one, as recipes for little memory do, and answers
 * that are asked for a few at a time. What the trainer joins of them is as fast as if they had not been cut.
 */

import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { growthShapes } from '../kit/model.js';
import { Random } from '../kit/random.js';
import type { Bench, Figure, Trial } from '../kit/trial.js';
import { interleave, measuredSeconds, measuredTokens, median, succeeded, type Work } from '../kit/work.js';

const records = 16;
const warmup = 1;
const prompts = 64;
const newTokens = 64;

export const small: Trial = {
  name: 'small',
  title: 'Small microbatches, few answers at a time',
  async run(bench) {
    const shape = growthShapes.find(({ name }) => name === '100M');
    if (shape === undefined) throw new Error('no model of 100M parameters');
    const rounds = bench.quick ? 1 : 2;
    const steps = warmup + (bench.quick ? 1 : 3);
    const model = await bench.model(shape);
    const { path, sizes } = await bench.records({
      name: 'small',
      count: records * steps,
      group: records,
      shortest: 48,
      longest: 256,
      vocabulary: shape.vocabulary,
    });
    const figures: Figure[] = [];
    const notes: string[] = [];
    for (const method of ['full', 'lora'] as const) {
      const whole: Work = {
        model,
        data: path,
        sizes,
        method,
        precision: 'bf16',
        batchSize: records,
        accumulation: 1,
        steps,
        maxLength: 256,
        learningRate: 1e-4,
        gradientCheckpointing: false,
        threads: 0,
      };
      const cut: Work = { ...whole, batchSize: 1, accumulation: records };
      const together = `SFT Lab, ${records} at once`;
      const entries = [
        { key: bench.ours.name, side: bench.ours, work: cut },
        { key: together, side: bench.ours, work: whole },
        ...[bench.trainer, bench.trl].map((side) => ({ key: side.name, side, work: cut })),
      ];
      const results = await interleave(entries, rounds, (text) => bench.say(`${method}: ${text}`));
      const rates = new Map<string, number | null>();
      for (const { key } of entries) {
        const runs = succeeded(results.get(key));
        const tokens = measuredTokens(cut, warmup).tokens;
        rates.set(key, runs === undefined ? null : tokens / median(runs.map((run) => measuredSeconds(run, warmup))));
        if (runs === undefined) notes.push(`${method}: ${key} failed`);
      }
      const figure = (key: string, title: string, peers: readonly string[]): Figure => ({
        key: `small.${key}.${method}`,
        title: `tokens/s, ${method === 'full' ? 'full' : 'LoRA'}, ${title}`,
        unit: 'tokens/s',
        better: 'more',
        ours: rates.get(bench.ours.name) ?? null,
        peers: Object.fromEntries(peers.map((name) => [name, rates.get(name) ?? null])),
      });
      figures.push(figure('peers', 'microbatches of one', [bench.trainer.name, bench.trl.name]));
      figures.push(figure('whole', 'microbatches of one against one microbatch', [together]));
    }
    figures.push(await answers(bench, model, rounds));
    return {
      setting:
        `100M parameters, bf16, random weights; ${records} records of 48 to 256 tokens a step; ${steps - warmup} step(s) after ` +
        `${warmup}; ${prompts} prompts of 32 to 128 bytes, ${newTokens} new tokens each; median of ${rounds} round(s), in turn`,
      figures,
      checks: [],
      notes,
    };
  },
};

/** The whole of `sft-lab generate`, as it is and with eight prompts at a time. */
async function answers(bench: Bench, model: string, rounds: number): Promise<Figure> {
  const file = join(bench.scratch, 'small-prompts.jsonl');
  // With nothing in common: what prompts share is computed once, however many are asked at a time.
  const random = new Random(3);
  const text = (length: number) =>
    Array.from({ length }, () => 'abcdefghijklmnop '[Math.floor(random.next() * 17)]).join('');
  const lines = Array.from({ length: prompts }, () =>
    JSON.stringify({ prompt: text(32 + Math.floor(random.next() * 97)), completion: 'y' }),
  );
  await writeFile(file, `${lines.join('\n')}\n`);
  const command = [
    join(bench.root, 'dist', 'cli.js'),
    'generate',
    model,
    '--dataset',
    file,
    '--device',
    'cpu',
    '--quiet',
  ];
  const rate = async (more: readonly string[]): Promise<number> => {
    const began = performance.now();
    await promisify(execFile)(process.execPath, [...command, '--max-new-tokens', String(newTokens), ...more], {
      maxBuffer: 1 << 26,
    });
    return prompts / ((performance.now() - began) / 1000);
  };
  const found = { ours: [] as number[], eight: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    found.ours.push(await rate([]));
    found.eight.push(await rate(['--batch-size', '8']));
  }
  return {
    key: 'small.answers',
    title: 'answers/s, as many at a time as is left to us against eight',
    unit: 'samples/s',
    better: 'more',
    ours: median(found.ours),
    peers: { 'SFT Lab, 8 at a time': median(found.eight) },
  };
}
