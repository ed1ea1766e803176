/** Runs on a card, as `sft-lab` sees it: CUDA's kernels in their emulator, NVML's library beside it, and cards that are full or lost. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  digests,
  type Ended,
  facts,
  history,
  interrupt,
  makeWorkspace,
  start,
  until,
  type Workspace,
} from './support.js';

const emulated = fileURLToPath(new URL('../../build/native/emulated', import.meta.url));
const engine = { SFT_LAB_ENGINE: join(emulated, 'sft-lab-engine.node') };
const withNvml = { ...engine, LD_LIBRARY_PATH: emulated };

let workspace: Workspace;
beforeAll(() => {
  workspace = makeWorkspace();
});
afterAll(() => workspace.remove());

function lab(env: Record<string, string>, ...args: string[]): Promise<Ended> {
  return start(workspace, args, env).ended;
}

const folderOf = (name: string) => workspace.path('.sft', name, 'run');
const checkpointsOf = (name: string) => readdirSync(join(folderOf(name), 'checkpoints')).sort();

function train(name: string, env: Record<string, string>, keys: object = {}): Promise<Ended> {
  workspace.config(`${name}.sft.json`, {
    device: 'cuda:0',
    run_name: 'run',
    max_steps: 8,
    save_steps: 3,
    eval_steps: 4,
    ...keys,
  });
  return lab(env, 'train', `${name}.sft.json`, '--quiet');
}

// The emulator's fibres are not made for Windows.
describe.skipIf(process.platform === 'win32')('a card', () => {
  it('is listed with its memory and driver', async () => {
    const { stdout } = await lab(withNvml, 'devices');
    expect(stdout).toMatch(/^cuda:0 {2}emulated card, 85\.9 GB, 53\.7 GB free, .*driver 580\.1\.2/m);
  });

  it('trains, evaluates and answers as the CPU does, and its use stands in the event log', async () => {
    expect(await train('card', withNvml)).toMatchObject({ code: 0, stderr: '' });
    expect(await train('cpu', engine, { device: 'cpu' })).toMatchObject({ code: 0, stderr: '' });
    const [{ history: card }, { history: cpu }] = [await history(folderOf('card')), await history(folderOf('cpu'))];
    expect(card.setup).toMatchObject({ device: 'cuda:0', memory: { available: 50 * 2 ** 30 } });
    expect(card.train).toHaveLength(8);
    for (const [i, step] of card.train.entries()) {
      expect(step.loss).toBeCloseTo(cpu.train[i]?.loss ?? Number.NaN, 4);
      expect(step.gradNorm).toBeCloseTo(cpu.train[i]?.gradNorm ?? Number.NaN, 3);
      expect(step.tokenAccuracy).toBe(cpu.train[i]?.tokenAccuracy);
      expect(step.gpu).toEqual({ busy: 0.75, memory: 30 * 2 ** 30 });
    }
    expect(card.train.at(-1)?.memory.peak).toBe(card.setup?.memory?.peak);
    expect(card.samples.map(({ answer }) => answer)).toEqual(cpu.samples.map(({ answer }) => answer));
    expect(card.evals.at(-1)?.answers?.confusion).toEqual(cpu.evals.at(-1)?.answers?.confusion);
    expect(cpu.train[0]?.gpu).toBeUndefined();
  });

  it('trains an adapter in bf16 as the CPU does in fp32; without NVML nothing is said of its use', async () => {
    const adapter = {
      model_name_or_path: '.sft/card/run/checkpoints/step-000008',
      initialize_model: false,
      use_peft: true,
      gradient_checkpointing: true,
    };
    const bf16 = { ...adapter, bf16: true, bf16_moments: true };
    expect(await train('lora', engine, bf16)).toMatchObject({ code: 0, stderr: '' });
    expect(await train('lora-cpu', engine, { ...adapter, device: 'cpu' })).toMatchObject({ code: 0, stderr: '' });
    const [{ history: card }, { history: cpu }] = [
      await history(folderOf('lora')),
      await history(folderOf('lora-cpu')),
    ];
    expect(card.train).toHaveLength(8);
    for (const [i, { loss, gpu }] of card.train.entries()) {
      expect(Math.abs(loss / (cpu.train[i]?.loss ?? Number.NaN) - 1)).toBeLessThan(0.01);
      expect(gpu).toBeUndefined();
    }
  });

  it('that cannot be used is told of, though the run is trained on the CPU', async () => {
    const missing = { ...engine, SFT_LAB_EMULATED_MISSING: 'a library is missing' };
    const { stdout } = await lab(missing, 'devices');
    expect(stdout).toMatch(/^cuda {4}not available: a library is missing\n {8}Install it\.$/m);
    const { code, stderr } = await train('missing', missing, { device: 'auto', max_steps: 1, eval_strategy: 'no' });
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'Warning: trains on the CPU: a library is missing. Install it.\n',
    });
    const refused = await train('missing-cuda', missing, { device: 'cuda' });
    expect(refused.stderr).toContain(
      'device: no device cuda:0 here: a library is missing\n  Install it. There is: cpu.',
    );
  });

  it('is known by its own number where others before it cannot be used', async () => {
    const third = { ...withNvml, SFT_LAB_EMULATED_NUMBER: '2' };
    expect((await lab(third, 'devices')).stdout).toMatch(/^cuda:2 {2}emulated card/m);
    const keys = { device: 'cuda', max_steps: 1, eval_strategy: 'no', save_strategy: 'no' };
    expect(await train('third', third, keys)).toMatchObject({ code: 0, stderr: '' });
    const { history: folded } = await history(folderOf('third'));
    expect(folded.setup?.device).toBe('cuda:2');
    expect(folded.train[0]?.gpu).toEqual({ busy: 0.75, memory: 30 * 2 ** 30 });
  });

  it('stopped as by Ctrl+C, a run goes on to the same bytes', async () => {
    const { child, ended } = start(workspace, ['train', 'stopped.sft.json', '--quiet'], engine);
    const begun = until('its third step', async () => (await history(folderOf('stopped'))).history.train.length >= 3);
    workspace.config('stopped.sft.json', {
      device: 'cuda:0',
      run_name: 'run',
      max_steps: 8,
      save_steps: 3,
      eval_steps: 4,
    });
    await begun;
    await interrupt(child);
    expect((await ended).code).toBe(130);
    const { history: folded } = await history(folderOf('stopped'));
    expect(folded.status?.status).toBe('interrupted');
    const { step } = folded.train.at(-1) ?? {};
    expect(checkpointsOf('stopped').at(-1)).toBe(`step-00000${step}`);
    expect(await lab(engine, 'resume', folderOf('stopped'), '--quiet')).toMatchObject({ code: 0, stderr: '' });
    await expectSame('stopped');
  });

  it('that is lost ends the run with its last checkpoint whole, from which it goes on to the same bytes', async () => {
    const lost = await train('lost', { ...engine, SFT_LAB_EMULATED_LOST: '700' });
    expect(lost.code).toBe(1);
    expect(lost.stderr).toContain('device: the GPU failed in a kernel: the emulated card is lost');
    expect(lost.stderr).toContain('The last checkpoint is whole: go on from there.');
    expect((await history(folderOf('lost'))).history.status?.status).toBe('failed');
    expect(checkpointsOf('lost').every((name) => /^step-\d+$/.test(name))).toBe(true);
    expect(await lab(engine, 'resume', folderOf('lost'), '--quiet')).toMatchObject({ code: 0, stderr: '' });
    await expectSame('lost');
  });

  async function expectSame(name: string): Promise<void> {
    const last = (run: string) => digests(join(folderOf(run), 'checkpoints', 'step-000008'));
    expect(last(name)).toEqual(last('card'));
    expect(await facts(folderOf(name))).toEqual(await facts(folderOf('card')));
  }

  it('that is too small for a run is told of before anything is computed, with changes that fit', async () => {
    const large = { per_device_train_batch_size: 16, gradient_checkpointing: false, eval_strategy: 'no' };
    const refused = await train('small', { ...engine, SFT_LAB_EMULATED_MEMORY: '3600000' }, large);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/this run needs \S+ MB of memory, and 3\.6 MB are free \(weights .*activations/);
    expect(refused.stderr).toMatch(
      /Each of these fits: "gradient_checkpointing": "auto"; .*"per_device_train_batch_size": \d+ with/,
    );
    const refusedAll = await train('none', { ...engine, SFT_LAB_EMULATED_MEMORY: '20000' });
    expect(refusedAll.stderr).toContain('device: cuda:0 has no memory left for a run: 20.0 kB are free');
  });

  it('that others fill meanwhile is told of with the plan, and with three changes', async () => {
    // NVML says that there is room; the card says that there is not.
    const failed = await train('full', { ...withNvml, SFT_LAB_EMULATED_MEMORY: '2000000' });
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(
      /memory ran out: \S+ MB were planned \(weights .*\); 53\.7 GB were free at the start/,
    );
    expect(/Each of these fits: (.*)\./.exec(failed.stderr)?.[1]?.split('; ')).toHaveLength(3);
    const { history: folded } = await history(folderOf('full'));
    expect(folded.status?.status).toBe('failed');
  });
});
