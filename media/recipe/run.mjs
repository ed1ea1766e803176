// Bundles main.ts (Node 20 does not read TypeScript) and runs it: node media/recipe/run.mjs TASK

import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const outfile = new URL('../../.cache/recipe/main.mjs', import.meta.url);
const root = fileURLToPath(new URL('../..', import.meta.url));
process.chdir(root);
await mkdir(new URL('.', outfile), { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: ['media/recipe/main.ts'],
  outfile: fileURLToPath(outfile),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  logLevel: 'error',
});
await import(outfile.href);
