/** Bundles the data worker from the sources into `build/`, where sources that run unbundled (tests) look for it. */

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Vitest calls it once as a global setup. */
export default async function buildDataWorker(): Promise<void> {
  const target = `${root}build/data-worker.js`;
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['src/data/worker.ts'],
    outfile: target,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    write: false,
    banner: {
      js: "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);",
    },
  });
  // Written aside and renamed: another test process may be reading the one that is there.
  mkdirSync(`${root}build`, { recursive: true });
  const aside = `${target}.${process.pid}`;
  for (const { contents } of outputFiles) writeFileSync(aside, contents);
  renameSync(aside, target);
}
