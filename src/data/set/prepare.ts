/** A whole data set made ready before the start: read, checked, split, tokenised, and reported on. */

import type { PromptExample, RecordFormat, TokenizedExample } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import type { ExampleTokenizer } from '../text/examples.js';
import type { DataReport, DataSource, EvaluationSet, SetReport, TrainingDataOptions } from '../types.js';
import { attempt, type LoadedRecord, loadRecords, type Progress } from './load.js';
import { detectLabels, promptKey } from './normal.js';
import { Problems } from './problems.js';
import { split, subset } from './split.js';

export interface Prepared {
  readonly report: DataReport;
  readonly train: readonly TokenizedExample[];
  readonly evaluation: readonly EvaluationSet[];
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
  let train = await loadAll(options.train, problems, progress);
  const skippedTrain = problems.count('bad-record');
  const sets: { name: string; records: LoadedRecord[]; skipped: number }[] = [];
  for (const [name, sources] of Object.entries(options.evaluation)) {
    const before = problems.count('bad-record');
    const records = await loadAll(sources, problems, progress);
    sets.push({ name, records, skipped: problems.count('bad-record') - before });
  }
  if (options.onBadRecord === 'stop') problems.throwBadRecords();
  if (sets.length === 0 && options.testSize > 0) {
    const parts = split(train, options.testSize, options.seed);
    train = parts.train;
    sets.push({ name: 'eval', records: parts.held, skipped: 0 });
  }
  for (const { records } of sets) findOverlap(train, records, problems);

  const chosen = subset(train, options.maxTrainSamples, options.seed, trainSubset);
  const tokenized = tokenizeAll(chosen, options, tokenizer, problems, progress);
  const evaluation = sets.map(({ name, records, skipped }, i) => {
    const some = subset(records, options.maxEvalSamples, options.seed, evalSubset + i);
    return { set: evaluationSet(name, some, options, tokenizer, problems, progress), records: some, skipped };
  });
  if (options.onBadRecord === 'stop') problems.throwBadRecords();
  findLost(tokenized, options, tokenizer, problems);
  findMissingTokens(options, tokenizer, problems);
  const usable = tokenized.filter(({ mask }) => mask.includes(1));
  return {
    train: usable,
    evaluation: evaluation.map(({ set }) => set),
    report: {
      // What an epoch holds: the trainer counts its steps by this.
      train: { ...report(chosen, tokenized, skippedTrain, problems), records: usable.length },
      evaluation: Object.fromEntries(
        evaluation.map(({ set, records, skipped }) => [set.name, report(records, set.examples, skipped, problems)]),
      ),
      problems: problems.list(),
      maskSource: chosen.every(({ format }) => format === 'text') ? 'text' : tokenizer.maskSource,
    },
  };
}

async function loadAll(
  sources: readonly DataSource[],
  problems: Problems,
  progress: Progress,
): Promise<LoadedRecord[]> {
  const records: LoadedRecord[] = [];
  for await (const record of loadRecords(sources, problems, progress)) records.push(record);
  return records;
}

export function tokenizeAll(
  records: readonly LoadedRecord[],
  options: TrainingDataOptions,
  tokenizer: ExampleTokenizer,
  problems: Problems,
  progress: Progress,
): TokenizedExample[] {
  return records.flatMap(({ example }) => {
    progress(example.place);
    return attempt(example, problems, () => tokenizer.tokenize(example, options.lossOn, options.maxLength)) ?? [];
  });
}

export function evaluationSet(
  name: string,
  records: readonly LoadedRecord[],
  options: TrainingDataOptions,
  tokenizer: ExampleTokenizer,
  problems: Problems,
  progress: Progress,
): EvaluationSet {
  const examples = tokenizeAll(records, options, tokenizer, problems, progress);
  const prompts: PromptExample[] = [];
  for (const { example } of records) {
    progress(example.place);
    const prompt = attempt(example, problems, () => tokenizer.prompt(example));
    if (prompt !== undefined) prompts.push(prompt);
  }
  return { name, examples, prompts, labels: detectLabels(prompts.map(({ reference }) => reference)) };
}

function findOverlap(train: readonly LoadedRecord[], held: readonly LoadedRecord[], problems: Problems): void {
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

/** Examples that train nothing, or that never teach the model to stop. */
export function findLost(
  examples: readonly TokenizedExample[],
  options: TrainingDataOptions,
  tokenizer: ExampleTokenizer,
  problems: Problems,
): void {
  const stops = new Set(tokenizer.stopTokens);
  let trained = 0;
  for (const { place, tokens, mask, truncated } of examples) {
    if (truncated > 0) {
      const message = `${tokens.length} of ${tokens.length + truncated} tokens are kept`;
      problems.add(
        { kind: 'truncated', severity: 'warning', message: `records are cut off at max_length ${options.maxLength}` },
        place,
        message,
      );
    }
    if (!mask.includes(1)) {
      const why = truncated > 0 ? 'max_length cuts it off before the completion' : 'it has no completion';
      problems.add(
        { kind: 'no-loss-token', severity: 'warning', message: 'records have no token to train on and are left out' },
        place,
        why,
      );
      continue;
    }
    trained++;
    if (truncated === 0 && !tokens.some((token, i) => mask[i] === 1 && stops.has(token))) {
      problems.add(
        {
          kind: 'untrained-stop-token',
          severity: 'warning',
          message: 'records never train a stop token: the model will not learn to stop',
        },
        place,
        stops.size === 0 ? 'tokenizer and template name no stop token' : 'no stop token is among the tokens trained on',
      );
    }
  }
  if (examples.length > 0 && trained === 0) {
    problems.add(
      { kind: 'template', severity: 'error', message: 'no record has a token to train on' },
      examples[0]?.place,
      `of ${examples.length} records none has a loss token`,
    );
  }
}

function findMissingTokens(options: TrainingDataOptions, tokenizer: ExampleTokenizer, problems: Problems): void {
  const missing = tokenizer.missingTokens();
  if (missing.length === 0) return;
  problems.add(
    {
      kind: 'template',
      severity: 'error',
      message: `the chat template writes ${missing.join(', ')}, which the tokenizer of ${options.modelDirectory} does not have`,
    },
    undefined,
    '',
  );
}

function report(
  records: readonly LoadedRecord[],
  examples: readonly TokenizedExample[],
  skipped: number,
  problems: Problems,
): SetReport {
  const formats: Partial<Record<RecordFormat, number>> = {};
  for (const { format } of records) formats[format] = (formats[format] ?? 0) + 1;
  const names = Object.keys(formats);
  if (names.length > 1) {
    problems.add(
      { kind: 'mixed-formats', severity: 'warning', message: `records have several formats: ${names.join(', ')}` },
      undefined,
      '',
    );
  }
  const cut = examples.filter(({ truncated }) => truncated > 0);
  return {
    records: records.length,
    exact: true,
    tokens: examples.reduce((sum, { tokens }) => sum + tokens.length, 0),
    lossTokens: examples.reduce((sum, { mask }) => sum + mask.reduce((ones, one) => ones + one, 0), 0),
    truncatedRecords: cut.length,
    truncatedTokens: cut.reduce((sum, { truncated }) => sum + truncated, 0),
    skippedRecords: skipped,
    formats,
  };
}

/** @throws LabError where a data set has no records left */
export function requireRecords(prepared: Prepared, options: TrainingDataOptions): void {
  if (prepared.train.length > 0 || prepared.report.problems.some(({ severity }) => severity === 'error')) return;
  throw new LabError('the training data has no usable record', { place: { file: options.train[0]?.path ?? '' } });
}
