/**
 * Where a step's time goes, by operation: `bench/step.cpp` under `perf record`, samples of all threads by the function that they fell
 * in. Ours alone; it explains the other tables.
 */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildProgram } from '../kit/cmake.js';
import { referenceShape } from '../kit/model.js';
import { operationShares } from '../kit/perf.js';
import type { Trial } from '../kit/trial.js';
import { loraRank } from '../kit/work.js';

/** The end of the recording: opening the model and the first step, which takes memory into use, are over by then. */
const steady = ['--time', '60%-100%'];

const cases = [
  { title: 'full, bf16', flags: ['--precision', 'bf16'] },
  { title: 'full, fp32', flags: ['--precision', 'fp32'] },
  { title: `LoRA r=${loraRank}, bf16`, flags: ['--precision', 'bf16', '--lora', String(loraRank)] },
] as const;

export const profile: Trial = {
  name: 'profile',
  title: 'Where a step’s time goes',
  async run(bench) {
    const tokens = bench.quick ? 1024 : 2304;
    const steps = bench.quick ? 3 : 5;
    const setting = `steps of ${tokens.toLocaleString('en')} tokens in records of 128 to 1,024, samples of perf’s cpu-clock on all threads, in the last of ${steps + 1} steps`;
    if (spawnSync('perf', ['--version']).status !== 0) {
      return { setting, figures: [], checks: [], notes: ['perf is not installed: nothing was profiled'] };
    }
    const model = await bench.model(referenceShape);
    const program = buildProgram(bench.root, 'sft_lab_bench_step');
    const columns: Map<string, number>[] = [];
    for (const { title, flags } of cases) {
      const data = join(bench.scratch, 'perf.data');
      const work = ['--model', model, '--tokens', String(tokens), '--steps', String(steps), '--warmup', '1', ...flags];
      checked('perf', ['record', '-o', data, '-e', 'cpu-clock', '-F', '499', program, ...work]);
      const report = checked('perf', [
        'report',
        '-i',
        data,
        '--stdio',
        '--no-children',
        '-F',
        'overhead,dso,symbol',
        ...steady,
      ]);
      columns.push(operationShares(report));
      bench.say(`${title}: done`);
    }
    const operations = [...new Set(columns.flatMap((shares) => [...shares.keys()]))];
    const most = (operation: string) => Math.max(...columns.map((shares) => shares.get(operation) ?? 0));
    return {
      setting,
      figures: [],
      checks: [],
      notes: [],
      tables: [
        {
          header: ['operation', ...cases.map(({ title }) => title)],
          rows: operations
            .sort((a, b) => most(b) - most(a))
            .map((operation) => [
              operation,
              ...columns.map((shares) => `${(shares.get(operation) ?? 0).toFixed(1)} %`),
            ]),
        },
      ],
    };
  },
};

function checked(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`${command} ${args[0]} failed: ${error?.message ?? stderr.trim().slice(-1000)}`);
  return stdout;
}
