/**
 * `npm run screenshots [-- -t TITLE]`: the README's pictures, of the demo's runs (which it trains first, or finds) in real VS Code, into
 * media/.
 */

import { join } from 'node:path';
import { installTools } from './e2e-tools.mjs';
import { stageExtension } from './stage.mjs';
import { root, runSuites } from './suites.mjs';

try {
  await installTools();
  await stageExtension();
  const vitest = join(root, 'node_modules', '.bin', 'vitest');
  await runSuites([
    ['pictures', vitest, ['run', '--config', 'test/e2e/pictures.config.ts', ...process.argv.slice(2)], { CI: 'true' }],
  ]);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
