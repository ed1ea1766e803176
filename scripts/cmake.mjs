/** How the engine is configured and built, wherever that is done. Plain Node: set-up uses it before there are packages. */

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const modules = fileURLToPath(new URL('../node_modules', import.meta.url));

/** CMake's own choice on Windows would be Microsoft's compiler, which has no vectors as the engine writes them. */
const generator = process.platform === 'win32' && process.env.CMAKE_GENERATOR === undefined ? ['-G', 'Ninja'] : [];

/** Settings with which the addon is built, and not only what is beneath it. */
export const withAddon = [
  `-DNODE_API_HEADERS=${join(modules, 'node-api-headers', 'include')}`,
  `-DNODE_ADDON_API=${join(modules, 'node-addon-api')}`,
];

/** Command and arguments that make `folder` ready for a build. */
export function configuring(folder, settings) {
  return ['cmake', ['-S', 'native', '-B', folder, ...generator, ...settings]];
}

/** Command and arguments that run the tests in `folder`, each a process of its own, on all cores. */
export function testing(folder, ...more) {
  return [
    'ctest',
    [
      '--test-dir',
      folder,
      '--output-on-failure',
      '--no-tests=error',
      '--parallel',
      String(availableParallelism()),
      ...more,
    ],
  ];
}

/** Command and arguments that build in `folder` on all cores: everything, or one target. */
export function building(folder, target) {
  const only = target === undefined ? [] : ['--target', target];
  return ['cmake', ['--build', folder, ...only, '-j', String(availableParallelism())]];
}
