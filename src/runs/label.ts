/**
 * What a person calls a run or an experiment, where they renamed it: `label.json` in its folder.
 *
 * Folders keep their names. They are what names a run in panels that are open, in comparisons that are continued, in reports and
 * command lines; and a run under way writes into its folder. `run.json` is written once. So a name for people is a fact of its
 * own, that may change at any time.
 */

import { readFileSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { LabError } from '../core/errors.js';
import { writeDurably } from './files.js';

export const labelFile = 'label.json';
const longestLabel = 120;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters have no place in a name
const unfit = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

const labelSchema = z.object({
  v: z.literal(1),
  label: z
    .string()
    .min(1)
    .max(longestLabel)
    .refine((text) => !unfit.test(text)),
});

/** Undefined where nobody renamed it, or the file is damaged. */
export function readLabel(folder: string): string | undefined {
  try {
    const parsed = labelSchema.safeParse(JSON.parse(readFileSync(join(folder, labelFile), 'utf8')));
    return parsed.success ? parsed.data.label : undefined;
  } catch {
    return undefined;
  }
}

/** What is wrong with a name; undefined: nothing. */
export function labelMistake(text: string): string | undefined {
  const label = text.trim();
  if (label.length > longestLabel)
    return `Names have at most ${longestLabel} characters; this one has ${label.length}.`;
  return unfit.test(label) ? 'Names have no control characters.' : undefined;
}

/** Names a run or an experiment; an empty name gives it its own again. @throws LabError */
export async function writeLabel(folder: string, text: string): Promise<void> {
  const mistake = labelMistake(text);
  if (mistake !== undefined) throw new LabError(mistake, { place: { file: folder } });
  const there = await stat(folder).catch(() => undefined);
  if (there === undefined) throw new LabError('has no folder yet: it waits for its turn', { place: { file: folder } });
  const file = join(folder, labelFile);
  const label = text.trim();
  if (label === '') await rm(file, { force: true });
  else await writeDurably(file, `${JSON.stringify({ v: 1, label }, null, 2)}\n`);
}
