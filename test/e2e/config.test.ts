/** `*.sft.json` in the editor: lenses, completion, hover, and problems that no schema can say. Empty states and first steps. */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useLab, writeConfig } from './harness/lab.js';

describe('a config', () => {
  const lab = useLab();

  it('has Run, Compare and, once there is one, Open run above it', async () => {
    writeConfig(lab().workspace, 'short');
    await lab().openFile('short.sft.json');
    const lenses = lab().page.locator('.codelens-decoration');
    await lenses.getByText('Run', { exact: true }).waitFor();
    await lenses.getByText('Compare', { exact: true }).waitFor();
    const made = lab().path('.sft', 'short', 'completion', 'run.json');
    await lab().lens('Run', () => existsSync(made));
    // It comes in front of the config.
    await lab().webview('Run');
    await lab().openFile('short.sft.json');
    await lenses.getByText('Open run').waitFor();
    await lab().openFile('tickets.sft.json');
    await lenses.getByText('Compare (6 runs)').waitFor();
    await lab().shoot('config');
  });

  it('is completed and explained from the schema', async () => {
    writeFileSync(lab().path('new.sft.json'), '{\n  \n}\n');
    await lab().openFile('new.sft.json');
    // What an earlier try typed.
    await lab().command('File: Revert File');
    const { page } = lab();
    await page.locator('.editor-instance .view-line').nth(1).click();
    await page.keyboard.press('End');
    await page.keyboard.type('"learn');
    const suggestion = page.locator('.suggest-widget .monaco-list-row').filter({ hasText: 'learning_rate' }).first();
    await suggestion.waitFor();
    await page.keyboard.press('Escape');
    await lab().openFile('tickets.sft.json');
    await page.getByText('"warmup_steps"', { exact: true }).first().hover();
    await page.locator('.monaco-hover').getByText('Steps of linear warm-up').waitFor();
  });

  it('marks a data set that is not there, and takes the mark back when it comes', async () => {
    rmSync(lab().path('soon.jsonl'), { force: true });
    writeConfig(lab().workspace, 'missing', { train_dataset: 'soon.jsonl', eval_strategy: 'steps' });
    await lab().openFile('missing.sft.json');
    await lab().command('Problems: Focus on Problems View');
    const problems = lab().page.locator('.markers-panel');
    await problems.getByText('no file at').first().waitFor();
    await lab().shoot('config-problems');
    writeFileSync(lab().path('soon.jsonl'), readFileSync(lab().path('tickets.train.jsonl')));
    await expect.poll(() => problems.getByText('no file at').count(), { timeout: 30_000 }).toBe(0);
  });
});

describe('an empty folder', () => {
  const lab = useLab({ fill: (folder) => mkdirSync(folder, { recursive: true }) });

  it('says what to do, and brings examples', async () => {
    // What an earlier try brought.
    for (const name of readdirSync(lab().workspace)) rmSync(lab().path(name), { recursive: true });
    await lab().showView('SFT Lab');
    await lab().page.getByRole('button', { name: 'Add Example Data Sets' }).waitFor();
    await lab().shoot('welcome');
    await lab().page.getByRole('button', { name: 'Add Example Data Sets' }).click();
    await expect.poll(() => existsSync(lab().path('tickets.sft.json'))).toBe(true);
    expect(JSON.parse(readFileSync(lab().path('tickets.sft.json'), 'utf8'))).toMatchObject({
      model_name_or_path: 'sft-lab/starter',
    });
    await lab().notifications().getByText('Fine-tune tickets…').click();
    const form = await lab().webview('Fine-tune tickets.train.jsonl');
    await form.locator('.example').first().waitFor();
  });

  it('has a walkthrough of the first minutes', async () => {
    await lab().showView('SFT Lab');
    await lab().command('Welcome: Open Walkthrough');
    await lab().pick('Fine-tune your first model');
    await lab().page.getByText('Bring a data set').first().waitFor();
    await lab().shoot('walkthrough');
  });
});

describe('a folder that is not trusted', () => {
  const lab = useLab({
    settings: { 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'never' },
  });

  it('is only looked at: nothing trains', async () => {
    await lab().showView('SFT Lab');
    await lab().page.getByRole('button', { name: 'Manage Workspace Trust' }).first().waitFor();
    await lab().openFile('tickets.sft.json');
    await lab().page.locator('.view-line').filter({ hasText: 'warmup_steps' }).waitFor();
    expect(await lab().page.locator('.codelens-decoration').count()).toBe(0);
    await (await lab().listed('tickets.train.jsonl')).click({ button: 'right' });
    const entry = lab().page.getByRole('menuitem', { name: 'Fine-tune…', exact: true }).first();
    await entry.waitFor();
    expect(await entry.getAttribute('aria-disabled')).toBe('true');
    expect(existsSync(lab().path('.sft'))).toBe(false);
  });
});
