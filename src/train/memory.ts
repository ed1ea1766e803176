/**
 * Whether a run fits: its memory is planned by the engine from the largest batches of its data, before anything is computed. Where it does
 * not fit, activations are computed again instead of kept (if the config leaves that open), or the run is refused with what would fit.
 */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { freemem } from 'node:os';
import { promisify } from 'node:util';
import type { ResolvedConfig } from '../core/config.js';
import { LabError } from '../core/errors.js';
import { computesInBf16 } from '../core/features.js';
import { formatBytes } from '../core/units.js';
import type { TrainingData } from '../data/types.js';
import { devices, planMemory } from '../engine/index.js';
import type { MemoryPlan, OpenOptions } from '../engine/types.js';
import type { EvaluationCut } from './batching.js';
import { busyAnswers } from './generate.js';
import { type ModelNeeds, modelOptions } from './open-model.js';
import { evaluationWork, joinedWork, trainingWork } from './workload.js';

export interface RunMemory {
  /** To open the model with. */
  readonly options: OpenOptions;
  readonly plan: MemoryPlan;
  /** Bytes that were free. */
  readonly available: number;
  readonly evaluation: EvaluationCut;
  /** Tokens up to which a step's microbatches are joined; 0: they are not. */
  readonly joined: number;
}

interface Fit extends RunMemory {
  readonly fits: boolean;
}

/** A run, where and from where on it is to be trained, and with what. */
export interface RunWork {
  readonly needs: ModelNeeds;
  readonly device: string;
  /** Folder to continue from. */
  readonly checkpoint: string | undefined;
  readonly data: TrainingData;
  /** Tokens up to which its microbatches were joined before; left out: as memory allows. */
  readonly joined?: number | undefined;
}

/**
 * @param available bytes that may be taken
 * @throws LabError where the run needs more memory than that
 */
export async function planRun(work: RunWork, available: number): Promise<RunMemory> {
  const found = await planFor(work, available);
  // Of a stream the largest batch is only bounded: that is no reason to refuse it, nor to take so much at once.
  if (!work.data.report.train.exact) return { ...found, options: { ...found.options, working: 0 } };
  if (found.fits) return found;
  const need = `this run needs ${formatBytes(found.plan.peak)} of memory, and ${formatBytes(available)} are free`;
  throw new LabError(`${need} (${describePlan(found.plan)})`, {
    place: { field: 'per_device_train_batch_size' },
    advice: await changesThatFit(work, available),
  });
}

/** A run's plan, to be told of where it did not hold. */
export interface Planned {
  readonly work: RunWork;
  readonly memory: RunMemory;
}

/**
 * What to say where memory ran out although the plan fitted, since others took of it meanwhile or what was left was in pieces; or before
 * there was a plan. What the run took has been given back by then.
 */
export async function outOfMemory(device: string, planned: Planned | undefined, cause: unknown): Promise<LabError> {
  const now = await availableMemory(device);
  if (planned === undefined) {
    return new LabError(`${device} has no memory left for a run: ${formatBytes(now)} are free`, {
      place: { field: 'device' },
      advice: 'End what else uses it, or choose another device.',
      cause,
    });
  }
  const { plan, available } = planned.memory;
  const needed = `${formatBytes(plan.peak)} were planned (${describePlan(plan)})`;
  const free = `${formatBytes(available)} were free at the start, ${formatBytes(now)} are now`;
  return new LabError(`memory ran out: ${needed}; ${free}`, {
    place: { field: 'per_device_train_batch_size' },
    advice: await changesThatFit(planned.work, Math.min(now, plan.peak - 1)),
    cause,
  });
}

