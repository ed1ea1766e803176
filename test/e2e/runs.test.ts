import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readEvents } from '../../src/runs/event-log.js';
import { useLab, writeConfig } from './harness/lab.js';

const lab = useLab();

/** Steps that the run's log holds so far. */
async function stepsOf(...path: string[]): Promise<number[]> {
  const file = lab().path('.sft', ...path, 'events.jsonl');
  if (!existsSync(file)) return [];
  const { events } = await readEvents(file);
  return events.flatMap((event) => (event.type === 'train' ? [event.step] : []));
}

it('starts a run from its config: terminal, charts and sidebar follow it', async () => {
  writeConfig(lab().workspace, 'first', { max_steps: 60, run_name: 'first run' });
  await lab().openFile('first.sft.json');
  await lab().lens('Run', () => existsSync(lab().path('.sft', 'first', 'first run', 'run.json')));

  const panel = await lab().webview('Run');
  await panel.locator('canvas').first().waitFor({ timeout: 60_000 });
  await expect.poll(() => lab().terminalText(), { timeout: 60_000 }).toContain('Finished. 60 steps');

  await lab().showView('SFT Lab');
  await lab().row('first run').waitFor({ timeout: 30_000 });
  await expect.poll(() => stepsOf('first', 'first run'), { timeout: 90_000 }).toHaveLength(60);
  // The panel says so by itself, and names what was reached.
  await panel.getByText('finished').first().waitFor({ timeout: 30_000 });
  await panel.getByText('Best completion loss').first().waitFor();
  await lab().shoot('run-panel');
});

it('shows every step again after the window was reloaded', async () => {
  await lab().reload();
  const panel = await lab().webview('Run');
  await panel.locator('canvas').first().waitFor({ timeout: 60_000 });
  await panel.getByText('finished').first().waitFor({ timeout: 30_000 });
});

it('stops a run gracefully and resumes it from the sidebar', async () => {
  writeConfig(lab().workspace, 'second', {
    max_steps: 20_000,
    run_name: 'second run',
    eval_strategy: 'no',
    save_steps: 100_000,
  });
  await lab().openFile('second.sft.json');
  await lab().lens('Run', () => existsSync(lab().path('.sft', 'second', 'second run', 'run.json')));
  await expect.poll(async () => (await stepsOf('second', 'second run')).length, { timeout: 90_000 }).toBeGreaterThan(5);

  await lab().stopRun('second run');
  const before = await stepsOf('second', 'second run');
  expect(before.length).toBeLessThan(20_000);

  await lab().menu(lab().row('second run'), 'Resume');
  await expect
    .poll(async () => (await stepsOf('second', 'second run')).length, { timeout: 120_000 })
    .toBeGreaterThan(before.length);
  await lab()
    .row(/second run.*%/)
    .waitFor();
  await lab().stopRun('second run');
  const steps = await stepsOf('second', 'second run');
  expect(steps).toEqual(Array.from({ length: steps.length }, (_, i) => i + 1));
  await lab().shoot('sidebar');
});

it('filters the runs', async () => {
  await lab().command('SFT Lab: Filter Runs…');
  await lab().answer('second');
  await lab().row('second run').waitFor();
  await expect.poll(() => lab().row('first run').count()).toBe(0);
  await lab().command('SFT Lab: Filter Runs…');
  await lab().answer('');
  await lab().row('first run').waitFor();
});
