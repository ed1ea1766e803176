import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Frame, Locator } from 'playwright-core';
import { beforeAll, expect, it, onTestFailed, vi } from 'vitest';
import { readEvents } from '../../src/runs/event-log.js';
import { fillWithExamples, useLab, writeConfig } from './harness/lab.js';
import { root } from './harness/server.js';

const long = 'a run whose name says all that was thought of when it was started and more than any column has room for';

const cli = join(root, 'dist', 'cli.js');
const live = { max_steps: 20_000, eval_strategy: 'no', save_steps: 100_000 };

/** Trains for real, as the command line does, before the editor is there. */
function train(folder: string, name: string, values: Readonly<Record<string, unknown>>): void {
  const file = writeConfig(folder, name, {
    eval_dataset: { tickets: 'tickets.eval.jsonl', arithmetic: 'arithmetic.eval.jsonl' },
    max_train_samples: 56,
    max_eval_samples: 16,
    eval_steps: 7,
    max_steps: 42,
    verifier: 'exact',
    ...values,
    experiment: 'curves',
  });
  execFileSync(process.execPath, [cli, 'train', file, '--quiet'], { cwd: folder });
}

// Training comes first.
vi.setConfig({ hookTimeout: 400_000 });

const lab = useLab({
  fill: (folder) => {
    fillWithExamples(folder);
    train(folder, 'slow', { run_name: 'slow', learning_rate: 0.0003 });
    train(folder, 'fast', { run_name: 'fast', learning_rate: 0.003, loss_on: 'all' });
    for (const [i, run_name] of ['third', long].entries()) {
      train(folder, `more${i}`, { run_name, max_steps: 28, save_steps: 7, warmup_steps: 4 + i });
    }
  },
});

let panel: Frame;
const chart = (id: string): Locator => panel.locator(`[data-chart="${id}"]`);
const said = async (id: string): Promise<string> => (await chart(id).getAttribute('aria-label')) ?? '';
const chip = (name: string): Locator => panel.locator('.legend .chip').filter({ hasText: name }).first();
const status = (): Locator => panel.locator('div[role="status"]');

/** A checksum of what a chart shows. As text: it runs in the page, whose types are not ours. */
async function drawing(id: string): Promise<number> {
  return panel.evaluate(
    `((canvas) => new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)
      .reduce((sum, word) => Math.imul(sum ^ word, 16777619) | 0, canvas.width))
      (document.querySelector('[data-chart="${id}"] canvas'))`,
  );
}

/** Does something, after which the chart looks otherwise. */
async function changes(id: string, act: () => Promise<unknown>): Promise<void> {
  const before = await drawing(id);
  await act();
  await expect.poll(() => drawing(id)).not.toBe(before);
}

/** Chooses among the runs that are offered. */
async function choose(...names: string[]): Promise<void> {
  for (const name of names) {
    await lab().page.locator('.quick-input-list .monaco-list-row').filter({ hasText: name }).first().click();
  }
  await lab().page.locator('.quick-input-widget input[type="text"]').press('Enter');
}

/** Opens runs together. */
async function open(...names: string[]): Promise<void> {
  await lab().command('SFT Lab: Open Run…');
  await choose(...names);
  // Another panel, behind this one, may be there for a while.
  const shown = async (): Promise<string> => {
    for (const frame of lab().page.frames()) {
      if ((await frame.title()) !== 'Run') continue;
      const title = await frame.locator('h1').textContent({ timeout: 1000 });
      if (names.length === 1 && title !== names[0]) continue;
      panel = frame;
      return said('loss');
    }
    return '';
  };
  await expect.poll(() => shown().catch(() => ''), { timeout: 60_000 }).toMatch(/: (best|last) /);
}

/** Adds runs to the panel, where an earlier try has not. */
async function add(heading: string, ...names: string[]): Promise<void> {
  const added = panel.getByRole('heading', { name: heading });
  if (await added.isVisible()) return;
  await panel.getByRole('button', { name: 'Add run…' }).click();
  await choose(...names);
  await added.waitFor();
}

/** Presses a button that stays pressed, where it is not as wanted. */
async function press(button: Locator, wanted: boolean): Promise<void> {
  await expect.poll(() => button.getAttribute('aria-pressed')).toMatch(/^(true|false)$/);
  if ((await button.getAttribute('aria-pressed')) !== String(wanted)) await button.click();
  await expect.poll(() => button.getAttribute('aria-pressed')).toBe(String(wanted));
}

beforeAll(async () => {
  await lab().showView('SFT Lab');
  await lab().row('curves').waitFor({ timeout: 60_000 });
}, 180_000);

