/** Runs that keep their word: they outlive windows and extension hosts, say how they end, and are found again. */

import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { readEvents } from '../../src/runs/event-log.js';
import { lockHolder } from '../../src/runs/lock.js';
import { fillWithExamples, type Lab, useLab, writeConfig } from './harness/lab.js';
import { root, tryKill } from './harness/server.js';

/** Long enough to be still under way whatever a test does meanwhile. */
const long = { max_steps: 50_000, eval_strategy: 'no', save_steps: 100_000, num_sample_generations: 0 };

async function stepsOf(folder: string): Promise<number[]> {
  const { events } = await readEvents(join(folder, 'events.jsonl'));
  return events.flatMap((event) => (event.type === 'train' ? [event.step] : []));
}

/** Trains as a person does in a terminal of their own, outside the editor. */
async function train(lab: Lab, name: string, values: Readonly<Record<string, unknown>>): Promise<string> {
  // Of an earlier try.
  rmSync(lab.path('.sft', name), { recursive: true, force: true });
  const file = writeConfig(lab.workspace, name, { run_name: name, ...values });
  launch(lab, file, lab.workspace);
  const folder = lab.path('.sft', name, name);
  await grows(folder, 3);
  return folder;
}

/** The editor is what is tried here: it comes first. */
function launch(lab: Lab, file: string, cwd: string): void {
  const extensions = join(lab.directory, 'extensions');
  const ours = readdirSync(extensions).find((name) => name.startsWith('sft-lab.sft-lab-')) ?? '';
  const program = join(extensions, ours, 'dist', 'cli.js');
  const args = ['-n', '19', process.execPath, program, 'train', file];
  spawn('nice', args, { cwd, stdio: 'ignore', detached: true }).unref();
}

/** Waits until a run has trained that many steps. */
async function grows(folder: string, steps: number): Promise<void> {
  await expect
    .poll(async () => (await stepsOf(folder)).length, { timeout: 90_000, message: `${folder} does not train` })
    .toBeGreaterThanOrEqual(steps);
}

async function startByLens(lab: Lab, name: string, lens: string, made: string): Promise<void> {
  // Of an earlier try.
  rmSync(lab.path('.sft', name), { recursive: true, force: true });
  await lab.openFile(`${name}.sft.json`);
  await lab.lens(lens, () => existsSync(made));
}

function kill(folder: string): void {
  const pid = lockHolder(folder)?.pid;
  expect(pid).toBeDefined();
  if (pid !== undefined) tryKill(pid, 'SIGKILL');
}

/** By its name: what the status bar notes for some seconds of a run that was stopped reads much the same. */
const statusItem = (page: Page): Locator => page.locator('.statusbar-item[id$="sft-lab.progress"]');
const toast = (page: Page, text: string | RegExp): Locator =>
  page.locator('.notification-toast').filter({ hasText: text }).first();
const contiguous = (steps: readonly number[]): void =>
  expect(steps).toEqual(Array.from({ length: steps.length }, (_, i) => i + 1));

async function stopOutside(folder: string): Promise<void> {
  const pid = lockHolder(folder)?.pid;
  if (pid !== undefined) tryKill(pid, 'SIGINT');
  await expect.poll(() => lockHolder(folder), { timeout: 60_000 }).toBeUndefined();
}

