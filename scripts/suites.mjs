/** Running suites one after another with their output shown, counting what passed: shared by the scripts that test. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Counts of passed and failed tests in a suite's output (CTest's and Vitest's summaries, or a line "N passed, N failed"); a
 * suite without counts is one test. A suite that fails without a failed test counts as one failed.
 */
export function countTests(output, status) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours of the runners
  const plain = output.replace(/\u001b\[[0-9;]*m/g, '');
  const counts = ctestCounts(plain) ?? vitestCounts(plain) ?? lineCounts(plain);
  if (counts === undefined) return status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

function ctestCounts(output) {
  const found = /\d+% tests passed, (\d+) tests? failed out of (\d+)/.exec(output);
  if (found === null) return undefined;
  const failed = Number(found[1]);
  const skipped = output.match(/^.*\*\*\*(Skipped|Not Run \(Disabled\)).*$/gm)?.length ?? 0;
  return { passed: Number(found[2]) - failed - skipped, failed };
}

function vitestCounts(output) {
  const found = /^\s*Tests\s+(.*\(\d+\).*)$/m.exec(output);
  if (found === null) return undefined;
  const number = (kind) => Number(new RegExp(`(\\d+) ${kind}`).exec(found[1])?.[1] ?? 0);
  return { passed: number('passed'), failed: number('failed') };
}

function lineCounts(output) {
  const last = [...output.matchAll(/^(\d+) passed, (\d+) failed$/gm)].at(-1);
  return last === undefined ? undefined : { passed: Number(last[1]), failed: Number(last[2]) };
}

/** Runs one suite with its output shown as it comes. Returns its counts and seconds. */
function runSuite(title, command, args, env = {}) {
  console.log(`\n== ${title}`);
  const started = Date.now();
  const child = spawn(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let output = '';
  for (const [stream, target] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ]) {
    stream.setEncoding('utf8');
    stream.on('data', (text) => {
      output += text;
      target.write(text);
    });
  }
  return new Promise((resolve) => {
    const done = (status) => {
      resolve({ title, ...countTests(output, status), seconds: (Date.now() - started) / 1000 });
    };
    child.on('error', (error) => {
      console.error(error.message);
      done(1);
    });
    child.on('close', (code) => done(code ?? 1));
  });
}

/** Runs all, one after the other, says how each went, ends with the line "N passed, N failed", and sets the exit code. */
export async function runSuites(suites) {
  const results = [];
  for (const suite of suites) results.push(await runSuite(...suite));
  console.log('');
  for (const { title, passed, failed, seconds } of results) {
    const counts = `${passed} passed${failed > 0 ? `, ${failed} FAILED` : ''}`;
    console.log(`${title.padEnd(30)} ${counts.padEnd(24)} ${seconds.toFixed(1).padStart(7)} s`);
  }
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  console.log(`\n${sum('passed')} passed, ${sum('failed')} failed`);
  process.exitCode = sum('failed') > 0 ? 1 : 0;
}
