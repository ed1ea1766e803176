/** The README's pictures, of real runs in real VS Code: `npm run screenshots` writes them to media/. */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Frame } from 'playwright-core';
import { expect, it } from 'vitest';
import { fillWithExamples, useLab } from './harness/lab.js';
import { root } from './harness/server.js';

/** The demo's comparison with more evaluations, so that there are curves of them. */
function fill(folder: string): void {
  fillWithExamples(folder);
  const file = join(folder, 'tickets.sft.json');
  const config: unknown = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify(Object.assign(config ?? {}, { eval_strategy: 'steps', eval_steps: 47 }), null, 2));
  const program = join(root, 'dist', 'cli.js');
  execFileSync(process.execPath, [program, 'compare', file, '--quiet', '--no-baseline'], {
    cwd: folder,
    stdio: 'inherit',
  });
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

async function fromMenu(file: string, entry: string, title: string): Promise<Frame> {
  await lab().showView('Explorer');
  const tab = lab().page.locator('.tab').filter({ hasText: title }).first();
  await lab().menu(lab().file(file), entry, () => tab.isVisible());
  return lab().webview(title);
}

it('the run panel: six runs compared', async () => {
  await lab().showView('SFT Lab');
  const rows = lab().page.locator('.sidebar .monaco-list-row[aria-level="2"]');
  await expect.poll(() => rows.count()).toBe(6);
  await rows.first().click();
  await rows.last().click({ modifiers: ['Shift'] });
  const tab = lab().page.locator('.tab').filter({ hasText: '6 runs' });
  await lab().menu(rows.last(), 'Open', () => tab.first().isVisible());
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
  const preview = await fromMenu('tickets.train.jsonl', 'Preview Data Set', 'Preview tickets.train.jsonl');
  await preview.getByRole('button', { name: 'Tokens', exact: true }).click();
  await preview.locator('.token.loss').first().waitFor();
  await preview.locator('.overview progress').waitFor({ state: 'hidden', timeout: 60_000 });
  await picture('preview');
});
