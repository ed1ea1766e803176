/**
 * The trainer: `Attempt.run` is the story of one process's work on a run. It finds where to begin, opens data and model, and
 * goes step by step to the end, evaluating, saving and logging on the way. Every fact is in the event log before it is told.
 */

import { readFile } from 'node:fs/promises';
import type { TokenizedExample } from '../core/data.js';
import { formatError, LabError } from '../core/errors.js';
import type { BodyOf, EventBody, RunEvent } from '../core/events.js';
import { foldEvents } from '../core/history.js';
import type { TrainingData } from '../data/types.js';
import { deviceUse, isOutOfMemory, prepareDevice } from '../engine/index.js';
import type { Model, UpdateStats } from '../engine/types.js';
import { newestGoodCheckpoint, removeLeftovers } from '../runs/checkpoints.js';
import { EventLog, readEvents } from '../runs/event-log.js';
import { checkInputs } from '../runs/inputs.js';
import { acquireLock } from '../runs/lock.js';
import type { Run } from '../runs/run-folder.js';
import { joinedMicrobatches, toBatch } from './batching.js';
import { type EvaluationMeans, evaluateSet } from './evaluate.js';
import { StepFeed, type StepWork } from './feed.js';
import { availableMemory, outOfMemory, type Planned, planRun } from './memory.js';
import { addStats, emptyWindow, windowFigures } from './meter.js';
import { isFiniteOn, nonFiniteError } from './non-finite.js';
import { beginRunData, type OpeningData, openedData, problemEvents } from './open-data.js';
import { cardUnused, chooseDevice, openRunModel } from './open-model.js';
import { CheckpointSaver } from './saver.js';
import { isDue, learningRateAt, type Plan, planSteps } from './schedule.js';
import { setupEvent } from './setup-event.js';
import { initialState, readState, type TrainerState } from './state.js';

export type Phase = 'loading' | 'training' | 'evaluating' | 'saving';

export interface TrainOptions {
  readonly run: Run;
  /** The run's data, where its opening was begun before. */
  readonly opening?: OpeningData | undefined;
  /** Aborted: finish the step, save, and return `interrupted`. */
  readonly stop: AbortSignal;
  readonly onEvent?: (event: RunEvent) => void;
  /** What goes on now: `done` of `total` steps, or of an evaluation's examples and answers. */
  readonly onProgress?: (phase: Phase, done: number, total: number) => void;
}

export interface TrainOutcome {
  readonly status: 'finished' | 'interrupted';
  readonly step: number;
  readonly totalSteps: number;
  readonly trainSeconds: number;
  /** Seconds of this attempt's steps: in the engine, waiting for data, and altogether. */
  readonly timing: { readonly steps: number; readonly engine: number; readonly data: number; readonly total: number };
}

/**
 * Trains a run from where it stands to its end.
 *
 * @throws LabError where it fails; the log says so too, and the last checkpoint is a good one
 */
export async function trainRun(options: TrainOptions): Promise<TrainOutcome> {
  try {
    return await trainLocked(options);
  } finally {
    // Nobody may have come to ask for it.
    options.opening?.giveUp(undefined);
  }
}

async function trainLocked(options: TrainOptions): Promise<TrainOutcome> {
  const { run } = options;
  const lock = await acquireLock(run.directory);
  try {
    await removeLeftovers(run.checkpoints);
    const attempt = new Attempt(options, await EventLog.open(run.events), lock.lost);
    try {
      return await attempt.run();
    } catch (error) {
      if (isAbortOf(options.stop, error)) return attempt.end('interrupted');
      throw await attempt.fail(error);
    } finally {
      await attempt.close();
    }
  } finally {
    lock.release();
  }
}

/** Whether work was given up because it was asked to stop, before there was anything to save. */
function isAbortOf(signal: AbortSignal, error: unknown): boolean {
  return signal.aborted && (error === signal.reason || (error instanceof Error && error.name === 'AbortError'));
}

