/** `sft-lab measure`: figures from real steps, and refusals that name their field. */

import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { foldEvents } from '../../src/core/history.js';
import { measurementSchema, refusalSchema } from '../../src/core/measurement.js';
import { readEvents } from '../../src/runs/event-log.js';
import { makeWorkspace, run, start, type Workspace } from './support.js';

let workspace: Workspace;
beforeAll(() => {
  workspace = makeWorkspace();
});
afterAll(() => workspace.remove());

it('counts steps and tokens as the run itself does, and leaves nothing behind', async () => {
  const config = workspace.config('measured.sft.json', { max_steps: -1, num_train_epochs: 2, eval_strategy: 'epoch' });
  const before = readdirSync(workspace.directory).sort();
  const { code, stdout, stderr } = await run(workspace, 'measure', config, '--json', '--seconds', '1');
  expect([stderr, code]).toEqual(['', 0]);
  expect(readdirSync(workspace.directory).sort()).toEqual(before);

  const measured = measurementSchema.parse(JSON.parse(stdout));
  expect((await run(workspace, 'train', config)).code).toBe(0);
  const { events } = await readEvents(workspace.path('.sft', 'measured', 'completion', 'events.jsonl'));
  const history = foldEvents(events);
  const last = history.train.at(-1);
  expect([measured.totalSteps, measured.tokens]).toEqual([last?.step, last?.tokens]);
  expect(measured.evaluations).toBe(history.evals.length);
  expect(measured.microbatchesMeasured).toBeGreaterThan(1);
  expect(measured.tokensPerSecond).toBeGreaterThan(0);
  // Weights, gradients and two moments, at the least.
  expect(measured.engineMemory).toBeGreaterThan(measured.parameters * 16);
  expect(measured.processMemory).toBeGreaterThan(measured.engineMemory / 2);
  // It has planned for the largest batches, as the run does.
  expect(measured.engineMemory).toBe(last?.memory.peak);
});

it('reads a config from standard input, with paths beside the working folder', async () => {
  const { child, ended } = start(workspace, ['measure', '-', '--json', '--seconds', '0'], {}, 'pipe');
  child.stdin?.end(
    JSON.stringify({ model_name_or_path: 'model', initialize_model: true, train_dataset: 'train.jsonl', max_steps: 3 }),
  );
  const { stdout } = await ended;
  expect(measurementSchema.parse(JSON.parse(stdout))).toMatchObject({ totalSteps: 3, microbatchesMeasured: 1 });
});

it.each([
  ['a data set that is not there', { train_dataset: 'none.jsonl' }, { file: expect.stringContaining('none.jsonl') }],
  ['a misspelt key', { epochs: 2 }, { field: 'epochs', advice: expect.stringContaining('num_train_epochs') }],
  ['a model that is not there', { model_name_or_path: 'no/model' }, { field: 'model_name_or_path' }],
])('refuses %s in words a form can place', async (_name, keys, expected) => {
  const config = workspace.config('refused.sft.json', keys);
  const { code, stdout } = await run(workspace, 'measure', config, '--json');
  expect(code).not.toBe(0);
  expect(refusalSchema.parse(JSON.parse(stdout)).error).toMatchObject(expected);
});