describe('a run', () => {
  const lab = useLab();
  afterEach(() => lab().endTrainers());

  it('says in the status bar how far it is, and how it ended', async () => {
    const { page } = lab();
    writeConfig(lab().workspace, 'short', {
      max_steps: 400,
      run_name: 'short run',
      eval_strategy: 'no',
      save_steps: 400,
    });
    await startByLens(lab(), 'short', 'Run', lab().path('.sft', 'short', 'short run', 'run.json'));
    const item = statusItem(page);
    await item.filter({ hasText: /\d+ % · \d+:\d\d left/ }).waitFor({ timeout: 60_000 });
    await item.hover();
    await page
      .locator('.monaco-hover')
      .getByText(/step.\d+.of.400.\(\d+.%\).·.loss.\d/)
      .waitFor();
    await lab().shootOnce('status-bar');
    await item.click();
    await page.locator('.tab').filter({ hasText: 'short run' }).first().waitFor();
    const told = toast(page, '“short run” finished: 400 steps in');
    await told.waitFor({ timeout: 90_000 });
    await lab().shoot('notification');
    await told.getByText('Show Log').click();
    await page.locator('.view-line').filter({ hasText: 'Finished.' }).first().waitFor();
    await expect.poll(() => item.count()).toBe(0);
  });

  it('that fails says why', async () => {
    writeConfig(lab().workspace, 'bad', { run_name: 'bad run', learning_rate: 1e30, max_grad_norm: 0 });
    await startByLens(lab(), 'bad', 'Run', lab().path('.sft', 'bad', 'bad run', 'run.json'));
    const told = toast(lab().page, /“bad run” failed at step \d+ of 40: /);
    await told.waitFor({ timeout: 60_000 });
    await told.getByText('Resume').waitFor();
    await lab().shootOnce('notification-failed');
    await lab().dismissNotifications();
  });

  it('of a comparison is not told of by itself: one word stands for all', async () => {
    writeConfig(lab().workspace, 'both', {
      max_steps: 10,
      eval_steps: 10,
      save_steps: 10,
      compare: { seed: [1, 2] },
    });
    await startByLens(lab(), 'both', 'Compare', lab().path('.sft', 'both', 'experiment.json'));
    // All of it in one panel from the beginning.
    await lab().page.locator('.tab').filter({ hasText: '3 runs' }).first().waitFor();
    const panel = await lab().webview('Run');
    for (const name of ['Untuned', 'seed=1', 'seed=2']) await panel.getByText(name).first().waitFor();
    const told = toast(lab().page, /The comparison “both” has ended: 2 finished\. Best: seed=\d with accuracy/);
    await told.waitFor({ timeout: 90_000 });
    expect(await toast(lab().page, '” finished:').count()).toBe(0);
    await lab().shoot('comparison');
    await told.getByText('Show Report').click();
    await lab().page.locator('.tab').filter({ hasText: 'report.md' }).first().waitFor();
    await lab().dismissNotifications();
  });

  it('of a stopped comparison is resumed with those that never began, by its experiment', async () => {
    const folder = lab().path('.sft', 'halves');
    rmSync(folder, { recursive: true, force: true });
    writeConfig(lab().workspace, 'halves', {
      max_steps: 300,
      eval_strategy: 'no',
      save_steps: 300,
      compare: { seed: [1, 2] },
    });
    await lab().showView('Explorer');
    await startByLens(lab(), 'halves', 'Compare', join(folder, 'experiment.json'));
    const first = join(folder, 'seed-1');
    await grows(first, 3);
    await lab().showView('SFT Lab');
    await lab().menu(lab().row(/^halves/), 'Stop', () => lockHolder(folder) === undefined);
    expect(readdirSync(join(folder, 'seed-2'))).not.toContain('events.jsonl');
    await lab()
      .row(/seed=1.*stopped/)
      .waitFor();
    await lab().shootOnce('comparison-stopped');
    await lab().menu(lab().row(/^halves/), 'Resume', () => lockHolder(folder) !== undefined);
    await expect.poll(() => lockHolder(folder), { timeout: 90_000 }).toBeUndefined();
    for (const name of ['seed-1', 'seed-2']) {
      const steps = await stepsOf(join(folder, name));
      contiguous(steps);
      expect(steps).toHaveLength(300);
    }
    await toast(lab().page, 'The comparison “halves” has ended: 2 finished').waitFor({ timeout: 30_000 });
    await lab().dismissNotifications();
  });

  it('is renamed in the sidebar, and what is open of it follows', async () => {
    const { page } = lab();
    await lab().showView('SFT Lab');
    // As an earlier try may have named them.
    for (const folder of [['short', 'short run'], ['both']])
      rmSync(lab().path('.sft', ...folder, 'label.json'), { force: true });
    await lab().openRow(lab().row('short run'), 'short run');
    // What was opened takes the keyboard.
    await lab().command('Focus on Experiments View');
    await page.keyboard.press('F2');
    await lab().answer('the one with 400 steps');
    await lab().row('the one with 400 steps').waitFor();
    await page.locator('.tab').filter({ hasText: 'the one with 400 steps' }).first().waitFor();
    expect(existsSync(lab().path('.sft', 'short', 'short run', 'run.json'))).toBe(true);
    await lab().menu(lab().row(/^both/), 'Rename…');
    await page.locator('.quick-input-widget').getByText('Its folder stays “both”').waitFor();
    await lab().shootOnce('rename');
    await lab().answer('two seeds');
    await lab().row('two seeds').waitFor();
    await expect.poll(() => readFileSync(lab().path('.sft', 'both', 'report.md'), 'utf8')).toContain('# two seeds');
    await lab().shoot('sidebar-renamed');
  });
});

