/** Records of several files to examples, with what is wrong with them. */

import type { Example, RecordFormat, RecordPlace } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { formatInFile, RecordProblem, toExample } from '../read/formats.js';
import { type RawRecord, readBatches } from '../read/records.js';
import type { DataSource } from '../types.js';
import type { Problems } from './problems.js';

/** Told of every record before it is worked on, so that whoever waits can name what it was if nothing comes back. */
export type Progress = (place: RecordPlace) => void;

export interface LoadedRecord {
  readonly example: Example;
  readonly format: RecordFormat;
  readonly bytes: number;
}

export const badRecord = {
  kind: 'bad-record',
  severity: 'error',
  message: 'records cannot be used',
} as const;

/** Good records one at a time; bad ones go to `problems`. */
export async function* loadRecords(
  sources: readonly DataSource[],
  problems: Problems,
  progress: Progress,
): AsyncGenerator<LoadedRecord> {
  for await (const batch of loadBatches(sources, problems, progress)) yield* batch;
}

/** The same, as they come together out of the file. */
export async function* loadBatches(
  sources: readonly DataSource[],
  problems: Problems,
  progress: Progress,
): AsyncGenerator<Iterable<LoadedRecord>> {
  for (const source of sources) {
    const load = loaderOf(source, problems, progress);
    for await (const batch of readBatches(source.path)) yield load(batch);
  }
}

function loaderOf(
  source: DataSource,
  problems: Problems,
  progress: Progress,
): (records: Iterable<RawRecord>) => Iterable<LoadedRecord> {
  let home: RecordFormat | undefined;
  return function* load(records) {
    for (const record of records) {
      progress(record.place);
      if ('problem' in record) {
        problems.add(badRecord, record.place, record.problem);
        continue;
      }
      const format = source.format === 'auto' ? formatInFile(record.value, source.fields, home) : source.format;
      const result = toExample(record.value, format, source.fields, record.place);
      if (result instanceof RecordProblem) problems.add(badRecord, record.place, result.message, result.field);
      else {
        home ??= result.format;
        yield { ...result, bytes: record.bytes };
      }
    }
  };
}

/** Tokenises; what a template refuses is a bad record. */
export function attempt<T>(example: Example, problems: Problems, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    problems.add(badRecord, example.place, error.message, error.place.field);
    return undefined;
  }
}
