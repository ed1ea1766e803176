/** A streamed data set made ready: a first window of records is checked as if it were all, the rest as training goes. */

import { LabError } from '../../core/errors.js';
import { fileSize } from '../read/records.js';
import type { ExampleTokenizer } from '../text/examples.js';
import type { SetReport, TrainingDataOptions } from '../types.js';
import { heldOut } from './feed.js';
import { type LoadedRecord, loadRecords, type Progress } from './load.js';
import { evaluationSet, type Prepared, prepare, tokenizeAll } from './prepare.js';
import { Problems } from './problems.js';

const windowRecords = 2_000;
/** Above this, `streaming: "auto"` streams. */
const autoBytes = 64 * 1024 * 1024;

export async function shouldStream(options: TrainingDataOptions): Promise<boolean> {
  if (options.streaming !== 'auto') return options.streaming;
  return (await totalBytes(options)) > autoBytes;
}

async function totalBytes(options: TrainingDataOptions): Promise<number> {
  const sizes = await Promise.all(options.train.map(({ path }) => fileSize(path)));
  return sizes.reduce((sum, size) => sum + size, 0);
}

export async function prepareStream(
  options: TrainingDataOptions,
  tokenizer: ExampleTokenizer,
  progress: Progress,
): Promise<Prepared> {
  const splits = options.testSize > 0 && Object.keys(options.evaluation).length === 0;
  if (splits && options.testSize >= 1) {
    throw new LabError('a streamed data set is split by a fraction, not by a number of records', {
      place: { field: 'test_size' },
      advice: 'Give a test_size below 1, an eval_dataset, or streaming: false.',
    });
  }
  const problems = new Problems();
  const window: LoadedRecord[] = [];
  for await (const record of loadRecords(options.train, problems, progress)) {
    window.push(record);
    if (window.length >= windowRecords) break;
  }
  if (options.onBadRecord === 'stop') problems.throwBadRecords();
  const training = window.filter((record) => !heldOut(record, options));
  const held = window.filter((record) => heldOut(record, options));

  // The evaluation sets are prepared whole, and the window stands for the training data.
  const evaluation = await prepare({ ...options, train: [], testSize: 0 }, tokenizer, progress);
  const examples = tokenizeAll(training, options, tokenizer, problems, progress);
  if (options.onBadRecord === 'stop') problems.throwBadRecords();
  if (!examples.some(({ mask }) => mask.includes(1))) {
    throw new LabError(`none of the first ${window.length} records has a token to train on`, {
      place: { file: options.train[0]?.path ?? '' },
    });
  }
  const bytes = window.reduce((sum, record) => sum + record.bytes + 1, 0);
  const scale = Math.max(1, (await totalBytes(options)) / bytes);
  const estimate = (value: number): number => Math.round(value * scale);
  const cut = examples.filter(({ truncated }) => truncated > 0);
  const records = estimate(training.length);
  const train: SetReport = {
    records: options.maxTrainSamples > 0 ? Math.min(options.maxTrainSamples, records) : records,
    exact: false,
    tokens: estimate(examples.reduce((sum, { tokens }) => sum + tokens.length, 0)),
    lossTokens: estimate(examples.reduce((sum, { mask }) => sum + mask.reduce((ones, one) => ones + one, 0), 0)),
    truncatedRecords: estimate(cut.length),
    truncatedTokens: estimate(cut.reduce((sum, { truncated }) => sum + truncated, 0)),
    skippedRecords: problems.count('bad-record'),
    formats: {},
  };
  const sets = splits ? [evaluationSet('eval', held, options, tokenizer, problems, progress)] : evaluation.evaluation;
  const splitReport: SetReport = { ...evaluation.report.train, records: held.length };
  return {
    train: [],
    evaluation: sets,
    report: {
      train,
      evaluation: splits ? { eval: splitReport } : evaluation.report.evaluation,
      problems: [...evaluation.report.problems, ...problems.list()],
      maskSource: window.every(({ format }) => format === 'text') ? 'text' : tokenizer.maskSource,
    },
  };
}
