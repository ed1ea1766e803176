/**
 * What a config costs, measured: real microbatches and updates on this machine, with the config's model and data, and nothing
 * kept. The first microbatch is made of the longest examples, so that the peak of memory is that of the whole run.
 */

import { readFile } from 'node:fs/promises';
import type { ResolvedConfig } from '../core/config.js';
import type { TokenizedExample } from '../core/data.js';
import { LabError } from '../core/errors.js';
import type { Measurement } from '../core/measurement.js';
import { leastMemory } from '../core/presets.js';
import { describeModel } from '../data/models.js';
import type { EvaluationSet, TrainingData } from '../data/types.js';
import { devices } from '../engine/index.js';
import type { Device, Model } from '../engine/types.js';
import { answerLimit, answerPrompts } from './answers.js';
import {
  type EvaluationCut,
  evaluationBatches,
  joinedMicrobatches,
  microbatches,
  toBatch,
  tokensIn,
} from './batching.js';
import type { EvaluationContext, EvaluationMeans } from './evaluate.js';
import { availableMemory, planRun } from './memory.js';
import { openRunData } from './open-data.js';
import { chooseDevice, openRunModel } from './open-model.js';
import { learningRateAt, planSteps } from './schedule.js';

export interface MeasureOptions {
  readonly config: ResolvedConfig;
  /** Seconds of training to measure; one microbatch and one update are always done. */
  readonly seconds: number;
  readonly stop: AbortSignal;
}

/** Examples looked through for the longest. */
const searched = 20_000;

/** @throws LabError where the config, its data or its model would not train either */
export async function measure({ config, seconds, stop }: MeasureOptions): Promise<Measurement> {
  const id = await chooseDevice(config.device);
  const device = devices().find((one) => one.id === id);
  await checkMemory(config, device);
  const template =
    config.chat_template_path === undefined ? undefined : await readFile(config.chat_template_path, 'utf8');
  const data = await openRunData(config, template, stop);
  try {
    const longest = await longestMicrobatch(data, config.per_device_train_batch_size, stop);
    const memory = await planRun(
      { needs: { config, info: { kind: 'train' } }, device: id, checkpoint: undefined, data },
      await availableMemory(id),
    );
    const model = await openRunModel(memory.options);
    try {
      return await withModel(config, data, model, longest, {
        id,
        memory: device?.memory ?? 0,
        evaluation: memory.evaluation,
        joined: memory.joined,
        seconds,
        stop,
      });
    } finally {
      await model.close();
    }
  } finally {
    await data.close();
  }
}

async function withModel(
  config: ResolvedConfig,
  data: TrainingData,
  model: Model,
  longest: readonly TokenizedExample[],
  at: {
    readonly id: string;
    readonly memory: number;
    readonly evaluation: EvaluationCut;
    readonly joined: number;
    readonly seconds: number;
    readonly stop: AbortSignal;
  },
): Promise<Measurement> {
  const { train } = data.report;
  const plan = planSteps(config, train.records, train.exact);
  const step = await timeSteps(config, data, model, longest, at);
  const sequences = config.per_device_train_batch_size * config.gradient_accumulation_steps;
  const tokensPerEpoch = train.tokens;
  const tokens =
    config.max_steps > 0
      ? Math.round(
          (config.max_steps * Math.min(sequences, train.records) * tokensPerEpoch) / Math.max(1, train.records),
        )
      : Math.round(tokensPerEpoch * config.num_train_epochs);
  const evaluations = evaluationCount(config, plan.totalSteps);
  let once = 0;
  for (const set of data.evaluation)
    once += await timeEvaluation({ config, data, model, cut: at.evaluation, stop: at.stop }, set);
  return {
    device: at.id,
    deviceMemory: at.memory,
    architecture: model.info.architecture,
    parameters: model.info.parameters,
    trainableParameters: model.info.trainableParameters,
    records: train.records,
    exact: train.exact,
    stepsPerEpoch: plan.stepsPerEpoch,
    totalSteps: plan.totalSteps,
    tokens,
    longestMicrobatch: longest.reduce((sum, { tokens: ids }) => sum + ids.length, 0),
    microbatchesMeasured: step.microbatches,
    tokensPerSecond: 1 / step.secondsPerToken,
    secondsPerUpdate: step.secondsPerUpdate,
    engineMemory: model.memory().peak,
    // Kibibytes, the most this process ever had.
    processMemory: process.resourceUsage().maxRSS * 1024,
    trainSeconds: tokens * step.secondsPerToken + plan.totalSteps * step.secondsPerUpdate,
    evaluations,
    evaluationSeconds: evaluations * once,
  };
}

/** Weights that do not fit would make the machine swap for minutes before they fail. */
async function checkMemory(config: ResolvedConfig, device: Device | undefined): Promise<void> {
  if (device === undefined || config.initialize_model) return;
  const { parameters } = await describeModel(config.model_name_or_path);
  if (parameters === undefined) return;
  const least = leastMemory(parameters, config.use_peft ? 'lora' : 'full');
  if (least <= device.memory) return;
  const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new LabError(`needs at least ${gigabytes(least)}; ${device.id} has ${gigabytes(device.memory)}`, {
    place: { field: config.use_peft ? 'model_name_or_path' : 'use_peft' },
    advice: config.use_peft ? 'Choose a smaller model.' : 'Train a LoRA adapter, or choose a smaller model.',
  });
}

