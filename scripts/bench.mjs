/** `npm run bench`: bundles native/bench/main.ts (Node 20 does not read TypeScript) and runs it. */

import { mkdir } from 'node:fs/promises';
import { build } from 'esbuild';
import { root } from './suites.mjs';

const outfile = new URL('../build/bench/main.mjs', import.meta.url);
process.chdir(root);
await mkdir(new URL('.', outfile), { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: ['native/bench/main.ts'],
  outfile: outfile.pathname,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  logLevel: 'error',
});
await import(outfile.href);
