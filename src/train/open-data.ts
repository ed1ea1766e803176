/** A run's data: opened as its config says, with what is wrong with it made into an error or into warnings. */

import type { ResolvedConfig } from '../core/config.js';
import { LabError } from '../core/errors.js';
import type { BodyOf } from '../core/events.js';
import { openTrainingData } from '../data/index.js';
import { dataOptionsOf } from '../data/options.js';
import type { DataReport, Problem, SetReport, TrainingData } from '../data/types.js';

/**
 * @param stop gives up the opening; once data is open it goes on, for a run that is asked to stop still has to end in order
 * @throws LabError where records are bad and the config says to stop
 */
export async function openRunData(
  config: ResolvedConfig,
  chatTemplate: string | undefined,
  stop: AbortSignal,
): Promise<TrainingData> {
  const opening = new AbortController();
  const giveUp = (): void => opening.abort(stop.reason);
  if (stop.aborted) giveUp();
  stop.addEventListener('abort', giveUp);
  const data = await openTrainingData(await dataOptionsOf(config, chatTemplate), opening.signal).finally(() =>
    stop.removeEventListener('abort', giveUp),
  );
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
