/** The README's pictures, of real runs in real VS Code: `npm run screenshots` writes them to media/. */

import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Frame } from 'playwright-core';
import { expect, it } from 'vitest';
import { fillWithExamples, useLab } from './harness/lab.js';
import { root } from './harness/server.js';

/** The examples, and the demo's six runs as they were trained. */
function fill(folder: string): void {
  fillWithExamples(folder);
  const demo = join(root, '.sft', 'tickets');
  if (existsSync(demo)) cpSync(demo, join(folder, '.sft', 'tickets'), { recursive: true });
}

const lab = useLab({ fill });

async function picture(name: string): Promise<void> {
  await lab().dismissNotifications();
  await lab().page.mouse.move(0, 0);
  await lab().frames(5);
  const file = join(root, 'media', `${name}.png`);
  const { length } = await lab().page.screenshot({ path: file });
  expect(length, `${file} is too large`).toBeLessThan(300_000);
}

async function fromMenu(file: string, entry: string, title: string, label = title): Promise<Frame> {
  await lab().showView('Explorer');
  const tab = lab().page.locator('.tab').filter({ hasText: label }).first();
  await lab().menu(await lab().listed(file), entry, () => tab.isVisible());
  return lab().webview(title);
}

it('the run panel: six runs compared', async () => {
  await lab().showView('SFT Lab');
  const rows = lab().page.locator('.sidebar .monaco-list-row[aria-level="2"]');
  await expect.poll(() => rows.count(), { message: 'the demo has six runs and the untuned model' }).toBe(7);
  const trained = rows.filter({ hasNotText: 'untuned' });
  await trained.first().click();
  for (let i = 1; i < 6; i++) await trained.nth(i).click({ modifiers: ['Control'] });
  const tab = lab().page.locator('.tab').filter({ hasText: '6 runs' });
  await lab().menu(trained.last(), 'Open', () => tab.first().isVisible());
  // A click alone has opened the first run: its panel is in the way.
  await lab().command('View: Close Other Editors in Group');
  const panel = await lab().webview('Run');
  await panel.getByRole('heading', { name: '6 runs compared' }).waitFor();
  await panel.locator('canvas').first().waitFor();
  await picture('run-panel');
});

it('the form', async () => {
  await lab().command('View: Close All Editors');
  const form = await fromMenu('tickets.train.jsonl', 'Fine-tune…', 'Fine-tune tickets.train.jsonl');
  await form.getByText('tokens/s, measured').waitFor({ timeout: 90_000 });
  await picture('form');
});

it('the preview of a data set, as tokens', async () => {
  await lab().command('View: Close All Editors');
  const preview = await fromMenu(
    'tickets.train.jsonl',
    'Preview Data Set',
    'Preview tickets.train.jsonl',
    'tickets.train.jsonl',
  );
  await preview.getByRole('button', { name: 'Tokens', exact: true }).click();
  await preview.locator('.token.loss').first().waitFor();
  await preview.locator('.overview progress').waitFor({ state: 'hidden', timeout: 60_000 });
  await picture('preview');
});