it('shows one run: train and evaluation sets in one chart, prompt and completion loss apart, the best called out', async () => {
  await open('slow');
  for (const id of ['loss', 'completionLoss', 'promptLoss', 'accuracy']) {
    await expect.poll(() => said(id)).toMatch(/by step: best .*(tickets|arithmetic).*step \d+/);
  }
  for (const id of ['entropy', 'learningRate', 'gradNorm', 'tokensPerSecond', 'memory']) {
    await chart(id).scrollIntoViewIfNeeded();
    await expect.poll(() => said(id)).toMatch(/by step: last [\d.,]+/);
  }
  for (const name of ['train', 'tickets', 'arithmetic']) await chip(name).waitFor();
  await panel.getByText('Best completion loss').waitFor();
  await panel.locator('.config-list dt').filter({ hasText: 'learning_rate' }).first().waitFor();
  await chart('loss').scrollIntoViewIfNeeded();
  await lab().shoot('panel-one');
});

it('adds a run: one colour each, and a table with what differs between the configs', async () => {
  await add('2 runs compared', 'fast');
  const heads = panel.locator('.runs thead th.differs');
  await expect.poll(async () => (await heads.allTextContents()).map((text) => text.trim())).toContain('learning_rate');
  expect((await heads.allTextContents()).map((text) => text.trim())).toContain('loss_on');
  expect(await panel.locator('tr[data-key$="fast"] td.differs').allTextContents()).toContain('0.003');
  // The same in both: only where it is asked for.
  await expect.poll(() => panel.locator('.runs thead th').filter({ hasText: /^seed/ }).count()).toBe(0);
  await panel.getByLabel('Config differences only').uncheck();
  await panel.locator('.runs thead th').filter({ hasText: /^seed/ }).waitFor();
  await panel.getByLabel('Config differences only').check();
});

it('hides a run by the legend', async () => {
  await chart('loss').scrollIntoViewIfNeeded();
  await press(chip('fast'), true);
  await changes('loss', () => chip('fast').click());
  await expect.poll(() => chip('fast').getAttribute('aria-pressed')).toBe('false');
  await expect.poll(() => panel.locator('tr[data-key$="fast"]').getAttribute('class')).toBe('off');
  await changes('loss', () => chip('fast').click());
});

it('switches the axis, the scale, and smoothing', async () => {
  await panel.getByText('Step', { exact: true }).first().click();
  await expect.poll(() => said('loss')).toContain('Loss by step:');
  for (const [axis, name] of [
    ['Epoch', 'epoch'],
    ['Tokens', 'tokens'],
    ['Time', 'time'],
    ['Step', 'step'],
  ] as const) {
    await changes('loss', () => panel.getByText(axis, { exact: true }).first().click());
    await expect.poll(() => said('loss')).toContain(`Loss by ${name}:`);
  }
  await chart('loss').hover();
  const log = panel.locator('[data-chart-card="loss"]').getByRole('button', { name: 'Logarithmic scale' });
  await press(log, false);
  await changes('loss', () => log.click());
  await expect.poll(() => log.getAttribute('aria-pressed')).toBe('true');
  await changes('loss', () => log.click());
  const smoothing = panel.getByRole('slider', { name: 'Smoothing' });
  await changes('loss', () => smoothing.fill('0.9'));
  await changes('loss', () => panel.getByText('Raw', { exact: true }).click());
  await changes('loss', () => panel.getByText('Raw', { exact: true }).click());
  await changes('loss', () => smoothing.fill('0.6'));
});

it('zooms by wheel, by dragging and by keys, pans, and shows all again', async () => {
  const { page } = lab();
  const reset = panel.getByRole('button', { name: 'Reset zoom' });
  const at = async (part: number): Promise<[number, number]> => {
    const box = await chart('loss').boundingBox();
    if (box === null) throw new Error('the chart is not on the screen');
    return [box.x + 60 + (box.width - 70) * part, box.y + box.height / 2];
  };
  await chart('loss').scrollIntoViewIfNeeded();
  expect(await reset.isVisible()).toBe(false);
  await page.mouse.move(...(await at(0.5)));
  await page.keyboard.down('Control');
  // Charts move together.
  const other = await drawing('promptLoss');
  await changes('loss', () => page.mouse.wheel(0, -300));
  await page.keyboard.up('Control');
  await expect.poll(() => drawing('promptLoss')).not.toBe(other);
  await reset.waitFor();
  await changes('loss', () => page.mouse.wheel(80, 0));
  await changes('loss', () => reset.click());
  await reset.waitFor({ state: 'hidden' });

  await page.mouse.move(...(await at(0.2)));
  await page.mouse.down();
  await page.mouse.move(...(await at(0.6)), { steps: 5 });
  await changes('loss', () => page.mouse.up());
  await reset.waitFor();
  await page.mouse.move(...(await at(0.5)));
  await changes('loss', () => chart('loss').dblclick());
  await reset.waitFor({ state: 'hidden' });

  await chart('loss').focus();
  await changes('loss', () => page.keyboard.press('+'));
  await changes('loss', () => page.keyboard.press('Shift+ArrowRight'));
  await changes('loss', () => page.keyboard.press('-'));
  await page.keyboard.press('+');
  await page.keyboard.press('0');
  await reset.waitFor({ state: 'hidden' });
});

