/** `npm test`: every check that needs nothing but Node, npm's registry and Debian's packages. */

import { testing } from './cmake.mjs';
import { packaged } from './programs.mjs';
import { runSuites } from './suites.mjs';

await runSuites([
  ['import order', process.execPath, ['scripts/import-rules.mjs', '--check']],
  ['lint and format', ...packaged('biome', ['ci', '--error-on-warnings'], { from: '@biomejs/biome' })],
  ['types', ...packaged('tsc', ['-p', '.'], { from: 'typescript' })],
  ['types of the pages', ...packaged('tsc', ['-p', 'webview', '--noEmit'], { from: 'typescript' })],
  ['engine', ...testing('build/native', '--progress')],
  ['unit and integration', ...packaged('vitest', ['run'])],
]);