async function longestMicrobatch(data: TrainingData, size: number, stop: AbortSignal): Promise<TokenizedExample[]> {
  await data.seek(0, 0);
  let longest: TokenizedExample[] = [];
  for (let seen = 0; seen < searched; ) {
    const examples = await data.next(512, stop);
    if (examples.length === 0) break;
    seen += examples.length;
    longest = [...longest, ...examples].sort((a, b) => b.tokens.length - a.tokens.length).slice(0, size);
  }
  if (longest.length === 0) throw new LabError('the training data holds no usable example');
  return longest;
}

interface StepTimes {
  readonly microbatches: number;
  readonly secondsPerToken: number;
  readonly secondsPerUpdate: number;
}

async function timeSteps(
  config: ResolvedConfig,
  data: TrainingData,
  model: Model,
  longest: readonly TokenizedExample[],
  { seconds, joined, stop }: { readonly seconds: number; readonly joined: number; readonly stop: AbortSignal },
): Promise<StepTimes> {
  const learningRate = learningRateAt(config, { totalSteps: 100, warmupSteps: 0 }, 0);
  const accumulate = (examples: readonly TokenizedExample[]): Promise<unknown> =>
    model.accumulate(toBatch(examples, config.prompt_loss_steps > 0 ? 'everything' : 'completions'));
  const update = (): Promise<unknown> =>
    model.update({
      learningRate,
      maxGradNorm: config.max_grad_norm,
      weightDecay: config.weight_decay,
      beta1: config.adam_beta1,
      beta2: config.adam_beta2,
      epsilon: config.adam_epsilon,
    });

  // The first time pages are touched and kernels are chosen: it counts only where there is no time for another.
  let time = await timed(() => accumulate(longest));
  let times: StepTimes = {
    microbatches: 1,
    secondsPerToken: time / tokensIn(longest),
    secondsPerUpdate: await timed(update),
  };
  // A model whose first microbatch takes this long is measured well enough.
  let left = time > 3 * seconds ? 0 : seconds;
  await data.seek(0, 0);
  const sum = { microbatches: 0, tokens: 0, seconds: 0, updates: 0, updateSeconds: 0 };
  const size = config.per_device_train_batch_size;
  while (left > 0 && !stop.aborted) {
    let examples = await data.next(size * config.gradient_accumulation_steps, stop);
    if (examples.length === 0) {
      await data.seek(0, 0);
      examples = await data.next(size * config.gradient_accumulation_steps, stop);
    }
    for (const batch of joinedMicrobatches(microbatches(examples, size), joined)) {
      if (left <= 0) break;
      time = await timed(() => accumulate(batch));
      sum.microbatches++;
      sum.tokens += tokensIn(batch);
      sum.seconds += time;
      left -= time;
    }
    const updateTime = await timed(update);
    sum.updates++;
    sum.updateSeconds += updateTime;
    left -= updateTime;
  }
  stop.throwIfAborted();
  if (sum.microbatches > 0) {
    times = {
      microbatches: sum.microbatches,
      secondsPerToken: sum.seconds / sum.tokens,
      secondsPerUpdate: sum.updateSeconds / sum.updates,
    };
  }
  return times;
}

/** Tokens of an answer that are waited for where whole answers would take longer than some seconds. */
const triedTokens = 16;
const longestTrial = 5;

/**
 * Seconds that one evaluation of the set takes, by one batch of its examples and as many answers as are made at a time; at most, where
 * only their beginnings were waited for.
 */
async function timeEvaluation(
  context: EvaluationMeans & Pick<EvaluationContext, 'stop'>,
  set: EvaluationSet,
): Promise<number> {
  const { config, cut, model } = context;
  const [batch] = evaluationBatches(set.examples, cut);
  if (batch === undefined) return 0;
  const losses = await timed(() => model.evaluate(toBatch(batch, 'everything')));
  const seconds = (losses * set.examples.length) / batch.length;

  const prompts = set.prompts.slice(0, cut.answers);
  const longest = config.eval_max_new_tokens ?? answerLimit(set);
  // Token by token takes some times as long as all at once.
  const whole = 4 * (losses / tokensIn(batch)) * prompts.length * longest;
  const tried = whole > longestTrial ? Math.min(longest, triedTokens) : longest;
  const short = { ...config, eval_max_new_tokens: tried, eval_generate_samples: 0 };
  const work = { ...context, config: short, step: 0, epoch: 0, progress: () => undefined };
  const began = performance.now();
  const answers = await answerPrompts(work, { ...set, prompts });
  const took = (performance.now() - began) / 1000;
  if (answers === undefined) return seconds;
  // Free text is generated for the samples alone.
  const { stats, samples } = answers;
  const made = stats?.count ?? samples.length;
  const wanted = stats === null ? config.num_sample_generations : config.eval_generate_samples || set.prompts.length;
  if (made === 0) return seconds;
  return seconds + ((took * Math.min(wanted, set.prompts.length)) / made) * (longest / tried);
}

function evaluationCount(config: ResolvedConfig, totalSteps: number): number {
  const atStart = config.eval_on_start ? 1 : 0;
  switch (config.eval_strategy) {
    case 'no':
      return atStart;
    case 'steps':
      return atStart + Math.ceil(totalSteps / (config.eval_steps ?? 1));
    case 'epoch':
      return atStart + Math.ceil(config.num_train_epochs);
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
