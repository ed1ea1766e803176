/** From the text of a config to a checked config: every mistake is named by key, with what is allowed and what was likely meant. */

import { isAbsolute, resolve } from 'node:path';
import type * as z from 'zod';
import {
  type ConfigDataSource,
  configKeys,
  isAxis,
  type ResolvedConfig,
  type RunConfig,
  runConfigSchema,
} from './config.js';
import { LabError } from './errors.js';
import { locateJson } from './json-places.js';
import { nearestName } from './nearest.js';

/** Keys that other trainers use for what has another name here. */
const foreignKeys: Readonly<Record<string, string>> = {
  model: 'model_name_or_path',
  base_model: 'model_name_or_path',
  dataset: 'train_dataset',
  dataset_name: 'train_dataset',
  datasets: 'train_dataset',
  max_seq_length: 'max_length',
  max_seq_len: 'max_length',
  sequence_len: 'max_length',
  cutoff_len: 'max_length',
  completion_only_loss: 'loss_on',
  assistant_only_loss: 'loss_on',
  train_on_inputs: 'loss_on',
  lr: 'learning_rate',
  batch_size: 'per_device_train_batch_size',
  micro_batch_size: 'per_device_train_batch_size',
  val_set_size: 'test_size',
  evaluation_strategy: 'eval_strategy',
  lr_scheduler: 'lr_scheduler_type',
  max_new_tokens: 'eval_max_new_tokens',
};

/** `--set key=value` as given: a dotted key and the text after the `=`. */
export interface Override {
  readonly key: string;
  readonly value: string;
}

/**
 * Parses a config file.
 *
 * @param text the file's text
 * @param file its path, for messages
 * @param overrides `--set` values, which replace those of the file; JSON where it parses, else plain text
 * @throws LabError naming file, line and key
 */
export function parseConfig(text: string, file: string, overrides: readonly Override[] = []): RunConfig {
  const located = locateJson(text, file);
  const value = located.value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new LabError('a config is a JSON object', { place: { file, line: 1 } });
  }
  const raw: Record<string, unknown> = { ...value };
  for (const override of overrides) applyOverride(raw, override);
  return checkConfig(raw, (path) => {
    const overridden = overrides.some(({ key }) => key.split('.')[0] === path[0]);
    const line = overridden ? undefined : located.line(path);
    return overridden ? { file: '--set' } : line === undefined ? { file } : { file, line };
  });
}

/** Checks a config that is already an object, for instance that of a run folder or of one run of a comparison. */
export function checkConfig(
  raw: unknown,
  place: (path: readonly PropertyKey[]) => { file?: string; line?: number } = () => ({}),
): RunConfig {
  const parsed = runConfigSchema.safeParse(raw);
  if (!parsed.success) throw errorOf(parsed.error.issues, raw, place);
  for (const { path, message, advice } of contradictions(parsed.data)) {
    throw new LabError(message, {
      place: { ...place(path), field: fieldOf(path) },
      ...(advice === undefined ? {} : { advice }),
    });
  }
  return parsed.data;
}

/** A mistake of a config: where it is, what is wrong and perhaps what to do. */
export interface ConfigMistake {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly advice: string | undefined;
  /** Whether the JSON Schema says so too. */
  readonly inSchema: boolean;
}

/** All mistakes of a config that is already an object; none: `checkConfig` takes it. */
export function configMistakes(raw: unknown): ConfigMistake[] {
  const parsed = runConfigSchema.safeParse(raw);
  const mistakes = parsed.success
    ? [...contradictions(parsed.data)]
    : parsed.error.issues.map((issue) => describeIssue(issue, [], raw));
  return mistakes.map((mistake) => ({ ...mistake, inSchema: !parsed.success }));
}

