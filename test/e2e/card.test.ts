/** A machine with a card, as a person sees it: what a run takes of it in the form, and its use in the run panel. */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeModel } from '../integration/support.js';
import { useLab, writeConfig } from './harness/lab.js';
import { root } from './harness/server.js';

// CUDA's kernels in their emulator, and beside it a library that answers as NVML's.
const emulated = join(root, 'build', 'native', 'emulated');

function records(from: number, to: number): string {
  const record = (n: number) => ({
    instruction: `Word ${n}: ${n % 2 ? 'cat' : 'dog'}`,
    output: n % 3 === 0 ? 'yes' : 'no',
  });
  return Array.from({ length: to - from }, (_, i) => `${JSON.stringify(record(from + i))}\n`).join('');
}

const lab = useLab({
  env: { SFT_LAB_ENGINE: join(emulated, 'sft-lab-engine.node'), LD_LIBRARY_PATH: emulated },
  fill: (folder) => {
    writeFileSync(join(folder, 'words.jsonl'), records(0, 48));
    writeFileSync(join(folder, 'words-eval.jsonl'), records(100, 106));
    // Small enough for an emulator.
    writeModel(join(folder, 'model'));
    writeConfig(folder, 'few', {
      model_name_or_path: 'model',
      initialize_model: true,
      train_dataset: 'words.jsonl',
      eval_dataset: 'words-eval.jsonl',
      max_steps: 12,
      eval_steps: 6,
      save_steps: 6,
      run_name: 'on the card',
    });
  },
});

it('the form says what a run takes of the card, and offers it', async () => {
  await lab().showView('Explorer');
  const tab = lab().page.locator('.tab').filter({ hasText: 'Fine-tune words.jsonl' }).first();
  await lab().menu(await lab().listed('words.jsonl'), 'Fine-tune…', () => tab.isVisible());
  const form = await lab().webview('Fine-tune words.jsonl');
  await form.getByText('tokens/s, measured').waitFor({ timeout: 90_000 });
  await form.locator('.tile').filter({ hasText: 'of 85.9 GB, cuda:0' }).waitFor();
  await form.locator('summary').click();
  const device = form.locator('#device');
  await device.click();
  await device.getByText('cuda:0 · emulated card').click();
  await form.locator('.device .hint').getByText('85.9 GB').waitFor();
  await lab().shoot('card-form');
});

it('the run panel draws how busy the card is, and what is taken of its memory', async () => {
  await (await lab().listed('few.sft.json')).dblclick();
  const run = lab().path('.sft', 'few', 'on the card', 'run.json');
  await lab().lens('Run', () => existsSync(run));
  const panel = await lab().webview('Run');
  for (const [id, last] of [
    ['gpuBusy', /GPU use by step: last 75/],
    ['gpuMemory', /GPU memory by step: last 32\.2 GB/],
  ] as const) {
    const chart = panel.locator(`[data-chart="${id}"]`);
    await chart.scrollIntoViewIfNeeded({ timeout: 60_000 });
    await expect.poll(() => chart.getAttribute('aria-label'), { timeout: 60_000 }).toMatch(last);
  }
  await panel.getByText('cuda:0').first().waitFor();
  await lab().shoot('card-panel');
});
