/** Checks what `npm run demo` left: six finished runs, the best of them right often enough and far above the untuned model. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './suites.mjs';

const folder = join(root, '.sft', 'tickets');
const report = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'));
const finished = report.rows.filter(({ kind, state }) => kind === 'train' && state === 'finished');
const best = Math.max(...finished.map(({ accuracy }) => accuracy ?? 0));
const baseline = report.rows.find(({ kind }) => kind === 'baseline')?.accuracy ?? 0;

const checks = [
  ['six runs finished', finished.length === 6],
  ['the best accuracy is at least 0.80', best >= 0.8],
  ['the untuned model is beaten by 0.50 or more', best - baseline >= 0.5],
  [
    'report.md and report.csv are there',
    ['report.md', 'report.csv'].every((name) => readFileSync(join(folder, name)).length > 0),
  ],
];
for (const [what, good] of checks) console.log(`${good ? 'ok    ' : 'FAILED'} ${what}`);
console.log(`best accuracy ${best.toFixed(4)}, untuned ${baseline.toFixed(4)}`);
const failed = checks.filter(([, good]) => !good).length;
console.log(`${checks.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
