/** The model's own answers to an evaluation set: generated in batches, timed, checked, and a few kept as samples. */

import type { ResolvedConfig } from '../core/config.js';
import { placeKey } from '../core/data.js';
import type { AnswerStats, BodyOf } from '../core/events.js';
import {
  accuracyOf,
  confusionOf,
  createVerifier,
  detectVerifier,
  kappaOf,
  meanScoreOf,
  type Verdict,
  type VerifierKind,
} from '../core/metrics.js';
import type { EvaluationSet, PromptExample, TrainingData } from '../data/types.js';
import type { Generated } from '../engine/types.js';
import { microbatches } from './batching.js';
import type { EvaluationContext } from './evaluate.js';
import { generateEach } from './generate.js';

/** Longest answer where the config does not say. */
const longestAnswer = 512;

export interface SetAnswers {
  /** Null where no verifier applies or nothing was to be answered. */
  readonly stats: AnswerStats | null;
  readonly samples: readonly BodyOf<'sample'>[];
  readonly byPlace: ReadonlyMap<string, { text: string; right: boolean | undefined }>;
}

/** Undefined: stopped before it was done. */
export async function answerPrompts(context: EvaluationContext, set: EvaluationSet): Promise<SetAnswers | undefined> {
  const { model, data, config, cut, step, stop, progress } = context;
  const kind = verifierOf(config, set);
  const samples = spread(set.prompts.length, config.num_sample_generations);
  // Free text is generated for the samples alone: there is nothing to count.
  const wanted =
    kind === 'none'
      ? samples
      : [...new Set([...spread(set.prompts.length, config.eval_generate_samples || set.prompts.length), ...samples])];
  const counted = new Set(
    kind === 'none' ? [] : spread(set.prompts.length, config.eval_generate_samples || set.prompts.length),
  );
  const verify = kind === 'none' ? undefined : createVerifier(kind, labelsOf(set));
  const maxNewTokens = config.eval_max_new_tokens ?? answerLimit(set);
  const verdicts: Verdict[] = [];
  const byPlace = new Map<string, { text: string; right: boolean | undefined }>();
  const events: BodyOf<'sample'>[] = [];
  let generateMs = 0;
  let entropy = { sum: 0, tokens: 0 };
  let done = 0;
  for (const indexes of microbatches(wanted, cut.answers)) {
    if (stop.aborted) return undefined;
    progress(done, wanted.length);
    const prompts = indexes.flatMap((index) => set.prompts[index] ?? []);
    const began = performance.now();
    const answers = await generateEach(
      model,
      prompts.map(({ prompt }) => prompt),
      indexes.map((index) => config.seed + step * 1_000_003 + index),
      { maxNewTokens, temperature: config.temperature, topK: 0, topP: 1, stopTokens: data.stopTokens },
    );
    generateMs += performance.now() - began;
    for (const [i, prompt] of prompts.entries()) {
      const generated = answers[i] ?? noAnswer;
      const index = indexes[i];
      if (index === undefined) continue;
      const text = await answerText(data, generated);
      const verdict = verify?.(text, prompt.reference);
      if (verdict !== undefined && counted.has(index)) verdicts.push(verdict);
      byPlace.set(placeKey(prompt.place), { text, right: verdict?.right });
      entropy = { sum: entropy.sum + total(generated.entropies), tokens: entropy.tokens + generated.entropies.length };
      if (samples.includes(index)) {
        events.push(await sampleEvent(context, set.name, prompt, generated, text, verdict?.right ?? null));
      }
    }
    done += prompts.length;
  }
  if (kind === 'none' || wanted.length === 0) return { stats: null, samples: events, byPlace };
  const stats: AnswerStats = {
    verifier: kind,
    count: verdicts.length,
    accuracy: accuracyOf(verdicts) ?? null,
    kappa: kind === 'label' ? (kappaOf(verdicts) ?? null) : null,
    meanScore: meanScoreOf(verdicts, config.score_correct, config.score_wrong) ?? null,
    unparsable: verdicts.filter(({ parsed }) => parsed === undefined).length,
    msPerSample: done === 0 ? 0 : generateMs / done,
    entropy: entropy.tokens === 0 ? null : entropy.sum / entropy.tokens,
    confusion: kind === 'label' ? toWire(confusionOf(verdicts, labelsOf(set))) : null,
  };
  progress(done, wanted.length);
  return { stats, samples: events, byPlace };
}

