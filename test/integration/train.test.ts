import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseEvent } from '../../src/core/events.js';
import { history, makeWorkspace, run, type Workspace } from './support.js';

let workspace: Workspace;
beforeAll(() => {
  workspace = makeWorkspace();
});
afterAll(() => workspace.remove());

describe('sft-lab train', () => {
  it('trains to the end and leaves a run folder as promised', async () => {
    workspace.config('full.sft.json', {
      num_train_epochs: 3,
      max_steps: -1,
      eval_strategy: 'epoch',
      eval_on_start: true,
      warmup_steps: 3,
    });
    const { code, stdout, stderr } = await run(workspace, 'train', 'full.sft.json');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain('Finished. 48 steps');
    expect(stdout).not.toContain('\u001b');
    const folder = workspace.path('.sft', 'full', 'completion');
    expect(readdirSync(folder).sort()).toEqual(['checkpoints', 'console.log', 'events.jsonl', 'run.json']);
    expect(readFileSync(`${folder}/console.log`, 'utf8')).toBe(stdout);

    const { history: folded, events, skipped } = await history(folder);
    expect(skipped).toBe(0);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i));
    expect(folded.train.map(({ step }) => step)).toEqual(Array.from({ length: 48 }, (_, i) => i + 1));
    expect(folded.train.at(-1)?.epoch).toBe(3);
    expect(folded.train[0]?.learningRate).toBe(0);
    expect(folded.evals.map(({ step }) => step)).toEqual([0, 16, 32, 48]);
    const [first, last] = [folded.train[0], folded.train.at(-1)];
    expect(last?.loss).toBeLessThan((first?.loss ?? 0) * 0.8);
    // Completion-only: what is minimised is the completions' loss; the prompts' is measured beside it.
    expect(last?.loss).toBeCloseTo(last?.completionLoss ?? Number.NaN, 10);
    expect(last?.promptLoss).toBeGreaterThan(0);
    expect(first?.entropy).toBeGreaterThan(4);
    expect(folded.setup).toMatchObject({
      totalSteps: 48,
      stepsPerEpoch: 16,
      sets: { train: { records: 64 }, eval: { records: 9 } },
    });
  });

  it('writes checkpoints that are whole Hugging Face folders', async () => {
    const folder = workspace.path('.sft', 'full', 'completion', 'checkpoints');
    const names = readdirSync(folder);
    expect(names).toContain('step-000048');
    expect(readdirSync(`${folder}/step-000048`).sort()).toEqual(
      expect.arrayContaining([
        'config.json',
        'generation_config.json',
        'manifest.json',
        'model.safetensors',
        'optimizer.safetensors',
        'tokenizer.json',
        'tokenizer_config.json',
        'trainer_state.json',
      ]),
    );
    // Weights are float32, whatever the model came in.
    expect(JSON.parse(readFileSync(`${folder}/step-000048/config.json`, 'utf8'))).toMatchObject({
      dtype: 'float32',
      model_type: 'qwen3',
    });
  });

  it('evaluates answers: labels, kappa, confusion, samples with entropies', async () => {
    const { history: folded } = await history(workspace.path('.sft', 'full', 'completion'));
    const answers = folded.evals.at(-1)?.answers;
    expect(answers).toMatchObject({ verifier: 'label', count: 9 });
    expect(answers?.confusion?.labels.slice().sort()).toEqual(['no', 'yes']);
    expect(answers?.confusion?.counts.flat().reduce((sum, count) => sum + count, 0)).toBe(9);
    const sample = folded.samples.at(-1);
    expect(sample?.tokens).toHaveLength(sample?.entropies.length ?? -1);
    const examples = folded.examples.at(-1);
    expect(examples?.items).toHaveLength(9);
    expect(examples?.items[4]).toMatchObject({ index: 4, line: 5 });
    expect(examples?.items.every(({ loss, right }) => typeof loss === 'number' && typeof right === 'boolean')).toBe(
      true,
    );
  });

  it('--json writes the events and nothing else; names are never taken twice', async () => {
    const { code, stdout } = await run(
      workspace,
      'train',
      'full.sft.json',
      '--set',
      'max_steps=3',
      '--set',
      'loss_on=all',
      '--json',
    );
    expect(code).toBe(0);
    const events = stdout.trimEnd().split('\n').map(parseEvent);
    expect(events.every((event) => event !== undefined)).toBe(true);
    expect(events.at(-1)).toMatchObject({ type: 'status', status: 'finished', step: 3 });
    const last = events.at(-1);
    const timing = last?.type === 'status' ? last.timing : undefined;
    expect(timing?.steps).toBe(3);
    expect((timing?.engine ?? 0) + (timing?.data ?? 0)).toBeLessThanOrEqual(timing?.total ?? 0);
    expect(timing?.engine).toBeGreaterThan(0);
    const again = await run(
      workspace,
      'train',
      'full.sft.json',
      '--set',
      'max_steps=2',
      '--set',
      'loss_on=all',
      '--quiet',
    );
    expect(again).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(existsSync(workspace.path('.sft', 'full', 'full-sequence-2'))).toBe(true);
  });

  it('full-sequence runs train on prompts too, and tell both losses', async () => {
    const { history: folded } = await history(workspace.path('.sft', 'full', 'full-sequence'));
    const { history: completions } = await history(workspace.path('.sft', 'full', 'completion'));
    const point = folded.train[0];
    expect(point?.lossTokens).toBeGreaterThan((completions.train[0]?.lossTokens ?? 0) * 2);
    // The same first batch through the same fresh model: the parts agree whatever is trained on.
    expect(point?.completionLoss).toBeCloseTo(completions.train[0]?.completionLoss ?? Number.NaN, 5);
    expect(point?.promptLoss).toBeCloseTo(completions.train[0]?.promptLoss ?? Number.NaN, 5);
  });

  it('gives the same result however a step is cut into microbatches', async () => {
    const name = (n: number) => `split-${n}`;
    for (const [n, keys] of [
      [1, { per_device_train_batch_size: 8, gradient_accumulation_steps: 1 }],
      [2, { per_device_train_batch_size: 4, gradient_accumulation_steps: 2 }],
      [3, { per_device_train_batch_size: 1, gradient_accumulation_steps: 8 }],
    ] as const) {
      workspace.config('split.sft.json', { ...keys, max_steps: 6, run_name: name(n) });
      expect((await run(workspace, 'train', 'split.sft.json', '--quiet')).code).toBe(0);
    }
    const losses = async (n: number) =>
      (await history(workspace.path('.sft', 'split', name(n)))).history.train.map(({ loss }) => loss);
    const whole = await losses(1);
    for (const n of [2, 3]) {
      for (const [i, loss] of (await losses(n)).entries()) expect(loss).toBeCloseTo(whole[i] ?? Number.NaN, 3);
    }
  });

  it('keeps save_total_limit checkpoints, the newest', async () => {
    workspace.config('limit.sft.json', { max_steps: 8, save_steps: 2, save_total_limit: 2 });
    expect((await run(workspace, 'train', 'limit.sft.json', '--quiet')).code).toBe(0);
    expect(readdirSync(workspace.path('.sft', 'limit', 'completion', 'checkpoints')).sort()).toEqual([
      'step-000006',
      'step-000008',
    ]);
    const { history: folded } = await history(workspace.path('.sft', 'limit', 'completion'));
    expect(folded.checkpoints.map(({ path }) => path)).toEqual(['checkpoints/step-000006', 'checkpoints/step-000008']);
  });

  it('cuts what is longer than max_length or than the model can take, and says so', async () => {
    const long = JSON.stringify({ instruction: 'a'.repeat(200), output: 'b'.repeat(100) });
    writeFileSync(workspace.path('long.jsonl'), `${readFileSync(workspace.path('train.jsonl'), 'utf8')}${long}\n`);
    // The model has 256 positions; max_length stays at its standard, 1024.
    workspace.config('long.sft.json', { max_steps: 20, train_dataset: 'long.jsonl' });
    const { code, stderr } = await run(workspace, 'train', 'long.sft.json');
    expect(code).toBe(0);
    expect(stderr).toContain('cut off at max_length 256 (1 record)');
    expect(stderr).toContain('long.jsonl:65');
    const { history: folded } = await history(workspace.path('.sft', 'long', 'completion'));
    expect(folded.setup?.sets.train).toMatchObject({ truncatedRecords: 1 });
    expect(folded.train.at(-1)?.epoch).toBeGreaterThan(1);
  });

  it('measures prompt losses every prompt_loss_steps only', async () => {
    workspace.config('rare.sft.json', { max_steps: 5, prompt_loss_steps: 2 });
    expect((await run(workspace, 'train', 'rare.sft.json', '--quiet')).code).toBe(0);
    const { history: folded } = await history(workspace.path('.sft', 'rare', 'completion'));
    expect(folded.train.map(({ promptLoss }) => promptLoss !== null)).toEqual([true, false, true, false, true]);
  });

  it('gives several evaluation sets a curve each', async () => {
    workspace.config('sets.sft.json', {
      max_steps: 4,
      eval_steps: 2,
      eval_dataset: { one: 'eval.jsonl', two: { path: 'train.jsonl' } },
    });
    const { code, stderr } = await run(workspace, 'train', 'sets.sft.json', '--quiet');
    expect(code).toBe(0);
    // The second set is the training data: warned of, and counted.
    expect(stderr).toMatch(/Warning: .*\(64 records\)/);
    expect(stderr).toContain('and 61 more');
    const { history: folded } = await history(workspace.path('.sft', 'sets', 'completion'));
    expect(folded.evals.map(({ set, step }) => `${set}@${step}`)).toEqual(['one@2', 'two@2', 'one@4', 'two@4']);
  });

  it('trains an adapter and leaves a PEFT folder; generate answers with it', async () => {
    const model = workspace.path('.sft', 'full', 'completion', 'checkpoints', 'step-000048');
    workspace.config('lora.sft.json', {
      model_name_or_path: model,
      initialize_model: false,
      use_peft: true,
      lora_r: 4,
      max_steps: 4,
    });
    const { code, stderr } = await run(workspace, 'train', 'lora.sft.json', '--quiet');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const folder = workspace.path('.sft', 'lora', 'completion-lora', 'checkpoints', 'step-000004');
    const names = readdirSync(folder);
    expect(names).toEqual(
      expect.arrayContaining(['adapter_config.json', 'adapter_model.safetensors', 'tokenizer.json']),
    );
    expect(names).not.toContain('model.safetensors');
    expect(JSON.parse(readFileSync(`${folder}/adapter_config.json`, 'utf8'))).toMatchObject({
      base_model_name_or_path: model,
      r: 4,
    });
    const answer = await run(
      workspace,
      'generate',
      folder,
      '--prompt',
      'Word 5: cat',
      '--prompt',
      'Word 6: owl',
      '--max-new-tokens',
      '5',
      '--json',
    );
    expect(answer.stderr).toBe('');
    const records = answer.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(records.map(({ prompt }) => prompt)).toEqual(['Word 5: cat', 'Word 6: owl']);
    for (const { tokens, entropies } of records) {
      expect(tokens.length).toBeLessThanOrEqual(5);
      expect(entropies).toHaveLength(tokens.length);
    }
  });

  it('generate answers a data set, with a run as its model', async () => {
    const { code, stdout } = await run(
      workspace,
      'generate',
      '.sft/full/completion',
      '--dataset',
      'eval.jsonl',
      '--max-samples',
      '3',
      '--max-new-tokens',
      '4',
      '--json',
    );
    expect(code).toBe(0);
    const records = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(records).toHaveLength(3);
    for (const { reference, answer } of records)
      expect([reference, typeof answer]).toEqual([expect.stringMatching(/^(yes|no)$/), 'string']);
  });

  it('lists devices', async () => {
    const { code, stdout } = await run(workspace, 'devices', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)[0]).toMatchObject({ id: 'cpu' });
  });
});
