/**
 * `npm run bench [-- TRIAL… --quick --readme]`: trains with `sft-lab train` and with what people use otherwise, in turn on this
 * machine, and prints tables. Results go to build/bench/results.{json,md}; a trial that is run again replaces its own only.
 *
 *   --quick    smaller steps, one round
 *   --readme   write the tables into native/README.md; alone: from the results that are there
 */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { buildProgram } from './kit/cmake.js';
import { makeModel } from './kit/model.js';
import { othersShare, readTicks } from './kit/others.js';
import { ourSide } from './kit/ours.js';
import { peerSide, peersPython, peerVersions } from './kit/python.js';
import { writeRecords } from './kit/records.js';
import { type Machine, type Results, resultsText, trialText, withSection } from './kit/table.js';
import { targets } from './kit/targets.js';
import { type Bench, type Trial, trialResultSchema } from './kit/trial.js';
import { asError } from './kit/work.js';
import { generate } from './trials/generate.js';
import { growth } from './trials/growth.js';
import { profile } from './trials/profile.js';
import { small } from './trials/small.js';
import { start } from './trials/start.js';
import { training } from './trials/training.js';

const trials: readonly Trial[] = [training, generate, start, growth, small, profile];

const root = process.cwd();
const scratch = join(root, 'build', 'bench');
const resultsFile = join(scratch, 'results.json');

const rates = z.object({ fp32: z.number(), bf16: z.number(), oneDNN: z.string() });
const resultsSchema = z.object({
  machine: z.object({
    cpu: z.string(),
    cores: z.number(),
    memoryGB: z.number(),
    system: z.string(),
    node: z.string(),
    oneDNN: z.string(),
    peak: z.object({ fp32: z.number(), bf16: z.number() }),
    peers: z.record(z.string(), z.string()),
  }),
  trials: z.array(trialResultSchema),
});

let best = { fp32: 0, bf16: 0, oneDNN: '' };

function measurePeak(): typeof best {
  const program = buildProgram(root, 'sft_lab_bench_peak');
  const { status, stdout, stderr } = spawnSync(program, [], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the machine's peak could not be measured:\n${stderr}`);
  const found = rates.parse(JSON.parse(stdout));
  best = {
    fp32: Math.max(best.fp32, found.fp32),
    bf16: Math.max(best.bf16, found.bf16),
    oneDNN: found.oneDNN,
  };
  // The fastest so far: a slow moment does not make our share look larger.
  return best;
}

function makeBench(quick: boolean): Bench {
  const python = peersPython(root);
  const peer = { root, python, scratch };
  return {
    root,
    scratch,
    quick,
    python,
    ours: ourSide(root, scratch),
    trainer: peerSide({ ...peer, name: 'Trainer + PEFT, padded', file: 'trainer' }),
    trl: peerSide({ ...peer, name: 'TRL, padding-free', file: 'trl_padding_free' }),
    // Without FlashAttention, records laid end to end attend through a mask over all of them: one at a time is often faster.
    trlSingle: peerSide({ ...peer, name: 'TRL, record by record', file: 'trl_padding_free', batchSize: 1 }),
    peak: async () => measurePeak(),
    model: (shape) => makeModel(shape, join(scratch, 'models')),
    records: async ({ name, ...options }) => {
      const path = join(scratch, `${name}.jsonl`);
      return { path, sizes: await writeRecords(path, { ...options, completion: 0.2, seed: 1 }) };
    },
    say: (text) => console.log(`  ${text}`),
  };
}

function machine(python: string): Machine {
  const { fp32, bf16, oneDNN } = measurePeak();
  const release = spawnSync('sh', ['-c', '. /etc/os-release && echo "$PRETTY_NAME"'], { encoding: 'utf8' });
  return {
    cpu: cpus()[0]?.model.trim() ?? process.arch,
    cores: availableParallelism(),
    memoryGB: Math.round(totalmem() / 2 ** 30),
    system: release.stdout.trim() || process.platform,
    node: process.version,
    oneDNN,
    peak: { fp32, bf16 },
    peers: peerVersions(python),
  };
}

async function earlierResults(): Promise<Results | undefined> {
  if (!existsSync(resultsFile)) return undefined;
  const parsed = resultsSchema.safeParse(JSON.parse(await readFile(resultsFile, 'utf8')));
  return parsed.success ? parsed.data : undefined;
}

async function save(results: Results): Promise<void> {
  await writeFile(resultsFile, `${JSON.stringify(results, null, 2)}\n`);
  await writeFile(join(scratch, 'results.md'), `${resultsText(results, targets)}\n`);
}

async function writeReadme(results: Results): Promise<void> {
  const readme = join(root, 'native', 'README.md');
  await writeFile(readme, withSection(await readFile(readme, 'utf8'), resultsText(results, targets)));
}

async function main(args: readonly string[]): Promise<void> {
  const quick = args.includes('--quick');
  const readme = args.includes('--readme');
  const names = args.filter((arg) => !arg.startsWith('--'));
  const unknown = [
    ...names.filter((name) => !trials.some((trial) => trial.name === name)),
    ...args.filter((arg) => arg.startsWith('--') && arg !== '--quick' && arg !== '--readme'),
  ];
  if (unknown.length > 0) {
    console.error(`Usage: npm run bench -- [${trials.map(({ name }) => name).join('|')}]… [--quick] [--readme]`);
    process.exitCode = 2;
    return;
  }
  await mkdir(scratch, { recursive: true });
  let results = await earlierResults();
  if (!(readme && names.length === 0 && results !== undefined)) {
    const bench = makeBench(quick);
    for (const trial of trials.filter(({ name }) => names.length === 0 || names.includes(name))) {
      console.log(`\n${trial.title}`);
      const before = readTicks();
      const outcome = await trial.run(bench).catch((error: unknown) => asError(error));
      if (outcome instanceof Error) {
        // The other trials' figures are worth having all the same.
        console.error(`${trial.name} failed: ${outcome.message}`);
        process.exitCode = 1;
        continue;
      }
      const date = new Date().toISOString().slice(0, 10);
      const result = {
        trial: trial.name,
        title: trial.title,
        date,
        quick,
        others: othersShare(before, readTicks()),
        ...outcome,
      };
      const kept = results?.trials.filter((earlier) => earlier.trial !== trial.name) ?? [];
      const order = (name: string) => trials.findIndex((one) => one.name === name);
      results = {
        machine: machine(bench.python),
        trials: [...kept, result].sort((a, b) => order(a.trial) - order(b.trial)),
      };
      await save(results);
      console.log(`\n${trialText(result, targets)}`);
      if (result.checks.some(({ holds }) => !holds)) process.exitCode = 1;
    }
    await rm(join(scratch, 'peer'), { recursive: true, force: true });
  }
  if (readme && results !== undefined) await writeReadme(results);
}

await main(process.argv.slice(2));
