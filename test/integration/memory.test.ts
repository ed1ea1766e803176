/** The memory plan: what a run says it will take is what it takes, and a run that does not fit is told what would. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/cli/config-file.js';
import type { ResolvedConfig } from '../../src/core/config.js';
import { resolveConfig } from '../../src/core/config-parse.js';
import { devices } from '../../src/engine/index.js';
import { planRun, type RunMemory } from '../../src/train/memory.js';
import { openRunData } from '../../src/train/open-data.js';
import { facts, history, makeWorkspace, run, type Workspace } from './support.js';

let workspace: Workspace;
beforeAll(() => {
  workspace = makeWorkspace();
});
afterAll(() => workspace.remove());

const bf16 = devices()[0]?.features?.includes('avx512_bf16') === true;

/** Of the model that the first of these runs made. */
const lora = {
  model_name_or_path: '.sft/planned/full/checkpoints/step-000024',
  initialize_model: false,
  use_peft: true,
};

it.each([
  ['full', {}],
  ['full, activations computed again', { gradient_checkpointing: true }],
  ['full, bf16', { bf16 }],
  ['full, bf16, activations computed again', { bf16, gradient_checkpointing: true }],
  ['LoRA', lora],
  ['LoRA, activations computed again', { ...lora, gradient_checkpointing: true }],
  ['LoRA, bf16', { ...lora, bf16 }],
  ['short records', { max_length: 40 }],
  // Twelve epochs of two steps: each epoch has batches of its own.
  ['many records at once', { per_device_train_batch_size: 32 }],
  ['small microbatches, joined', { per_device_train_batch_size: 1, gradient_accumulation_steps: 4 }],
  ['streamed', { streaming: true }],
])('a run takes what was planned: %s', async (name, keys) => {
  const file = workspace.config('planned.sft.json', {
    ...keys,
    run_name: name.replaceAll(', ', '-'),
    logging_steps: 24,
  });
  const { code, stdout, stderr } = await run(workspace, 'train', file);
  expect([stderr, code]).toEqual(['', 0]);
  expect(stdout).toMatch(/^Memory \S+ \S+ of .* free \(weights .*, gradients and moments .*, activations .*\)/m);
  const folder = workspace.path('.sft', 'planned', name.replaceAll(', ', '-'));
  const { history: folded } = await history(folder);
  const planned = folded.setup?.memory;
  const taken = folded.train.at(-1)?.memory.peak ?? 0;
  expect(planned?.checkpointing).toBe('gradient_checkpointing' in keys);
  // Where the data is streamed, the largest batch is not known but bounded.
  if ('streaming' in keys) expect(planned?.peak).toBeGreaterThanOrEqual(taken);
  else {
    // Where a batch needs a little more than the largest one planned for, working memory grows by a block of a megabyte or so: nothing
    // beside a model, and a third of what this one takes.
    const block = name === 'LoRA, bf16' ? 1.1 * 2 ** 20 : 0;
    expect(Math.abs((planned?.peak ?? 0) - taken)).toBeLessThan(0.05 * taken + block);
  }
});

