/**
 * `npm run reference`: shows that the checkpoints of this trainer load in transformers and PEFT and answer as here, in a Python
 * environment of its own under `.venv/`. `-- --make` writes the reference fixtures anew instead.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, runSuites } from './suites.mjs';

const environment = join(root, '.venv');
const python = join(environment, 'bin', 'python');
const requirements = join('test', 'reference', 'requirements.txt');

function prepare() {
  const wanted = readFileSync(join(root, requirements), 'utf8');
  const stamp = join(environment, 'requirements.txt');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return true;
  const steps = [
    ['python3', ['-m', 'venv', '--clear', environment]],
    [python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]],
  ];
  for (const [command, args] of steps) {
    const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) return false;
  }
  writeFileSync(stamp, wanted);
  return true;
}

if (!prepare()) {
  console.error(
    'The Python environment could not be made: python3 with venv, and the Python package index, are needed.',
  );
  process.exitCode = 1;
} else if (process.argv.includes('--make')) {
  runSuites([['reference fixtures', python, ['test/reference/make_fixtures.py']]]);
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
        ...settings,
      ].flatMap((setting) => ['--set', setting]),
      ...['--set', 'eval_strategy=no', '--set', 'eval_on_start=false', '--set', 'save_strategy=no'],
    ],
  ];
  const check = (name) => [
    `${name} in transformers and PEFT`,
    python,
    ['test/reference/check_checkpoint.py', join(runs, 'reference', name, 'checkpoints', 'step-000005')],
  ];
  runSuites([
    train('full', 'use_peft=false'),
    train('adapter', 'use_peft=true', 'lora_r=8'),
    check('full'),
    check('adapter'),
  ]);
}
