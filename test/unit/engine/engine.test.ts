/** The engine through its TypeScript face, with models that are made on the spot. */

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LabError } from '../../../src/core/errors.js';
import {
  type Batch,
  devices,
  type Model,
  type OpenOptions,
  openModel,
  type UpdateOptions,
} from '../../../src/engine/index.js';

const config = {
  architectures: ['Qwen3ForCausalLM'],
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  vocab_size: 50,
  max_position_embeddings: 40,
  tie_word_embeddings: true,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-lab-engine-'));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fresh = (options: Partial<OpenOptions> = {}): Promise<Model> =>
  openModel({
    directory: folder,
    device: 'cpu',
    precision: 'fp32',
    threads: 2,
    seed: 1,
    mode: 'train',
    initialize: true,
    ...options,
  });

/** Sequences that count upwards, trained on their second half. */
function batch(lengths: readonly number[], first = 0): Batch {
  const size = lengths.reduce((sum, length) => sum + length, 0);
  const tokens = new Int32Array(size);
  const targets = new Int32Array(size);
  const weights = new Float32Array(size);
  const groups = new Uint8Array(size);
  const offsets = Int32Array.from([0, ...lengths]);
  let at = 0;
  lengths.forEach((length, s) => {
    for (let i = 0; i < length; i++) {
      tokens[at + i] = (first + s * 7 + i) % 50;
      if (i === length - 1) continue;
      targets[at + i] = (first + s * 7 + i + 1) % 50;
      weights[at + i] = i >= length / 2 ? 1 : 0;
      groups[at + i] = i >= length / 2 ? 2 : 1;
    }
    at += length;
    offsets[s + 1] = at;
  });
  return { tokens, targets, weights, groups, offsets };
}

const adamw: UpdateOptions = {
  learningRate: 0.01,
  maxGradNorm: 1,
  weightDecay: 0.01,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
};
const lengths = [12, 5, 20, 2];

async function train(model: Model, steps: number, from = 0): Promise<number[]> {
  const losses: number[] = [];
  for (let step = from; step < from + steps; step++) {
    const { weightedLoss, weight } = await model.accumulate(batch(lengths, step % 3));
    losses.push(weightedLoss / weight);
    await model.update(adamw);
  }
  return losses;
}

const lora = { r: 4, alpha: 8, dropout: 0.1, targetModules: ['all-linear'] };

describe.each([
  ['full', undefined],
  ['LoRA', lora],
] as const)('%s', (_name, adapter) => {
  const extra = adapter === undefined ? {} : { adapter };

  test('learns, and the same seed gives the same losses to the bit', async () => {
    const [first, second] = [await fresh(extra), await fresh(extra)];
    const losses = await train(first, 30);
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) * 0.9);
    expect(await train(second, 30)).toEqual(losses);
    await Promise.all([first.close(), second.close()]);
  });

  test('saved and opened again, weights and optimizer go on to the bit', async () => {
    const whole = await fresh(extra);
    const losses = await train(whole, 12);
    const part = await fresh(extra);
    await train(part, 5);
    const saved = mkdtempSync(join(folder, 'saved-'));
    await part.save(saved);
    await part.saveState(saved);
    await part.close();
    let resumed: Model;
    if (adapter === undefined) {
      copyFileSync(join(folder, 'config.json'), join(saved, 'config.json'));
      resumed = await fresh({ directory: saved, initialize: false });
    } else {
      resumed = await fresh({ adapter: saved });
    }
    await resumed.loadState(saved);
    expect(await train(resumed, 7, 5)).toEqual(losses.slice(5));
    await whole.save(mkdirs(join(saved, 'a')));
    await resumed.save(mkdirs(join(saved, 'b')));
    const file = adapter === undefined ? 'model.safetensors' : 'adapter_model.safetensors';
    expect(readFileSync(join(saved, 'a', file)).equals(readFileSync(join(saved, 'b', file)))).toBe(true);
    await Promise.all([whole.close(), resumed.close()]);
  });
});

function mkdirs(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}

test('a batch in uneven parts gives the gradient of the whole', async () => {
  const [whole, parts] = [await fresh(), await fresh()];
  await whole.accumulate(batch(lengths));
  let first = 0;
  for (const [s, length] of lengths.entries()) {
    await parts.accumulate({ ...batch([length], s * 7) });
    first += length;
  }
  expect(first).toBe(39);
  const norms = [(await whole.update(adamw)).gradientNorm, (await parts.update(adamw)).gradientNorm];
  expect(norms[1]).toBeCloseTo(norms[0] ?? 0, 5);
  await Promise.all([whole.close(), parts.close()]);
});

test('figures of measured and trained positions stand apart', async () => {
  const model = await fresh();
  const stats = await model.accumulate(batch(lengths));
  const tokens = await model.evaluate(batch(lengths));
  const groups = batch(lengths).groups;
  const sum = (group: number) => tokens.loss.reduce((total, loss, i) => total + (groups[i] === group ? loss : 0), 0);
  expect(stats.prompt.loss).toBeCloseTo(sum(1), 3);
  expect(stats.completion.loss).toBeCloseTo(sum(2), 3);
  expect(stats.weightedLoss).toBeCloseTo(stats.completion.loss, 4);
  expect(stats.prompt.tokens + stats.completion.tokens).toBe(35);
  await model.close();
});

