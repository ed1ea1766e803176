/** A run's data: opened as its config says, with what is wrong with it made into an error or into warnings. */

import type { ResolvedConfig } from '../core/config.js';
import { LabError } from '../core/errors.js';
import type { BodyOf } from '../core/events.js';
import { type DataWorker, openTrainingData } from '../data/index.js';
import { dataOptionsOf } from '../data/options.js';
import type { DataReport, Problem, SetReport, TrainingData } from '../data/types.js';

/** Data that is being opened while other things are made ready. */
export interface OpeningData {
  /** Rejects with a LabError where records are bad and the config says to stop; whoever drops it need not wait for that. */
  readonly data: Promise<TrainingData>;
  giveUp(reason: unknown): void;
}

/** @param worker the data's worker, where it was started before */
export function beginRunData(
  config: ResolvedConfig,
  chatTemplate: string | undefined,
  worker?: DataWorker,
): OpeningData {
  const opening = new AbortController();
  const data = open(config, chatTemplate, opening.signal, worker);
  data.catch(() => undefined);
  return { data, giveUp: (reason) => opening.abort(reason) };
}

/**
 * @param stop gives up the opening; once data is open it goes on, for a run that is asked to stop still has to end in order
 * @throws LabError where records are bad and the config says to stop
 */
export async function openRunData(
  config: ResolvedConfig,
  chatTemplate: string | undefined,
  stop: AbortSignal,
): Promise<TrainingData> {
  return openedData(beginRunData(config, chatTemplate), stop);
}

/** Waits for data that is being opened, unless told to stop. Throws as `openRunData` does. */
export async function openedData({ data, giveUp }: OpeningData, stop: AbortSignal): Promise<TrainingData> {
  const stopped = (): void => giveUp(stop.reason);
  if (stop.aborted) stopped();
  stop.addEventListener('abort', stopped);
  return data.finally(() => stop.removeEventListener('abort', stopped));
}

async function open(
  config: ResolvedConfig,
  chatTemplate: string | undefined,
  signal: AbortSignal,
  worker: DataWorker | undefined,
): Promise<TrainingData> {
  const data = await openTrainingData(await dataOptionsOf(config, chatTemplate), signal, worker);
  const errors = data.report.problems.filter(
    ({ kind, severity }) => severity === 'error' && !(kind === 'bad-record' && config.on_bad_record === 'skip'),
  );
  if (errors.length === 0) return data;
  await data.close();
  throw problemsError(errors);
}

function problemsError(problems: readonly Problem[]): LabError {
  const first = problems[0]?.places[0];
  const lines = problems.flatMap(({ message, count, places }) => [
    `${message} (${count})`,
    ...places.map(
      ({ place, field, message: why }) =>
        `  ${place.file}:${place.line}: ${field === undefined ? '' : `${field}: `}${why}`,
    ),
  ]);
  return new LabError(problems.map(({ message }) => message).join('; '), {
    ...(first === undefined
      ? {}
      : {
          place: {
            file: first.place.file,
            line: first.place.line,
            ...(first.field === undefined ? {} : { field: first.field }),
          },
        }),
    advice: lines.join('\n  '),
  });
}

export function problemEvents(report: DataReport): BodyOf<'warning'>[] {
  return report.problems.map(({ kind, message, count, places }) => ({
    type: 'warning',
    kind,
    message,
    count,
    places: places.map(({ place, field, message: why }) => ({
      place: { file: place.file, index: place.index, line: place.line },
      message: field === undefined ? why : `${field}: ${why}`,
    })),
  }));
}

/** Sizes of the training data (`train`) and of each evaluation set. */
export function setSizes(report: DataReport): BodyOf<'setup'>['sets'] {
  const sizes = ({ records, tokens, lossTokens, truncatedRecords, truncatedTokens, skippedRecords }: SetReport) => ({
    records,
    tokens,
    lossTokens,
    truncatedRecords,
    truncatedTokens,
    skippedRecords,
  });
  return {
    train: sizes(report.train),
    ...Object.fromEntries(Object.entries(report.evaluation).map(([name, set]) => [name, sizes(set)])),
  };
}
