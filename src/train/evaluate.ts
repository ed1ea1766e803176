/** Evaluation: the loss of every example of a set, then the model's own answers, checked by the verifier. */

import type { ResolvedConfig } from '../core/config.js';
import { placeKey, TokenGroup, type TokenizedExample } from '../core/data.js';
import { LabError } from '../core/errors.js';
import type { BodyOf } from '../core/events.js';
import type { EvaluationSet, TrainingData } from '../data/types.js';
import type { GroupStats, Model, TokenStats } from '../engine/types.js';
import { answerPrompts, type SetAnswers } from './answers.js';
import { type EvaluationCut, evaluationBatches, toBatch } from './batching.js';
import { addGroup, lossFigures, mean } from './meter.js';

export interface EvaluationMeans {
  readonly model: Model;
  readonly data: TrainingData;
  readonly config: ResolvedConfig;
  readonly cut: EvaluationCut;
}

export interface EvaluationContext extends EvaluationMeans {
  readonly step: number;
  readonly epoch: number;
  /** Aborts between two batches; the evaluation then counts as not done. */
  readonly stop: AbortSignal;
  readonly progress: (done: number, total: number) => void;
}

export interface Evaluation {
  readonly result: BodyOf<'eval'>;
  readonly examples: BodyOf<'examples'>;
  readonly samples: readonly BodyOf<'sample'>[];
}

/** Undefined: stopped before it was done, at once. */
export async function evaluateSet(context: EvaluationContext, set: EvaluationSet): Promise<Evaluation | undefined> {
  const { model, stop } = context;
  const interrupt = (): void => model.interrupt();
  stop.addEventListener('abort', interrupt, { once: true });
  try {
    return await evaluated(context, set);
  } catch (error) {
    if (stop.aborted) return undefined;
    throw error;
  } finally {
    stop.removeEventListener('abort', interrupt);
  }
}

async function evaluated(context: EvaluationContext, set: EvaluationSet): Promise<Evaluation | undefined> {
  const { config, step, epoch, stop } = context;
  const started = performance.now();
  const losses = await measureLosses(context, set);
  if (losses === undefined) return undefined;
  const answers = await answerPrompts(context, set);
  if (answers === undefined || stop.aborted) return undefined;
  const result: BodyOf<'eval'> = {
    type: 'eval',
    set: set.name,
    step,
    epoch,
    examples: set.examples.length,
    loss: config.loss_on === 'all' ? losses.all : losses.trained,
    ...lossFigures(losses.prompt, losses.completion),
    seconds: (performance.now() - started) / 1000,
    answers: answers.stats,
  };
  return { result, examples: examplesEvent(set, step, losses.perExample, answers), samples: answers.samples };
}

interface SetLosses {
  readonly prompt: GroupStats;
  readonly completion: GroupStats;
  /** Mean over the tokens of the loss mask. */
  readonly trained: number | null;
  readonly all: number | null;
  readonly perExample: readonly (number | null)[];
}

async function measureLosses(context: EvaluationContext, set: EvaluationSet): Promise<SetLosses | undefined> {
  const { model, cut, stop, progress } = context;
  let prompt: GroupStats = { tokens: 0, loss: 0, entropy: 0, correct: 0 };
  let completion = prompt;
  let trained = { loss: 0, tokens: 0 };
  const perExample: (number | null)[] = [];
  for (const batch of evaluationBatches(set.examples, cut)) {
    if (stop.aborted) return undefined;
    progress(perExample.length, set.examples.length);
    const stats = await model.evaluate(toBatch(batch, 'everything'));
    let start = 0;
    for (const example of batch) {
      const sums = sumExample(example, stats, start);
      if (!Number.isFinite(sums.prompt.loss + sums.completion.loss)) {
        throw new LabError(`the loss of evaluation set ${set.name} is not finite at step ${context.step}`, {
          place: { file: example.place.file, line: example.place.line },
          advice: 'The weights are broken; lower learning_rate and resume from an earlier checkpoint, or start again.',
        });
      }
      prompt = addGroup(prompt, sums.prompt);
      completion = addGroup(completion, sums.completion);
      trained = { loss: trained.loss + sums.trained.loss, tokens: trained.tokens + sums.trained.tokens };
      perExample.push(mean(sums.trained.loss, sums.trained.tokens));
      start += example.tokens.length;
    }
  }
  const all = mean(prompt.loss + completion.loss, prompt.tokens + completion.tokens);
  return { prompt, completion, trained: mean(trained.loss, trained.tokens), all, perExample };
}

function sumExample(
  example: TokenizedExample,
  stats: TokenStats,
  start: number,
): { prompt: GroupStats; completion: GroupStats; trained: { loss: number; tokens: number } } {
  const sums = [0, 1, 2].map(() => ({ tokens: 0, loss: 0, entropy: 0, correct: 0 }));
  const trained = { loss: 0, tokens: 0 };
  for (let i = 1; i < example.tokens.length; i++) {
    const at = start + i - 1;
    const loss = stats.loss[at] ?? 0;
    const sum = sums[example.groups[i] ?? TokenGroup.none];
    if (sum !== undefined) {
      sum.tokens++;
      sum.loss += loss;
      sum.entropy += stats.entropy[at] ?? 0;
      sum.correct += stats.correct[at] ?? 0;
    }
    if (example.mask[i] === 1) {
      trained.loss += loss;
      trained.tokens++;
    }
  }
  const none = { tokens: 0, loss: 0, entropy: 0, correct: 0 };
  return { prompt: sums[TokenGroup.prompt] ?? none, completion: sums[TokenGroup.completion] ?? none, trained };
}

function examplesEvent(
  set: EvaluationSet,
  step: number,
  losses: readonly (number | null)[],
  answers: SetAnswers,
): BodyOf<'examples'> {
  const files: string[] = [];
  const fileIndex = (file: string): number => {
    const known = files.indexOf(file);
    return known === -1 ? files.push(file) - 1 : known;
  };
  const items = set.examples.map(({ place }, i) => {
    const answer = answers.byPlace.get(placeKey(place));
    return {
      file: fileIndex(place.file),
      index: place.index,
      line: place.line,
      loss: losses[i] ?? null,
      ...(answer === undefined ? {} : { answer: answer.text.slice(0, 200) }),
      ...(answer?.right === undefined ? {} : { right: answer.right }),
    };
  });
  return { type: 'examples', set: set.name, step, files, items };
}
