/**
 * `node scripts/picture.mjs`: draws the demo's report, as the terminal shows it, into media/demo.svg for the README. Needs a
 * finished demo; every figure in the picture is that run's.
 */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './suites.mjs';

const lineHeight = 18;
const charWidth = 7.83;
const margin = 18;
const bar = 34;

const report = spawnSync(process.execPath, [join(root, 'dist', 'cli.js'), 'report', join('.sft', 'tickets')], {
  cwd: root,
  encoding: 'utf8',
  env: { ...process.env, NO_COLOR: '1', COLUMNS: '140' },
});
if (report.status !== 0) {
  console.error(report.stderr || 'There is no report: run `npm run demo` first.');
  process.exit(1);
}
const lines = ['$ npm run demo', '…', ...report.stdout.replaceAll(root, '').trimEnd().split('\n')];
const width = Math.ceil(Math.max(...lines.map((line) => line.length)) * charWidth + 2 * margin);
const height = bar + lines.length * lineHeight + margin;

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const colourOf = (line) => (line.startsWith('$') ? '#7ee787' : /\*|best/i.test(line) ? '#ffd866' : '#d4d4d4');
const texts = lines
  .map((line, i) => {
    const y = bar + (i + 1) * lineHeight;
    return `<text x="${margin}" y="${y}" fill="${colourOf(line)}" xml:space="preserve">${escaped(line)}</text>`;
  })
  .join('\n');
const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
  (colour, i) => `<circle cx="${margin + i * 18}" cy="17" r="6" fill="${colour}"/>`,
);

writeFileSync(
  join(root, 'media', 'demo.svg'),
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>The report of the demo: six fine-tuning runs and the untuned model</title>
<rect width="100%" height="100%" rx="8" fill="#1e1e1e"/>
${dots.join('')}
<g font-family="ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13">
${texts}
</g>
</svg>
`,
);
console.log(`media/demo.svg: ${lines.length} lines`);
