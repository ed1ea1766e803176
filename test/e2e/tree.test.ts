/** The sidebar with many runs: what stands open by itself, and that the rest is found. */

import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { expect, it, onTestFinished } from 'vitest';
import { EventLog } from '../../src/runs/event-log.js';
import { acquireLock } from '../../src/runs/lock.js';
import { makeRuns } from '../bench/make-runs.js';
import { useLab } from './harness/lab.js';

const runsEach = 60;
const lab = useLab({
  fill: (folder) => void makeRuns(join(folder, '.sft'), { experiments: 12, runsEach, points: 5 }),
});

const experiment = (name: string): Locator =>
  lab()
    .page.locator('.sidebar .monaco-list-row[aria-level="1"]')
    .filter({ hasText: `${name}60 runs` });
const runs = (): Locator => lab().page.locator('.sidebar .monaco-list-row[aria-level="2"]');
/** Of a run on the screen among those of its experiment. */
const placeOf = async (text: string): Promise<string | null> => {
  const row = runs().filter({ hasText: text });
  return (await row.count()) === 0 ? null : row.first().getAttribute('aria-posinset');
};
const isOpen = (name: string): Promise<string | null> => experiment(name).getAttribute('aria-expanded');

async function filter(words: string): Promise<void> {
  await lab().command('SFT Lab: Filter Runs…');
  await lab().answer(words);
}

async function sort(order: string): Promise<void> {
  await lab().command('SFT Lab: Sort Runs…');
  await lab().pick(order);
}

it('opens the newest experiments, and others when they are asked for', async () => {
  await lab().showView('SFT Lab');
  await runs().first().waitFor();
  expect(await isOpen('experiment-10')).toBe('true');
  expect(await isOpen('experiment-0')).toBe('false');
  await experiment('experiment-0').locator('.monaco-tl-twistie').click();
  await expect.poll(() => isOpen('experiment-0')).toBe('true');
  // Its runs stand between.
  await expect.poll(() => experiment('experiment-1').count()).toBe(0);
  await experiment('experiment-0').locator('.monaco-tl-twistie').click();
  await expect.poll(() => isOpen('experiment-1')).toBe('false');
});

it('tells of a run under the pointer, and opens the one that is clicked', async () => {
  await lab().row('learning_rate=1e-5').hover();
  await lab().page.locator('.monaco-hover').filter({ hasText: 'finished, step 5 of 5' }).waitFor();
  await lab().openRow(lab().row('learning_rate=1e-5'), 'learning_rate=1e-5');
  await lab().openRow(lab().row('learning_rate=2e-5'), 'learning_rate=2e-5');
  await lab().page.mouse.move(0, 0);
});

it('opens an experiment in which a run begins, and moves the run where its state belongs', async () => {
  const folder = lab().path('.sft', 'experiment-1', 'run-40');
  await sort('State');
  const lock = await acquireLock(folder);
  onTestFinished(() => lock.release());
  const log = await EventLog.open(join(folder, 'events.jsonl'));
  log.append({ type: 'status', status: 'resumed', step: 5, totalSteps: 10, trainSeconds: 1 });
  await expect.poll(() => placeOf('learning_rate=40e-550 %')).toBe('1');
  expect(await isOpen('experiment-1')).toBe('true');
  log.append({ type: 'status', status: 'finished', step: 10, totalSteps: 10, trainSeconds: 2 });
  log.close();
  lock.release();
  await expect.poll(() => placeOf('learning_rate=40e-5loss')).toBeNull();
  await sort('Oldest first');
});

it('opens what a filter finds, and chooses all of it', async () => {
  await filter('');
  await filter('experiment-5 finished');
  await expect.poll(() => isOpen('experiment-5')).toBe('true');
  await expect.poll(() => lab().page.locator('.sidebar .monaco-list-row[aria-level="1"]').count()).toBe(1);
  const chosen = runs().filter({ hasText: 'learning_rate=3e-5' });
  await chosen.click({ modifiers: ['Control'] });
  // All with the same parent.
  await lab().page.keyboard.press('Control+a');
  const copied = async (): Promise<string[]> =>
    ((await lab().page.evaluate('navigator.clipboard.readText()')) as string).split('\n').filter(Boolean);
  await lab().menu(chosen, 'Copy Path', async () => (await copied()).length === runsEach);
  const paths = await copied();
  expect(paths).toHaveLength(runsEach);
  expect(new Set(paths)).toContain(lab().path('.sft', 'experiment-5', `run-${runsEach - 1}`));
  await lab().shootOnce('tree-filtered');
  await filter('');
  await expect.poll(() => isOpen('experiment-0')).toBe('false');
});