export function describePlan({
  weights,
  training,
  working,
  peak,
}: Pick<MemoryPlan, 'weights' | 'training' | 'working' | 'peak'>): string {
  const parts = [`weights ${formatBytes(weights)}`];
  if (training > 0) parts.push(`gradients and moments ${formatBytes(training)}`);
  parts.push(`activations ${formatBytes(working)}`);
  const rest = peak - weights - training - working;
  if (rest > peak / 100) parts.push(`answers and buffers ${formatBytes(rest)}`);
  return parts.join(', ');
}

async function changesThatFit(work: RunWork, available: number): Promise<string> {
  const { needs, device } = work;
  const changes: string[] = [];
  for (const kind of changesOf(needs.config, device)) {
    for (const [text, change] of kind) {
      const changed = { ...needs, config: { ...needs.config, ...change } };
      if (!(await planFor({ ...work, needs: changed }, available)).fits) continue;
      changes.push(text);
      break;
    }
    if (changes.length === 3) break;
  }
  return changes.length > 0 ? `Each of these fits: ${changes.join('; ')}.` : 'Choose a smaller model.';
}

/** Bytes that could still be taken: of a card what nobody has; else what the system has, or what the container it runs in may have. */
export async function availableMemory(device: string): Promise<number> {
  const card = device === 'cpu' ? undefined : devices().find(({ id }) => id === device);
  if (card !== undefined) return card.free ?? card.memory;
  const linux = /^MemAvailable:\s+(\d+) kB$/m.exec(await textOf('/proc/meminfo'))?.[1];
  const limits = [linux === undefined ? ((await macMemory()) ?? freemem()) : Number(linux) * 1024];
  const most = Number.parseInt(await textOf('/sys/fs/cgroup/memory.max'), 10);
  const used = Number.parseInt(await textOf('/sys/fs/cgroup/memory.current'), 10);
  if (Number.isFinite(most) && Number.isFinite(used)) limits.push(Math.max(0, most - used));
  return Math.min(...limits);
}

/**
 * Of macOS, whose free memory is what nobody has used yet, a small part: what is inactive is taken when it is needed (as psutil counts
 * what is available). Undefined elsewhere.
 */
async function macMemory(): Promise<number | undefined> {
  const { stdout } = await promisify(execFile)('/usr/bin/vm_stat').catch(() => ({ stdout: '' }));
  return availableOf(stdout);
}

/** @param text what `vm_stat` says */
export function availableOf(text: string): number | undefined {
  const page = Number(/page size of (\d+) bytes/.exec(text)?.[1] ?? 0);
  const pages = [...text.matchAll(/^Pages (?:free|inactive|speculative):\s+(\d+)\.$/gm)];
  const bytes = pages.reduce((sum, [, count]) => sum + Number(count) * page, 0);
  return bytes > 0 ? bytes : undefined;
}

type Attempt = (evaluation: EvaluationCut, how?: { checkpointing?: boolean | number; joined?: number }) => Promise<Fit>;

async function planFor(work: RunWork, available: number): Promise<Fit> {
  const { needs, device, checkpoint, data } = work;
  const options = modelOptions(needs, device, checkpoint);
  const cut = await trainingWork(needs, data);
  const attempt: Attempt = async (evaluation, { checkpointing = options.checkpointing, joined = 0 } = {}) => {
    const wanted = { ...options, ...(checkpointing === undefined ? {} : { checkpointing }) };
    const training = joinedWork(needs, cut, joined);
    const plan = await planMemory(wanted, { training, ...evaluationWork(needs, data, evaluation) });
    const fits = plan.peak <= available;
    return { options: { ...wanted, working: plan.working }, plan, available, evaluation, joined, fits };
  };
  const least = await planCut(needs.config, device, available, attempt);
  if (!least.fits || needs.info.kind !== 'train' || needs.config.gradient_accumulation_steps === 1) return least;
  const { evaluation } = least;
  const { checkpointing = false } = least.options;
  // A run goes on as it began, or its last bits would be others.
  const most = work.joined === undefined ? Math.max(least.plan.peak, available * fairShare) : available;
  for (const joined of work.joined === undefined ? busyTokens(device) : [work.joined]) {
    const together = await attempt(evaluation, { checkpointing, joined });
    if (together.plan.peak <= most) return together;
  }
  return least;
}

