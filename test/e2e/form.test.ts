/** Fine-tune…: from a right-click to a running run in two clicks, and what the form shows on the way. */

import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Frame, Page } from 'playwright-core';
import { afterEach, describe, expect, it } from 'vitest';
import { useLab } from './harness/lab.js';

const lab = useLab();
// What was started has been seen to start.
afterEach(() => lab().endTrainers());

async function openForm(file: string): Promise<Frame> {
  await lab().showView('Explorer');
  const tab = lab()
    .page.locator('.tab')
    .filter({ hasText: `Fine-tune ${file}` })
    .first();
  await lab().menu(await lab().listed(file), 'Fine-tune…', () => tab.isVisible());
  const form = await lab().webview(`Fine-tune ${file}`);
  await form.getByRole('heading', { name: `Fine-tune ${file}` }).waitFor();
  return form;
}

const start = (form: Frame) => form.getByRole('button', { name: 'Start', exact: true });

/** Makes room for the form, as a person at a small screen would. */
async function sideBarAway(page: Page): Promise<void> {
  const width = page.viewportSize()?.width ?? 0;
  const shown = await page.locator('.part.sidebar').isVisible();
  if (shown === width < 1000) await page.keyboard.press('Control+b');
}

describe('the form', () => {
  it('is filled in: model, mask, steps, and a cost that was measured', async () => {
    const form = await openForm('tickets.train.jsonl');
    await form.getByText('tokens/s, measured').waitFor({ timeout: 90_000 });
    await form.getByText('Alpaca · lab ·').waitFor();
    expect(await form.locator('.example').count()).toBe(3);
    // The answer and the end of its turn, and nothing else of the record.
    const trained = await form.locator('.example').first().locator('mark').allTextContents();
    expect(trained.join('')).toBe('shipping<|im_end|>');
    expect(await form.locator('.tile').first().textContent()).toContain('564');
    expect(await form.locator('#evaluation').getAttribute('current-value')).toBe('tickets.eval.jsonl');
    await lab().shoot('form', sideBarAway);
    await form.locator('summary').click();
    await form.getByText('Optimizer').waitFor();
    await lab().shoot('form-more', sideBarAway);
    await form.locator('summary').click();
  });

  it('masks all tokens, and trains an adapter, at a click', async () => {
    const form = await openForm('tickets.train.jsonl');
    await form.getByRole('radio', { name: 'All' }).click();
    await form
      .locator('.tile')
      .filter({ hasText: 'Tokens' })
      .getByText(/9\d % trained on/)
      .waitFor();
    await form.getByRole('radio', { name: 'LoRA' }).click();
    await form.locator('#lora_r').waitFor();
    await form.getByRole('radio', { name: 'Completion' }).click();
    await form.getByRole('radio', { name: 'Full' }).click();
    await form.locator('#lora_r').waitFor({ state: 'hidden' });
  });

  it('says at the field what is wrong, and does not start', async () => {
    const form = await openForm('tickets.train.jsonl');
    const epochs = form.locator('#num_train_epochs input');
    await epochs.fill('many');
    await form.locator('.num_train_epochs .hint.error').getByText('Expected a number').waitFor();
    expect(await start(form).isDisabled()).toBe(true);
    await lab().shoot('form-wrong', sideBarAway);
    await epochs.fill('2');
    await form.locator('.tile').first().getByText('376', { exact: true }).waitFor();
    expect(await start(form).isDisabled()).toBe(false);
  });

  it('keeps what was typed over a reload of the window', async () => {
    // By the command, as people do: the browser's own reload leaves VS Code no time to write what it keeps.
    await Promise.all([lab().page.waitForEvent('load'), lab().command('Developer: Reload Window')]);
    await lab().ready();
    const form = await lab().webview('Fine-tune tickets.train.jsonl');
    await expect.poll(() => form.locator('#num_train_epochs input').inputValue()).toBe('2');
  });

  it('saves a config beside the data set, never over another', async () => {
    const form = await lab().webview('Fine-tune tickets.train.jsonl');
    writeFileSync(lab().path('tickets.train.sft.json'), '{"mine": true}\n');
    // Of an earlier try.
    rmSync(lab().path('tickets.train-2.sft.json'), { force: true });
    await form.getByRole('button', { name: 'Save as .sft.json…' }).click();
    const input = lab().page.locator('.quick-input-widget input[type="text"]');
    await expect.poll(() => input.inputValue()).toMatch(/tickets\.train-2\.sft\.json$/);
    await input.press('Enter');
    await expect.poll(() => existsSync(lab().path('tickets.train-2.sft.json'))).toBe(true);
    expect(JSON.parse(readFileSync(lab().path('tickets.train-2.sft.json'), 'utf8'))).toMatchObject({
      model_name_or_path: 'sft-lab/starter',
      train_dataset: 'tickets.train.jsonl',
      eval_dataset: 'tickets.eval.jsonl',
      num_train_epochs: 2,
    });
    expect(readFileSync(lab().path('tickets.train.sft.json'), 'utf8')).toBe('{"mine": true}\n');
  });
});