class Attempt {
  private state: TrainerState = initialState;
  private device = 'cpu';
  private trainSeconds = 0;
  private template: string | undefined;
  private planned: Planned | undefined;
  private model: Model | undefined;
  private probe: readonly TokenizedExample[] = [];
  private readonly timing = { steps: 0, engine: 0, data: 0, total: 0 };
  private readonly saver: CheckpointSaver;
  private readonly owned: { close(): Promise<void> }[] = [];

  constructor(
    private readonly options: TrainOptions,
    private readonly log: EventLog,
    private readonly lost: AbortSignal,
  ) {
    this.saver = this.own(new CheckpointSaver(options.run, (event) => this.emit(event)));
  }

  async run(): Promise<TrainOutcome> {
    const { run, stop } = this.options;
    const { config, info } = run;
    const baseline = info.kind === 'baseline';

    // Where to begin: at the newest checkpoint that reads back right, or at step 0.
    this.options.onProgress?.('loading', 0, 0);
    const { checkpoint, bad } = await newestGoodCheckpoint(run.checkpoints);
    if (checkpoint !== undefined) this.state = await readState(checkpoint.directory);
    this.saver.newest = checkpoint;
    await this.announce();
    for (const { checkpoint: broken, problem } of bad) {
      this.emit({
        type: 'warning',
        kind: 'checkpoint',
        message: `${broken.directory} is damaged and not used: ${problem}`,
      });
    }

    // Data and model, the same as at the start, or the result would not be.
    await checkInputs(info.inputs);
    if (config.chat_template_path !== undefined) this.template = await readFile(config.chat_template_path, 'utf8');
    const opening = this.options.opening ?? beginRunData(config, this.template);
    // The engine is loaded while the data is read.
    this.own({ close: async () => opening.giveUp(undefined) });
    const device = await chooseDevice(config.device);
    this.device = device;
    const unused = cardUnused(config.device, device);
    if (unused !== undefined) this.emit({ type: 'warning', kind: 'device', message: unused });
    const preparing = prepareDevice(device);
    const prepared = preparing.catch(() => undefined); // where it is awaited, it is told
    this.own({ close: () => prepared });
    const data = this.own(await openedData(opening, stop));
    for (const warning of problemEvents(data.report)) this.emit(warning);
    if (device !== 'cpu') await preparing; // a card has less memory free once it is in use
    const joined = checkpoint === undefined ? undefined : this.state.joined;
    const work = { needs: run, device, checkpoint: checkpoint?.directory, data, joined };
    const memory = await planRun(work, await availableMemory(device));
    this.planned = { work, memory };
    await preparing;
    const model = this.own(await openRunModel(memory.options, work.checkpoint));
    this.model = model;

    // The plan: how many steps there are and how the learning rate goes.
    const { records, exact } = data.report.train;
    const plan = this.plan(records, exact);
    this.state = { ...this.state, totalSteps: plan.totalSteps, joined: memory.joined };
    this.emit(setupEvent(run, device, model, memory, data, plan));

    const means = { model, data, config, cut: memory.evaluation };
    // Evaluation before the first step, and one that an interruption left undone.
    if (this.state.step === 0 && (config.eval_on_start || baseline)) {
      if (!(await this.evaluate(means, 0))) return this.end('interrupted');
    }
    if (this.state.evaluationDue) {
      if (!(await this.evaluate(means, this.epoch(data)))) return this.end('interrupted');
      await this.stage(model);
      await this.saver.commit();
    }

    const feed = this.own(
      await StepFeed.open(data, {
        batchSize: config.per_device_train_batch_size,
        accumulation: config.gradient_accumulation_steps,
        steps: baseline ? 0 : plan.exact ? plan.totalSteps - this.state.step : Number.POSITIVE_INFINITY,
        epochs: plan.epochs,
        start: this.state.position,
      }),
    );
    let exhausted = false;
    let logged = { tokens: this.state.tokens, seconds: this.trainSeconds };
    while (!exhausted && !stop.aborted) {
      const began = performance.now();
      const work = await feed.next();
      this.timing.data += performance.now() - began;
      if (work === undefined) {
        exhausted = true;
        break;
      }
      const learningRate = learningRateAt(config, plan, this.state.step);
      const update = await this.step(model, work, learningRate);
      this.clock(began);
      this.lost.throwIfAborted();
      // The gradient at the weights saved last was finite: they are good.
      await this.saver.commit();
      const { step } = this.state;
      const epoch = this.epoch(data, work.endsEpoch);

      if (step % config.logging_steps === 0 || work.last) {
        this.logTrain(model, epoch, learningRate, update, logged);
        logged = { tokens: this.state.tokens, seconds: this.trainSeconds };
      }
      this.options.onProgress?.('training', step, plan.totalSteps);

      if (isDue(config.eval_strategy, config.eval_steps, step, work)) {
        this.state = { ...this.state, evaluationDue: true };
        await this.evaluate(means, epoch);
      }
      // An interrupted evaluation is saved as due, below.
      if (!this.state.evaluationDue && (work.last || isDue(config.save_strategy, config.save_steps, step, work))) {
        await this.stage(model);
      }
      exhausted = work.last;
    }

    const finished = exhausted && !this.state.evaluationDue;
    if (!finished && this.saver.lastStep !== this.state.step) await this.stage(model);
    await this.saver.commit();
    return this.end(finished ? 'finished' : 'interrupted');
  }