/** Of the free memory, for what would go without it, too: the rest is left to others. */
const fairShare = 0.75;

/** Tokens of a batch that keep a device busy, and fewer for where memory is short. */
function busyTokens(device: string): number[] {
  return device === 'cpu' ? [1024, 512] : [8192, 4096, 2048, 1024];
}

interface EvaluationCuts {
  /** What keeps a device busy, the most first; none where the config says what to do. */
  readonly more: readonly EvaluationCut[];
  readonly least: EvaluationCut;
}

function evaluationCuts({ per_device_eval_batch_size: size }: ResolvedConfig, device: string): EvaluationCuts {
  if (size !== undefined) return { more: [], least: { batch: size, joined: 0, answers: size } };
  const [joined = 0] = busyTokens(device);
  const least = { batch: 1, joined: 1024, answers: 8 };
  const most = busyAnswers(device);
  const more = [most, ...halves(most)].filter((answers) => answers > least.answers);
  return { more: more.map((answers) => ({ batch: 1, joined, answers })), least };
}

/** Microbatches as the config cuts them; what it leaves open, as memory allows. */
async function planCut(config: ResolvedConfig, device: string, available: number, attempt: Attempt): Promise<Fit> {
  const { least, more } = evaluationCuts(config, device);
  for (const evaluation of more) {
    const kept = await attempt(evaluation);
    if (kept.plan.peak <= available * fairShare) return kept;
  }
  const kept = await attempt(least);
  if (kept.fits || config.gradient_checkpointing !== 'auto' || kept.options.mode !== 'train') return kept;
  const all = await attempt(least, { checkpointing: true });
  if (!all.fits) return all;
  // As few layers as it takes: each that keeps its activations saves the work of making them again.
  let [fewest, found] = [1, all];
  for (let most = all.plan.layers; fewest < most; ) {
    const layers = Math.floor((fewest + most) / 2);
    const some = await attempt(least, { checkpointing: layers });
    if (some.fits) [most, found] = [layers, some];
    else fewest = layers + 1;
  }
  return found;
}

/** What to write into the config, and what that means. */
type Change = readonly [string, Partial<ResolvedConfig>];

/** What one could change, the least harmful first; of each kind the smallest change first. */
function changesOf(config: ResolvedConfig, device: string): Change[][] {
  const bf16 = !config.bf16 && computesInBf16(devices().find(({ id }) => id === device)?.features);
  const batch = config.per_device_train_batch_size;
  return [
    when(config.gradient_checkpointing === false, '"gradient_checkpointing": "auto"', {
      gradient_checkpointing: 'auto',
    }),
    halves(config.per_device_eval_batch_size ?? 8).map(
      (size): Change => [`"per_device_eval_batch_size": ${size}`, { per_device_eval_batch_size: size }],
    ),
    when(bf16, '"bf16": true', { bf16: true }),
    halves(batch).map((size, i): Change => {
      const steps = config.gradient_accumulation_steps * 2 ** (i + 1);
      return [
        `"per_device_train_batch_size": ${size} with "gradient_accumulation_steps": ${steps}`,
        { per_device_train_batch_size: size, gradient_accumulation_steps: steps },
      ];
    }),
    when(!config.use_peft && !config.bf16_moments, '"bf16_moments": true', { bf16_moments: true }),
    when(!config.use_peft && !config.initialize_model, '"use_peft": true (a LoRA adapter)', { use_peft: true }),
  ];
}

function when(possible: boolean, ...change: Change): Change[] {
  return possible ? [change] : [];
}

/** 9: 4, 2, 1. */
function halves(size: number): number[] {
  return size < 2 ? [] : [Math.floor(size / 2), ...halves(Math.floor(size / 2))];
}

async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}
