/** The engine: opens models on a device. What crosses into native code is checked here. */

import { LabError } from '../core/errors.js';
import { loadAddon, type NativeModel, translated } from './addon.js';
import { checkBatch, checkGenerate, checkOpen, checkUpdate } from './check.js';
import type { Batch, Device, GenerateOptions, Model, ModelInfo, OpenOptions, UpdateOptions } from './types.js';

export type * from './types.js';

/** The devices that this engine can train on here. */
export function devices(): Device[] {
  return loadAddon().devices();
}

/**
 * Opens a model. Rejects with a LabError that names the file and the key or tensor where the folder is not what it should
 * be, and with a TypeError where an option is wrong.
 */
export async function openModel(options: OpenOptions): Promise<Model> {
  checkOpen(options);
  const known = devices().map((device) => device.id);
  if (!known.includes(options.device)) {
    throw new LabError(`the device ${options.device} is not here`, {
      place: { field: 'device' },
      advice: `This engine has: ${known.join(', ')}.`,
    });
  }
  return new EngineModel(await translated(loadAddon().open(options)));
}

class EngineModel implements Model {
  readonly info: ModelInfo;
  readonly #native: NativeModel;

  constructor(native: NativeModel) {
    this.#native = native;
    this.info = native.info();
  }

  async accumulate(batch: Batch) {
    checkBatch(batch, this.info);
    return translated(this.#native.accumulate(batch));
  }
  async update(options: UpdateOptions) {
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
  save(directory: string) {
    return translated(this.#native.save(directory));
  }
  saveState(directory: string) {
    return translated(this.#native.saveState(directory));
  }
  loadState(directory: string) {
    return translated(this.#native.loadState(directory));
  }
  memory() {
    return this.#native.memory();
  }
  async close() {
    this.#native.close();
  }
}
