/** The parts of a JSONL file, each checked by a worker, put together. */

import { lengthBins } from './histogram.js';
import { type SchemaField, schemaOf } from './json-scan.js';
import type { BadLine, SegmentResult } from './segment.js';

export interface CheckResult {
  readonly records: number;
  readonly lines: number;
  readonly marks: Float64Array;
  readonly schema: readonly SchemaField[];
  /** Lengths of records in bytes. */
  readonly bins: Float64Array;
  readonly bytes: number;
  readonly longest: { readonly row: number; readonly bytes: number };
  readonly badCount: number;
  /** The first thousand of each part. */
  readonly bad: readonly BadLine[];
  readonly duplicateKeys: SegmentResult['duplicateKeys'];
}

export function mergeSegments(parts: readonly SegmentResult[]): CheckResult {
  const bins = new Float64Array(lengthBins);
  const marks = new Float64Array(parts.reduce((sum, part) => sum + part.marks.length, 0));
  const bad: BadLine[] = [];
  const twice: { row: number; line: number }[] = [];
  let longest = { row: 0, bytes: 0 };
  let [records, lines, bytes, badCount, twiceCount, at] = [0, 0, 0, 0, 0, 0];
  for (const part of parts) {
    for (let i = 0; i + 2 < part.marks.length; i += 3) {
      marks[at++] = part.marks[i] ?? 0;
      marks[at++] = (part.marks[i + 1] ?? 0) + records;
      marks[at++] = (part.marks[i + 2] ?? 0) + lines;
    }
    for (const one of part.bad) bad.push({ ...one, row: one.row + records, line: one.line + lines });
    for (const { row, line } of part.duplicateKeys.rows) twice.push({ row: row + records, line: line + lines });
    for (let i = 0; i < lengthBins; i++) bins[i] = (bins[i] ?? 0) + (part.bins[i] ?? 0);
    if (part.longest.bytes > longest.bytes) longest = { row: part.longest.row + records, bytes: part.longest.bytes };
    records += part.rows;
    lines += part.lines;
    bytes += part.totalBytes;
    badCount += part.badCount;
    twiceCount += part.duplicateKeys.count;
  }
  const schema = schemaOf(parts.flatMap(({ fields }) => (fields === undefined ? [] : [fields])));
  return {
    records,
    lines,
    marks,
    schema,
    bins,
    bytes,
    longest,
    badCount,
    bad,
    duplicateKeys: { count: twiceCount, rows: twice },
  };
}