test('generation: seeds repeat, temperature 0 is greedy, stop tokens end', async () => {
  const model = await fresh();
  await train(model, 60);
  const prompts = [Int32Array.of(1, 2, 3, 4, 5), Int32Array.of(9, 10, 11)];
  const options = { maxNewTokens: 8, temperature: 0, topK: 0, topP: 1, seed: 5, stopTokens: new Int32Array() };
  const greedy = await model.generate(prompts, options);
  expect(greedy.map(({ tokens }) => tokens.length)).toEqual([8, 8]);
  expect(await model.generate(prompts, options)).toEqual(greedy);
  const hot = { ...options, temperature: 3 };
  expect(await model.generate(prompts, hot)).toEqual(await model.generate(prompts, hot));
  expect(await model.generate(prompts, hot)).not.toEqual(await model.generate(prompts, { ...hot, seed: 6 }));
  expect((await model.generate(prompts, { ...hot, topK: 1 })).map(({ tokens }) => tokens)).toEqual(
    greedy.map(({ tokens }) => tokens),
  );
  const stop = greedy[0]?.tokens[2] ?? 0;
  const [stopped] = await model.generate(prompts, { ...options, stopTokens: Int32Array.of(stop) });
  expect(stopped).toMatchObject({ finish: 'stop' });
  expect(stopped?.tokens.at(-1)).toBe(stop);
  // The context ends at 40 positions, whatever is asked for.
  const [long] = await model.generate(prompts, { ...options, maxNewTokens: 500 });
  expect(long).toMatchObject({ finish: 'length' });
  expect(prompts[0]?.length).toBeLessThan(40);
  expect((long?.tokens.length ?? 0) + 5).toBeLessThanOrEqual(41);
  await model.close();
});

test('many prompts at once answer as each one alone', async () => {
  const model = await fresh();
  await train(model, 10);
  const prompts = Array.from({ length: 150 }, (_, i) =>
    Int32Array.from({ length: 1 + (i % 9) }, (_, j) => (i + j) % 50),
  );
  const options = { maxNewTokens: 5, topK: 0, topP: 1, seed: 0, stopTokens: new Int32Array() };
  for (const temperature of [0, 2]) {
    const together = await model.generate(prompts, { ...options, temperature, seeds: prompts.map((_, i) => i) });
    for (const i of [0, 64, 149]) {
      const prompt = prompts[i] ?? new Int32Array();
      const [alone] = await model.generate([prompt], { ...options, temperature, seeds: [i] });
      // To the last bit of entropies and probabilities.
      expect(together[i]).toEqual(alone);
    }
  }
  await model.close();
});

test('a gradient that is not finite updates nothing', async () => {
  const model = await fresh();
  await train(model, 2);
  const before = await model.evaluate(batch(lengths));
  await model.accumulate({ ...batch([5]), weights: Float32Array.of(0, 0, 3e38, 3e38, 0) });
  await model.accumulate({ ...batch([5]), weights: Float32Array.of(0, 0, 3e38, 3e38, 0) });
  const { finite } = await model.update(adamw);
  if (!finite) expect(await model.evaluate(batch(lengths))).toEqual(before);
  expect((await train(model, 1)).every(Number.isFinite)).toBe(true);
  await model.close();
});

