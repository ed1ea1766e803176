/** What is wrong with a config that its JSON Schema cannot say: values that contradict each other, files that are not there. */

import { stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { configMistakes } from '../../core/config-parse.js';
import { LabError } from '../../core/errors.js';
import { type LocatedJson, locateJson } from '../../core/json-places.js';
import { findModel } from '../../data/models.js';

export interface Finding {
  /** From 1. */
  readonly line: number;
  /** The key that is meant, where there is one. */
  readonly key: string | undefined;
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

type Path = readonly PropertyKey[];

/**
 * @param folder what relative paths stand in
 * @returns nothing where the text is no JSON: the editor says that better
 */
export async function checkConfigText(text: string, folder: string): Promise<Finding[]> {
  let json: LocatedJson;
  try {
    json = locateJson(text, '');
  } catch {
    return [];
  }
  const raw = json.value;
  if (!isObject(raw)) return [];
  const findings: Finding[] = [];
  const find = (path: Path, message: string, severity: Finding['severity'] = 'error'): void => {
    const key = path.findLast((part) => typeof part === 'string');
    findings.push({ line: json.line(path) ?? 1, key: key === undefined ? undefined : String(key), severity, message });
  };
  for (const { path, message, advice, inSchema } of configMistakes(raw)) {
    if (!inSchema) find(path, joined(message, advice));
  }
  await Promise.all([
    ...filesOf(raw).map(async ({ path, file }) => {
      const problem = await missing(isAbsolute(file) ? file : resolve(folder, file));
      if (problem !== undefined) find(path, problem);
    }),
    checkModel(raw.model_name_or_path, folder, find),
  ]);
  return findings.sort((a, b) => a.line - b.line);
}

async function checkModel(name: unknown, folder: string, find: (path: Path, message: string) => void): Promise<void> {
  if (typeof name !== 'string' || name === '') return;
  try {
    await findModel(name, folder);
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    find(['model_name_or_path'], joined(error.message, error.advice));
  }
}

function filesOf(raw: Readonly<Record<string, unknown>>): { path: Path; file: string }[] {
  const files = [...sourcesOf(raw.train_dataset, ['train_dataset']), ...sourcesOf(raw.eval_dataset, ['eval_dataset'])];
  const template = raw.chat_template_path;
  if (typeof template === 'string') files.push({ path: ['chat_template_path'], file: template });
  return files;
}

/** A path, `{path}`, a list of these, or `{name: ...}` of these. */
function sourcesOf(value: unknown, path: Path): { path: Path; file: string }[] {
  if (typeof value === 'string') return value === '' ? [] : [{ path, file: value }];
  if (Array.isArray(value)) return value.flatMap((one, i) => sourcesOf(one, [...path, i]));
  if (!isObject(value)) return [];
  if (typeof value.path === 'string') return sourcesOf(value.path, [...path, 'path']);
  return Object.entries(value).flatMap(([name, one]) => sourcesOf(one, [...path, name]));
}

async function missing(file: string): Promise<string | undefined> {
  return stat(file).then(
    () => undefined,
    () => `no file at ${file}`,
  );
}

function joined(message: string, advice: string | undefined): string {
  return advice === undefined ? message : `${message}. ${advice}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
