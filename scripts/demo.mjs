/**
 * `npm run demo`: fine-tunes the starter model on the ticket data set, on completions and on whole sequences, for one, two
 * and three epochs each, and compares the six runs. Started again it shows what is there; `-- --new` trains anew.
 */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const program = join(root, 'dist', 'cli.js');
const config = join('media', 'examples', 'tickets.sft.json');

const child = spawn(process.execPath, [program, 'compare', config, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
// The trainer answers Ctrl+C itself: it finishes the step and saves.
process.on('SIGINT', () => {});
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
});
