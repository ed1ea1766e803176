/**
 * Bundles the TypeScript into `dist/`: the command line, the data worker beside it, and the extension.
 * `--watch` builds again at every change.
 */

import { context } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;

/** Bundled CommonJS packages call `require`, which modules do not have. */
const requireBanner =
  "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);";

const shared = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  logLevel: 'warning',
};

const bundles = [
  {
    ...shared,
    entryPoints: { cli: 'src/cli/main.ts', 'data-worker': 'src/data/worker.ts' },
    outdir: 'dist',
    format: 'esm',
    banner: { js: requireBanner },
  },
  {
    ...shared,
    entryPoints: { extension: 'src/extension.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    external: ['vscode'],
  },
];

const contexts = await Promise.all(bundles.map((options) => context(options)));
if (process.argv.includes('--watch')) {
  await Promise.all(contexts.map((one) => one.watch()));
  console.log('watching');
} else {
  try {
    await Promise.all(contexts.map((one) => one.rebuild()));
  } catch {
    process.exitCode = 1; // esbuild has said what is wrong
  } finally {
    await Promise.all(contexts.map((one) => one.dispose()));
  }
}
