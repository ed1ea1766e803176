/**
 * Bundles the TypeScript into `dist/`: the command line, the data workers beside it, the extension, and for each folder of
 * `webview/` with a `main.ts` the script of that view.
 * `--watch` builds again at every change. `build/bundled.json` lists the npm packages that went in.
 */

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { context } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Bundled CommonJS packages call `require`, which modules do not have. */
const requireBanner =
  "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);";

const shared = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  metafile: true,
  logLevel: 'warning',
};

const bundles = [
  {
    ...shared,
    entryPoints: {
      cli: 'src/cli/main.ts',
      'data-worker': 'src/data/worker.ts',
      'data-scan': 'src/data/view/scan-worker.ts',
      'preview-worker': 'src/editor/preview/worker.ts',
    },
    outdir: 'dist',
    format: 'esm',
    // What only some of them load is read when it is needed.
    splitting: true,
    chunkNames: 'parts/[name]-[hash]',
    banner: { js: requireBanner },
  },
  {
    ...shared,
    entryPoints: { extension: 'src/extension.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    // node-pty finds its native part beside itself.
    external: ['vscode', 'node-pty'],
    // Where CommonJS has no `import.meta`, it has a name for the same.
    define: { 'import.meta.url': 'labModuleUrl' },
    banner: { js: "const labModuleUrl = require('node:url').pathToFileURL(__filename).href;" },
  },
  {
    ...shared,
    entryPoints: webviews(),
    outdir: 'dist/webview',
    platform: 'browser',
    target: 'es2022',
    format: 'iife',
    minify: true,
  },
];

/** `dist/webview/<view>.js` for each `webview/<view>/main.ts`. */
function webviews() {
  const folder = join(root, 'webview');
  const views = existsSync(folder) ? readdirSync(folder) : [];
  return Object.fromEntries(
    views.map((view) => [view, join(folder, view, 'main.ts')]).filter(([, file]) => existsSync(file)),
  );
}

/** Parts of earlier builds have other names than those of this one, whose paths these are. */
function dropOldParts(made) {
  const folder = join('dist', 'parts');
  for (const name of readdirSync(join(root, folder))) {
    if (!made.includes(join(folder, name))) rmSync(join(root, folder, name));
  }
}

/** Names of the npm packages whose code is in the bundles. */
function bundledPackages(results) {
  const names = results.flatMap(({ metafile }) =>
    Object.keys(metafile.inputs).flatMap((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []),
  );
  return [...new Set(names)].sort();
}

const contexts = await Promise.all(bundles.map((options) => context(options)));
if (process.argv.includes('--watch')) {
  await Promise.all(contexts.map((one) => one.watch()));
  console.log('watching');
} else {
  try {
    const results = await Promise.all(contexts.map((one) => one.rebuild()));
    mkdirSync(join(root, 'build'), { recursive: true });
    writeFileSync(join(root, 'build', 'bundled.json'), JSON.stringify(bundledPackages(results)));
    dropOldParts(Object.keys(results[0].metafile.outputs));
  } catch {
    process.exitCode = 1; // esbuild has said what is wrong
  } finally {
    await Promise.all(contexts.map((one) => one.dispose()));
  }
}
