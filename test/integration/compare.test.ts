import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reportSchema } from '../../src/core/report.js';
import { history, interrupt, makeWorkspace, run, start, until, type Workspace } from './support.js';

let workspace: Workspace;
beforeAll(async () => {
  workspace = makeWorkspace();
  // A model with weights, so that there is an untuned one to compare with.
  workspace.config('base.sft.json', { max_steps: 1, run_name: 'run' });
  expect((await run(workspace, 'train', 'base.sft.json', '--quiet')).code).toBe(0);
});
afterAll(() => workspace.remove());

const keys = {
  model_name_or_path: '.sft/base/run/checkpoints/step-000001',
  initialize_model: false,
  max_steps: 6,
  eval_steps: 6,
};
const report = (experiment: string) =>
  reportSchema.parse(JSON.parse(readFileSync(workspace.path('.sft', experiment, 'report.json'), 'utf8')));

describe('sft-lab compare', () => {
  it('trains every combination and the untuned model, and reports', async () => {
    workspace.config('six.sft.json', {
      ...keys,
      max_steps: -1,
      eval_steps: undefined,
      save_steps: undefined,
      max_train_samples: 16,
      compare: { loss_on: ['completion', 'all'], num_train_epochs: [1, 2] },
    });
    const { code, stdout, stderr } = await run(workspace, 'compare', 'six.sft.json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('[1/5] Untuned');
    expect(stdout).toContain('[5/5] Full sequence, 2 epochs');
    expect(stdout).toMatch(/Best: .* with accuracy/);
    const { rows, best, metric } = report('six');
    expect(rows.map(({ run: name, state, epochs }) => [name, state, epochs])).toEqual([
      ['untuned', 'finished', 0],
      ['completion-only-1-epoch', 'finished', 1],
      ['completion-only-2-epochs', 'finished', 2],
      ['full-sequence-1-epoch', 'finished', 1],
      ['full-sequence-2-epochs', 'finished', 2],
    ]);
    expect(metric).toBe('accuracy');
    expect(best).toBeTruthy();
    for (const row of rows) {
      expect(row.accuracy).toBeTypeOf('number');
      expect(row.promptLoss).toBeTypeOf('number');
      expect(row.completionLoss).toBeTypeOf('number');
      expect(row.msPerSample).toBeGreaterThan(0);
    }
    expect(rows[0]).toMatchObject({ kind: 'baseline', trainSeconds: 0, checkpoint: null });
    expect(rows[1]?.trainSeconds).toBeGreaterThan(0);
    const folder = workspace.path('.sft', 'six');
    expect(existsSync(`${folder}/untuned/checkpoints/step-000000`)).toBe(false);
    expect(readFileSync(`${folder}/report.md`, 'utf8')).toContain(
      '| Experiment | Epochs | Accuracy | Kappa | Mean Score | Train Time (s) |',
    );
    expect(readFileSync(`${folder}/report.csv`, 'utf8').trimEnd().split('\r\n')).toHaveLength(6);
  });

  it('started again, skips what is finished', async () => {
    const model = workspace.path('.sft/six/completion-only-1-epoch/events.jsonl');
    const before = statSync(model).mtimeMs;
    const { code, stdout } = await run(workspace, 'compare', 'six.sft.json');
    expect(code).toBe(0);
    expect(stdout).toContain(`Continuing ${join('.sft', 'six')}`);
    expect(stdout.match(/finished before/g)).toHaveLength(5);
    expect(statSync(model).mtimeMs).toBe(before);
  });

  it('with another config begins another experiment; --new does so always', async () => {
    expect((await run(workspace, 'compare', 'six.sft.json', '--set', 'compare={"seed":[1]}', '--quiet')).code).toBe(0);
    expect(report('six-2').rows.map(({ run: name }) => name)).toEqual(['untuned', 'seed-1']);
    expect(
      (
        await run(
          workspace,
          'compare',
          'six.sft.json',
          '--set',
          'compare={"seed":[1]}',
          '--quiet',
          '--new',
          '--no-baseline',
        )
      ).code,
    ).toBe(0);
    expect(report('six-3').rows.map(({ run: name }) => name)).toEqual(['seed-1']);
  });

  it('a run that fails leaves the others, is named, and is resumed alone', async () => {
    workspace.config('fails.sft.json', { ...keys, save_steps: 2, compare: { learning_rate: [0.01, 1e30, 0.02] } });
    const { code, stdout, stderr } = await run(workspace, 'compare', 'fails.sft.json');
    expect(code).toBe(1);
    expect(stderr).toContain('the loss is not finite at step');
    expect(stderr).toContain('1 of 4 runs did not finish');
    const rows = report('fails').rows;
    expect(rows.map(({ state }) => state)).toEqual(['finished', 'finished', 'failed', 'finished']);
    expect(rows[2]?.reason).toContain('not finite');
    expect(stdout).toMatch(/learning_rate=1e\+30 .* is failed at step/);
    expect(readFileSync(workspace.path('.sft/fails/report.md'), 'utf8')).toContain('## Not finished');

    const again = await run(workspace, 'compare', 'fails.sft.json');
    expect(again.code).toBe(1);
    expect(again.stdout.match(/finished before/g)).toHaveLength(3);
  });

  it('a run killed from outside leaves the others; the comparison goes on with it later', async () => {
    workspace.config('killed.sft.json', { ...keys, max_steps: 60, compare: { seed: [1, 2] } });
    const { ended } = start(workspace, ['compare', 'killed.sft.json', '--no-baseline']);
    const first = workspace.path('.sft/killed/seed-1');
    await until(
      'a checkpoint of the first run',
      async () => existsSync(`${first}/events.jsonl`) && (await history(first)).history.checkpoints.length > 0,
    );
    const pid = (await history(first)).history.status?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    expect((await ended).code).toBe(1);
    expect(report('killed').rows.map(({ state }) => state)).toEqual(['interrupted', 'finished']);
    expect((await run(workspace, 'compare', 'killed.sft.json', '--no-baseline', '--quiet')).code).toBe(0);
    expect(report('killed').rows.map(({ state }) => state)).toEqual(['finished', 'finished']);
    expect((await history(first)).events.some((event) => event.type === 'status' && event.status === 'resumed')).toBe(
      true,
    );
  });

  it('Ctrl+C ends the run that is training in order and starts no other', async () => {
    workspace.config('stopped.sft.json', { ...keys, max_steps: 400, compare: { seed: [1, 2] } });
    const { child, ended } = start(workspace, ['compare', 'stopped.sft.json', '--no-baseline']);
    const first = workspace.path('.sft/stopped/seed-1');
    await until(
      'the first run to train',
      async () => existsSync(`${first}/events.jsonl`) && (await history(first)).history.train.length > 3,
    );
    // A second one at the same time is refused, and says why.
    const second = await run(workspace, 'compare', 'stopped.sft.json', '--no-baseline');
    expect(second.code).not.toBe(0);
    expect(second.stderr).toMatch(/process \d+ is working through this comparison/);
    await interrupt(child);
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    expect(existsSync(workspace.path('.sft/stopped/run.lock'))).toBe(false);
    expect(stderr).toContain('Continue with: sft-lab compare stopped.sft.json --no-baseline');
    expect((await history(first)).history.status?.status).toBe('interrupted');
    expect(report('stopped').rows.map(({ state }) => state)).toEqual(['interrupted', 'created']);
    expect(readFileSync(workspace.path('.sft/stopped/report.md'), 'utf8')).toContain('(seed-2): not begun');
  });

  it('its folder is enough to go on with it, and several runs go one after the other', async () => {
    workspace.config('later.sft.json', { ...keys, max_steps: 60, compare: { seed: [1, 2] } });
    const { child, ended } = start(workspace, ['compare', 'later.sft.json', '--no-baseline']);
    const folders = ['seed-1', 'seed-2'].map((name) => workspace.path('.sft/later', name));
    const [first = '', second = ''] = folders;
    await until(
      'the first run to train',
      async () => existsSync(`${first}/events.jsonl`) && (await history(first)).history.train.length > 3,
    );
    await interrupt(child);
    expect((await ended).code).toBe(130);
    // The config is not needed any more, nor is it looked at.
    rmSync(workspace.path('later.sft.json'));

    const { code, stdout } = await run(workspace, 'resume', '.sft/later');
    expect(code).toBe(0);
    expect(stdout).toMatch(/\[1\/2\] seed=1[\s\S]*\[2\/2\] seed=2/);
    expect(report('later').rows.map(({ state }) => state)).toEqual(['finished', 'finished']);
    const states = async (folder: string) =>
      (await history(folder)).events.flatMap((event) => (event.type === 'status' ? [event.status] : []));
    expect(await states(first)).toEqual(['started', 'interrupted', 'resumed', 'finished']);
    expect(await states(second)).toEqual(['started', 'finished']);
    const began = (await history(second)).events[0]?.time ?? '';
    expect(began > ((await history(first)).events.at(-1)?.time ?? '')).toBe(true);

    const again = await run(workspace, 'resume', ...folders);
    expect(again.code).toBe(0);
    expect(again.stdout.match(/finished before/g)).toHaveLength(2);
    const json = await run(workspace, 'resume', ...folders, '--json');
    expect(json.code).toBe(2);
    expect(json.stderr).toContain('--json writes the events of one run, and several are named');
  });

  it('killed itself, its run ends in order, and the comparison can go on at once', async () => {
    const { child, ended } = start(workspace, [
      'compare',
      'stopped.sft.json',
      '--no-baseline',
      '--set',
      'max_steps=60',
    ]);
    const first = workspace.path('.sft/stopped-2/seed-1');
    await until(
      'the first run to train',
      async () => existsSync(`${first}/events.jsonl`) && (await history(first)).history.train.length > 3,
    );
    child.kill('SIGKILL');
    // The run holds the pipes open until it has saved.
    await ended;
    expect(['interrupted', 'finished']).toContain((await history(first)).history.status?.status);
    expect(
      (await run(workspace, 'compare', 'stopped.sft.json', '--no-baseline', '--set', 'max_steps=60', '--quiet')).code,
    ).toBe(0);
    expect(report('stopped-2').rows.map(({ state }) => state)).toEqual(['finished', 'finished']);
  });

  it('report prints and writes the table of any experiment', async () => {
    const { code, stdout } = await run(workspace, 'report', 'six', '--json');
    expect(code).toBe(0);
    expect(reportSchema.parse(JSON.parse(stdout)).rows).toHaveLength(5);
    expect((await run(workspace, 'report', '.sft/base')).stdout).toContain('run');
    expect(await run(workspace, 'report', 'nothing')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no experiment nothing'),
    });
  });

  it('names a mistake in an axis before anything begins', async () => {
    workspace.config('bad.sft.json', { ...keys, compare: { lr_scheduler_type: ['linear', 'cosin'] } });
    const { code, stderr } = await run(workspace, 'compare', 'bad.sft.json');
    expect(code).toBe(2);
    expect(stderr).toContain('compare.lr_scheduler_type: expected one of');
    expect(existsSync(workspace.path('.sft', 'bad'))).toBe(false);
    expect(await run(workspace, 'compare', 'base.sft.json')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('nothing to compare'),
    });
    expect(await run(workspace, 'train', 'six.sft.json')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('sft-lab compare six.sft.json'),
    });
  });
});
