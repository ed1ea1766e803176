/** Running suites one after another, counting what passed: shared by the scripts that test. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Counts of passed and failed tests in a suite's output; a suite without counts is one test. */
function countTests(output, status) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours of the runners
  const plain = output.replace(/\u001b\[[0-9;]*m/g, '');
  const ctest = /(\d+)% tests passed, (\d+) tests? failed out of (\d+)/.exec(plain);
  if (ctest !== null) return { passed: Number(ctest[3]) - Number(ctest[2]), failed: Number(ctest[2]) };
  const vitest = /^\s*Tests\s+(.*)$/m.exec(plain);
  if (vitest !== null) {
    const number = (kind) => Number(new RegExp(`(\\d+) ${kind}`).exec(vitest[1])?.[1] ?? 0);
    const failed = number('failed');
    return { passed: number('passed'), failed: failed === 0 && status !== 0 ? 1 : failed };
  }
  return status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** Runs one suite with its output shown; returns its counts. A suite that fails without a failed test counts as one. */
export function runSuite(title, command, args, env = {}) {
  console.log(`\n== ${title}`);
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
  });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  const status = result.status ?? 1;
  const counts = countTests(output, status);
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  const lines = output.trimEnd().split('\n');
  console.log((counts.failed > 0 ? lines : lines.slice(-12)).join('\n'));
  return counts;
}

/** Runs all, says how it went, and sets the exit code. */
export function runSuites(suites) {
  let passed = 0;
  let failed = 0;
  for (const suite of suites) {
    const counts = runSuite(...suite);
    passed += counts.passed;
    failed += counts.failed;
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}
