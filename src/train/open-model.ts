/** A run's model, opened in the engine: from the model's folder, or from a checkpoint. */

import { LabError } from '../core/errors.js';
import { devices, openModel, withoutCuda } from '../engine/index.js';
import type { Model, OpenOptions } from '../engine/types.js';
import type { Run } from '../runs/run-folder.js';

/** @param wanted `auto`: the first GPU, else the CPU */
export async function chooseDevice(wanted: string): Promise<string> {
  const ids = (await devices()).map(({ id }) => id);
  const card = ids.find((id) => id.startsWith('cuda'));
  if (wanted === 'auto') return card ?? 'cpu';
  const device = wanted === 'cuda' ? (card ?? 'cuda:0') : wanted;
  if (ids.includes(device)) return device;
  const missing = device.startsWith('cuda') ? withoutCuda() : undefined;
  throw new LabError(`no device ${device} here${missing === undefined ? '' : `: ${missing.reason}`}`, {
    place: { field: 'device' },
    advice: [missing?.advice ?? [], `There is: ${ids.join(', ')}.`].flat().join(' '),
  });
}

/** Where `auto` takes the CPU although a card seems to be there. */
export function cardUnused(wanted: string, device: string): string | undefined {
  const missing = wanted === 'auto' && device === 'cpu' ? withoutCuda() : undefined;
  if (missing?.driver !== true) return undefined;
  return [`trains on the CPU: ${missing.reason}.`, missing.advice ?? []].flat().join(' ');
}

/** What of a run its model depends on. */
export interface ModelNeeds {
  readonly config: Run['config'];
  readonly info: Pick<Run['info'], 'kind'>;
}

/** @param checkpoint folder to continue from */
export function modelOptions(
  { config, info }: ModelNeeds,
  device: string,
  checkpoint: string | undefined,
): OpenOptions {
  const targets = config.lora_target_modules;
  const adapter = {
    r: config.lora_r,
    alpha: config.lora_alpha,
    dropout: config.lora_dropout,
    targetModules: typeof targets === 'string' ? targets.split(',').map((name) => name.trim()) : targets,
  };
  const training = info.kind === 'train';
  return {
    directory: checkpoint !== undefined && !config.use_peft ? checkpoint : config.model_name_or_path,
    device,
    precision: config.bf16 ? 'bf16' : 'fp32',
    threads: config.threads,
    seed: config.seed,
    mode: training ? 'train' : 'infer',
    // The untuned model has no adapter.
    ...(config.use_peft && training ? { adapter: checkpoint ?? adapter } : {}),
    ...(config.initialize_model && checkpoint === undefined ? { initialize: true } : {}),
    ...(config.gradient_checkpointing === true ? { checkpointing: true } : {}),
    ...(config.bf16_moments ? { moments: 'bf16' as const } : {}),
  };
}

/** @param checkpoint whose optimizer state the model goes on with */
export async function openRunModel(options: OpenOptions, checkpoint?: string): Promise<Model> {
  const model = await openModel(options);
  if (checkpoint === undefined) return model;
  try {
    await model.loadState(checkpoint);
    return model;
  } catch (error) {
    await model.close();
    throw error;
  }
}