describe('a run that was started elsewhere', () => {
  const lab = useLab();
  afterEach(() => lab().endTrainers());

  it('is found, shows its log, goes on over a reload, and is stopped by Ctrl+C after a question', async () => {
    const { page } = lab();
    const folder = await train(lab(), 'elsewhere', long);
    await lab().showView('SFT Lab');
    const row = lab().row(/elsewhere.*%/);
    await row.waitFor({ timeout: 30_000 });
    await lab().openRow(row, 'elsewhere');
    await (await lab().webview('Run')).locator('canvas').first().waitFor({ timeout: 60_000 });
    await lab().reload();
    const panel = await lab().webview('Run');
    await panel.locator('canvas').first().waitFor({ timeout: 60_000 });
    await panel.getByText('running').first().waitFor();
    await statusItem(page).waitFor({ timeout: 30_000 });
    await panel.getByRole('button', { name: 'Terminal' }).click();
    await expect.poll(() => lab().terminalText()).toContain('was not started from this window');
    await expect.poll(() => lab().terminalText()).toMatch(/step +epoch +loss/);
    await lab().shoot('terminal-attached');
    await page.locator('.terminal.xterm').click();
    await page.keyboard.press('Control+c');
    const dialog = page.locator('.monaco-dialog-box');
    await dialog.getByText('Stop “elsewhere”?').waitFor();
    await lab().shootOnce('terminal-stop');
    await dialog.getByRole('button', { name: 'Stop' }).click();
    await expect.poll(() => lab().terminalText(), { timeout: 60_000 }).toMatch(/Stopped at step \d+/);
    await lab()
      .row(/elsewhere.*stopped/)
      .waitFor();
    contiguous(await stepsOf(folder));
    // What a person stopped needs no window to tell it.
    expect(await page.locator('.notification-toast').filter({ hasText: 'elsewhere' }).count()).toBe(0);
  });

  it('that is killed shows as interrupted, and Resume goes on exactly there', async () => {
    const { page } = lab();
    const folder = await train(lab(), 'killed', { ...long, save_steps: 20 });
    await lab().showView('SFT Lab');
    await lab()
      .row(/killed.*%/)
      .waitFor({ timeout: 30_000 });
    await grows(folder, 45);
    kill(folder);
    await lab()
      .row(/killed.*interrupted/)
      .waitFor({ timeout: 30_000 });
    const told = toast(page, /“killed” was interrupted at step \d+ of 50,000/);
    await told.waitFor({ timeout: 30_000 });
    await lab().shoot('notification-interrupted');
    const before = (await stepsOf(folder)).length;
    await told.getByRole('button', { name: 'Resume' }).click();
    await expect.poll(() => lab().terminalText(), { timeout: 60_000 }).toMatch(/Resuming after step \d+/);
    await grows(folder, before + 30);
    await lab()
      .row(/killed.*%/)
      .waitFor({ timeout: 30_000 });
    await page.locator('.terminal.xterm').last().click();
    await page.keyboard.press('Control+c');
    await lab()
      .row(/killed.*stopped/)
      .waitFor({ timeout: 60_000 });
  });

  it('is followed by two windows; one of them tells of its end', async () => {
    const folder = await train(lab(), 'twice', { ...long, save_steps: 20 });
    await lab().showView('SFT Lab');
    const second = await lab().secondWindow();
    onTestFinished(() => second.close());
    await statusItem(lab().page).waitFor({ timeout: 30_000 });
    await statusItem(second).waitFor({ timeout: 60_000 });
    await lab()
      .row(/twice.*%/)
      .waitFor({ timeout: 30_000 });
    kill(folder);
    const pages = [lab().page, second];
    const count = async (): Promise<number> => {
      const counts = await Promise.all(pages.map((page) => toast(page, '“twice” was interrupted').count()));
      return counts.reduce((sum, one) => sum + one, 0);
    };
    await expect.poll(count, { timeout: 30_000 }).toBe(1);
    for (const page of pages) await expect.poll(() => statusItem(page).count(), { timeout: 30_000 }).toBe(0);
    expect(await count()).toBe(1);
    await lab().dismissNotifications();
  });

  it('is told of where somebody can read it: not by a window whose machine is asleep', async () => {
    const folder = await train(lab(), 'asleep', { ...long, save_steps: 20 });
    const { pids, page } = await lab().otherMachine();
    for (const one of [lab().page, page]) await statusItem(one).waitFor({ timeout: 60_000 });
    for (const pid of pids()) tryKill(pid, 'SIGSTOP');
    try {
      kill(folder);
      await toast(lab().page, '“asleep” was interrupted').waitFor({ timeout: 30_000 });
    } finally {
      for (const pid of pids()) tryKill(pid, 'SIGCONT');
    }
    await expect.poll(() => statusItem(page).count(), { timeout: 30_000 }).toBe(0);
    expect(await toast(page, '“asleep” was interrupted').count()).toBe(0);
    await lab().dismissNotifications();
  });

  it('outlives the extension host that started it, and nothing is missing afterwards', async () => {
    writeConfig(lab().workspace, 'hosted', { run_name: 'hosted', ...long });
    const folder = lab().path('.sft', 'hosted', 'hosted');
    await lab().showView('Explorer');
    await startByLens(lab(), 'hosted', 'Run', join(folder, 'run.json'));
    await grows(folder, 10);
    const trainer = lockHolder(folder)?.pid;
    const hosts = lab().server.extensionHosts();
    expect(hosts.length).toBeGreaterThan(0);
    for (const pid of hosts) tryKill(pid, 'SIGKILL');
    const before = (await stepsOf(folder)).length;
    await grows(folder, before + 20);
    expect(lockHolder(folder)?.pid).toBe(trainer);
    await lab().reload();
    await statusItem(lab().page).waitFor({ timeout: 60_000 });
    await lab().showView('SFT Lab');
    await lab()
      .row(/hosted.*%/)
      .waitFor({ timeout: 30_000 });
    await lab().stopRun('hosted');
    contiguous(await stepsOf(folder));
  });
});