it('moves a linked cursor by mouse and by keys, and says what stands there', async () => {
  await chart('loss').hover();
  await expect.poll(() => panel.locator('.readout-name').allTextContents()).toContain('slow · train');
  await expect.poll(() => panel.locator('.readout-place').textContent()).toMatch(/^step \d+$/);
  await panel.locator('h1').hover();
  await panel.locator('.readout').waitFor({ state: 'hidden' });
  await chart('loss').focus();
  await lab().page.keyboard.press('End');
  await lab().page.keyboard.press('ArrowLeft');
  await expect.poll(() => status().textContent()).toMatch(/^step \d+: .*slow · train [\d.]+/);
  await lab().page.keyboard.press('Escape');
});

it('enlarges a chart and goes back, by keys alone', async () => {
  await chart('loss').focus();
  await lab().page.keyboard.press('Enter');
  await panel.locator('.card.enlarged').waitFor();
  await expect.poll(() => panel.locator('.card').count()).toBe(1);
  expect(await panel.evaluate(`document.activeElement.dataset.chart`)).toBe('loss');
  await lab().shoot('panel-enlarged');
  await chart('loss').focus();
  await lab().page.keyboard.press('Escape');
  await expect.poll(() => panel.locator('.card').count()).toBeGreaterThan(5);
});

