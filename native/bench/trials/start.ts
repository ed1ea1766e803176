/** From the start of the process to the end of the first step: the starter model on its tickets, files in the disk's cache. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Trial } from '../kit/trial.js';
import { interleave, median, succeeded, type Work } from '../kit/work.js';

const ticket = z.object({ instruction: z.string(), input: z.string(), output: z.string() });

export const start: Trial = {
  name: 'start',
  title: 'Process start to first step',
  async run(bench) {
    const data = join(bench.root, 'media', 'examples', 'tickets.train.jsonl');
    const peerData = join(bench.scratch, 'start.jsonl');
    await writeFile(peerData, conversations(await readFile(data, 'utf8')));
    const work: Work = {
      model: join(bench.root, 'media', 'starter-model'),
      data,
      peerData,
      sizes: [],
      method: 'full',
      precision: 'fp32',
      batchSize: 16,
      accumulation: 1,
      steps: 1,
      maxLength: 256,
      learningRate: 1e-3,
      gradientCheckpointing: false,
      threads: 0,
    };
    const rounds = bench.quick ? 1 : 5;
    const sides = [bench.ours, bench.trl];
    const entries = sides.map((side) => ({ key: `start: ${side.name}`, side, work }));
    // The first round fills the disk's cache.
    const results = await interleave(entries, rounds + 1, bench.say);
    const seconds = (name: string) => {
      const runs = succeeded(results.get(`start: ${name}`))?.slice(1);
      return runs === undefined ? null : median(runs.map((run) => (run.steps[0]?.time ?? Number.NaN) - run.started));
    };
    const figure = {
      unit: 's',
      better: 'less',
      ours: seconds(bench.ours.name),
      peers: { [bench.trl.name]: seconds(bench.trl.name) },
    } as const;
    return {
      setting: `media/starter-model on all 3,000 records of tickets.train.jsonl, files in the disk’s cache; median of ${rounds} after one more`,
      figures: [
        { ...figure, key: 'start.first-step', title: 'process start to the end of the first step' },
        { ...figure, key: 'start.first-step-against', title: 'the same against TRL' },
      ],
      checks: [],
      notes: [...results].flatMap(([key, runs]) =>
        runs.filter((one) => one instanceof Error).map((one) => `${key} failed: ${one.message.split('\n').at(-1)}`),
      ),
    };
  },
};

/** Alpaca's records as prompt and completion messages, which TRL reads. */
function conversations(jsonl: string): string {
  return jsonl
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ticket.parse(JSON.parse(line)))
    .map(({ instruction, input, output }) => ({
      prompt: [{ role: 'user', content: `${instruction}\n\n${input}` }],
      completion: [{ role: 'assistant', content: output }],
    }))
    .map((record) => `${JSON.stringify(record)}\n`)
    .join('');
}
