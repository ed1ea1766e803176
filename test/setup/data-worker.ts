/** Bundles the data workers from the sources into `build/`, where sources that run unbundled (tests) look for them. */

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Vitest calls it once as a global setup. */
export default async function buildDataWorker(): Promise<void> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: { 'data-worker': 'src/data/worker.ts', 'data-scan': 'src/data/view/scan-worker.ts' },
    outdir: `${root}build`,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    write: false,
    banner: {
      js: "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);",
    },
  });
  // Written aside and renamed: another test process may be reading the ones that are there.
  mkdirSync(`${root}build`, { recursive: true });
  for (const { path, contents } of outputFiles) {
    const aside = `${path}.${process.pid}`;
    writeFileSync(aside, contents);
    renameSync(aside, path);
  }
}
