/**
 * `npm run bench:tree [-- 50x100 1x5000] [--quick]`: the sidebar with 5,000 runs in real VS Code, of so many experiments with so many
 * runs each. `--quick`: opened once.
 */

import { installTools } from './e2e-tools.mjs';
import { packaged } from './programs.mjs';
import { stageExtension } from './stage.mjs';
import { runSuites } from './suites.mjs';

const sizes = process.argv.slice(2).filter((argument) => /^\d+x\d+$/.test(argument));
const repeats = process.argv.includes('--quick') ? '1' : '3';
try {
  await installTools();
  await stageExtension();
  const suite = (size) => [
    `runs in the sidebar, ${size}`,
    ...packaged('vitest', ['run', '--config', 'test/bench/tree.config.ts', '--disable-console-intercept']),
    { CI: 'true', SFT_LAB_TREE: size, SFT_LAB_TREE_REPEATS: repeats },
  ];
  await runSuites((sizes.length === 0 ? ['50x100', '1x5000'] : sizes).map(suite));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