/** What is wrong with values that are right by themselves. */
function* contradictions(config: RunConfig): Generator<Mistake> {
  const at = (key: string, message: string, advice: string): Mistake => ({ path: [key], message, advice });
  if (config.initialize_model && config.use_peft) {
    yield at(
      'use_peft',
      'an adapter cannot be trained on random weights',
      'Set either initialize_model or use_peft, not both.',
    );
  }
  if (config.test_size > 0 && config.eval_dataset !== undefined) {
    yield at('test_size', 'eval_dataset is given too, so there is nothing to split off', 'Keep one of the two keys.');
  }
  if (config.eval_strategy === 'steps' && config.eval_steps === undefined) {
    yield at('eval_strategy', '`steps` needs eval_steps', 'Add "eval_steps": 100, for instance.');
  }
  if (config.save_strategy === 'steps' && config.save_steps === undefined) {
    yield at('save_strategy', '`steps` needs save_steps', 'Add "save_steps": 100, for instance.');
  }
  const hasEvaluation = config.eval_dataset !== undefined || config.test_size > 0;
  if (!hasEvaluation && config.eval_strategy !== undefined && config.eval_strategy !== 'no') {
    yield at('eval_strategy', 'there is no evaluation set', 'Add eval_dataset, or test_size to split one off.');
  }
  for (const key of Object.keys(config.compare ?? {})) {
    if (!isAxis(key)) {
      const message = `no axis of a comparison is called "${key}"`;
      yield { path: ['compare', key], message, advice: adviceForKey(key, configKeys.filter(isAxis)) };
    }
  }
}

/** Makes paths absolute and writes out what may be left out. `directory`: what relative paths stand in. */
export function resolveConfig(config: RunConfig, directory: string, experiment: string): ResolvedConfig {
  const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(directory, path));
  const sourcesOf = (value: RunConfig['train_dataset']): ConfigDataSource[] =>
    (Array.isArray(value) ? value : [value]).map((source) =>
      typeof source === 'string'
        ? { path: absolute(source), format: 'auto' }
        : { ...source, path: absolute(source.path) },
    );
  const evaluation: Record<string, ConfigDataSource[]> = {};
  const given = config.eval_dataset;
  if (given !== undefined) {
    if (typeof given === 'string' || Array.isArray(given) || isSource(given)) evaluation.eval = sourcesOf(given);
    else for (const [name, value] of Object.entries(given)) evaluation[name] = sourcesOf(value);
  }
  const hasEvaluation = given !== undefined || config.test_size > 0;
  const { $schema: _schema, compare: _compare, ...rest } = config;
  return {
    ...rest,
    ...(config.chat_template_path === undefined ? {} : { chat_template_path: absolute(config.chat_template_path) }),
    output_dir: absolute(config.output_dir),
    experiment: config.experiment ?? experiment,
    train_dataset: sourcesOf(config.train_dataset),
    eval_dataset: evaluation,
    eval_strategy: !hasEvaluation
      ? 'no'
      : (config.eval_strategy ?? (config.eval_steps === undefined ? 'epoch' : 'steps')),
    save_strategy: config.save_strategy ?? (config.save_steps === undefined ? 'epoch' : 'steps'),
  };
}

function isSource(value: object): value is ConfigDataSource {
  return 'path' in value && typeof value.path === 'string';
}

function applyOverride(raw: Record<string, unknown>, { key, value }: Override): void {
  const path = key.split('.');
  let target = raw;
  for (const part of path.slice(0, -1)) {
    const inner = target[part];
    const copy = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? { ...inner } : {};
    target[part] = copy;
    target = copy as Record<string, unknown>;
  }
  const last = path.at(-1) ?? key;
  target[last] = overrideValue(path.length === 1 ? key : undefined, value);
}

/** JSON if it parses, except where only the text itself fits the key (`run_name=7`). */
function overrideValue(key: string | undefined, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  const shape: Readonly<Record<string, z.ZodType>> = runConfigSchema.shape;
  const schema = key === undefined ? undefined : shape[key];
  if (schema !== undefined && !schema.safeParse(value).success && schema.safeParse(text).success) return text;
  return value;
}

type Issue = z.core.$ZodIssue;
type Place = (path: readonly PropertyKey[]) => { file?: string; line?: number };

function errorOf(issues: readonly Issue[], raw: unknown, place: Place): LabError {
  const errors = issues.map((issue) => describeIssue(issue, [], raw));
  const first = errors[0] ?? { path: [], message: 'not a config', advice: undefined };
  const more = errors.slice(1, 10).map(({ path, message }) => `${fieldOf(path) || 'config'}: ${message}`);
  const advice = [first.advice, ...more.map((line) => `Also: ${line}`)].filter((part) => part !== undefined);
  return new LabError(first.message, {
    place: { ...place(first.path), ...(first.path.length === 0 ? {} : { field: fieldOf(first.path) }) },
    ...(advice.length === 0 ? {} : { advice: advice.join('\n  ') }),
  });
}

