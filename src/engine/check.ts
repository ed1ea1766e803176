/** Checks of everything that crosses into the addon, each wrong argument with its own message; the addon trusts its caller. */

import { nearestName } from '../core/nearest.js';
import type { AdapterOptions, Batch, GenerateOptions, ModelInfo, OpenOptions, UpdateOptions, Work } from './types.js';

function fail(name: string, message: string): never {
  throw new TypeError(`${name} ${message}`);
}

/** Refuses keys that do not exist, so that a misspelt option is not lost in silence. */
function checkKeys(name: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(name, 'must be an object');
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    fail(`${name}.${key}`, `is not an option; ${near ? `did you mean ${near}?` : `known are ${known.join(', ')}`}`);
  }
}

function checkNumber(name: string, value: unknown, low: number, high: number, whole = false): void {
  if (typeof value !== 'number' || !(value >= low && value <= high) || (whole && !Number.isInteger(value))) {
    const kind = whole ? 'a whole number' : 'a number';
    fail(name, `must be ${kind} from ${low} to ${high}, not ${String(value)}`);
  }
}

export function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) fail(name, 'must be a non-empty text');
}

function checkAdapter(adapter: AdapterOptions | string): void {
  if (typeof adapter === 'string') {
    checkText('adapter', adapter);
    return;
  }
  checkKeys('adapter', adapter, ['r', 'alpha', 'dropout', 'targetModules']);
  checkNumber('adapter.r', adapter.r, 1, 65_536, true);
  checkNumber('adapter.alpha', adapter.alpha, Number.MIN_VALUE, 1e9);
  checkNumber('adapter.dropout', adapter.dropout, 0, 1 - Number.EPSILON);
  if (!Array.isArray(adapter.targetModules) || adapter.targetModules.length === 0) {
    fail('adapter.targetModules', 'must be a list of module names');
  }
  for (const module of adapter.targetModules) checkText('adapter.targetModules', module);
}

export function checkOpen(options: OpenOptions): void {
  checkKeys('options', options, [
    'directory',
    'device',
    'precision',
    'threads',
    'seed',
    'mode',
    'adapter',
    'initialize',
    'checkpointing',
    'working',
    'moments',
  ]);
  checkText('directory', options.directory);
  checkText('device', options.device);
  if (options.moments !== undefined && options.moments !== 'fp32' && options.moments !== 'bf16') {
    fail('moments', `must be fp32 or bf16, not ${String(options.moments)}`);
  }
  if (options.precision !== 'fp32' && options.precision !== 'bf16') {
    fail('precision', `must be fp32 or bf16, not ${String(options.precision)}`);
  }
  checkNumber('threads', options.threads, 0, 1024, true);
  checkNumber('seed', options.seed, 0, Number.MAX_SAFE_INTEGER, true);
  if (options.mode !== 'train' && options.mode !== 'infer')
    fail('mode', `must be train or infer, not ${String(options.mode)}`);
  if (options.adapter !== undefined) checkAdapter(options.adapter);
  const { initialize, checkpointing } = options;
  if (initialize !== undefined && typeof initialize !== 'boolean') {
    fail('initialize', `must be true or false, not ${String(initialize)}`);
  }
  if (typeof checkpointing === 'number') checkNumber('checkpointing', checkpointing, 0, 100_000, true);
  else if (checkpointing !== undefined && typeof checkpointing !== 'boolean') {
    fail('checkpointing', `must be true, false or a number of layers, not ${String(checkpointing)}`);
  }
  if (options.working !== undefined) checkNumber('working', options.working, 0, Number.MAX_SAFE_INTEGER, true);
}

export function checkWork(work: Work): void {
  checkKeys('work', work, ['training', 'evaluation', 'prompts', 'promptLength', 'newTokens']);
  for (const key of ['training', 'evaluation'] as const) {
    const shape = work[key];
    checkKeys(key, shape, ['tokens', 'longest', 'trained', 'measured']);
    for (const [name, value] of Object.entries(shape)) checkNumber(`${key}.${name}`, value, 0, 2 ** 31 - 1, true);
  }
  for (const key of ['prompts', 'promptLength', 'newTokens'] as const)
    checkNumber(key, work[key], 0, 2 ** 31 - 1, true);
}

function checkTokens(name: string, tokens: Int32Array, vocabulary: number): void {
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as number;
    if (token < 0 || token >= vocabulary) {
      fail(`${name}[${i}]`, `is ${token}, outside the vocabulary of ${vocabulary} tokens`);
    }
  }
}

