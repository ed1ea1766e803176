/**
 * `npm run screenshots [-- -t TITLE]`: the README's pictures, of the demo's runs (which it trains first, or finds) in real VS Code, into
 * media/.
 */

import { installTools } from './e2e-tools.mjs';
import { packaged } from './programs.mjs';
import { stageExtension } from './stage.mjs';
import { runSuites } from './suites.mjs';

try {
  await installTools();
  await stageExtension();
  await runSuites([
    [
      'pictures',
      ...packaged('vitest', ['run', '--config', 'test/e2e/pictures.config.ts', ...process.argv.slice(2)]),
      { CI: 'true' },
    ],
  ]);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
