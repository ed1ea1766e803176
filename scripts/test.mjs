/** `npm test`: every check that needs nothing but Node, npm's registry and Debian's packages. */

import { join } from 'node:path';
import { root, runSuites } from './suites.mjs';

const bin = (name) => join(root, 'node_modules', '.bin', name);

await runSuites([
  ['import order', process.execPath, ['scripts/import-rules.mjs', '--check']],
  ['lint and format', bin('biome'), ['ci', '--error-on-warnings']],
  ['types', bin('tsc'), ['-p', '.']],
  ['types of the pages', bin('tsc'), ['-p', 'webview', '--noEmit']],
  ['engine', 'ctest', ['--test-dir', 'build/native', '--output-on-failure', '--no-tests=error', '--progress']],
  ['unit and integration', bin('vitest'), ['run']],
]);
