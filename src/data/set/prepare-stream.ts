/** A streamed data set made ready: a first window of records is checked as if it were all, the rest as training goes. */

import { LabError } from '../../core/errors.js';
import { fileSize } from '../read/records.js';
import type { ExampleTokenizer } from '../text/examples.js';
import type { SetReport, TrainingDataOptions } from '../types.js';
import { heldOut } from './feed.js';
import { type LoadedRecord, loadRecords, type Progress } from './load.js';
import {
  findMissingTokens,
  findOverlap,
  loadEvaluation,
  makeEvaluation,
  type Prepared,
  tokenizeTraining,
  type Workshop,
} from './prepare.js';
import { Problems } from './problems.js';
import type { Tally } from './tally.js';

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
): Promise<Omit<Prepared, 'train'>> {
  const splits = options.testSize > 0 && Object.keys(options.evaluation).length === 0;
  if (splits && options.testSize >= 1) {
    throw new LabError('a streamed data set is split by a fraction, not by a number of records', {
      place: { field: 'test_size' },
      advice: 'Give a test_size below 1, an eval_dataset, or streaming: false.',
    });
  }
  const problems = new Problems();
  const workshop: Workshop = { options, tokenizer, problems, progress };
  const window: LoadedRecord[] = [];
  for await (const record of loadRecords(options.train, problems, progress)) {
    window.push(record);
    if (window.length >= windowRecords) break;
  }
  const skipped = problems.count('bad-record');
  const sets = await loadEvaluation(workshop);
  if (options.onBadRecord === 'stop') problems.throwBadRecords();
  const training = window.filter((record) => !heldOut(record, options));
  if (splits) {
    const held = window.filter((record) => heldOut(record, options));
    if (held.length === 0) {
      throw new LabError(`none of the first ${window.length} records falls into the evaluation set`, {
        place: { field: 'test_size' },
        advice: 'Raise test_size, or give an eval_dataset.',
      });
    }
    sets.push({ name: 'eval', records: held, skipped: 0 });
  }
  for (const { records } of sets) findOverlap(training, records, problems);
  const before = problems.count('bad-record');
  const { tally } = tokenizeTraining(training, workshop);
  const refused = problems.count('bad-record') - before;
  const evaluation = makeEvaluation(sets, workshop);
  if (options.onBadRecord === 'stop') problems.throwBadRecords();
  findMissingTokens(workshop);
  if (tally.records === 0 && !problems.list().some(({ severity }) => severity === 'error')) {
    throw new LabError('the training data has no usable record', { place: { file: options.train[0]?.path ?? '' } });
  }
  const whole = window.length < windowRecords;
  return {
    evaluation: evaluation.sets,
    report: {
      train: estimate(tally, skipped + refused, whole ? 1 : await scaleOf(window, options), whole, options),
      evaluation: evaluation.reports,
      problems: problems.list(),
      maskSource: tally.onlyText ? 'text' : tokenizer.maskSource,
    },
  };
}

/** How many times the bytes of these records the files hold. */
async function scaleOf(window: readonly LoadedRecord[], options: TrainingDataOptions): Promise<number> {
  const bytes = window.reduce((sum, record) => sum + record.bytes + 1, 0);
  return Math.max(1, (await totalBytes(options)) / bytes);
}

function estimate(
  tally: Tally,
  skipped: number,
  scale: number,
  exact: boolean,
  { maxTrainSamples }: TrainingDataOptions,
): SetReport {
  const report = tally.report(skipped);
  const usable = Math.round(tally.trained * scale);
  const records = maxTrainSamples > 0 ? Math.min(maxTrainSamples, usable) : usable;
  // Of fewer records the other counts shrink in proportion.
  const share = usable === 0 ? 0 : (scale * records) / usable;
  return {
    ...report,
    exact: exact && share === 1,
    records,
    tokens: Math.round(report.tokens * share),
    lossTokens: Math.round(report.lossTokens * share),
    truncatedRecords: Math.round(report.truncatedRecords * share),
    truncatedTokens: Math.round(report.truncatedTokens * share),
  };
}
