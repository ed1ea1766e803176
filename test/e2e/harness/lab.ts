/**
 * One editor with the extension, on a workspace of its own, and what a person does there. Every wait is for something that can
 * be seen.
 */

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Frame, type Locator, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, onTestFinished } from 'vitest';
import { chooseFromMenu } from './menu.js';
import { CodeServer, commandLine, descendants, processesIn, root, tryKill } from './server.js';

export type Theme = 'light' | 'dark' | 'high-contrast';
const themes: Readonly<Record<Theme, { readonly name: string; readonly type: string }>> = {
  light: { name: 'Light Modern', type: 'vs' },
  dark: { name: 'Dark Modern', type: 'vs-dark' },
  'high-contrast': { name: 'Dark High Contrast', type: 'hc-black' },
};
const widths = [1400, 700] as const;
export const screenshots = join(root, 'build', 'e2e', 'screenshots');

const quietSettings = {
  'security.workspace.trust.enabled': false,
  'workbench.startupEditor': 'none',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'chat.disableAIFeatures': true,
  'workbench.colorTheme': themes.dark.name,
  'window.autoDetectColorScheme': false,
  'window.autoDetectHighContrast': false,
  'workbench.tips.enabled': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'git.enabled': false,
  'files.simpleDialog.enable': true,
  'terminal.integrated.gpuAcceleration': 'off',
};

export interface LabOptions {
  readonly settings?: Readonly<Record<string, unknown>>;
  /** A packaged extension to install instead of the one under test. */
  readonly vsix?: string;
  /** Fills the workspace; without, it holds the examples. */
  readonly fill?: (folder: string) => void;
  /** What is opened, from the folder of the workspace: a folder, or a `.code-workspace` file. */
  readonly open?: string;
  /** Of the editor and all that it starts, beside what a person's shell has. */
  readonly env?: Readonly<Record<string, string>>;
}

export class Lab {
  private settings_: Record<string, unknown>;

  private constructor(
    readonly server: CodeServer,
    readonly browser: Browser,
    readonly context: BrowserContext,
    readonly page: Page,
    readonly directory: string,
    /** The workspace's folder. */
    readonly workspace: string,
    private readonly url: string,
    settings: Readonly<Record<string, unknown>>,
  ) {
    this.settings_ = { ...settings };
  }