export function checkBatch(batch: Batch, info: ModelInfo): void {
  checkKeys('batch', batch, ['tokens', 'offsets', 'targets', 'weights', 'groups']);
  const { tokens, offsets, targets, weights, groups } = batch;
  if (!(tokens instanceof Int32Array)) fail('batch.tokens', 'must be an Int32Array');
  if (!(offsets instanceof Int32Array)) fail('batch.offsets', 'must be an Int32Array');
  if (!(targets instanceof Int32Array)) fail('batch.targets', 'must be an Int32Array');
  if (!(weights instanceof Float32Array)) fail('batch.weights', 'must be a Float32Array');
  if (!(groups instanceof Uint8Array)) fail('batch.groups', 'must be a Uint8Array');
  const size = tokens.length;
  if (size === 0) fail('batch.tokens', 'is empty');
  for (const [name, array] of Object.entries({ targets, weights, groups })) {
    if (array.length !== size) fail(`batch.${name}`, `has ${array.length} entries for ${size} tokens`);
  }
  if (offsets.length < 2 || offsets[0] !== 0 || offsets[offsets.length - 1] !== size) {
    fail('batch.offsets', `must begin with 0 and end with the number of tokens, ${size}`);
  }
  for (let i = 1; i < offsets.length; i++) {
    const length = (offsets[i] as number) - (offsets[i - 1] as number);
    if (length <= 0) fail(`batch.offsets[${i}]`, 'must be greater than the one before: sequences are not empty');
    if (length > info.maxPositions) {
      fail(`batch.offsets[${i}]`, `ends a sequence of ${length} tokens; the model has ${info.maxPositions} positions`);
    }
  }
  checkTokens('batch.tokens', tokens, info.vocabularySize);
  checkTokens('batch.targets', targets, info.vocabularySize);
  for (let i = 0; i < size; i++) {
    const weight = weights[i] as number;
    if (!(weight >= 0 && weight < Infinity))
      fail(`batch.weights[${i}]`, `must be finite and not negative, not ${weight}`);
    if ((groups[i] as number) > 2) fail(`batch.groups[${i}]`, `must be 0, 1 or 2, not ${groups[i]}`);
  }
}

export function checkUpdate(options: UpdateOptions): void {
  checkKeys('options', options, ['learningRate', 'maxGradNorm', 'weightDecay', 'beta1', 'beta2', 'epsilon']);
  checkNumber('learningRate', options.learningRate, 0, Number.MAX_VALUE);
  checkNumber('maxGradNorm', options.maxGradNorm, 0, Number.MAX_VALUE);
  checkNumber('weightDecay', options.weightDecay, 0, Number.MAX_VALUE);
  checkNumber('beta1', options.beta1, 0, 1 - Number.EPSILON);
  checkNumber('beta2', options.beta2, 0, 1 - Number.EPSILON);
  checkNumber('epsilon', options.epsilon, Number.MIN_VALUE, 1);
}

export function checkGenerate(prompts: readonly Int32Array[], options: GenerateOptions, info: ModelInfo): void {
  checkKeys('options', options, ['maxNewTokens', 'temperature', 'topK', 'topP', 'seed', 'seeds', 'stopTokens']);
  checkNumber('maxNewTokens', options.maxNewTokens, 1, 2 ** 31 - 1, true);
  checkNumber('temperature', options.temperature, 0, 1e6);
  checkNumber('topK', options.topK, 0, 2 ** 31 - 1, true);
  checkNumber('topP', options.topP, Number.MIN_VALUE, 1);
  checkNumber('seed', options.seed, 0, Number.MAX_SAFE_INTEGER, true);
  if (!(options.stopTokens instanceof Int32Array)) fail('stopTokens', 'must be an Int32Array');
  if (!Array.isArray(prompts)) fail('prompts', 'must be a list of Int32Arrays');
  const { seeds } = options;
  if (seeds !== undefined) {
    if (!Array.isArray(seeds) || seeds.length !== prompts.length)
      fail('seeds', 'must be a list with one for each prompt');
    seeds.forEach((seed, i) => {
      checkNumber(`seeds[${i}]`, seed, 0, Number.MAX_SAFE_INTEGER, true);
    });
  }
  prompts.forEach((prompt: unknown, i) => {
    if (!(prompt instanceof Int32Array) || prompt.length === 0) fail(`prompts[${i}]`, 'must be a non-empty Int32Array');
    if (prompt.length > info.maxPositions) {
      fail(`prompts[${i}]`, `has ${prompt.length} tokens; the model has ${info.maxPositions} positions`);
    }
    checkTokens(`prompts[${i}]`, prompt, info.vocabularySize);
  });
}
