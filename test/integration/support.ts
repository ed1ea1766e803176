/** What the integration tests share: a workspace with a tiny model and data, and the real `sft-lab` program in a process. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '../../src/core/events.js';
import { foldEvents, type RunHistory } from '../../src/core/history.js';
import { readEvents } from '../../src/runs/event-log.js';
import { requestStop } from '../../src/runs/system.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const program = process.env.SFT_LAB_PROGRAM ?? join(root, 'dist', 'cli.js');

/** A Qwen3 that trains in milliseconds a step. */
export const tinyModel = {
  architectures: ['Qwen3ForCausalLM'],
  model_type: 'qwen3',
  vocab_size: 264,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 16,
  hidden_act: 'silu',
  max_position_embeddings: 256,
  initializer_range: 0.02,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  attention_bias: false,
  tie_word_embeddings: true,
  bos_token_id: null,
  eos_token_id: 258,
  dtype: 'bfloat16',
};

/** A byte-level tokenizer without merges: one token a byte, and ChatML's markers. */
function tokenizerJson(): object {
  const vocab = Object.fromEntries(byteCharacters().map((character, byte) => [character, byte]));
  const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'].map((content, i) => ({
    id: 256 + i,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: [],
    },
  };
}

/** GPT-2's visible character for each byte. */
function byteCharacters(): string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}

const chatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

export function writeModel(directory: string, config: object = tinyModel): void {
  mkdirSync(directory, { recursive: true });
  const json = (name: string, value: object) => writeFileSync(join(directory, name), JSON.stringify(value, null, 1));
  json('config.json', config);
  json('generation_config.json', { eos_token_id: [258, 256] });
  json('tokenizer.json', tokenizerJson());
  json('tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    eos_token: '<|im_end|>',
    pad_token: '<|endoftext|>',
    chat_template: chatTemplate,
    model_max_length: 256,
  });
}

const animals = ['cat', 'dog', 'owl', 'bee', 'ant', 'fox', 'elk', 'hen'];

/** A record of the label-type task: which letter a word begins with, a or another. */
function record(n: number): object {
  const animal = animals[n % animals.length] ?? 'cat';
  return { instruction: `Word ${n}: ${animal}`, output: n % 3 === 0 ? 'yes' : 'no' };
}

export interface Workspace {
  readonly directory: string;
  /** Writes `name` with these keys over the standard ones. */
  config(name: string, keys?: Record<string, unknown>): string;
  path(...parts: string[]): string;
  remove(): void;
}

/** A folder with `model`, `train.jsonl` (64 records) and `eval.jsonl` (9). */
export function makeWorkspace(parent = tmpdir()): Workspace {
  const directory = mkdtempSync(join(parent, 'sft-lab-'));
  const path = (...parts: string[]) => join(directory, ...parts);
  writeModel(path('model'));
  const lines = (from: number, to: number) =>
    `${Array.from({ length: to - from }, (_, i) => JSON.stringify(record(from + i))).join('\n')}\n`;
  writeFileSync(path('train.jsonl'), lines(0, 64));
  writeFileSync(path('eval.jsonl'), lines(100, 109));
  return {
    directory,
    path,
    config(name, keys = {}) {
      const file = path(name);
      mkdirSync(dirname(file), { recursive: true });
      const standard = {
        model_name_or_path: 'model',
        initialize_model: true,
        train_dataset: 'train.jsonl',
        eval_dataset: 'eval.jsonl',
        max_steps: 24,
        per_device_train_batch_size: 4,
        learning_rate: 0.01,
        save_steps: 5,
        eval_steps: 8,
        eval_max_new_tokens: 4,
        num_sample_generations: 1,
        threads: 1,
      };
      writeFileSync(file, JSON.stringify({ ...standard, ...keys }, null, 2));
      return file;
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts `sft-lab` in a workspace; processes that a test leaves behind are ended with it. */
export function start(
  workspace: Workspace,
  args: readonly string[],
  env: Record<string, string> = {},
  input: 'ignore' | 'pipe' = 'ignore',
): Started {
  const child = spawn(process.execPath, [program, ...args], {
    cwd: workspace.directory,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: [input, 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => {
    stdout += String(chunk);
  });
  child.stderr?.on('data', (chunk) => {
    stderr += String(chunk);
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, ended };
}

/** As Ctrl+C in its terminal. */
export async function interrupt({ pid }: ChildProcess): Promise<void> {
  if (pid === undefined) throw new Error('it did not start');
  // It may have ended by now.
  await requestStop(pid).catch(() => undefined);
}

export function run(workspace: Workspace, ...args: string[]): Promise<Ended> {
  return start(workspace, args).ended;
}

/** Digests of all files of a folder, by name. */
export function digests(directory: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(directory)
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(directory, name)))
          .digest('hex'),
      ]),
  );
}

export async function history(
  directory: string,
): Promise<{ history: RunHistory; events: RunEvent[]; skipped: number }> {
  const { events, skipped } = await readEvents(join(directory, 'events.jsonl'));
  return { history: foldEvents(events), events, skipped };
}

/** The facts of a run that do not depend on the clock: equal for equal runs. */
export async function facts(directory: string): Promise<object> {
  const { history: folded } = await history(directory);
  return {
    train: folded.train.map(
      ({
        step,
        epoch,
        tokens,
        lossTokens,
        loss,
        promptLoss,
        completionLoss,
        tokenAccuracy,
        entropy,
        learningRate,
        gradNorm,
      }) => ({
        step,
        epoch,
        tokens,
        lossTokens,
        loss,
        promptLoss,
        completionLoss,
        tokenAccuracy,
        entropy,
        learningRate,
        gradNorm,
      }),
    ),
    evals: folded.evals.map(({ set, step, epoch, loss, promptLoss, completionLoss, entropy, answers }) => ({
      set,
      step,
      epoch,
      loss,
      promptLoss,
      completionLoss,
      entropy,
      answers: answers === null ? null : { ...answers, msPerSample: 0 },
    })),
    samples: folded.samples.map(({ set, step, answer, right, entropies }) => ({ set, step, answer, right, entropies })),
    examples: folded.examples.map(({ set, step, items }) => ({ set, step, items })),
  };
}

/** Waits until something is so; looks often, and gives up with what it waited for. */
export async function until(what: string, is: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  for (const end = performance.now() + timeoutMs; performance.now() < end; ) {
    if (await is()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`waited in vain for: ${what}`);
}
