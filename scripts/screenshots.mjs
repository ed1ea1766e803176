/** `npm run screenshots`: the README's pictures, of real runs in real VS Code, into media/. Some minutes: six models are trained. */

import { join } from 'node:path';
import { installTools } from './e2e-tools.mjs';
import { stageExtension } from './stage.mjs';
import { root, runSuites } from './suites.mjs';

try {
  await installTools();
  await stageExtension();
  const vitest = join(root, 'node_modules', '.bin', 'vitest');
  await runSuites([['pictures', vitest, ['run', '--config', 'test/e2e/pictures.config.ts'], { CI: 'true' }]]);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