describe('a step', () => {
  it('of many small microbatches is computed as one: the same bytes as those of one large', async () => {
    const steps = { max_steps: 6, save_steps: 6, eval_strategy: 'no', experiment: 'small' };
    const cut = { per_device_train_batch_size: 1, gradient_accumulation_steps: 16, run_name: 'cut' };
    const whole = { per_device_train_batch_size: 16, gradient_accumulation_steps: 1, run_name: 'whole' };
    for (const how of [cut, whole]) {
      const { code, stderr } = await run(workspace, 'train', workspace.config('small.sft.json', { ...steps, ...how }));
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
    const folder = (name: string) => workspace.path('.sft', 'small', name);
    expect(await facts(folder('cut'))).toEqual(await facts(folder('whole')));
    const weights = 'checkpoints/step-000006/model.safetensors';
    expect(readFileSync(join(folder('cut'), weights))).toEqual(readFileSync(join(folder('whole'), weights)));
  });

  const accumulated = { per_device_train_batch_size: 1, gradient_accumulation_steps: 32, eval_strategy: 'no' } as const;

  it('is computed in as large pieces as memory allows, some of which is left to others', async () => {
    const roomy = await planned(accumulated, 1e12);
    expect(roomy.joined).toBe(1024);
    const tight = await planned(accumulated, roomy.plan.peak);
    expect(tight.joined).toBeLessThan(1024);
    expect(tight.plan.peak).toBeLessThan(roomy.plan.peak);
    expect((await planned({ ...accumulated, gradient_accumulation_steps: 1 }, 1e12)).joined).toBe(0);
  });

  it('of a run that goes on is computed as before, though less memory is free', async () => {
    const { plan } = await planned(accumulated, 1e12);
    expect((await planned(accumulated, plan.peak, 1024)).joined).toBe(1024);
    expect((await planned(accumulated, plan.peak - 1, 1024)).joined).toBe(0);
    expect((await planned(accumulated, 1e12, 0)).joined).toBe(0);
  });
});

async function planned(keys: Partial<ResolvedConfig>, available: number, joined?: number): Promise<RunMemory> {
  const file = workspace.config('large.sft.json', { per_device_train_batch_size: 32, ...keys });
  const loaded = await loadConfig(file, []);
  const config = {
    ...resolveConfig(loaded.config, dirname(file), 'large'),
    model_name_or_path: workspace.path('model'),
  };
  const data = await openRunData(config, undefined, new AbortController().signal);
  try {
    return await planRun(
      { needs: { config, info: { kind: 'train' } }, device: 'cpu', checkpoint: undefined, data, joined },
      available,
    );
  } finally {
    await data.close();
  }
}

describe('a run that does not fit', () => {
  it('computes activations again where the config leaves that open', async () => {
    const trains: Partial<ResolvedConfig> = { eval_strategy: 'no' };
    const kept = await planned(trains, 1e12);
    expect(kept.options.checkpointing).toBeUndefined();
    const again = await planned(trains, kept.plan.peak - 1);
    expect(again.plan.peak).toBeLessThan(kept.plan.peak);
    // One byte short: one layer is enough. With less, more of them are.
    expect(again.options.checkpointing).toBe(1);
    const all = await planned({ ...trains, gradient_checkpointing: true }, 1e12);
    const tight = await planned(trains, all.plan.peak);
    expect(tight.options.checkpointing).not.toBe(1);
    expect(tight.plan.peak).toBeLessThanOrEqual(all.plan.peak);
  });

  it('answers as many prompts at a time as memory allows, some of which is left to others, unless the config says how many', async () => {
    const roomy = await planned({}, 1e12);
    expect(roomy.evaluation).toEqual({ batch: 1, joined: 1024, answers: 32 });
    const tight = await planned({}, roomy.plan.peak);
    expect(tight.evaluation.answers).toBeLessThan(32);
    expect(tight.plan.peak).toBeLessThanOrEqual(roomy.plan.peak);
    const said = await planned({ per_device_eval_batch_size: 5 }, 1e12);
    expect(said.evaluation).toEqual({ batch: 5, joined: 0, answers: 5 });
  });

  it('is refused with what would fit, and that fits', async () => {
    const kept: Partial<ResolvedConfig> = { gradient_checkpointing: false, eval_strategy: 'no' };
    const { plan } = await planned(kept, 1e12);
    const available = plan.peak - 1;
    await expect(planned(kept, available)).rejects.toMatchObject({
      message: expect.stringContaining('this run needs'),
      place: { field: 'per_device_train_batch_size' },
      advice: expect.stringMatching(
        /"gradient_checkpointing": "auto"; .*"per_device_train_batch_size": 16 with "gradient_accumulation_steps": 2/,
      ),
    });
    const half = await planned({ ...kept, per_device_train_batch_size: 16, gradient_accumulation_steps: 2 }, available);
    expect(half.plan.peak).toBeLessThanOrEqual(available);
    await expect(planned({}, 1000)).rejects.toMatchObject({ advice: 'Choose a smaller model.' });
  });
});