describe('a folder that is not trusted', () => {
  const lab = useLab({
    settings: { 'security.workspace.trust.enabled': true, 'security.workspace.trust.startupPrompt': 'never' },
  });
  afterEach(() => lab().endTrainers());

  it('shows runs, and starts none: not from the sidebar, not from a notification', async () => {
    const { page } = lab();
    const folder = await train(lab(), 'foreign', { ...long, save_steps: 10 });
    await lab().showView('SFT Lab');
    await lab()
      .row(/foreign.*%/)
      .waitFor({ timeout: 60_000 });
    await grows(folder, 15);
    kill(folder);
    const told = toast(page, '“foreign” was interrupted');
    await told.waitFor({ timeout: 30_000 });
    await told.getByRole('button', { name: 'Resume' }).click();
    await toast(page, 'SFT Lab trains only in workspaces that you trust').waitFor();
    await lab()
      .row(/foreign.*interrupted/)
      .click({ button: 'right' });
    const entry = page.getByRole('menuitem', { name: 'Resume', exact: true }).first();
    await entry.waitFor();
    expect(await entry.getAttribute('aria-disabled')).toBe('true');
    await lab().shootOnce('untrusted-runs');
    await page.keyboard.press('Escape');
    expect(lockHolder(folder)).toBeUndefined();
  });
});

describe('a workspace of two folders', () => {
  const lab = useLab({
    fill: (folder) => {
      for (const name of ['one', 'two']) {
        mkdirSync(join(folder, name));
        fillWithExamples(join(folder, name));
      }
      cpSync(join(root, 'media', 'starter-model'), join(folder, '..', 'starter-model'), { recursive: true });
      const folders = ['one', 'two'].map((path) => ({ path }));
      writeFileSync(join(folder, 'both.code-workspace'), JSON.stringify({ folders }));
    },
    open: 'both.code-workspace',
  });
  afterEach(() => lab().endTrainers());

  it('lists the runs of both, and says in the status bar how many there are', async () => {
    const folders: string[] = [];
    for (const name of ['one', 'two']) {
      rmSync(lab().path(name, '.sft'), { recursive: true, force: true });
      const file = writeConfig(lab().path(name), name, { run_name: `run ${name}`, ...long });
      launch(lab(), file, lab().path(name));
      folders.push(lab().path(name, '.sft', name, `run ${name}`));
    }
    for (const folder of folders) await grows(folder, 3);
    await lab().showView('SFT Lab');
    for (const name of ['run one', 'run two']) await lab().row(name).waitFor({ timeout: 30_000 });
    const item = statusItem(lab().page).filter({ hasText: '2 runs' });
    await item.waitFor({ timeout: 30_000 });
    await item.click();
    await lab().pick('All of them together');
    await lab().page.locator('.tab').filter({ hasText: '2 runs' }).first().waitFor();
    const panel = await lab().webview('Run');
    for (const name of ['run one', 'run two']) await panel.getByText(name).first().waitFor();
    await lab().shoot('two-folders');
    for (const folder of folders) await stopOutside(folder);
    await expect.poll(() => item.count(), { timeout: 30_000 }).toBe(0);
  });
});
