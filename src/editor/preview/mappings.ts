/**
 * `.sft/datasets.json` of a workspace: how the records of its data sets are read where a person said so, by path from the workspace
 * folder, in the words of a config's `train_dataset`. Written by the preview, used by Fine-tune.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative } from 'node:path';
import * as z from 'zod';
import { LabError } from '../../core/errors.js';
import { portablePath } from '../../core/paths.js';
import { formats, type Mapping } from '../../core/view/preview.js';
import type { FieldMapping } from '../../data/types.js';
import { move } from '../../runs/files.js';

export interface RecordMapping {
  readonly format: Mapping['format'];
  readonly fields: FieldMapping;
}

const automatic: RecordMapping = { format: 'auto', fields: {} };

const name = z.string().max(500).exactOptional();
const entry = z.strictObject({
  format: z.enum(formats),
  fields: z.strictObject({ prompt: name, completion: name, system: name, messages: name }).exactOptional(),
});
const file = z.record(z.string(), z.unknown());

/** What was chosen for a data set; automatic where nothing was, or what stands there is none of ours. */
export async function readMapping(root: string | undefined, path: string): Promise<RecordMapping> {
  const key = keyOf(root, path);
  if (root === undefined || key === undefined) return automatic;
  const all = await readAll(root).catch(() => undefined);
  const parsed = entry.safeParse(all !== undefined && Object.hasOwn(all, key) ? all[key] : undefined);
  return parsed.success ? { format: parsed.data.format, fields: parsed.data.fields ?? {} } : automatic;
}

/**
 * Writes the file aside and renames it; what it says of other data sets stays. Data sets outside the workspace are not kept, and the
 * automatic mapping is nothing to keep.
 *
 * @throws LabError where the file there is not ours to change
 */
export async function writeMapping(root: string | undefined, path: string, chosen: Mapping): Promise<void> {
  const key = keyOf(root, path);
  if (root === undefined || key === undefined) return;
  const { format, ...fields } = chosen;
  const named = Object.keys(fields).length > 0;
  const others = Object.entries((await readAll(root)) ?? {}).filter(([other]) => other !== key);
  const own = format === 'auto' && !named ? [] : [[key, named ? { format, fields } : { format }] as const];
  if (others.length + own.length === 0 && (await readAll(root)) === undefined) return;
  const sorted = Object.fromEntries([...others, ...own].sort(([a], [b]) => (a < b ? -1 : 1)));
  const target = fileOf(root);
  await mkdir(dirname(target), { recursive: true });
  const aside = `${target}.${process.pid}.partial`;
  await writeFile(aside, `${JSON.stringify(sorted, null, 2)}\n`);
  await move(aside, target);
}

async function readAll(root: string): Promise<z.infer<typeof file> | undefined> {
  let text: string;
  try {
    text = await readFile(fileOf(root), 'utf8');
  } catch {
    return undefined;
  }
  try {
    return file.parse(JSON.parse(text));
  } catch (cause) {
    throw new LabError('is not what SFT Lab wrote', {
      place: { file: fileOf(root) },
      advice: 'Mend or remove it to keep how records are read.',
      cause,
    });
  }
}

function fileOf(root: string): string {
  return join(root, '.sft', 'datasets.json');
}

function keyOf(root: string | undefined, path: string): string | undefined {
  if (root === undefined) return undefined;
  const way = relative(root, path);
  return way === '' || way.startsWith('..') || isAbsolute(way) ? undefined : portablePath(way);
}
