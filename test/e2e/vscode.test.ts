/** `npm run vscode` where there is no `code`: the address that it prints leads to VS Code with the extension, until Ctrl+C. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { openBrowser } from './harness/lab.js';
import { root } from './harness/server.js';

let child: ChildProcess | undefined;
afterEach(() => child?.kill('SIGKILL'));

it('opens a folder in the browser, with nothing to set up, and ends at Ctrl+C', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sft-lab-vscode-'));
  cpSync(join(root, 'media', 'examples'), folder, { recursive: true });
  const script = join(root, 'scripts', 'vscode.mjs');
  child = spawn(process.execPath, [script, folder, '--browser'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  let said = '';
  child.stdout?.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  const address = () => /http:\/\/\S+/.exec(said)?.[0];
  await expect.poll(address, { timeout: 90_000 }).toBeDefined();
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    await page.goto(address() ?? '');
    await page.locator('.activitybar [aria-label^="SFT Lab"]').first().waitFor({ timeout: 60_000 });
    await page.locator('.explorer-folders-view').getByText('tickets.train.jsonl').waitFor({ timeout: 30_000 });
  } finally {
    await browser.close();
  }
  child.kill('SIGINT');
  await ended;
  await expect(fetch(address() ?? '')).rejects.toThrow();
  rmSync(folder, { recursive: true, force: true });
});
