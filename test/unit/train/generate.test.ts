import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Model, openModel } from '../../../src/engine/index.js';
import { generateEach } from '../../../src/train/generate.js';
import { tinyModel, writeModel } from '../../integration/support.js';

const folder = mkdtempSync(join(tmpdir(), 'sft-lab-generate-'));
let model: Model;
beforeAll(async () => {
  writeModel(folder, { ...tinyModel, max_position_embeddings: 40 });
  model = await openModel({
    directory: folder,
    device: 'cpu',
    precision: 'fp32',
    threads: 2,
    seed: 1,
    mode: 'infer',
    initialize: true,
  });
});
afterAll(async () => {
  await model.close();
  rmSync(folder, { recursive: true, force: true });
});

it('answers each prompt as it would be alone, in as many tokens as its own context leaves', async () => {
  const options = { maxNewTokens: 12, temperature: 1, topK: 0, topP: 1, stopTokens: new Int32Array() };
  const prompts = [3, 35, 40, 28, 39, 3, 35].map((length, n) => Int32Array.from({ length }, (_, i) => (n + i) % 50));
  const seeds = prompts.map((_, n) => 100 + n);
  const together = await generateEach(model, prompts, seeds, options);
  expect(together.map((answer) => answer?.tokens.length)).toEqual([12, 5, undefined, 12, 1, 12, 5]);
  for (const [n, prompt] of prompts.entries()) {
    const [alone] = await generateEach(model, [prompt], [100 + n], options);
    expect(together[n]).toEqual(alone);
  }
});
