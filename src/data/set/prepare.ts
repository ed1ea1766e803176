/** A whole data set made ready before the start: read, checked, split, tokenised, and reported on. */

import type { PromptExample, TokenizedExample } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import type { ExampleTokenizer } from '../text/examples.js';
import type { DataReport, DataSource, EvaluationSet, SetReport, TrainingDataOptions } from '../types.js';
import { attempt, type LoadedRecord, loadBatches, type Progress } from './load.js';
import { detectLabels, promptKey } from './normal.js';
import { type ExampleList, PackedExamples } from './packed.js';
import { Problems } from './problems.js';
import { split, subset } from './split.js';
import { findLost, Tally } from './tally.js';

export interface Prepared {
  readonly report: DataReport;
  readonly train: ExampleList;
  readonly evaluation: readonly EvaluationSet[];
}

/** An evaluation set as read. */
export interface LoadedSet {
  readonly name: string;
  readonly records: readonly LoadedRecord[];
  readonly skipped: number;
}

/** What the making of examples needs. */
export interface Workshop {
  readonly options: TrainingDataOptions;
  readonly tokenizer: ExampleTokenizer;
  readonly problems: Problems;
  readonly progress: Progress;
}

/** Streams of the seed, apart from those of the epochs' shuffles, which count from 0. */
const trainSubset = 2 ** 40;
const evalSubset = 2 ** 40 + 1;

export async function prepare(
  options: TrainingDataOptions,
  tokenizer: ExampleTokenizer,
  progress: Progress,
): Promise<Prepared> {
  const problems = new Problems();
  const workshop: Workshop = { options, tokenizer, problems, progress };
  let train: readonly LoadedRecord[] = await loadAll(options.train, problems, progress);
  const unread = problems.count('bad-record');
  const sets = await loadEvaluation(workshop);
  if (options.onBadRecord === 'stop') problems.throwBadRecords();
  if (sets.length === 0 && options.testSize > 0) {
    const parts = split(train, options.testSize, options.seed);
    train = parts.train;
    sets.push({ name: 'eval', records: parts.held, skipped: 0 });
  }
  for (const { records } of sets) findOverlap(train, records, problems);

  const chosen = subset(train, options.maxTrainSamples, options.seed, trainSubset);
  const before = problems.count('bad-record');
  const { examples, tally } = tokenizeTraining(chosen, workshop);
  const refused = problems.count('bad-record') - before;
  const evaluation = makeEvaluation(sets, workshop);
  if (options.onBadRecord === 'stop') problems.throwBadRecords();
  findMissingTokens(workshop);
  return {
    train: examples,
    evaluation: evaluation.sets,
    report: {
      // What an epoch holds: the trainer counts its steps by this.
      train: { ...tally.report(unread + refused), records: examples.length },
      evaluation: evaluation.reports,
      problems: problems.list(),
      maskSource: tally.onlyText ? 'text' : tokenizer.maskSource,
    },
  };
}

async function loadAll(
  sources: readonly DataSource[],
  problems: Problems,
  progress: Progress,
): Promise<LoadedRecord[]> {
  const records: LoadedRecord[] = [];
  for await (const batch of loadBatches(sources, problems, progress)) for (const record of batch) records.push(record);
  return records;
}

export async function loadEvaluation({ options, problems, progress }: Workshop): Promise<LoadedSet[]> {
  const sets: LoadedSet[] = [];
  for (const [name, sources] of Object.entries(options.evaluation)) {
    const before = problems.count('bad-record');
    const records = await loadAll(sources, problems, progress);
    sets.push({ name, records, skipped: problems.count('bad-record') - before });
  }
  return sets;
}

/** Examples that train something, packed, and what was counted of all of them. */
export function tokenizeTraining(
  records: readonly LoadedRecord[],
  { options, tokenizer, problems, progress }: Workshop,
): { examples: PackedExamples; tally: Tally } {
  const stops = new Set(tokenizer.stopTokens);
  const examples = new PackedExamples();
  const tally = new Tally(stops);
  for (const { example, format } of records) {
    progress(example.place);
    const { lossOn, maxLength } = options;
    const tokenized = attempt(example, problems, () => tokenizer.tokenize(example, lossOn, maxLength));
    if (tokenized === undefined) continue;
    findLost(tokenized, maxLength, stops, problems);
    if (tally.add(tokenized, format)) examples.add(tokenized);
  }
  tally.conclude(problems);
  return { examples, tally };
}

export function makeEvaluation(
  loaded: readonly LoadedSet[],
  workshop: Workshop,
): { sets: EvaluationSet[]; reports: Record<string, SetReport> } {
  const { maxEvalSamples, seed } = workshop.options;
  const sets: EvaluationSet[] = [];
  const reports: Record<string, SetReport> = {};
  for (const [i, { name, records, skipped }] of loaded.entries()) {
    const before = workshop.problems.count('bad-record');
    const { set, tally } = evaluationSet(name, subset(records, maxEvalSamples, seed, evalSubset + i), workshop);
    sets.push(set);
    reports[name] = tally.report(skipped + workshop.problems.count('bad-record') - before);
  }
  return { sets, reports };
}

function evaluationSet(
  name: string,
  records: readonly LoadedRecord[],
  { options, tokenizer, problems, progress }: Workshop,
): { set: EvaluationSet; tally: Tally } {
  const tally = new Tally(new Set(tokenizer.stopTokens));
  const examples: TokenizedExample[] = [];
  const prompts: PromptExample[] = [];
  for (const { example, format } of records) {
    progress(example.place);
    const made = attempt(example, problems, () => ({
      tokenized: tokenizer.tokenize(example, options.lossOn, options.maxLength),
      prompt: tokenizer.prompt(example),
    }));
    if (made === undefined) continue;
    tally.add(made.tokenized, format);
    examples.push(made.tokenized);
    if (made.prompt !== undefined) prompts.push(made.prompt);
  }
  return { set: { name, examples, prompts, labels: detectLabels(prompts.map(({ reference }) => reference)) }, tally };
}

export function findOverlap(train: readonly LoadedRecord[], held: readonly LoadedRecord[], problems: Problems): void {
  const keys = new Set(train.map(({ example }) => promptKey(example)));
  for (const { example } of held) {
    if (!keys.has(promptKey(example))) continue;
    problems.add(
      { kind: 'eval-overlap', severity: 'warning', message: 'evaluation records ask what training records ask' },
      example.place,
      'the same prompt stands in the training data',
    );
  }
}

export function findMissingTokens({ options, tokenizer, problems }: Workshop): void {
  const missing = tokenizer.missingTokens();
  if (missing.length === 0) return;
  const message =
    `the chat template or tokenizer_config.json names ${missing.join(', ')}, ` +
    `which the tokenizer of ${options.modelDirectory} does not have`;
  problems.add({ kind: 'template', severity: 'error', message }, undefined, '');
}

/** @throws LabError where a data set has no records left */
export function requireRecords(prepared: Prepared, options: TrainingDataOptions): void {
  if (prepared.train.length > 0 || prepared.report.problems.some(({ severity }) => severity === 'error')) return;
  throw new LabError('the training data has no usable record', { place: { file: options.train[0]?.path ?? '' } });
}
