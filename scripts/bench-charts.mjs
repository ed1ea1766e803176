/**
 * `npm run bench:charts [-- --quick]`: how the run panel fares with a million points of 20 runs, against its targets and beside
 * undecimated chart.js, in Chromium. `--quick`: a tenth of the points.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build', 'bench-charts');
mkdirSync(folder, { recursive: true });

const shared = { absWorkingDir: root, outdir: folder, bundle: true, logLevel: 'error' };
await build({
  ...shared,
  entryPoints: { panel: 'test/bench/page/panel.ts', peer: 'test/bench/page/peer.ts' },
  platform: 'browser',
  target: 'es2022',
  format: 'iife',
  minify: true,
});
await build({
  ...shared,
  entryPoints: { measure: 'test/bench/measure-charts.ts' },
  outExtension: { '.js': '.mjs' },
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: ['playwright-core'],
});
process.env.SFT_LAB_ROOT = root;
await import(join(folder, 'measure.mjs'));
