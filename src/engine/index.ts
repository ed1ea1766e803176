/** The engine: opens models on a device. What crosses into native code is checked here. */

import { codeOf, LabError } from '../core/errors.js';
import { loadAddon, type NativeModel, translated } from './addon.js';
import { checkBatch, checkGenerate, checkOpen, checkText, checkUpdate, checkWork } from './check.js';
import type {
  Batch,
  Device,
  DeviceUse,
  GenerateOptions,
  MemoryPlan,
  Model,
  ModelInfo,
  OpenOptions,
  UpdateOptions,
  WithoutCuda,
  Work,
} from './types.js';

export type * from './types.js';

/** The devices that this engine can train on here. */
export function devices(): Device[] {
  return loadAddon().devices();
}

/** Lets a device make ready what its first model would wait for; a call while other things are awaited costs nothing. */
export async function prepareDevice(device: string): Promise<void> {
  checkDevice(device);
  return translated(loadAddon().prepare(device));
}

/** What keeps this engine from training on an NVIDIA card here; undefined where nothing does. */
export function withoutCuda(): WithoutCuda | undefined {
  return loadAddon().withoutCuda();
}

/** Whether something failed because the device, or the host, had no memory left. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof LabError && codeOf(error.cause) === 'ENOMEM';
}

/** How busy a card is and what is taken of its memory; undefined for the CPU, and where the driver does not tell. */
export function deviceUse(device: string): DeviceUse | undefined {
  return loadAddon().deviceUse(device);
}

/**
 * Opens a model. Rejects with a LabError that names the file and the key or tensor where the folder is not what it should
 * be, and with a TypeError where an option is wrong.
 */
export async function openModel(options: OpenOptions): Promise<Model> {
  checkOpen(options);
  checkDevice(options.device);
  return new EngineModel(await translated(loadAddon().open(options)), options.mode);
}

/** What `openModel` with these options would take for that work, counted by the engine itself. Rejects as `openModel` does. */
export async function planMemory(options: OpenOptions, work: Work): Promise<MemoryPlan> {
  checkOpen(options);
  checkDevice(options.device);
  checkWork(work);
  return translated(loadAddon().plan(options, work));
}

function checkDevice(device: string): void {
  const known = devices().map(({ id }) => id);
  if (known.includes(device)) return;
  throw new LabError(`the device ${device} is not here`, {
    place: { field: 'device' },
    advice: `This engine has: ${known.join(', ')}.`,
  });
}

class EngineModel implements Model {
  readonly info: ModelInfo;
  readonly #native: NativeModel;
  readonly #mode: OpenOptions['mode'];

  constructor(native: NativeModel, mode: OpenOptions['mode']) {
    this.#native = native;
    this.#mode = mode;
    this.info = native.info();
  }

  #checkTrains(method: string): void {
    if (this.#mode !== 'train') throw new TypeError(`${method} needs a model that was opened with mode: 'train'`);
  }

  async accumulate(batch: Batch) {
    this.#checkTrains('accumulate');
    checkBatch(batch, this.info);
    return translated(this.#native.accumulate(batch));
  }
  async update(options: UpdateOptions) {
    this.#checkTrains('update');
    checkUpdate(options);
    return translated(this.#native.update(options));
  }
  async evaluate(batch: Batch) {
    checkBatch(batch, this.info);
    return translated(this.#native.evaluate(batch));
  }
  async generate(prompts: readonly Int32Array[], options: GenerateOptions) {
    checkGenerate(prompts, options, this.info);
    return translated(this.#native.generate(prompts, options));
  }
  async save(directory: string) {
    checkText('directory', directory);
    return translated(this.#native.save(directory));
  }
  async saveState(directory: string) {
    this.#checkTrains('saveState');
    checkText('directory', directory);
    return translated(this.#native.saveState(directory));
  }
  async loadState(directory: string) {
    this.#checkTrains('loadState');
    checkText('directory', directory);
    return translated(this.#native.loadState(directory));
  }
  memory() {
    return this.#native.memory();
  }
  interrupt() {
    this.#native.interrupt();
  }
  async close() {
    await this.#native.close();
  }
}
