/**
 * The whole way of a person with the packaged extension in a clean profile: right-click, two clicks to a run, charts while it trains,
 * its terminal, a reload in the middle, stop, resume, and two runs side by side.
 */

import { existsSync, rmSync } from 'node:fs';
import type { Frame } from 'playwright-core';
import { expect, it } from 'vitest';
import type { EventOf } from '../../src/core/events.js';
import { charts, formatFigure } from '../../src/core/view/charts.js';
import { readEvents } from '../../src/runs/event-log.js';
import { lockHolder } from '../../src/runs/lock.js';
import { readCurve } from './harness/curves.js';
import { useLab } from './harness/lab.js';

const lab = useLab();
const [completion, all] = ['completion', 'full-sequence'];

async function trained(run: string): Promise<EventOf<'train'>[]> {
  const file = lab().path('.sft', 'tickets', run, 'events.jsonl');
  if (!existsSync(file)) return [];
  const { events } = await readEvents(file);
  return events.flatMap((event) => (event.type === 'train' ? [event] : []));
}

const stepOf = async (run: string): Promise<number> => (await trained(run)).at(-1)?.step ?? 0;

/** From the right-click on the data set to the form, and to a run that lasts. */
async function start(lossOn: 'Completion' | 'All'): Promise<void> {
  await lab().showView('Explorer');
  const file = 'tickets.train.jsonl';
  const tab = lab()
    .page.locator('.tab')
    .filter({ hasText: `Fine-tune ${file}` });
  await lab().menu(await lab().listed(file), 'Fine-tune…', () => tab.first().isVisible());
  const form = await lab().webview(`Fine-tune ${file}`);
  await form.getByRole('radio', { name: lossOn, exact: true }).click();
  await form.locator('#num_train_epochs input').fill('50');
  const more = form.locator('details.more');
  if ((await more.getAttribute('open')) === null) await more.locator('summary').click();
  await form.locator('#per_device_train_batch_size input').fill('48');
  await form.locator('.tile').first().getByText('3,150', { exact: true }).waitFor({ timeout: 60_000 });
  const button = form.getByRole('button', { name: 'Start', exact: true });
  await expect.poll(() => button.isEnabled(), { timeout: 30_000 }).toBe(true);
  await button.click();
}

/** Takes away what an earlier try trained, so that the run gets its name again. */
function startAnew(run: string): void {
  lab().endTrainers();
  rmSync(lab().path('.sft', 'tickets', run), { recursive: true, force: true, maxRetries: 5 });
}

/** The step that the panel says the run is at. */
async function shownStep(panel: Frame): Promise<number> {
  const text = await panel.locator('.progress-text').first().textContent({ timeout: 5000 });
  return Number(/step ([\d,]+)/.exec(text ?? '')?.[1]?.replaceAll(',', '') ?? Number.NaN);
}

const row = (run: string, state = '') => lab().row(new RegExp(`^\\s*${run}.*${state}`));

async function stop(run: string): Promise<void> {
  await lab().stopRun(`^\\s*${run}`);
}

it('a right-click and a click start a run, whose points arrive in the charts while it trains', async () => {
  startAnew(completion);
  await start('Completion');
  const panel = await lab().webview('Run');
  const loss = panel.locator('.chart-frame[data-chart="completionLoss"]');
  await loss.locator('canvas').first().waitFor({ timeout: 60_000 });
  const [step, label, picture] = [
    await shownStep(panel),
    await loss.getAttribute('aria-label'),
    await loss.screenshot(),
  ];
  await expect.poll(() => shownStep(panel), { timeout: 60_000 }).toBeGreaterThan(step + 3);
  expect(await loss.getAttribute('aria-label')).toMatch(/Completion loss by step: last \d/);
  expect(await loss.getAttribute('aria-label')).not.toBe(label);
  expect((await loss.screenshot()).equals(picture)).toBe(false);
  // It is still at it.
  expect(await stepOf(completion)).toBeLessThan(3150);
});

