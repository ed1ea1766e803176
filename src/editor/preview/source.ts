/** The one place where the preview takes from `src/data` what is particular to views: rows by number, the look at all records. */

import type { RecordFormat } from '../../core/data.js';
import type { Mapping } from '../../core/view/preview.js';
import type { FieldMapping } from '../../data/types.js';
import type { ExamineOptions } from '../../data/view/examine.js';
import { openRows, type Rows } from '../../data/view/rows.js';
import type { ScanOptions } from './protocol.js';

export { allTokens, type ExamineOptions, Examiner, runsOf } from '../../data/view/examine.js';
export { examineAll } from '../../data/view/examine-all.js';
export { type FactBlock, formatAt } from '../../data/view/facts.js';
export { Fold, labelAt } from '../../data/view/fold.js';
export { binStart, lengthBin } from '../../data/view/histogram.js';
export { checkParts, indexParts, type Layout, layoutFor } from '../../data/view/segments.js';
export { Spool } from '../../data/view/spool.js';
export { pause, Turn } from '../../data/view/turn.js';
export { openRows, type Rows };

export function examineOptions({ path, mapping, model }: ScanOptions): ExamineOptions {
  return { path, ...sourceOptions(mapping), ...(model === undefined ? {} : { model }) };
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