  /** What went wrong, into the log if it can still be written; and what to throw. */
  async fail(cause: unknown): Promise<unknown> {
    let error = cause;
    if (isOutOfMemory(cause)) {
      await this.model?.close();
      error = await outOfMemory(this.device, this.planned, cause);
    }
    try {
      this.emitStatus('failed', { reason: error instanceof LabError ? formatError(error) : String(error) });
    } catch {
      // A full disk takes no more lines; the error itself is on its way to the terminal.
    }
    return error;
  }

  async close(): Promise<void> {
    for (const part of this.owned.reverse()) await part.close();
    this.log.close();
  }

  private own<T extends { close(): Promise<void> }>(part: T): T {
    this.owned.push(part);
    return part;
  }

  private plan(records: number, exact: boolean): Plan {
    const { config, info } = this.options.run;
    const plan = planSteps(config, records, exact);
    if (info.kind === 'baseline') return { ...plan, totalSteps: 0 };
    // An estimate is made once: the schedule of a resumed run must be that of its start.
    return plan.exact || this.state.step === 0 ? plan : { ...plan, totalSteps: this.state.totalSteps };
  }

  /** Forward and backward over the step's microbatches, then the update. */
  private async step(model: Model, work: StepWork, learningRate: number): Promise<UpdateStats> {
    const { config } = this.options.run;
    const step = this.state.step + 1;
    const promptsDue = config.prompt_loss_steps > 0 && (step - 1) % config.prompt_loss_steps === 0;
    let { window, tokens } = this.state;
    let weight = 0;
    for (const examples of joinedMicrobatches(work.microbatches, this.state.joined)) {
      const batch = toBatch(examples, promptsDue ? 'everything' : 'completions');
      const stats = await this.inEngine(() => model.accumulate(batch));
      if (!Number.isFinite(stats.weightedLoss)) throw await this.nonFinite(model, examples, step);
      window = addStats(window, stats);
      tokens += batch.tokens.length;
      weight += stats.weight;
    }
    // Streamed records may turn out to have nothing to train on; a step of such records changes nothing.
    const update = weight > 0 ? await this.update(model, learningRate) : { gradientNorm: 0, finite: true };
    if (!update.finite) throw await this.nonFinite(model, work.microbatches.flat(), step);
    this.state = { ...this.state, step, position: work.after, tokens, window };
    this.probe = work.microbatches[0]?.slice(0, 1) ?? [];
    return update;
  }

  private update(model: Model, learningRate: number): Promise<UpdateStats> {
    const { config } = this.options.run;
    return this.inEngine(() =>
      model.update({
        learningRate,
        maxGradNorm: config.max_grad_norm,
        weightDecay: config.weight_decay,
        beta1: config.adam_beta1,
        beta2: config.adam_beta2,
        epsilon: config.adam_epsilon,
      }),
    );
  }

  private async inEngine<T>(work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const result = await work();
    this.timing.engine += performance.now() - began;
    return result;
  }

