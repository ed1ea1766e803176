/** `npm run bench`: bundles native/bench/main.ts (Node 20 does not read TypeScript) and runs it. */

import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './suites.mjs';

const outfile = join(root, 'build', 'bench', 'main.mjs');
process.chdir(root);
await mkdir(dirname(outfile), { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: ['native/bench/main.ts'],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  logLevel: 'error',
});
await import(pathToFileURL(outfile).href);