it('exports what it shows: CSV with the very figures of the logs, and a picture', async () => {
  const csv = lab().path('out.csv');
  await panel.getByRole('button', { name: 'CSV' }).click();
  await lab().answer(csv);
  await expect.poll(() => existsSync(csv)).toBe(true);
  const [header = '', ...rows] = readFileSync(csv, 'utf8').trimEnd().split('\r\n');
  const names = header.split(',');
  const cells = rows.map((row) => Object.fromEntries(row.split(',').map((cell, i) => [names[i] ?? '', cell])));
  for (const run of ['slow', 'fast']) {
    const { events } = await readEvents(lab().path('.sft', 'curves', run, 'events.jsonl'));
    const steps = events.flatMap((event) => (event.type === 'train' ? [event] : []));
    const own = cells.filter((row) => row.run === run && row.set === 'train');
    expect(own.map(({ step }) => Number(step))).toEqual(steps.map(({ step }) => step));
    expect(own.map(({ loss }) => Number(loss))).toEqual(steps.map(({ loss }) => loss));
    const evals = events.flatMap((event) => (event.type === 'eval' ? [event] : []));
    const measured = cells.filter((row) => row.run === run && row.set !== 'train');
    expect(measured.map(({ set }) => set)).toEqual(evals.map(({ set }) => set));
    expect(measured.map(({ promptLoss }) => Number(promptLoss))).toEqual(
      evals.map(({ promptLoss }) => promptLoss ?? 0),
    );
  }

  const png = lab().path('out.png');
  await panel.getByRole('button', { name: 'PNG', exact: true }).click();
  await lab().answer(png);
  await expect.poll(() => existsSync(png) && readFileSync(png).length).toBeGreaterThan(10_000);
  const bytes = readFileSync(png);
  expect(bytes.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
  expect(bytes.subarray(-8, -4).toString('latin1')).toBe('IEND');
  expect(bytes.readUInt32BE(16)).toBeGreaterThan(600);
});

it('takes the colours of another theme at once', async () => {
  await chart('loss').scrollIntoViewIfNeeded();
  await changes('loss', () => lab().setTheme('light'));
  await changes('loss', () => lab().setTheme('high-contrast'));
  await changes('loss', () => lab().setTheme('dark'));
});

it('keeps its state over a reload of the window', async () => {
  await panel.getByText('Epoch', { exact: true }).first().click();
  await press(chip('fast'), false);
  await panel.getByRole('slider', { name: 'Smoothing' }).fill('0.3');
  await expect.poll(() => said('loss')).toContain('Loss by epoch');
  await lab().reload();
  panel = await lab().webview('Run');
  await panel.getByRole('heading', { name: '2 runs compared' }).waitFor({ timeout: 60_000 });
  await expect.poll(() => said('loss'), { timeout: 60_000 }).toContain('Loss by epoch');
  await expect.poll(() => chip('fast').getAttribute('aria-pressed')).toBe('false');
  expect(await panel.getByRole('slider', { name: 'Smoothing' }).inputValue()).toBe('0.3');
  await chip('fast').click();
  await panel.getByText('Step', { exact: true }).first().click();
});

it('shows four runs, also with a name that is too long', async () => {
  await add('4 runs compared', 'third', 'a run whose name');
  await lab().shoot('panel-four');
  // Rows are drawn anew when something about their run is new.
  const last = (): Promise<boolean> =>
    panel
      .locator('.runs tbody tr')
      .last()
      .scrollIntoViewIfNeeded({ timeout: 5000 })
      .then(
        () => true,
        () => false,
      );
  await lab().shoot('panel-table', () => expect.poll(last).toBe(true));
});

it('takes runs out', async () => {
  const rows = panel.locator('.runs tbody tr');
  for (let left = await rows.count(); left > 1; left--) {
    await expect.poll(() => rows.count()).toBe(left);
    await rows.last().hover();
    await rows.last().getByRole('button', { name: /^Take/ }).click();
  }
  await panel.getByRole('heading', { name: 'slow', exact: true }).waitFor();
});

it('follows a run that is being trained, without motion where that is unwanted, and stops it', async () => {
  const file = writeConfig(lab().workspace, 'live', { ...live, run_name: 'live' });
  const trainer = spawn(process.execPath, [cli, 'train', file, '--quiet'], { cwd: lab().workspace, stdio: 'ignore' });
  onTestFailed(() => {
    trainer.kill('SIGKILL');
    rmSync(lab().path('.sft', 'live'), { recursive: true, force: true, maxRetries: 5 });
  });
  // The row of an earlier try may stand there for a moment, without a run.
  await expect.poll(() => existsSync(lab().path('.sft', 'live', 'live', 'run.json')), { timeout: 60_000 }).toBe(true);
  await lab()
    .row(/^\s*live.*%/)
    .waitFor({ timeout: 60_000 });
  await open('live');
  const step = async (): Promise<number> =>
    Number(/step ([\d,]+)/.exec((await panel.locator('.progress-text').textContent()) ?? '')?.[1]?.replaceAll(',', ''));
  const dot = panel.locator('.badge.running .badge-dot');
  await dot.waitFor({ timeout: 60_000 });
  // Figures run in place: what has the focus keeps it.
  await panel.getByRole('button', { name: 'Stop' }).focus();
  await panel.evaluate(`(globalThis.focused = document.activeElement, 0)`);
  const before = await step();
  await expect.poll(step, { timeout: 60_000 }).toBeGreaterThan(before);
  expect(await panel.evaluate(`document.activeElement === focused && focused.textContent === 'Stop'`)).toBe(true);
  const moving = (): Promise<number> =>
    panel.evaluate(`document.getAnimations().filter(({ playState }) => playState === 'running').length`);
  await expect.poll(moving).toBeGreaterThan(0);
  await lab().page.emulateMedia({ reducedMotion: 'reduce' });
  await expect.poll(moving).toBe(0);
  await lab().page.emulateMedia({ reducedMotion: 'no-preference' });
  await lab().shootOnce('panel-live');
  await panel.getByRole('button', { name: 'Stop' }).click();
  await panel.locator('.badge.stopped').waitFor({ timeout: 60_000 });
  await expect.poll(() => trainer.exitCode, { timeout: 30_000 }).not.toBeNull();
});

it('says which run is gone, and what to do then', async () => {
  rmSync(lab().path('.sft', 'live', 'live'), { recursive: true, force: true });
  await lab().reload();
  panel = await lab().webview('Run');
  await panel.getByRole('heading', { name: 'This run is not there any more' }).waitFor({ timeout: 60_000 });
  await lab().shoot('panel-gone');
  await panel.getByRole('button', { name: 'Choose runs…' }).click();
  await choose('third');
  await panel.getByRole('heading', { name: 'third', exact: true }).waitFor();
  await panel.getByText('live is not there any more.').waitFor();
  await panel.getByRole('button', { name: 'Take out', exact: true }).click();
  await panel.getByText('live is not there any more.').waitFor({ state: 'hidden' });
});
