/** How the data sets of a workspace are read, where a person said so: `.sft/datasets.json`, by path from the workspace folder. */

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { z } from 'zod';
import { type RecordMapping, recordMapping } from '../../core/view/preview.js';

const mappingsFile = z.record(z.string(), recordMapping);

export const automatic: RecordMapping = { format: 'auto', fields: {} };

function keyOf(root: string, file: string): string {
  return relative(root, file).split(sep).join('/');
}

/** What is kept for a data set; `automatic` where there is nothing, or nothing that fits. */
export async function readMapping(root: string | undefined, file: string): Promise<RecordMapping> {
  if (root === undefined) return automatic;
  const all = await readAll(root);
  const key = keyOf(root, file);
  return (Object.hasOwn(all, key) ? all[key] : undefined) ?? automatic;
}

export async function keepMapping(root: string | undefined, file: string, mapping: RecordMapping): Promise<void> {
  if (root === undefined) return;
  const { [keyOf(root, file)]: _, ...others } = await readAll(root);
  const plain = mapping.format === 'auto' && Object.keys(mapping.fields).length === 0;
  const all = plain ? others : { ...others, [keyOf(root, file)]: mapping };
  const target = join(root, '.sft', 'datasets.json');
  await mkdir(dirname(target), { recursive: true });
  const aside = `${target}.${process.pid}.partial`;
  await writeFile(aside, `${JSON.stringify(all, null, 2)}\n`);
  await rename(aside, target);
}

async function readAll(root: string): Promise<Record<string, RecordMapping>> {
  try {
    const parsed = mappingsFile.safeParse(JSON.parse(await readFile(join(root, '.sft', 'datasets.json'), 'utf8')));
    return parsed.success ? parsed.data : {};
  } catch {
    return {};
  }
}