it('a run is two clicks from the right-click', async () => {
  // One: the entry of the menu. Two: Start.
  const form = await openForm('arithmetic.train.jsonl');
  await expect.poll(() => start(form).isEnabled()).toBe(true);
  await start(form).click();
  const run = lab().path('.sft', 'arithmetic', 'completion');
  const events = join(run, 'events.jsonl');
  await expect
    .poll(() => existsSync(events) && readFileSync(events, 'utf8').includes('"train"'), { timeout: 60_000 })
    .toBe(true);
  expect(JSON.parse(readFileSync(join(run, 'run.json'), 'utf8')).config).toMatchObject({
    loss_on: 'completion',
    eval_dataset: { eval: [{ path: lab().path('arithmetic.eval.jsonl') }] },
  });
});

it('a comparison is six runs of one experiment', async () => {
  writeFileSync(
    lab().path('few.jsonl'),
    readFileSync(lab().path('tickets.train.jsonl'), 'utf8').split('\n').slice(0, 64).join('\n'),
  );
  const form = await openForm('few.jsonl');
  const compare = form.getByRole('button', { name: 'Start as comparison' });
  await expect.poll(() => compare.isEnabled()).toBe(true);
  await compare.click();
  const experiment = lab().path('.sft', 'few', 'experiment.json');
  await expect.poll(() => existsSync(experiment), { timeout: 60_000 }).toBe(true);
  expect(JSON.parse(readFileSync(experiment, 'utf8'))).toMatchObject({
    axes: { loss_on: ['completion', 'all'], num_train_epochs: [1, 2, 3] },
  });
  await expect.poll(() => readdirSync(lab().path('.sft', 'few')).length, { timeout: 60_000 }).toBeGreaterThan(2);
});

it('reads a data set as the previewer was told to', async () => {
  const records = Array.from({ length: 20 }, (_, n) =>
    JSON.stringify({ frage: `Was ist ${n}?`, antwort: `Eine Zahl ${n}` }),
  );
  writeFileSync(lab().path('odd.jsonl'), `${records.join('\n')}\n`);
  const mapping = { format: 'custom', fields: { prompt: 'frage', completion: 'antwort' } };
  mkdirSync(lab().path('.sft'), { recursive: true });
  writeFileSync(lab().path('.sft', 'datasets.json'), JSON.stringify({ 'odd.jsonl': mapping }));
  const form = await openForm('odd.jsonl');
  await form.locator('.example').first().waitFor();
  expect((await form.locator('.example mark').first().textContent())?.startsWith('Eine Zahl 0')).toBe(true);
  await form.getByRole('button', { name: 'See all records' }).click();
  await lab()
    .page.locator('.tab')
    .filter({ hasText: /^odd\.jsonl/ })
    .first()
    .waitFor();
});

it('shows hostile text as text, and bad records by their line', async () => {
  const nasty = '<img src=x onerror="document.title=\'owned\'"> \u202egnirts\u202c \u0007\u200b {{ 7*7 }}';
  const lines = [1, 2, 3, 4, 5, 6].map((n) =>
    JSON.stringify({ prompt: `${nasty} ${n}`, completion: `fine ${n} 👩‍🚀` }),
  );
  writeFileSync(lab().path('hostile.jsonl'), `${lines.join('\n')}\n`);
  const form = await openForm('hostile.jsonl');
  await form.locator('.example').first().waitFor();
  expect(await form.locator('.example').first().textContent()).toContain('<img src=x onerror=');
  expect(await form.locator('.example .unseen').allTextContents()).toEqual(
    expect.arrayContaining(['RLO', 'PDF', 'BEL', 'ZWSP']),
  );
  expect(await form.locator('img').count()).toBe(0);
  expect(await form.title()).toBe('Fine-tune hostile.jsonl');

  writeFileSync(lab().path('broken.jsonl'), `${lines[0]}\n{"prompt": 7}\nnot json\n`);
  const broken = await openForm('broken.jsonl');
  await broken.locator('.notice.error').waitFor();
  expect(await broken.locator('.notice.error').textContent()).toContain('broken.jsonl:2');
  expect(await start(broken).isDisabled()).toBe(true);
  await lab().shoot('form-bad-records', sideBarAway);
  await broken.getByRole('button', { name: 'Leave them out' }).waitFor();
  await broken.getByRole('button', { name: 'broken.jsonl:2' }).click();
  await lab().page.locator('.tab').filter({ hasText: 'broken.jsonl' }).first().waitFor();
  appendFileSync(lab().path('broken.jsonl'), '');
});