it('its terminal shows the model, the data, and how far it is', async () => {
  const text = () => lab().terminalText();
  await expect.poll(text).toMatch(/ \d+\/3150 {2}\d+ %/);
  // What was written first has been scrolled out of sight.
  await lab().page.locator('.terminal.xterm').filter({ visible: true }).first().hover();
  await lab().page.mouse.wheel(0, -10_000);
  await expect.poll(text).toMatch(/Model {2}Qwen3ForCausalLM, 1\.0M parameters \(all trained\) on cpu/);
  await expect.poll(text).toMatch(/Data {3}train: 3,000 examples/);
});

it('a reload in the middle of it loses no step', async () => {
  if (lockHolder(lab().path('.sft', 'tickets', completion)) === undefined) {
    // An earlier try stopped it.
    startAnew(completion);
    await start('Completion');
    await expect.poll(() => stepOf(completion), { timeout: 60_000 }).toBeGreaterThan(3);
  }
  const before = await stepOf(completion);
  await Promise.all([lab().page.waitForEvent('load'), lab().command('Developer: Reload Window')]);
  await lab().ready();
  // Nobody told the trainer.
  await expect.poll(() => stepOf(completion), { timeout: 60_000 }).toBeGreaterThan(before + 3);
  const live = await lab().webview('Run');
  await expect.poll(() => shownStep(live), { timeout: 60_000 }).toBeGreaterThan(before);
  await stop(completion);

  const events = await trained(completion);
  expect(events.map(({ step }) => step)).toEqual(Array.from({ length: events.length }, (_, i) => i + 1));
  const panel = await lab().webview('Run');
  await panel.getByText('Stopped', { exact: true }).first().waitFor({ timeout: 30_000 });
  // By keys: under the pointer the chart may move while the panel takes its last figures.
  await panel.locator('.chart-frame[data-chart="completionLoss"]').focus();
  await lab().page.keyboard.press('Enter');
  await panel.locator('.card.enlarged').waitFor();
  const shown = await readCurve(lab().page, panel, 'completionLoss', events.length);
  const unit = charts.find(({ id }) => id === 'completionLoss')?.unit ?? 'plain';
  expect([...shown].sort(([a], [b]) => a - b)).toEqual(
    events.map(({ step, completionLoss }) => [step, formatFigure(completionLoss, unit)]),
  );
});

it('a stopped run is resumed from the sidebar, where it was', async () => {
  await stop(completion);
  const before = await stepOf(completion);
  await lab().menu(row(completion, 'stopped'), 'Resume');
  await expect.poll(() => stepOf(completion), { timeout: 60_000 }).toBeGreaterThan(before + 3);
  await expect.poll(() => lab().terminalText()).toContain(`Resuming after step ${before}`);
  await stop(completion);
  const steps = (await trained(completion)).map(({ step }) => step);
  expect(steps).toEqual(Array.from({ length: steps.length }, (_, i) => i + 1));
});

it('two runs stand together in one panel', async () => {
  startAnew(all);
  await start('All');
  await expect.poll(() => stepOf(all), { timeout: 60_000 }).toBeGreaterThan(5);
  await stop(all);
  // Rows are drawn anew when a run has ended, and then know nothing of a selection half made.
  await expect
    .poll(async () => {
      await row(completion).click();
      await row(all).click({ modifiers: ['Control'] });
      return lab().page.locator('.sidebar .monaco-list-row.selected').count();
    })
    .toBe(2);
  const tab = lab().page.locator('.tab').filter({ hasText: '2 runs' });
  await lab().menu(row(all), 'Open', () => tab.first().isVisible());
  let both: Frame | undefined;
  await expect
    .poll(async () => {
      const frames = lab().page.frames();
      const compared = await Promise.all(
        frames.map((frame) =>
          frame
            .getByRole('heading', { name: '2 runs compared' })
            .isVisible()
            .catch(() => false),
        ),
      );
      both = frames[compared.indexOf(true)];
      return both !== undefined;
    })
    .toBe(true);
  const legend = both?.getByRole('group', { name: 'Curves shown' });
  for (const run of [completion, all]) await legend?.getByRole('button', { name: run, exact: true }).waitFor();
  await both?.locator('.chart-frame[data-chart="completionLoss"] canvas').first().waitFor();
  await lab().shoot('journey-compared');
});
