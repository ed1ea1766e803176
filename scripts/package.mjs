/**
 * `npm run package`: the extension for this machine's platform as `build/sft-lab-<platform>-<version>.vsix`, with the engine and the
 * libraries that it is linked to inside, so that it trains where nothing else is installed. Each platform's is built on a machine of
 * that platform.
 */

import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { takeLock } from './lock.mjs';
import { hashFiles, hashOf, stamp } from './made.mjs';
import { buildEngines, run } from './package/engines.mjs';
import { librariesOf } from './package/libraries.mjs';
import { notices } from './package/notices.mjs';
import { installVsce, pack } from './package/vsce.mjs';
import { stagedFrom, stageExtension } from './stage.mjs';
import { root } from './suites.mjs';

const build = join(root, 'build');
const target = `${process.platform}-${process.arch}`;
const mostMegabytes = 60;

/** Puts the engines and their libraries into `engine/`. */
function addEngines(folder, engines, libraries) {
  // All in one folder, which is where each system looks for the libraries of what it loads.
  mkdirSync(join(folder, 'engine'), { recursive: true });
  for (const { level, addon } of engines) cpSync(addon, join(folder, 'engine', `${level}.node`));
  for (const { name, path } of libraries) {
    const copy = join(folder, 'engine', name);
    cpSync(path, copy);
    // What the linker wrote there is this machine's path.
    if (process.platform === 'darwin') run('install_name_tool', ['-id', `@loader_path/${name}`, copy]);
  }
  if (process.platform !== 'darwin') return;
  for (const { level } of engines) relink(join(folder, 'engine', `${level}.node`), libraries);
  for (const { name } of libraries) relink(join(folder, 'engine', name), libraries);
}

/** macOS: each library is named by its full path, in all that need it. */
function relink(file, libraries) {
  const names = run('otool', ['-L', file])
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(' ')[0]);
  for (const { name } of libraries) {
    const old = names.find((path) => path.endsWith(`/${name}`));
    if (old !== undefined) run('install_name_tool', ['-change', old, `@loader_path/${name}`, file]);
  }
  run('codesign', ['--force', '--sign', '-', file]);
}

/** Packages unless the package is there and made from the same. Returns the file. */
export async function packageExtension() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const file = join(build, `sft-lab-${target}-${version}.vsix`);
  const release = await takeLock(join(build, 'package.lock'), (holder) => console.log(`package: waiting (${holder})`));
  try {
    const engines = buildEngines();
    const made = stamp(`${file}.stamp`);
    const hash = hashOf(
      hashFiles(...stagedFrom, 'scripts/package.mjs', 'scripts/package'),
      ...engines.map(({ addon }) => readFileSync(addon)),
    );
    if (existsSync(file) && made.holds(hash)) return file;
    made.drop();
    installVsce();
    const libraries = librariesOf(engines.map(({ addon }) => addon));
    const folder = await stageExtension({
      folder: join(build, 'package', 'extension'),
      addEngine: (place) => addEngines(place, engines, libraries),
    });
    const bundled = [...JSON.parse(readFileSync(join(build, 'bundled.json'), 'utf8')), 'node-pty'];
    const withCuda = readFileSync(engines[0].addon).includes('cudaGetDeviceCount');
    writeFileSync(join(folder, 'THIRD-PARTY-NOTICES.txt'), notices({ bundled, libraries, withCuda }));
    const megabytes = pack(folder, file, target) / 1e6;
    if (megabytes >= mostMegabytes) throw new Error(`The package has ${megabytes.toFixed(1)} MB: too much.`);
    made.set(hash);
    return file;
  } finally {
    release();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const file = await packageExtension();
    console.log(`${file.slice(root.length)}: ${(readFileSync(file).length / 1e6).toFixed(1)} MB`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
