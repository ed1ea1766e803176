/**
 * The extension as it is installed: the bundles, the engine, what they load at run time, and nothing else. Unpacked in
 * `build/extension` with this machine's engine; for a package with the engines of its platform (scripts/package.mjs).
 */

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
export const stage = join(root, 'build', 'extension');

/** What of media/ is read at run time; pictures of the README and the recipe of the starter model are not. */
const media = ['examples', 'icons', 'schema', 'starter-model', 'walkthrough', 'icon.png'];
/** Keys of package.json that VS Code reads; what only a checkout needs stays out. */
const droppedKeys = ['scripts', 'devDependencies', 'private', 'files', 'bin'];
/** Packages that the bundles leave out: their native parts lie beside their scripts. */
const nativePackages = ['node-pty'];

/** What of the checkout a staged extension is made from, but for the engine. */
export const stagedFrom = [
  ...['src', 'webview', 'package.json', 'package-lock.json', 'README.md', 'CHANGELOG.md', 'LICENSE'],
  ...['scripts/stage.mjs', 'scripts/build.mjs', ...media.map((name) => `media/${name}`)],
];

/** The README as an installed extension shows it: without pictures (they are not in the package) and what is about a checkout. */
export function installedReadme(text) {
  return text
    .replace(/<!-- checkout -->[\s\S]*?<!-- \/checkout -->\n*/g, '')
    .replace(/^!\[[^\]]*\]\([^)]*\)\n+/gm, '')
    .replace(/\[([^\]]*)\]\((?!https?:)[^)]*\)/g, '$1');
}

function bundle() {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/build.mjs'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`bundling failed\n${stdout}${stderr}`);
}

/**
 * Builds the bundles and puts the extension together in a folder.
 *
 * @param addEngine puts the engine in place; this machine's own without
 */
export async function stageExtension({ folder = stage, addEngine } = {}) {
  const copy = (path, filter = () => true) => {
    const from = join(root, path);
    if (!existsSync(from)) throw new Error(`${path} is missing: run \`npm run setup\` first.`);
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(from, join(folder, path), { recursive: true, dereference: true, filter });
  };
  bundle();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), stagedManifest());
  writeFileSync(join(folder, 'README.md'), installedReadme(readFileSync(join(root, 'README.md'), 'utf8')));
  for (const file of ['CHANGELOG.md', 'LICENSE']) copy(file);
  copy('dist', (file) => !file.endsWith('.map'));
  for (const name of media) copy(join('media', name));
  copyPty(copy, folder);
  if (addEngine === undefined) copy(join('build', 'native', 'sft-lab-engine.node'));
  else addEngine(folder);
  return folder;
}

function stagedManifest() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const key of droppedKeys) delete manifest[key];
  manifest.dependencies = Object.fromEntries(nativePackages.map((name) => [name, manifest.dependencies[name]]));
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/**
 * node-pty with the native part of this platform alone; it is compiled already, so that it depends on nothing. On Windows no trainer has
 * a terminal (src/launch/trainer-process.ts).
 */
function copyPty(copy, folder) {
  const pty = join('node_modules', 'node-pty');
  for (const part of ['LICENSE', 'lib']) copy(join(pty, part), (file) => !/\.(map|test\.js)$/.test(file));
  if (process.platform !== 'win32') copy(join(pty, 'prebuilds', `${process.platform}-${process.arch}`));
  const { name, version, license, main } = JSON.parse(readFileSync(join(root, pty, 'package.json'), 'utf8'));
  const manifest = { name, version, license, main };
  writeFileSync(join(folder, pty, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}
