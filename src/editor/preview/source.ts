/** The one place where the preview takes from `src/data` what is particular to views: rows by number, the analysis, line counts. */

import { stat } from 'node:fs/promises';
import type { RecordFormat } from '../../core/data.js';
import type { Mapping } from '../../core/view/preview.js';
import type { ProblemKind } from '../../core/view/preview-problems.js';
import type { FieldMapping } from '../../data/types.js';
import { Analyser } from '../../data/view/analyse.js';
import type { RowProblemKind } from '../../data/view/problem-kinds.js';
import { openRows, type Rows, spacingFor } from '../../data/view/rows.js';
import { scanSegment } from '../../data/view/segment.js';
import type { ScanOptions } from './protocol.js';

export { binStart, lengthBin } from '../../data/view/histogram.js';
export { type Analyser, openRows, type Rows };

/** More tokens than any record has: all of them are kept, and the view cuts them where its `max_length` says. */
export const allTokens = 2 ** 30;

/** Marks by which the rows of a JSONL file are found, and their number. */
export async function countLines(
  path: string,
  start: number,
  beat: () => void,
): Promise<{ marks: Float64Array; rows: number }> {
  const { size } = await stat(path);
  const task = { file: path, from: 0, to: size, start, spacing: spacingFor(size), check: false };
  const { marks, rows } = scanSegment(task, beat);
  return { marks, rows };
}

export function analyserOf(options: ScanOptions, onProblem: (kind: ProblemKind, row: number) => void): Analyser {
  const { path, mapping, model, evaluation } = options;
  return new Analyser(
    {
      path,
      ...sourceOptions(mapping),
      evaluation,
      ...(model === undefined ? {} : { model: { ...model, maxLength: allTokens, lossOn: 'completion' as const } }),
    },
    (kind: RowProblemKind, row) => onProblem(kind, row),
  );
}

/** A mapping in the words of `src/data`. */
export function sourceOptions(mapping: Mapping): {
  readonly format: RecordFormat | 'auto';
  readonly fields?: FieldMapping;
} {
  const fields = fieldsOf(mapping);
  return { format: mapping.format, ...(fields === undefined ? {} : { fields }) };
}

export function fieldsOf({ prompt, completion, system, messages }: Mapping): FieldMapping | undefined {
  const fields = {
    ...(prompt === undefined ? {} : { prompt }),
    ...(completion === undefined ? {} : { completion }),
    ...(system === undefined ? {} : { system }),
    ...(messages === undefined ? {} : { messages }),
  };
  return Object.keys(fields).length === 0 ? undefined : fields;
}
