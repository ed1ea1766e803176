/**
 * `vsce`, which makes a folder a `.vsix`. It brings 285 packages (125 MB) for publishing and for secrets, so it is no dependency of
 * every checkout: it is installed under `build/package-tools` by who packages.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stamp } from '../made.mjs';
import { npm } from '../programs.mjs';
import { root } from '../suites.mjs';
import { run } from './engines.mjs';

/** The newest for Node 20. */
const packages = { '@vscode/vsce': '3.9.2' };
const tools = join(root, 'build', 'package-tools');
const vsce = join(tools, 'node_modules', '@vscode', 'vsce', 'vsce');

export function installVsce() {
  const made = stamp(join(tools, '.made'));
  const wanted = JSON.stringify(packages);
  if (existsSync(vsce) && made.holds(wanted)) return;
  console.log('package: vsce, once');
  mkdirSync(tools, { recursive: true });
  const manifest = { private: true, description: 'Tools that package', dependencies: packages };
  writeFileSync(join(tools, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  run(...npm('install', '--ignore-scripts', '--no-audit', '--no-fund'), { cwd: tools });
  made.set(wanted);
}

/** Packs a folder as the extension of one platform. */
export function pack(folder, file, target) {
  run(
    process.execPath,
    [vsce, 'package', '--target', target, '--out', file, '--allow-missing-repository', '--no-rewrite-relative-links'],
    { cwd: folder },
  );
  return readFileSync(file).length;
}
