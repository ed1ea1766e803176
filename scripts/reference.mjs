/**
 * `npm run reference`: shows that the checkpoints of this trainer load in transformers and PEFT and answer as here, in a Python
 * environment of its own under `.venv/`. `-- --make` writes the reference fixtures anew instead. Exit code 77 says that the
 * Python package index is out of reach, so that nothing was shown.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, runSuites } from './suites.mjs';

const environment = join(root, '.venv');
const python =
  process.platform === 'win32' ? join(environment, 'Scripts', 'python.exe') : join(environment, 'bin', 'python');
const requirements = join('test', 'reference', 'requirements.txt');

/** What pip says when it cannot get at its index, as opposed to not finding a package there. */
const outOfReach =
  /name resolution|Name or service not known|establish a new connection|Network is unreachable|Connection refused|timed out|ProxyError|Max retries/i;

/** Undefined when the environment is there, else why it is not. */
function prepare() {
  const wanted = readFileSync(join(root, requirements), 'utf8');
  const stamp = join(environment, 'requirements.txt');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return undefined;
  const made = spawnSync(process.platform === 'win32' ? 'python' : 'python3', ['-m', 'venv', '--clear', environment], {
    cwd: root,
    encoding: 'utf8',
  });
  if (made.status !== 0) {
    const why = made.error?.message ?? `${made.stdout}${made.stderr}`.trim();
    return { exitCode: 1, why: `${why}\n\nPython 3 with venv is needed: apt-get install python3-venv` };
  }
  console.log('reference: Python packages (a few minutes, once)');
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements];
  const installed = spawnSync(python, pip, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (installed.status !== 0) {
    const unreachable = outOfReach.test(installed.stderr);
    return { exitCode: unreachable ? 77 : 1, why: `${installed.stdout}${installed.stderr}`.trim() };
  }
  writeFileSync(stamp, wanted);
  return undefined;
}

const fault = prepare();
if (fault !== undefined) {
  console.error(`${fault.why}\n`);
  console.error(
    fault.exitCode === 77
      ? 'reference: skipped, the Python package index cannot be reached'
      : 'reference: the Python environment could not be made',
  );
  process.exitCode = fault.exitCode;
} else if (process.argv.includes('--make')) {
  await runSuites([
    ['reference fixtures', python, ['test/reference/make_fixtures.py']],
    ['reference answers', python, ['test/reference/make_generation.py']],
  ]);
} else {
  const runs = join('build', 'reference');
  rmSync(join(root, runs), { recursive: true, force: true });
  const cli = join(root, 'dist', 'cli.js');
  const train = (name, ...settings) => [
    `train: ${name}`,
    process.execPath,
    [
      cli,
      'train',
      join('media', 'examples', 'arithmetic.sft.json'),
      ...[
        `run_name=${name}`,
        `output_dir=${join(root, runs)}`,
        'experiment=reference',
        'max_steps=5',
        'eval_strategy=no',
        'eval_on_start=false',
        'save_strategy=no',
        ...settings,
      ].flatMap((setting) => ['--set', setting]),
    ],
  ];
  const check = (name) => [
    `${name} in transformers and PEFT`,
    python,
    ['test/reference/check_checkpoint.py', join(runs, 'reference', name, 'checkpoints', 'step-000005')],
  ];
  await runSuites([
    train('full', 'use_peft=false'),
    train('adapter', 'use_peft=true', 'lora_r=8'),
    check('full'),
    check('adapter'),
  ]);
}
