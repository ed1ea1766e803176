/** The samples view in the editor: what the models of two runs said, filtered, compared, opened elsewhere, and there again after a reload. */

import { existsSync, rmSync } from 'node:fs';
import type { Frame, Locator, Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { readEvents } from '../../src/runs/event-log.js';
import { useLab, writeConfig } from './harness/lab.js';

const lab = useLab();

/** What a busy machine may need. */
const soon = { timeout: 20_000 };

/** Trains with an evaluation at the start and every thirtieth step; some of the records answered have samples with tokens. */
async function train(name: string, values: Readonly<Record<string, unknown>>): Promise<void> {
  writeConfig(lab().workspace, name, {
    ...{ max_steps: 150, eval_steps: 30, eval_on_start: true, max_eval_samples: 60, eval_generate_samples: 40 },
    ...{
      num_sample_generations: 10,
      eval_max_new_tokens: 8,
      experiment: 'tickets',
      run_name: name,
      save_strategy: 'no',
    },
    ...values,
  });
  await lab().openFile(`${name}.sft.json`);
  await lab().lens('Run', () => existsSync(lab().path('.sft', 'tickets', name, 'run.json')));
  await expect.poll(() => ended(name), { timeout: 180_000 }).toBe(true);
}

async function ended(name: string): Promise<boolean> {
  const file = lab().path('.sft', 'tickets', name, 'events.jsonl');
  if (!existsSync(file)) return false;
  return (await readEvents(file)).events.some((event) => event.type === 'status' && event.status === 'finished');
}

const chip = (frame: Frame, name: string): Locator =>
  frame.locator('.filters').getByRole('button', { name: new RegExp(`^${name}`) });
const slider = (frame: Frame, run: string): Locator =>
  frame.getByRole('slider', { name: `Evaluation of ${run}`, exact: true });
const rows = (frame: Frame): Locator => frame.locator('.list .row:not(.waiting)');
const facts = (frame: Frame): Locator => frame.locator('.answer .block-head');

async function counted(frame: Frame, name: string): Promise<number> {
  return Number(await chip(frame, name).locator('.count').textContent());
}

/** Puts the terminal away. */
async function panelAway(): Promise<void> {
  const panel = lab().page.locator('.part.panel');
  if (await panel.isVisible()) await lab().page.keyboard.press('Control+j');
  await panel.waitFor({ state: 'hidden' });
}

/** Makes room, as a person at a small screen would. */
async function sideBarAway(page: Page): Promise<void> {
  const width = page.viewportSize()?.width ?? 0;
  const there = await page.locator('.part.sidebar').isVisible();
  if (there === width < 1000) await page.keyboard.press('Control+b');
}

it('shows what the model said, from the sidebar', async () => {
  await train('fast', { learning_rate: 0.002, save_strategy: 'steps', save_steps: 60 });
  await lab().command('View: Close All Editors');
  await panelAway();
  await lab().showView('SFT Lab');
  await lab().menu(lab().row('fast'), 'Open Samples');
  const frame = await lab().webview('Samples');
  await rows(frame).first().waitFor({ timeout: 30_000 });
  const answered = await counted(frame, 'Answered');
  expect(answered).toBeGreaterThanOrEqual(40);
  expect((await counted(frame, 'Wrong')) + (await counted(frame, 'Right'))).toBe(answered);
  // Titles are read from the data set for records without a sample, without the instruction that all of them share.
  await expect.poll(() => frame.locator('.row-title .muted').count(), soon).toBe(0);
  expect(await rows(frame).first().locator('.row-title').textContent()).not.toContain('Which queue');
  await expect.poll(() => rows(frame).first().getAttribute('aria-selected'), soon).toBe('true');
  await lab().shoot('samples', sideBarAway);
});

it('filters by how the answers went, and finds text', async () => {
  const frame = await lab().webview('Samples');
  const became = await counted(frame, 'Became right');
  expect(became).toBeGreaterThan(0);
  await chip(frame, 'Became right').click();
  await frame.locator('.verdict.right').waitFor();
  await expect.poll(() => frame.locator('.list .row').first().getAttribute('aria-setsize'), soon).toBe(String(became));
  // The first evaluation was wrong, the last is right, in every row.
  await expect
    .poll(() => rows(frame).first().locator('.marks .mark').first().getAttribute('class'), soon)
    .toBe('mark wrong');
  await expect
    .poll(() => rows(frame).first().locator('.marks .mark').last().getAttribute('class'), soon)
    .toBe('mark right');
  await chip(frame, 'Answered').click();
  await frame.getByLabel('Find in prompts and answers').fill('no such words');
  await frame.getByText('Nothing found.').waitFor();
  await frame.getByRole('button', { name: 'Show all answered' }).click();
  await rows(frame).first().waitFor();
});

it('goes through records by the keyboard, and along the evaluations of one', async () => {
  const frame = await lab().webview('Samples');
  await rows(frame).first().click();
  await frame.locator('.position').getByText(/^1 of/).waitFor();
  await frame.locator('.list').press('ArrowDown');
  await frame.locator('.position').getByText(/^2 of/).waitFor();
  await frame.locator('.list').press('Enter');
  await frame.locator('.track-slider:focus').waitFor();
  await facts(frame).getByText('step 150').waitFor();
  await slider(frame, 'fast').press('ArrowLeft');
  await facts(frame).getByText('step 120').waitFor();
  await slider(frame, 'fast').press('Home');
  await facts(frame).getByText('step 0').waitFor();
  await frame.getByText('this is the first answer').waitFor();
  await slider(frame, 'fast').press('ArrowRight');
  await facts(frame).getByText('step 30').waitFor();
  await frame.locator('.compare .diff ins, .compare .diff .icon').first().waitFor();
  // By the pointer: the last mark of the line.
  await frame.locator('.track .point').last().click();
  await facts(frame).getByText('step 150').waitFor();
});

it('opens at the evaluation of a checkpoint, also where it is open already', async () => {
  const open = async (): Promise<Frame> => {
    await lab().menu(lab().row('Step 60'), 'Open Samples');
    const frame = await lab().webview('Samples');
    await facts(frame).getByText('step 60').waitFor();
    return frame;
  };
  await lab().showView('SFT Lab');
  if (!(await lab().row('Step 60').isVisible())) {
    await lab().row('fast').click();
    await lab().page.keyboard.press('ArrowRight');
  }
  const frame = await open();
  await slider(frame, 'fast').press('End');
  await facts(frame).getByText('step 150').waitFor();
  await open();
  await lab().command('View: Close All Editors');
  await open();
});

it('shows how unsure the model was, token by token', async () => {
  const frame = await lab().webview('Samples');
  await chip(frame, 'With entropies').click();
  expect(await counted(frame, 'With entropies')).toBe(10);
  await rows(frame).first().click();
  const token = frame.locator('.answer .tokens .token').first();
  await token.hover();
  await frame
    .locator('.tip')
    .getByText(/^entropy .* nats$/)
    .waitFor();
  await frame.locator('.answer .tokens').press('ArrowRight');
  await frame.locator('.token.reached').waitFor();
  await lab().shootOnce('samples-tokens');
  await chip(frame, 'Answered').click();
});

it('compares two runs, word by word and in the diff editor', async () => {
  await train('slow', { learning_rate: 0.0001 });
  await lab().command('View: Close All Editors');
  await panelAway();
  await lab().showView('SFT Lab');
  // The list is drawn anew when a run has ended, and then knows nothing of a selection half made.
  await expect
    .poll(async () => {
      await lab().row('fast').click();
      await lab()
        .row('slow')
        .click({ modifiers: ['Control'] });
      return lab().page.locator('.sidebar .monaco-list-row.selected').count();
    }, soon)
    .toBe(2);
  await lab().menu(lab().row('slow'), 'Open Samples');
  const frame = await lab().webview('Samples');
  await frame.getByRole('heading', { name: '2 runs' }).waitFor();
  await expect.poll(() => frame.locator('.track-slider').count(), soon).toBe(2);
  await frame.getByLabel('Run', { exact: true }).selectOption({ label: 'fast' });
  await expect.poll(() => counted(frame, 'Runs differ'), soon).toBeGreaterThan(0);
  await chip(frame, 'Runs differ').click();
  await frame.getByLabel('Compared with').selectOption({ label: 'slow, last answer' });
  await frame.locator('.compare ins').first().waitFor();
  await lab().shoot('samples-runs', sideBarAway);
  await frame.getByRole('button', { name: 'Open in diff editor' }).click();
  const tab = lab()
    .page.locator('.tab')
    .filter({ hasText: /record \d+: slow step 150 ↔ fast step 150/ });
  await tab.waitFor();
  await lab().page.locator('.monaco-diff-editor .modified .view-line').first().waitFor();
  await lab().shootOnce('samples-diff-editor');
  await lab().command('View: Close Editor');
});

it('opens the line of the record', async () => {
  const frame = await lab().webview('Samples');
  const place = await frame.locator('.detail-head .place').textContent();
  const record = /record (\d+)/.exec(place ?? '')?.[1];
  await frame.locator('.detail-head .place').click();
  await lab().page.locator('.tab.active').filter({ hasText: 'tickets.eval.jsonl' }).waitFor();
  await lab()
    .page.locator('.statusbar-item')
    .filter({ hasText: `Ln ${record},` })
    .waitFor();
  await lab().command('View: Close Editor');
});

it('is there again after the window was reloaded, as it was left', async () => {
  const before = await lab().webview('Samples');
  const position = await before.locator('.position').textContent();
  const text = await before.locator('[aria-label="Prompt"] .text').textContent();
  await lab().reload();
  // Which tab was in front is written to disk now and then.
  await lab().page.locator('.tab').filter({ hasText: 'Samples: 2 runs' }).click();
  const frame = await lab().webview('Samples');
  await rows(frame).first().waitFor({ timeout: 60_000 });
  await expect.poll(() => chip(frame, 'Runs differ').getAttribute('aria-pressed'), soon).toBe('true');
  await expect.poll(() => frame.locator('.position').textContent(), { timeout: 20_000 }).toBe(position);
  await expect.poll(() => frame.locator('[aria-label="Prompt"] .text').textContent(), soon).toBe(text);
  expect(await frame.getByLabel('Compared with').inputValue()).toContain('run:');
});

it('shows new evaluations as they come, and keeps what is selected', async () => {
  writeConfig(lab().workspace, 'long', {
    ...{
      max_steps: 20_000,
      eval_steps: 20,
      max_eval_samples: 20,
      eval_generate_samples: 20,
      num_sample_generations: 4,
    },
    ...{ experiment: 'tickets', run_name: 'long', save_strategy: 'no' },
  });
  // Of an earlier try.
  lab().endTrainers();
  rmSync(lab().path('.sft', 'tickets', 'long'), { recursive: true, force: true, maxRetries: 5 });
  await lab().command('View: Close All Editors');
  await lab().openFile('long.sft.json');
  await lab().lens('Run', () => existsSync(lab().path('.sft', 'tickets', 'long', 'run.json')));
  await lab().showView('SFT Lab');
  await lab().menu(lab().row('long'), 'Open Samples');
  const frame = await lab().webview('Samples');
  await rows(frame).first().waitFor({ timeout: 60_000 });
  // The worst are others after each evaluation; records of the data set stay where they are.
  await frame.getByLabel('Order', { exact: true }).selectOption({ label: 'as in the data set' });
  await rows(frame).nth(2).click();
  await frame.locator('.position').getByText(/^3 of/).waitFor();
  const place = await frame.locator('.detail-head .place').textContent();
  const last = async (): Promise<number> => Number(await slider(frame, 'long').getAttribute('aria-valuemax'));
  const before = await last();
  await expect.poll(last, { timeout: 60_000 }).toBeGreaterThan(before);
  expect(await frame.locator('.detail-head .place').textContent()).toBe(place);
  await lab().stopRun('long');
});

it('says what to do where a run was not evaluated', async () => {
  writeConfig(lab().workspace, 'blind', {
    ...{ max_steps: 2, experiment: 'tickets', run_name: 'blind', save_strategy: 'no', eval_strategy: 'no' },
  });
  rmSync(lab().path('.sft', 'tickets', 'blind'), { recursive: true, force: true, maxRetries: 5 });
  await lab().command('View: Close All Editors');
  await lab().openFile('blind.sft.json');
  await lab().lens('Run', () => existsSync(lab().path('.sft', 'tickets', 'blind', 'run.json')));
  const panel = await lab().webview('Run');
  await panel.getByText('Finished').first().waitFor({ timeout: 60_000 });
  await panelAway();
  // From the run panel's own button.
  await panel.getByRole('button', { name: 'Samples', exact: true }).click();
  await lab().page.locator('.tab.active').filter({ hasText: 'Samples: blind' }).waitFor();
  const empty = await lab().webview('Samples');
  await empty.getByText('This run was not evaluated').waitFor({ timeout: 30_000 });
  await lab().shootOnce('samples-empty');
  await empty.getByRole('button', { name: 'Open config' }).click();
  await lab().page.locator('.tab.active').filter({ hasText: 'blind.sft.json' }).waitFor();
});