  /** Starts everything, and waits until the workbench is there. */
  static async open({ settings = {}, vsix, fill = fillWithExamples, open = '', env }: LabOptions = {}): Promise<Lab> {
    const directory = mkdtempSync(join(tmpdir(), 'sft-lab-e2e-'));
    const workspace = join(directory, 'lab');
    mkdirSync(workspace);
    fill(workspace);
    const all = { ...quietSettings, ...settings };
    const server = await CodeServer.start({ directory, settings: all, vsix, env });
    const browser = await openBrowser();
    const context = await browser.newContext({
      viewport: { width: widths[0], height: 900 },
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    const page = await context.newPage();
    const kind = open.endsWith('.code-workspace') ? 'workspace' : 'folder';
    const url = `${server.url}/?${kind}=${encodeURIComponent(join(workspace, open))}`;
    const lab = new Lab(server, browser, context, page, directory, workspace, url, all);
    try {
      await page.goto(url);
      await lab.ready();
    } catch (error) {
      await page.screenshot({ path: join(root, 'build', 'e2e', 'not-ready.png') }).catch(() => undefined);
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** The workbench is there, and the extension has been activated. */
  async ready(page: Page = this.page): Promise<void> {
    await page.locator('.monaco-workbench .part.statusbar').waitFor({ timeout: 60_000 });
    await page.locator('.activitybar [aria-label^="SFT Lab"]').first().waitFor({ timeout: 60_000 });
  }

  /** The window's own reload: it waits until what is open has been stored, which the browser's does not. */
  async reload(): Promise<void> {
    const loaded = this.page.waitForEvent('load');
    await this.command('Developer: Reload Window');
    await loaded;
    await this.ready();
  }

  /** One more window on the same workspace. */
  async secondWindow(): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(this.url);
    await this.ready(page);
    return page;
  }

  /** One more window on the same workspace, in the browser of another machine: its processes, and the window. It goes after the test. */
  async otherMachine(): Promise<{ readonly pids: () => number[]; readonly page: Page }> {
    const server = await chromium.launchServer(browserOptions);
    onTestFinished(() => server.kill());
    const pid = server.process().pid ?? -1;
    const browser = await chromium.connect(server.wsEndpoint());
    const page = await browser.newPage();
    await page.goto(this.url);
    await this.ready(page);
    return { pids: () => [pid, ...descendants(pid)], page };
  }

  /**
   * Runs a command by its title in the palette, with its category: `SFT Lab: Refresh`. A view that opens late takes the focus and
   * closes the palette: then it is opened again.
   */
  async command(title: string, page: Page = this.page): Promise<void> {
    const input = page.locator('.quick-input-widget input[type="text"]');
    const row = page.locator('.quick-input-list .monaco-list-row').filter({ hasText: title }).first();
    await insisting(`the command “${title}” could not be run`, page, async () => {
      await page.keyboard.press('F1');
      await input.waitFor({ timeout: 5000 });
      await input.fill(`>${title}`, { timeout: 3000 });
      await row.waitFor({ timeout: 10_000 });
      await row.click({ timeout: 3000 });
    });
  }

  /** Answers an input box that is open; one that names files writes its own proposal into it a moment after it opened. */
  async answer(text: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input[type="text"]');
    await input.waitFor({ timeout: 10_000 });
    const kept = async (): Promise<string> => {
      if ((await input.inputValue()) !== text) await input.fill(text, { timeout: 5000 });
      await this.frames(5);
      return input.inputValue();
    };
    await expect.poll(kept, { timeout: 10_000 }).toBe(text);
    await input.press('Enter', { timeout: 5000 });
  }

  /** Picks an entry of the quick pick that is open. */
  async pick(text: string | RegExp): Promise<void> {
    await this.page.locator('.quick-input-list .monaco-list-row').filter({ hasText: text }).first().click();
  }

  /** A file in the explorer, by its name. */
  file(name: string): Locator {
    return this.page.locator('.explorer-folders-view .monaco-list-row').filter({ hasText: name }).first();
  }

  /** The same once it stands there. A file made before the window watched its folder is found by the explorer when told to look. */
  async listed(name: string): Promise<Locator> {
    await this.showView('Explorer');
    const row = this.file(name);
    await insisting(`${name} is not in the explorer`, this.page, async () => {
      if (await row.isVisible()) return;
      try {
        await row.waitFor({ timeout: 5000 });
      } catch {
        await this.command('Refresh Explorer');
        await row.waitFor({ timeout: 5000 });
      }
    });
    return row;
  }

  async openFile(name: string): Promise<void> {
    const row = await this.listed(name);
    await insisting(`${name} does not open`, this.page, async () => {
      await row.dblclick({ timeout: 5000 });
      await this.page.locator('.tab.active').filter({ hasText: name }).first().waitFor({ timeout: 10_000 });
    });
  }

  /**
   * Right-clicks something and chooses from its menu. Rows are redrawn under the pointer, and menus close when what they belong to
   * changes: it begins again until the entry was chosen in a menu of that very row; where `done` is given, until that is so.
   */
  async menu(target: Locator, entry: string, done: () => Promise<boolean> | boolean = () => true): Promise<void> {
    await insisting(`“${entry}” could not be chosen in the menu of ${target}`, this.page, async () => {
      await chooseFromMenu(this.page, target, entry);
      if (!(await happens(done, 10_000))) throw new Error('nothing came of it');
    });
  }

  /** Chooses a lens above a text; lenses are drawn anew when runs are found, which loses a click, so `done` says when it was heard. */
  async lens(text: string, done: () => Promise<boolean> | boolean): Promise<void> {
    const lens = this.page.locator('.codelens-decoration a').filter({ hasText: text }).first();
    await lens.waitFor();
    await expect
      .poll(
        async () => {
          if (await done()) return true;
          await lens.click({ timeout: 2000 }).catch(() => undefined);
          return await happens(done, 15_000);
        },
        { timeout: 60_000, message: `nothing came of the lens “${text}”` },
      )
      .toBe(true);
  }

  /** Brings a view container of the activity bar to the front: `SFT Lab`, `Explorer`. */
  async showView(name: string): Promise<void> {
    const tab = this.page.locator(`.activitybar .action-item a[aria-label^="${name}"]`).first();
    if ((await tab.locator('xpath=..').getAttribute('class'))?.includes('checked') !== true) await tab.click();
  }

  /** A row of the sidebar, by part of its text. */
  row(text: string | RegExp): Locator {
    return this.page.locator('.sidebar .monaco-list-row').filter({ hasText: text }).first();
  }

  /** Opens what a row stands for, in a tab of that title. Rows are drawn anew while runs train: a click in between is lost. */
  async openRow(row: Locator, title: string): Promise<void> {
    const tab = this.page.locator('.tab').filter({ hasText: title }).first();
    await insisting(`${row} does not open “${title}”`, this.page, async () => {
      await row.click({ timeout: 5000 });
      await tab.waitFor({ timeout: 5000 });
    });
  }

  /** Stops a run by its menu, and waits until it has; one that an earlier try of a test stopped stays as it is. */
  async stopRun(name: string): Promise<void> {
    const stopped = this.row(new RegExp(`${name}.*stopped`));
    // Not its experiment, which may have the same name.
    const training = this.row(new RegExp(`${name}.*(%|step \\d)`));
    await this.showView('SFT Lab');
    await insisting(`${name} could not be stopped`, this.page, async () => {
      if (await stopped.isVisible()) return;
      await chooseFromMenu(this.page, training, 'Stop');
      await stopped.waitFor({ timeout: 30_000 });
    });
  }

  /** Ends what trains: of a test that failed it would slow down all that follow. */
  endTrainers(): void {
    for (const pid of processesIn(this.directory)) if (commandLine(pid).includes('cli.js')) tryKill(pid, 'SIGKILL');
  }

  /** The page of a webview, by the title of its document; to be searched as a page is. */
  async webview(title: string | RegExp): Promise<Frame> {
    let found: Frame | undefined;
    await expect
      .poll(
        async () => {
          for (const frame of this.page.frames()) {
            const is = await frame.title().catch(() => '');
            if (typeof title === 'string' ? is === title : title.test(is)) found = frame;
          }
          return found !== undefined;
        },
        { timeout: 30_000, message: `no webview has the title ${String(title)}` },
      )
      .toBe(true);
    if (found === undefined) throw new Error('unreachable');
    return found;
  }

  /** Text of the terminal that is shown. */
  async terminalText(): Promise<string> {
    const rows = await this.page.locator('.terminal.xterm .xterm-rows > div').allTextContents();
    return rows.join('\n').replaceAll('\u00a0', ' ');
  }

  /** Text of the notifications on the screen. */
  notifications(): Locator {
    return this.page.locator('.notification-toast');
  }

  async dismissNotifications(): Promise<void> {
    await this.command('Notifications: Clear All Notifications');
  }

  setSettings(settings: Readonly<Record<string, unknown>>): void {
    Object.assign(this.settings_, settings);
    this.server.settings = this.settings_;
  }

  async setTheme(theme: Theme): Promise<void> {
    const { name, type } = themes[theme];
    const themed = this.page.locator(`.monaco-workbench.${type}`).first();
    if (await themed.isVisible()) return;
    await insisting(`the theme ${name} could not be chosen`, this.page, async () => {
      await this.command('Preferences: Color Theme');
      await this.answer(name);
      await themed.waitFor({ timeout: 5000 });
    });
  }

  /** What is on the screen, in all themes and widths: `<name>-<theme>-<width>.png`. Look at them. */
  async shoot(name: string, settle: (page: Page) => Promise<void> = async () => undefined): Promise<void> {
    mkdirSync(screenshots, { recursive: true });
    for (const theme of ['light', 'dark', 'high-contrast'] as const) {
      await this.setTheme(theme);
      for (const width of widths) {
        await this.page.setViewportSize({ width, height: 900 });
        await settle(this.page);
        await this.frames(3);
        await this.page.screenshot({ path: join(screenshots, `${name}-${theme}-${width}.png`) });
      }
      await this.page.setViewportSize({ width: widths[0], height: 900 });
    }
    await this.setTheme('dark');
  }

  /** What is on the screen now, once: `<name>.png`. */
  async shootOnce(name: string): Promise<void> {
    mkdirSync(screenshots, { recursive: true });
    await this.page.screenshot({ path: join(screenshots, `${name}.png`) });
  }

  /** Waits until the page has drawn some frames, so that layout has followed a resize. */
  async frames(count: number): Promise<void> {
    // As text: it runs in the page, whose types are not ours.
    await this.page.evaluate(
      `new Promise((done) => {
        const next = (left) => (left === 0 ? done() : requestAnimationFrame(() => next(left - 1)));
        next(${count});
      })`,
    );
  }

  /** What the extension wrote to its output channel, and the extension host to its log. */
  extensionLog(): string {
    const logs = join(this.directory, 'profile', 'logs');
    const files = readdirSync(logs, { recursive: true, encoding: 'utf8' });
    return files
      .filter((file) => /(SFT Lab|remoteexthost)\.log$/.test(file))
      .map((file) => `--- ${file}\n${readFileSync(join(logs, file), 'utf8').slice(-6000)}`)
      .join('\n');
  }

  /** What a test that failed left on the screen: its next try begins without. */
  async tidy(): Promise<void> {
    const { page } = this;
    for (const key of ['Control', 'Shift', 'Alt']) await page.keyboard.up(key);
    await page.mouse.up();
    await page.setViewportSize({ width: widths[0], height: 900 });
    // A dialog, a menu, an input box.
    for (let n = 0; n < 3; n++) await page.keyboard.press('Escape');
    await this.setTheme('dark');
    await this.dismissNotifications();
  }

  path(...parts: string[]): string {
    return join(this.workspace, ...parts);
  }

  /** Ends the browser, the editor and trainers that the test left; removes the workspace. */
  async close(): Promise<void> {
    await this.browser.close();
    await this.server.stop();
    for (const pid of processesIn(this.directory)) tryKill(pid, 'SIGKILL');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Debian's Chromium, without what it would ask the network for. */
const browserOptions = {
  executablePath: '/usr/bin/chromium',
  args: [
    ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
    ...['--disable-component-update', '--disable-sync', '--force-color-profile=srgb'],
  ],
};

export function openBrowser(): Promise<Browser> {
  return chromium.launch(browserOptions);
}

/** Does something until it works, for a minute at most; what is left open of a try that failed is closed. */
async function insisting(what: string, page: Page, work: () => Promise<void>): Promise<void> {
  let why: unknown;
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    try {
      await work();
      return;
    } catch (error) {
      why = error;
      await page.keyboard.press('Escape');
    }
  }
  throw new Error(`${what}: ${why instanceof Error ? why.message : String(why)}`, { cause: why });
}

/** Whether something comes to be so within a time. */
async function happens(done: () => Promise<boolean> | boolean, timeout: number): Promise<boolean> {
  try {
    await expect.poll(done, { timeout }).toBe(true);
    return true;
  } catch {
    return false;
  }
}

/** One editor for the tests of a file. When a test fails, the screen is kept: `failed-<test>.png`. */
export function useLab(options: LabOptions | (() => LabOptions) = {}): () => Lab {
  let lab: Lab | undefined;
  const get = (): Lab => {
    if (lab === undefined) throw new Error('the editor did not start');
    return lab;
  };
  beforeAll(async () => {
    lab = await Lab.open(typeof options === 'function' ? options() : options);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    await lab?.shootOnce(`failed-${task.name.replace(/\W+/g, '-')}`).catch(() => undefined);
    console.log(lab?.extensionLog() ?? '');
    await lab?.tidy().catch(() => undefined);
  });
  afterAll(() => lab?.close());
  return get;
}

/**
 * The example data sets and configs, and the starter model beside the workspace. The configs are the examples' own, but for
 * where the runs go.
 */
export function fillWithExamples(folder: string): void {
  cpSync(join(root, 'media', 'examples'), folder, { recursive: true });
  cpSync(join(root, 'media', 'starter-model'), join(folder, '..', 'starter-model'), { recursive: true });
  for (const name of ['tickets', 'arithmetic']) {
    const file = join(folder, `${name}.sft.json`);
    const config: unknown = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, `${JSON.stringify(Object.assign(config ?? {}, { output_dir: '.sft' }), null, 2)}\n`);
  }
}

/** A config for a run of some seconds on the tickets; what a test needs otherwise, it says. */
export function writeConfig(folder: string, name: string, values: Readonly<Record<string, unknown>> = {}): string {
  const file = join(folder, `${name}.sft.json`);
  const config = {
    model_name_or_path: '../starter-model',
    train_dataset: 'tickets.train.jsonl',
    eval_dataset: 'tickets.eval.jsonl',
    verifier: 'label',
    max_length: 256,
    per_device_train_batch_size: 4,
    learning_rate: 0.001,
    max_steps: 40,
    eval_strategy: 'steps',
    eval_steps: 20,
    eval_generate_samples: 4,
    eval_max_new_tokens: 4,
    num_sample_generations: 2,
    save_strategy: 'steps',
    save_steps: 20,
    logging_steps: 1,
    seed: 7,
    experiment: name,
    ...values,
  };
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
  return file;
}
