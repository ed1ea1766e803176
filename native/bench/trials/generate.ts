/**
 * Batch generation against `generate` of transformers: the same prompts, greedy, fp32, up to as many new tokens. Both sides are given all
 * prompts at once; processes take turns, and each times one call after a short one.
 */

import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { buildProgram } from '../kit/cmake.js';
import { referenceShape } from '../kit/model.js';
import { Random } from '../kit/random.js';
import type { Bench, Check, Figure, Trial } from '../kit/trial.js';
import { asError, median } from '../kit/work.js';

const count = 32;
const peerName = 'transformers generate';

const outcomeSchema = z.object({ seconds: z.number(), answers: z.array(z.array(z.number())) });
type Outcome = z.infer<typeof outcomeSchema>;

interface Case {
  readonly key: string;
  readonly title: string;
  /** Tokens that all prompts begin with, and bounds of what each has of its own. */
  readonly common: number;
  readonly shortest: number;
  readonly longest: number;
  /** Every so-manieth token of the vocabulary ends an answer; 0: none does. */
  readonly stopEvery: number;
}

const cases: readonly Case[] = [
  {
    key: 'speed',
    title: 'an instruction of 128 tokens before 16 to 64 of each prompt’s own, answers of uneven length',
    common: 128,
    shortest: 16,
    longest: 64,
    stopEvery: 48,
  },
  {
    key: 'speed-even',
    title: 'the same prompts, 64 new tokens each',
    common: 128,
    shortest: 16,
    longest: 64,
    stopEvery: 0,
  },
  {
    key: 'speed-apart',
    title: 'prompts of 32 to 192 tokens with nothing in common, 64 new tokens each',
    common: 0,
    shortest: 32,
    longest: 192,
    stopEvery: 0,
  },
];

export const generate: Trial = {
  name: 'generate',
  title: 'Batch generation',
  async run(bench) {
    const model = await bench.model(referenceShape);
    const program = buildProgram(bench.root, 'sft_lab_bench_generate');
    const rounds = bench.quick ? 1 : 3;
    const newTokens = bench.quick ? 16 : 64;
    const figures: Figure[] = [];
    const checks: Check[] = [];
    const notes: string[] = [];
    for (const one of cases) {
      const prompts = join(bench.scratch, `generate-${one.key}.json`);
      await writeFile(prompts, JSON.stringify(makePrompts(one)));
      const stops = one.stopEvery === 0 ? [] : multiples(one.stopEvery, referenceShape.vocabulary);
      const job = JSON.stringify({ model, prompts, new: newTokens, stops, threads: 0 });
      const sides: Record<string, readonly [string, ...string[]]> = {
        'SFT Lab': [program, job],
        [peerName]: [bench.python, join(bench.root, 'native', 'bench', 'peers', 'generate.py'), job],
      };
      const found = await takeTurns(bench, one.key, sides, rounds);
      const rate = (name: string) => {
        const runs = found.get(name);
        if (runs === undefined || runs.length === 0) return null;
        return count / median(runs.map(({ seconds }) => seconds));
      };
      figures.push({
        key: `generate.${one.key}`,
        title: `samples/s, ${one.title}`,
        unit: 'samples/s',
        better: 'more',
        ours: rate('SFT Lab'),
        peers: { [peerName]: rate(peerName) },
      });
      checks.push(...sameAnswers(one, found));
      for (const [name] of Object.entries(sides)) if (rate(name) === null) notes.push(`${one.key}: ${name} failed`);
    }
    return {
      setting:
        `the model of the training steps in fp32, ${count} prompts at once, greedy, at most ${newTokens} new tokens; ` +
        `median of ${rounds} round(s), processes in turn`,
      figures,
      checks,
      notes,
    };
  },
};

function makePrompts({ common, shortest, longest }: Case): number[][] {
  const random = new Random(7);
  // Ids below 258 are bytes and special tokens.
  const tokens = (length: number) =>
    Array.from({ length }, () => 258 + Math.floor(random.next() * (referenceShape.vocabulary - 258)));
  const first = tokens(common);
  return Array.from({ length: count }, () => [
    ...first,
    ...tokens(shortest + Math.floor(random.next() * (longest - shortest + 1))),
  ]);
}

function multiples(of: number, below: number): number[] {
  return Array.from({ length: Math.floor((below - 1) / of) }, (_, i) => (i + 1) * of);
}

/** What each side gave, round by round; a side that fails is not asked again. */
async function takeTurns(
  bench: Bench,
  key: string,
  sides: Readonly<Record<string, readonly [string, ...string[]]>>,
  rounds: number,
): Promise<Map<string, Outcome[]>> {
  const found = new Map<string, Outcome[]>();
  const failed = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, [command, ...args]] of Object.entries(sides)) {
      if (failed.has(name)) continue;
      const outcome = await runJob(command, args).catch((error: unknown) => asError(error));
      if (outcome instanceof Error) {
        failed.add(name);
        found.delete(name);
        bench.say(`${key}: ${name}: ${outcome.message}`);
      } else {
        found.set(name, [...(found.get(name) ?? []), outcome]);
        bench.say(`${key}: ${name}: ${outcome.seconds.toFixed(2)} s`);
      }
    }
  }
  return found;
}

async function runJob(command: string, args: readonly string[]): Promise<Outcome> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-2000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(errors.trim().split('\n').at(-1) ?? `exit code ${code}`);
  return outcomeSchema.parse(JSON.parse(output.trim().split('\n').at(-1) ?? ''));
}

/** Random weights make close calls: where the two likeliest tokens differ by rounding alone, the rest of an answer differs. */
function sameAnswers(one: Case, found: ReadonlyMap<string, readonly Outcome[]>): Check[] {
  const ours = found.get('SFT Lab')?.[0]?.answers;
  const theirs = found.get(peerName)?.[0]?.answers;
  if (ours === undefined || theirs === undefined) return [];
  const same = ours.filter((answer, i) => JSON.stringify(answer) === JSON.stringify(theirs[i])).length;
  return [{ title: `the same greedy answers, ${one.key}`, value: `${same} of ${count}`, holds: same >= count - 1 }];
}
