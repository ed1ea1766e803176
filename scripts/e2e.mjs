/**
 * `npm run e2e [filter…]`: the extension in real VS Code (code-server) in a real browser, installed from its package, which is made
 * where something of it changed. Filters are parts of test files' names; `-t PATTERN` picks tests by name; `--unpacked` takes the
 * build as it lies in dist/ and build/native, which is quicker. Screenshots: build/e2e/screenshots. See test/e2e/README.md.
 */

import { installTools } from './e2e-tools.mjs';
import { packageExtension } from './package.mjs';
import { packaged } from './programs.mjs';
import { stageExtension } from './stage.mjs';
import { runSuites } from './suites.mjs';

/** The exit status of what could not be tried here, as of automake's tests. */
const skipped = 77;

try {
  await installTools();
} catch (error) {
  console.error(`VS Code or the browser cannot be installed here: ${error instanceof Error ? error.message : error}`);
  process.exit(skipped);
}
try {
  const unpacked = process.argv.includes('--unpacked');
  if (unpacked) await stageExtension();
  const env = unpacked ? {} : { SFT_LAB_VSIX: await packageExtension() };
  const filters = process.argv.slice(2).filter((argument) => argument !== '--unpacked');
  await runSuites([
    [
      'VS Code',
      ...packaged('vitest', ['run', '--config', 'test/e2e/vitest.config.ts', ...filters]),
      { CI: 'true', ...env },
    ],
  ]);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