interface Mistake {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly advice: string | undefined;
}

function describeIssue(issue: Issue, parent: readonly PropertyKey[], raw: unknown): Mistake {
  const path = [...parent, ...issue.path];
  const got = valueAt(raw, path);
  switch (issue.code) {
    case 'unrecognized_keys': {
      const key = issue.keys[0] ?? '';
      const names =
        path.length === 0 ? configKeys : ['path', 'format', 'fields', 'prompt', 'completion', 'system', 'messages'];
      const others = issue.keys.slice(1).map((other) => `"${other}"`);
      const also = others.length === 0 ? '' : ` (nor ${others.join(', ')})`;
      return { path: [...path, key], message: `no such key${also}`, advice: adviceForKey(key, names) };
    }
    case 'invalid_union': {
      const branch = likelyBranch(issue.errors);
      if (branch !== undefined) return describeIssue(branch, path, raw);
      const kinds = [...new Set(typesOf(issue.errors))].join(' or ');
      return {
        path,
        message: got === undefined ? `missing; expected ${kinds}` : `expected ${kinds}, got ${show(got)}`,
        advice: undefined,
      };
    }
    case 'invalid_type':
      return got === undefined
        ? { path, message: `missing; expected ${article(issue.expected)}`, advice: undefined }
        : { path, message: `expected ${article(issue.expected)}, got ${show(got)}`, advice: undefined };
    case 'invalid_value': {
      const allowed = issue.values.map(String);
      const near = typeof got === 'string' ? nearestName(got, allowed) : undefined;
      return {
        path,
        message: `expected one of ${allowed.join(', ')}; got ${show(got)}`,
        advice: near === undefined ? undefined : `Did you mean "${near}"?`,
      };
    }
    case 'too_small': {
      const bound = `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
      const unit = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' entries' : '';
      return { path, message: `expected ${bound}${unit}, got ${show(got)}`, advice: undefined };
    }
    case 'too_big':
      return {
        path,
        message: `expected ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}, got ${show(got)}`,
        advice: undefined,
      };
    case 'invalid_format':
      return { path, message: `expected ${issue.message}, got ${show(got)}`, advice: undefined };
    case 'invalid_key': {
      const inner = issue.issues[0];
      return { path, message: `expected as a name ${inner?.message ?? 'another text'}`, advice: undefined };
    }
    default:
      return { path, message: issue.message, advice: undefined };
  }
}

/** Of a union's alternatives the one whose kind of value was given: its mistake lies deepest, or it is no mistake of type. */
function likelyBranch(branches: readonly (readonly Issue[])[]): Issue | undefined {
  let best: Issue | undefined;
  for (const branch of branches) {
    const first = branch.find((issue) => issue.code === 'unrecognized_keys') ?? branch[0];
    if (first === undefined || (first.code === 'invalid_type' && first.path.length === 0)) continue;
    if (first.code === 'invalid_value' && first.path.length === 0) continue;
    if (first.code === 'invalid_key') continue;
    if (first.code === 'invalid_union' && first.path.length === 0 && likelyBranch(first.errors) === undefined) continue;
    if (best === undefined || first.path.length > best.path.length) best = first;
  }
  return best;
}

/** The kinds of value that a union allows. */
function typesOf(branches: readonly (readonly Issue[])[]): string[] {
  return branches.flat().flatMap((issue) => {
    if (issue.code === 'invalid_union') return typesOf(issue.errors);
    if (issue.code === 'invalid_type') return [article(issue.expected)];
    return issue.code === 'invalid_value' ? issue.values.map(String) : [];
  });
}

function adviceForKey(key: string, names: readonly string[]): string {
  const foreign = foreignKeys[key];
  if (foreign !== undefined && names.includes(foreign)) return `Here the key is "${foreign}".`;
  const near = nearestName(key, names);
  return near === undefined ? 'See `sft-lab train --help` for all keys.' : `Did you mean "${near}"?`;
}

function fieldOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`,
    '',
  );
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  let value = raw;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Object.entries(value).find(([key]) => key === String(part))?.[1];
  }
  return value;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function article(type: string): string {
  if (type === 'int') return 'a whole number';
  return `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`;
}
