/**
 * The extension as it is packaged, unpacked in `build/extension`: the bundles, the engine, what they load at run time, and
 * nothing else.
 */

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
export const stage = join(root, 'build', 'extension');

/** Keys of package.json that VS Code reads; what only a checkout needs stays out. */
const droppedKeys = ['scripts', 'devDependencies', 'private', 'files', 'bin'];

function copy(path, filter = () => true) {
  const from = join(root, path);
  if (!existsSync(from)) throw new Error(`${path} is missing: run \`npm run setup\` first.`);
  mkdirSync(dirname(join(stage, path)), { recursive: true });
  cpSync(from, join(stage, path), { recursive: true, dereference: true, filter });
}

/** Packages that the bundles leave out: their native parts lie beside their scripts. Other platforms' parts stay out. */
function copyNativePackages(platform, arch) {
  const pty = join('node_modules', 'node-pty');
  for (const part of ['package.json', 'LICENSE', 'lib'])
    copy(join(pty, part), (file) => !/\.(map|test\.js)$/.test(file));
  copy(join(pty, 'prebuilds', `${platform}-${arch}`), (file) => !file.endsWith('.pdb'));
}

function copyBundles() {
  for (const name of readdirSync(join(root, 'dist'))) {
    if (!name.endsWith('.map')) copy(join('dist', name), (file) => !file.endsWith('.map'));
  }
}

/** Builds the bundles and puts the extension together for a platform; this one's by default. */
export async function stageExtension({ platform = process.platform, arch = process.arch } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/build.mjs'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`bundling failed\n${stdout}${stderr}`);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const key of droppedKeys) delete manifest[key];
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const file of ['README.md', 'CHANGELOG.md', 'LICENSE']) copy(file);
  copyBundles();
  for (const folder of readdirSync(join(root, 'media'))) if (folder !== 'recipe') copy(join('media', folder));
  copy(join('build', 'native', 'sft-lab-engine.node'));
  copyNativePackages(platform, arch);
  return stage;
}
