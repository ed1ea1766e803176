/**
 * `npm run fuzz [-- CASES [FROM]]`: damaged data sets of every kind through the readers, cases FROM (0) to CASES (10,000). A case fails that throws anything
 * but a LabError, takes longer than half a minute, ends the process, or makes it hold more than a gigabyte.
 */

import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const cases = Number(process.argv[2] ?? 10_000);
const first = Number(process.argv[3] ?? 0);
/** Far above what any takes, for machines that are busy with other things. */
const hangSeconds = 30;
const maxBytes = 1024 ** 3;
const folder = mkdtempSync(join(tmpdir(), 'sft-lab-fuzz-'));
const program = join(folder, 'child.mjs');
const banner =
  "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);";
await build({
  absWorkingDir: root,
  entryPoints: ['test/fuzz/child.ts'],
  outfile: program,
  bundle: true,
  platform: 'node',
  format: 'esm',
  banner: { js: banner },
});

const failures = [];
/** Said at once: a run takes minutes. */
const fail = (what) => {
  if (failures.push(what) <= 20) console.error(what);
};
const counts = { records: 0, refused: 0 };
let slowest = 0;
let memory = 0;

/** Runs cases from `from` on until the process ends; resolves with the case to go on with. */
function run(from) {
  return new Promise((resolve) => {
    const child = fork(program, [from, cases, join(root, 'test/fixtures/tables/'), folder].map(String), {
      execArgv: ['--max-old-space-size=1024'],
    });
    let current = from;
    let done = from;
    let timer;
    child.on('message', (message) => {
      clearTimeout(timer);
      if (message.begin !== undefined) {
        current = message.begin;
        timer = setTimeout(() => {
          fail(`case ${current}: no answer in ${hangSeconds} s`);
          child.kill('SIGKILL');
        }, hangSeconds * 1000);
        return;
      }
      done = message.end + 1;
      if (message.failure !== undefined) fail(message.failure);
      else {
        counts[message.outcome]++;
        slowest = Math.max(slowest, message.milliseconds);
        memory = Math.max(memory, message.memory);
        if (message.memory > maxBytes) fail(`case ${message.end}: ${message.memory} bytes held`);
      }
      if (done % 1000 === 0) console.log(`${done} of ${cases}, ${failures.length} failures`);
    });
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      if (done === current && signal !== 'SIGKILL' && code !== 0) fail(`case ${current}: ended with ${code ?? signal}`);
      resolve(done > current ? (done >= cases ? cases : done) : current + 1);
    });
  });
}

try {
  for (let next = first; next < cases; ) next = await run(next);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const megabytes = Math.round(memory / 1024 / 1024);
console.log(
  `fuzz: ${cases - first} files, ${counts.records} read, ${counts.refused} refused, ${failures.length} failures; ` +
    `slowest ${Math.round(slowest)} ms, at most ${megabytes} MB`,
);
process.exitCode = failures.length === 0 ? 0 : 1;