  private clock(began: number): void {
    const elapsed = performance.now() - began;
    this.trainSeconds += elapsed / 1000;
    this.timing.total += elapsed;
    this.timing.steps++;
  }

  private nonFinite(model: Model, examples: readonly TokenizedExample[], step: number): Promise<LabError> {
    return nonFiniteError(model, examples, step, this.saver.newest?.directory);
  }

  /** Epochs done, with the fraction of this one. */
  private epoch(data: TrainingData, ended = false): number {
    const { epoch, index } = this.state.position;
    const { records, exact } = data.report.train;
    if (ended && (!exact || index >= records)) return epoch + 1;
    return epoch + Math.min(index / Math.max(1, records), exact ? 1 : 0.999);
  }

  private logTrain(
    model: Model,
    epoch: number,
    learningRate: number,
    update: UpdateStats,
    logged: { tokens: number; seconds: number },
  ): void {
    const { step, tokens, window } = this.state;
    const seconds = this.trainSeconds - logged.seconds;
    const gpu = this.device === 'cpu' ? undefined : deviceUse(this.device);
    this.emit({
      type: 'train',
      step,
      epoch,
      tokens,
      ...windowFigures(window),
      learningRate,
      gradNorm: update.gradientNorm,
      tokensPerSecond: seconds > 0 ? (tokens - logged.tokens) / seconds : 0,
      memory: { ...model.memory(), process: process.memoryUsage.rss() },
      ...(gpu === undefined ? {} : { gpu: { busy: gpu.busy, memory: gpu.memory } }),
      trainSeconds: this.trainSeconds,
    });
    this.state = { ...this.state, window: emptyWindow() };
  }

  /** All sets; false where an interruption came first. */
  private async evaluate(means: EvaluationMeans, epoch: number): Promise<boolean> {
    const { stop, onProgress } = this.options;
    const progress = (done: number, total: number) => onProgress?.('evaluating', done, total);
    for (const set of means.data.evaluation) {
      const evaluation = await evaluateSet({ ...means, step: this.state.step, epoch, stop, progress }, set);
      if (evaluation === undefined) return false;
      this.emit(evaluation.result);
      this.emit(evaluation.examples);
      for (const sample of evaluation.samples) this.emit(sample);
    }
    this.state = { ...this.state, evaluationDue: false };
    return true;
  }

  private async stage(model: Model): Promise<void> {
    const { step, totalSteps } = this.state;
    this.options.onProgress?.('saving', step, totalSteps);
    if (this.probe.length > 0 && !(await isFiniteOn(model, this.probe)))
      throw await this.nonFinite(model, this.probe, step);
    await this.saver.stage(model, this.state, this.template, this.trainSeconds);
  }

  /** `started` or `resumed`, and the training time that earlier attempts are credited with. */
  private async announce(): Promise<void> {
    const { events } = await readEvents(this.options.run.events);
    const history = foldEvents(events);
    const { step } = this.state;
    const timed = [...history.train, ...history.checkpoints].filter((event) => event.step <= step);
    this.trainSeconds = step === 0 ? 0 : Math.max(0, ...timed.map((event) => event.trainSeconds));
    this.emitStatus(step === 0 ? 'started' : 'resumed');
  }

  end(status: 'finished' | 'interrupted'): TrainOutcome {
    const { step, totalSteps } = this.state;
    const { steps, engine, data, total } = this.timing;
    const timing = { steps, engine: engine / 1000, data: data / 1000, total: total / 1000 };
    this.emitStatus(status, { ...(status === 'interrupted' ? { reason: 'stopped by request' } : {}), timing });
    return { status, step, totalSteps, trainSeconds: this.trainSeconds, timing };
  }

  private emitStatus(status: BodyOf<'status'>['status'], more: Pick<BodyOf<'status'>, 'reason' | 'timing'> = {}): void {
    this.emit({
      type: 'status',
      status,
      step: this.state.step,
      totalSteps: this.state.totalSteps,
      ...more,
      pid: process.pid,
      trainSeconds: this.trainSeconds,
    });
  }

  private emit(body: EventBody): void {
    this.options.onEvent?.(this.log.append(body));
  }
}