const noAnswer: Generated = {
  tokens: new Int32Array(),
  entropies: new Float32Array(),
  logProbabilities: new Float32Array(),
  finish: 'length',
};

function verifierOf(config: ResolvedConfig, set: EvaluationSet): VerifierKind {
  if (set.prompts.length === 0) return 'none';
  if (config.verifier !== 'auto') return config.verifier;
  return detectVerifier(
    set.prompts.map(({ reference }) => reference),
    set.labels,
  );
}

/** A set that is no label data but is to be verified by label: its distinct references are the labels. */
function labelsOf(set: EvaluationSet): readonly string[] {
  return set.labels ?? [...new Set(set.prompts.map(({ reference }) => reference))];
}

/** The longest completion of the set and a quarter more: an answer that goes on longer is wrong anyway. */
export function answerLimit(set: EvaluationSet): number {
  let longest = 0;
  for (const { groups } of set.examples) {
    let completion = 0;
    for (const group of groups) if (group === 2) completion++;
    longest = Math.max(longest, completion);
  }
  return Math.min(longestAnswer, longest + Math.max(8, Math.ceil(longest / 4)));
}

/** `count` of `size` indexes at even distances: the same ones at every evaluation, whatever the order of the file. */
export function spread(size: number, count: number): number[] {
  const taken = Math.min(size, count);
  return Array.from({ length: taken }, (_, i) => Math.floor((i * size) / taken));
}

/** The answer without the token that ended it. */
export async function answerText(data: TrainingData, generated: Generated): Promise<string> {
  const end = generated.finish === 'stop' ? generated.tokens.length - 1 : generated.tokens.length;
  return end <= 0 ? '' : data.decode(generated.tokens.subarray(0, end));
}

async function sampleEvent(
  { data, step }: EvaluationContext,
  set: string,
  prompt: PromptExample,
  generated: Generated,
  answer: string,
  right: boolean | null,
): Promise<BodyOf<'sample'>> {
  return {
    type: 'sample',
    set,
    step,
    place: { file: prompt.place.file, index: prompt.place.index, line: prompt.place.line },
    prompt: prompt.promptText,
    reference: prompt.reference,
    answer,
    right,
    finish: generated.finish,
    tokens: await tokenTexts(data, generated.tokens),
    entropies: [...generated.entropies].map((value) => Math.round(value * 1e5) / 1e5),
  };
}

/**
 * The text that each token adds: tokens decoded alone would lose the spaces between words and the characters that several
 * tokens make together (the last of these gets the character).
 */
export async function tokenTexts(data: Pick<TrainingData, 'decode'>, tokens: Int32Array): Promise<string[]> {
  const texts: string[] = [];
  let before = '';
  for (let end = 1; end <= tokens.length; end++) {
    const text = await data.decode(tokens.subarray(0, end));
    const unfinished = text.endsWith('\uFFFD') && end < tokens.length;
    if (unfinished) {
      texts.push('');
      continue;
    }
    texts.push(text.startsWith(before) ? text.slice(before.length) : await data.decode(tokens.subarray(end - 1, end)));
    before = text;
  }
  return texts;
}

function toWire(confusion: ReturnType<typeof confusionOf>): NonNullable<AnswerStats['confusion']> {
  return { labels: [...confusion.labels], counts: confusion.counts.map((row) => [...row]) };
}

function total(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
