/** The native addon: where it lies, what it exports, and how its errors become ours. */

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LabError } from '../core/errors.js';
import type {
  Batch,
  BatchStats,
  Device,
  DeviceUse,
  Generated,
  GenerateOptions,
  Memory,
  MemoryPlan,
  ModelInfo,
  OpenOptions,
  TokenStats,
  UpdateOptions,
  UpdateStats,
  WithoutCuda,
  Work,
} from './types.js';

/** `EngineModel` of native/addon/addon.cpp. */
export interface NativeModel {
  info(): ModelInfo;
  accumulate(batch: Batch): Promise<BatchStats>;
  update(options: UpdateOptions): Promise<UpdateStats>;
  evaluate(batch: Batch): Promise<TokenStats>;
  generate(prompts: readonly Int32Array[], options: GenerateOptions): Promise<Generated[]>;
  save(directory: string): Promise<void>;
  saveState(directory: string): Promise<void>;
  loadState(directory: string): Promise<void>;
  memory(): Memory;
  interrupt(): void;
  close(): Promise<void>;
}

export interface NativeEngine {
  open(options: OpenOptions): Promise<NativeModel>;
  plan(options: OpenOptions, work: Work): Promise<MemoryPlan>;
  devices(): Device[];
  prepare(device: string): Promise<void>;
  /** Undefined where there is a CUDA device. */
  withoutCuda(): WithoutCuda | undefined;
  /** Undefined for the CPU, and where the driver does not tell. */
  deviceUse(device: string): DeviceUse | undefined;
  /** Cancels what the engine does and ends its threads. For a process that exits: nothing settles afterwards. */
  stop(): void;
}

const built = join('build', 'native', 'sft-lab-engine.node');

/** Of each engine in a package for x64, what Linux calls the instructions that it is built with; the fastest first. */
const levels: readonly (readonly [string, readonly string[]])[] = [
  ['x86-64-v4', ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl']],
  ['x86-64-v3', ['avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'movbe']],
];

/**
 * Names of the engines in a package's `engine/` that this machine can run, the fastest first. Other systems than Linux do not tell; theirs get
 * what all machines of some years have.
 *
 * @throws LabError where the machine is too old for any
 */
export function runnableLevels(arch: string, cpuinfo: string | undefined): readonly string[] {
  if (arch === 'arm64') return ['armv8.5-a', 'armv8.2-a'];
  if (cpuinfo === undefined) return ['x86-64-v3'];
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(/\s+/));
  const runnable = levels.filter(([, needed]) => needed.every((flag) => flags.has(flag))).map(([level]) => level);
  if (runnable.length > 0) return runnable;
  throw new LabError('the engine needs a processor with AVX2 and FMA, which this one has not', {
    advice:
      'Intel has them since Haswell (2013), AMD since Excavator (2015). Build SFT Lab on this machine: `npm run setup`.',
  });
}

function cpuinfo(): string | undefined {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return undefined;
  }
}

/** The engine of a package whose top is `folder`. */
function packagedAddon(folder: string): string | undefined {
  const engines = join(folder, 'engine');
  if (!existsSync(join(folder, 'package.json')) || !existsSync(engines)) return undefined;
  return runnableLevels(process.arch, cpuinfo())
    .map((level) => join(engines, `${level}.node`))
    .find((file) => existsSync(file));
}

/**
 * What `SFT_LAB_ENGINE` names, as tests do; else it looks upwards from this file, so that it is found from the sources and from the bundle
 * alike, in a checkout and a package.
 */
function findAddon(): string {
  const { SFT_LAB_ENGINE: named } = process.env;
  if (named) return resolve(named);
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, built);
    if (existsSync(candidate)) return candidate;
    const packaged = packagedAddon(folder);
    if (packaged !== undefined) return packaged;
    const parent = dirname(folder);
    if (parent === folder) {
      throw new LabError(`the engine is not built: ${built} is missing`, { advice: 'Run `npm run setup`.' });
    }
    folder = parent;
  }
}

let loaded: NativeEngine | undefined;

export function loadAddon(): NativeEngine {
  if (loaded === undefined) {
    const file = findAddon();
    try {
      // With threads that spin for long, two programs on one machine starve each other; libgomp reads this as it is loaded.
      process.env.GOMP_SPINCOUNT ??= '1000';
      const engine = createRequire(import.meta.url)(file) as NativeEngine;
      // First of all listeners: one that throws would leave threads at work while the process is torn down.
      process.prependListener('exit', () => engine.stop());
      loaded = engine;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new LabError(`the engine cannot be loaded: ${reason}`, {
        place: { file },
        advice: 'Run `npm run setup`; it installs what the engine needs and builds it for this machine.',
        cause,
      });
    }
  }
  return loaded;
}

interface EngineFailure {
  readonly message: string;
  readonly file?: string;
  readonly field?: string;
  readonly advice?: string;
}

function isEngineFailure(error: unknown): error is EngineFailure {
  return error instanceof Error && 'engine' in error && error.engine === true;
}

/** Awaits the addon; what it says of a user's file or request becomes a LabError with the same place. */
export async function translated<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (!isEngineFailure(error)) throw error;
    const place = { ...(error.file ? { file: error.file } : {}), ...(error.field ? { field: error.field } : {}) };
    throw new LabError(error.message, { place, ...(error.advice ? { advice: error.advice } : {}), cause: error });
  }
}