describe('misuse has its own message', () => {
  let model: Model;
  beforeAll(async () => {
    model = await fresh();
  });
  afterAll(() => model.close());
  const good = batch([4]);

  test.each([
    [{ ...good, tokens: Int32Array.of(1, 2, 3, 50) }, /tokens\[3\] is 50, outside the vocabulary of 50/],
    [{ ...good, targets: Int32Array.of(1, -1, 3, 4) }, /targets\[1\] is -1/],
    [{ ...good, targets: new Int32Array(3) }, /targets has 3 entries for 4 tokens/],
    [{ ...good, offsets: Int32Array.of(0, 3) }, /end with the number of tokens, 4/],
    [{ ...good, offsets: Int32Array.of(0, 2, 2, 4) }, /offsets\[2\] must be greater/],
    [{ ...good, weights: Float32Array.of(1, Number.NaN, 1, 0) }, /weights\[1\] must be finite/],
    [{ ...good, groups: Uint8Array.of(1, 2, 3, 0) }, /groups\[2\] must be 0, 1 or 2/],
    [{ ...good, tokens: new Int32Array(0) }, /tokens is empty/],
    [batch([41]), /41 tokens; the model has 40 positions/],
    [{ ...good, wieghts: good.weights }, /wieghts is not an option/],
  ])('batch %#', async (wrong, message) => {
    await expect(model.accumulate(wrong)).rejects.toThrow(message);
    await expect(model.evaluate(wrong)).rejects.toThrow(message);
  });

  test('options of the optimizer and of generation', async () => {
    await expect(model.update({ ...adamw, learningRate: Number.NaN })).rejects.toThrow(/learningRate must be a number/);
    await expect(model.update({ ...adamw, beta1: 1 })).rejects.toThrow(/beta1/);
    const options = { maxNewTokens: 5, temperature: 0, topK: 0, topP: 1, seed: 0, stopTokens: new Int32Array() };
    await expect(model.generate([new Int32Array()], options)).rejects.toThrow(/prompts\[0\] must be a non-empty/);
    await expect(model.generate([Int32Array.of(99)], options)).rejects.toThrow(/outside the vocabulary/);
    await expect(model.generate([], { ...options, maxNewTokens: 0 })).rejects.toThrow(/maxNewTokens/);
    const [one, two] = [Int32Array.of(1), Int32Array.of(2)];
    await expect(model.generate([one, two], { ...options, seeds: [1] })).rejects.toThrow(
      /seeds must be a list with one/,
    );
    await expect(model.generate([one], { ...options, seeds: [-1] })).rejects.toThrow(
      /seeds\[0\] must be a whole number/,
    );
  });

  test('opening', async () => {
    await expect(fresh({ directory: '' })).rejects.toThrow(/directory must be a non-empty text/);
    await expect(fresh({ device: 'cuda:7' })).rejects.toThrow(/device cuda:7 is not here/);
    await expect(fresh({ threads: 1.5 })).rejects.toThrow(/threads must be a whole number/);
    await expect(fresh({ adapter: { ...lora, targetModules: ['wq'] } })).rejects.toBeInstanceOf(LabError);
    await expect(fresh({ initialize: false })).rejects.toMatchObject({ place: { file: folder } });
    await expect(fresh({ directory: join(folder, 'nowhere') })).rejects.toMatchObject({
      place: { file: join(folder, 'nowhere', 'config.json') },
    });
  });

  test('a closed model says so', async () => {
    const closed = await fresh();
    await closed.close();
    await expect(closed.accumulate(good)).rejects.toThrow(/closed/);
    expect(closed.memory()).toEqual({ current: 0, peak: 0 });
  });

  test('what runs is called off, and the model goes on as if it had not been asked', async () => {
    const options = { maxNewTokens: 30, temperature: 0, topK: 0, topP: 1, seed: 0, stopTokens: new Int32Array() };
    const prompts = Array.from({ length: 2000 }, (_, i) => Int32Array.of(i % 50, 1));
    const [first] = prompts;
    if (first === undefined) throw new Error('no prompt');
    const before = await model.generate([first], options);
    const long = model.generate(prompts, options);
    const waiting = model.generate([first], options);
    // It has to have been begun.
    const called = setInterval(() => model.interrupt(), 1);
    await expect(long).rejects.toThrow('the work was cancelled');
    clearInterval(called);
    await waiting.catch(() => undefined);
    expect(await model.generate([first], options)).toEqual(before);
    model.interrupt();
    expect(await model.generate([first], options)).toEqual(before);
  });

  test('closing lets the running task finish and rejects those that wait', async () => {
    const closing = await fresh();
    // Many, so that the last still waits, however soon the others are done.
    const tasks = Promise.allSettled(Array.from({ length: 300 }, () => closing.accumulate(good)));
    await closing.close();
    await closing.close();
    const settled = await tasks;
    expect(settled.at(-1)).toMatchObject({ status: 'rejected', reason: { message: expect.stringMatching(/closed/) } });
    // Those before may have been begun or not when the model was closed; none is left hanging.
    for (const task of settled) {
      if (task.status === 'fulfilled') expect(task.value.completion.tokens).toBeGreaterThan(0);
      else expect(String(task.reason)).toMatch(/closed/);
    }
  });

  test('a model that is opened to infer does not train', async () => {
    const inferring = await fresh({ mode: 'infer' });
    await expect(inferring.accumulate(good)).rejects.toThrow(/accumulate needs .* mode: 'train'/);
    await expect(inferring.update(adamw)).rejects.toThrow(/update needs/);
    await expect(inferring.saveState(folder)).rejects.toThrow(/saveState needs/);
    await expect(inferring.loadState(folder)).rejects.toThrow(/loadState needs/);
    expect((await inferring.evaluate(good)).loss).toHaveLength(4);
    await inferring.close();
  });

  test('folders and flags', async () => {
    await expect(model.save('')).rejects.toThrow(/directory must be a non-empty text/);
    const flag: unknown = 'yes';
    await expect(fresh({ initialize: flag as boolean })).rejects.toThrow(/initialize must be true or false/);
    await expect(model.update({ ...adamw, ...{ learning_rate: 1 } })).rejects.toThrow(/learning_rate is not an option/);
  });
});

test('the CPU is a device', () => {
  expect(devices()[0]).toMatchObject({ id: 'cpu', name: expect.any(String), memory: expect.any(Number) });
});
