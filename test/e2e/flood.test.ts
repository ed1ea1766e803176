/**
 * Ten thousand events a second, while a person types. SFT_LAB_FLOOD_SECONDS makes it longer than the ten seconds of a test; what was
 * measured is printed.
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { infoOf } from '../bench/make-runs.js';
import { fillWithExamples, useLab } from './harness/lab.js';
import { root } from './harness/server.js';

const seconds = Number(process.env.SFT_LAB_FLOOD_SECONDS ?? 10);
const rate = 10_000;

/** An extension beside ours in the same process: how late the event loop of the extension host is, in milliseconds. */
const probe = `
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { existsSync, rmSync, writeFileSync } = require('node:fs');
exports.activate = () => {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  setInterval(() => {
    if (existsSync(__dirname + '/begin')) {
      rmSync(__dirname + '/begin');
      delay.reset();
    }
    const [mean, p99, max] = [delay.mean, delay.percentile(99), delay.max].map((ns) => ns / 1e6 - 5);
    writeFileSync(__dirname + '/lag.json', JSON.stringify({ mean, p99, max }));
  }, 500);
};
`;

const lab = useLab({
  fill: (folder) => {
    fillWithExamples(folder);
    const run = join(folder, '.sft', 'experiment-0', 'run-0');
    mkdirSync(run, { recursive: true });
    writeFileSync(join(run, 'run.json'), JSON.stringify({ ...infoOf(0, 0), label: 'flooded' }));
    const extension = join(folder, '..', 'extensions', 'sft-lab.probe-1.0.0');
    mkdirSync(extension, { recursive: true });
    writeFileSync(join(extension, 'probe.cjs'), probe);
    const manifest = { name: 'probe', publisher: 'sft-lab', version: '1.0.0', main: './probe.cjs' };
    const rest = { engines: { vscode: '^1.101.0' }, activationEvents: ['*'] };
    writeFileSync(join(extension, 'package.json'), JSON.stringify({ ...manifest, ...rest }));
  },
});

it(
  'a flood of events holds up nobody who types, and loses nothing',
  async () => {
    const { page } = lab();
    const program = join(lab().directory, 'flood.mjs');
    await build({
      absWorkingDir: root,
      entryPoints: ['test/bench/flood-trainer.ts'],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'error',
    });
    await lab().showView('SFT Lab');
    await lab().openRow(lab().row('flooded'), 'flooded');
    const panel = await lab().webview('Run');
    await panel.getByText('flooded').first().waitFor({ timeout: 30_000 });
    await lab().openFile('README.md');
    await page.locator('.editor-instance .view-line').first().click();
    // From a key to the second frame after it.
    await page.evaluate(`
      globalThis.keyTimes = [];
      addEventListener('keydown', () => {
        const pressed = performance.now();
        const drawn = () => globalThis.keyTimes.push(performance.now() - pressed);
        requestAnimationFrame(() => requestAnimationFrame(drawn));
      }, true);
    `);
    const type = async (until: () => boolean): Promise<number[]> => {
      for (let n = 0; n < 20 || !until(); n++) await page.keyboard.type('a word ', { delay: 60 });
      const times: number[] = await page.evaluate('globalThis.keyTimes.splice(0)');
      return times.sort((a, b) => a - b);
    };
    const quiet = await type(() => true);

    const probed = join(lab().directory, 'extensions', 'sft-lab.probe-1.0.0');
    writeFileSync(join(probed, 'begin'), '');
    await expect.poll(() => existsSync(join(probed, 'begin'))).toBe(false);

    const folder = lab().path('.sft', 'experiment-0', 'run-0');
    const env = { ...process.env, FLOOD_RATE: String(rate), FLOOD_SECONDS: String(seconds) };
    const trainer = spawn(process.execPath, [program, 'resume', folder], {
      cwd: lab().workspace,
      env,
      stdio: 'ignore',
    });
    let ended = false;
    trainer.on('exit', () => {
      ended = true;
    });
    await lab()
      .page.locator('.statusbar-item')
      .filter({ hasText: /\d % ·/ })
      .waitFor({ timeout: 30_000 });
    const flooded = await type(() => ended);
    const lag: unknown = JSON.parse(readFileSync(join(probed, 'lag.json'), 'utf8'));
    const at = (times: readonly number[], share: number): string =>
      `${times[Math.min(times.length - 1, Math.floor(times.length * share))]?.toFixed(0)} ms`;
    const summary = (times: readonly number[]): string =>
      `${at(times, 0.5)}, ${at(times, 0.99)} (99 %), ${at(times, 1)} at most`;
    console.log(
      `keys, quiet:   ${summary(quiet)}\nkeys, flooded: ${summary(flooded)}\nextension host late: ${JSON.stringify(lag)}`,
    );

    // Every event has come: the panel says so, and so does its export.
    const steps = (seconds * rate).toLocaleString('en');
    await page.locator('.tab').filter({ hasText: 'flooded' }).first().click();
    // Its page went while it was hidden, and is made anew.
    const told = async (): Promise<boolean> => {
      const page = await lab().webview('Run');
      return page.getByText(`${steps} steps in`).isVisible();
    };
    await expect.poll(() => told().catch(() => false), { timeout: 30_000 }).toBe(true);
    await lab().shootOnce('flooded');
    // A person feels a tenth of a second; machines of tests are slower than theirs.
    expect(flooded[Math.floor(flooded.length * 0.5)]).toBeLessThan(200);
  },
  120_000 + 2000 * seconds,
);
