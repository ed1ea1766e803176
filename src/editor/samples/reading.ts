/** How a file's records are read, as the configs of runs say. */

import * as z from 'zod';
import type { RecordFormat } from '../../core/data.js';
import type { FieldMapping } from '../../data/types.js';

export interface RecordReading {
  readonly format: RecordFormat | 'auto';
  readonly fields?: FieldMapping;
}

const datasetSchema = z.object({
  path: z.string(),
  format: z.enum(['auto', 'alpaca', 'sharegpt', 'messages', 'custom', 'text']).catch('auto'),
  fields: z
    .object({
      prompt: z.string().exactOptional(),
      completion: z.string().exactOptional(),
      system: z.string().exactOptional(),
      messages: z.string().exactOptional(),
    })
    .exactOptional()
    .catch({}),
});

/** @param configs resolved configs of runs, unchecked; the first one that names the file counts */
export function readingOf(
  file: string,
  configs: readonly (Readonly<Record<string, unknown>> | undefined)[],
): RecordReading {
  for (const { eval_dataset: evaluation, train_dataset: train } of configs.filter((config) => config !== undefined)) {
    const sets = typeof evaluation === 'object' && evaluation !== null ? Object.values(evaluation) : [];
    for (const source of [...sets, train].flat()) {
      const parsed = datasetSchema.safeParse(source);
      if (!parsed.success || parsed.data.path !== file) continue;
      const { format, fields } = parsed.data;
      return { format, ...(fields === undefined ? {} : { fields }) };
    }
  }
  return { format: 'auto' };
}
