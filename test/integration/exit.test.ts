/** A process that ends in the middle of the engine's work ends with its own exit code, soon, and never by a signal. */

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Task } from './exit-program.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const config = {
  architectures: ['Qwen3ForCausalLM'],
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 8,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 64,
  vocab_size: 600,
  max_position_embeddings: 512,
  tie_word_embeddings: true,
};

let directory: string;
let program: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sft-lab-exit-'));
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  // Inside the project, since the engine looks for its addon upwards from itself.
  program = join(root, 'build', 'test', `exit-${process.pid}.mjs`);
  mkdirSync(join(root, 'build', 'test'), { recursive: true });
  const entryPoints = [fileURLToPath(new URL('exit-program.ts', import.meta.url))];
  await build({ entryPoints, outfile: program, bundle: true, platform: 'node', target: 'node20', format: 'esm' });
});
afterAll(() => {
  rmSync(program, { force: true });
  rmSync(directory, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
  /** Milliseconds from the way out to the end. */
  readonly took: number;
  /** Milliseconds of a whole step before; 0 where none was timed. */
  readonly step: number;
}

function ended(task: Omit<Task, 'directory' | 'timed'> & { readonly timed?: boolean }): Promise<Ended> {
  const child = spawn(
    process.execPath,
    [program, JSON.stringify({ directory, timed: false, ...task } satisfies Task)],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const [output, errors] = [child.stdout, child.stderr].map((stream) => {
    const parts: string[] = [];
    stream.setEncoding('utf8').on('data', (text: string) => parts.push(text));
    return parts;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const [left = Number.NaN, step = 0] = (output?.join('') ?? '').trim().split(' ').map(Number);
      resolve({ code, signal, errors: errors?.join('') ?? '', took: Date.now() - left, step });
    });
  });
}

const small = { sequences: 8, length: 64 };
const ways = ['exit', 'throw', 'reject', 'worker', 'listener'] as const;

test.each(ways)('%s', async (way) => {
  for (const work of ['train', 'generate', 'open'] as const) {
    for (const delay of [0, 21, 63]) {
      const { code, signal, errors } = await ended({ work, way, delay, ...small });
      const thrown = way === 'throw' || way === 'reject';
      expect({ work, delay, signal, code, errors }).toMatchObject({ signal: null, code: thrown ? 1 : 7 });
      if (thrown) expect(errors).toContain('thrown on purpose');
      else expect(errors).toBe('');
    }
  }
});

test('in a step that takes long, before it is done', async () => {
  // Against a whole step of the same process, not the clock: the machine may be slow, or busy with other work.
  const long = { sequences: 96, length: 256, delay: 0, timed: true };
  const { code, signal, took, step } = await ended({ work: 'train', way: 'exit', ...long });
  expect({ code, signal }).toEqual({ code: 7, signal: null });
  expect(took).toBeLessThan(step / 2);
});
