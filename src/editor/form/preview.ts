/** What the form shows of a data set: counts, problems and the first examples with their mask, by the trainer's own code. */

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { ResolvedConfig } from '../../core/config.js';
import { LabError } from '../../core/errors.js';
import type { FormData, FormExample } from '../../core/view/form.js';
import { openTrainingData } from '../../data/index.js';
import { dataOptionsOf } from '../../data/options.js';
import type { TokenizedExample, TrainingData, TrainingDataOptions } from '../../data/types.js';

const shownExamples = 3;
const shownTokens = 700;
const shownPlaces = 3;
/** Of a token's text: a hostile vocabulary may have tokens of any length. */
const mostCharacters = 200;

export type ReadData = Extract<FormData, { status: 'read' }>;

/** All that the preview of a config depends on; equal keys, equal previews. */
export async function previewOptions(config: ResolvedConfig): Promise<TrainingDataOptions> {
  const path = config.chat_template_path;
  return dataOptionsOf(config, path === undefined ? undefined : await readFile(path, 'utf8'));
}

/**
 * Reads a data set twice: its first records at once, then all of it as the trainer does.
 *
 * @param show told what is known so far; the last time with `whole`
 * @throws LabError with the place of what is wrong; the signal's reason where it was given up
 */
export async function readPreview(
  options: TrainingDataOptions,
  show: (data: ReadData) => void,
  signal: AbortSignal,
): Promise<void> {
  // In the file's order, and past bad records: the second reading says what they mean.
  const quick = await openTrainingData(
    {
      ...options,
      evaluation: {},
      testSize: 0,
      streaming: true,
      shuffle: false,
      onBadRecord: 'skip',
      maxTrainSamples: 0,
    },
    signal,
  );
  let examples: FormExample[];
  try {
    await quick.seek(0, 0);
    const first = await quick.next(shownExamples, signal);
    examples = await Promise.all(first.map((example) => shown(quick, example)));
    show({ ...summaryOf(quick, options), whole: false, examples });
  } finally {
    await quick.close();
  }
  const all = await openTrainingData(options, signal);
  try {
    show({ ...summaryOf(all, options), whole: true, examples });
  } finally {
    await all.close();
  }
}

async function shown(data: TrainingData, { place, tokens, mask, truncated }: TokenizedExample): Promise<FormExample> {
  const kept = tokens.subarray(0, shownTokens);
  const texts = await data.pieces(kept);
  return {
    line: place.line,
    tokens: tokens.length,
    trained: mask.reduce((sum, one) => sum + one, 0),
    truncated,
    shown: Array.from(kept, (id, i) => ({
      id,
      text: (texts[i] ?? '').slice(0, mostCharacters),
      trained: mask[i] === 1,
    })),
  };
}

function summaryOf(
  { report }: TrainingData,
  { onBadRecord }: TrainingDataOptions,
): Omit<ReadData, 'whole' | 'examples'> {
  const { train, evaluation, problems, maskSource } = report;
  return {
    status: 'read',
    exact: train.exact,
    formats: Object.keys(train.formats),
    maskSource,
    records: train.records,
    tokens: train.tokens,
    lossTokens: train.lossTokens,
    truncatedRecords: train.truncatedRecords,
    skippedRecords: train.skippedRecords,
    evaluationRecords: Object.values(evaluation).reduce((sum, { records }) => sum + records, 0),
    problems: problems.map(({ kind, severity, message, count, places }) => ({
      severity: kind === 'bad-record' && onBadRecord === 'skip' ? 'warning' : severity,
      mayBeSkipped: kind === 'bad-record' && onBadRecord === 'stop',
      message,
      count,
      places: places.slice(0, shownPlaces).map(({ place, field, message: why }) => ({
        file: place.file,
        name: basename(place.file),
        line: place.line,
        message: field === undefined ? why : `${field}: ${why}`,
      })),
    })),
  };
}

/** A failed reading in words. */
export function failureOf(error: unknown, examples: FormExample[]): Extract<FormData, { status: 'failed' }> {
  if (!(error instanceof LabError)) {
    return { status: 'failed', message: error instanceof Error ? error.message : String(error), examples };
  }
  const { file, line, field } = error.place;
  return {
    status: 'failed',
    examples,
    message: field === undefined ? error.message : `${field}: ${error.message}`,
    ...(error.advice === undefined ? {} : { advice: error.advice }),
    ...(file === undefined ? {} : { place: { file, name: basename(file), line: line ?? 1, message: error.message } }),
  };
}
