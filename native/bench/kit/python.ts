/** The peers' Python: a virtual environment of their own under build/, or the one that SFT_LAB_BENCH_PYTHON names. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePeerStep, watchSteps } from './process.js';
import { loraAlpha, loraRank, type RunResult, type Side, type Work } from './work.js';

/** Path of a Python that has the peers. @throws Error where it cannot be made */
export function peersPython(root: string): string {
  const named = process.env.SFT_LAB_BENCH_PYTHON;
  if (named !== undefined && named !== '') return named;
  const environment = join(root, 'build', 'bench', 'venv');
  const python = join(environment, 'bin', 'python');
  const requirements = join(root, 'native', 'bench', 'peers', 'requirements.txt');
  const wanted = readFileSync(requirements, 'utf8');
  const stamp = join(environment, 'requirements.txt');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return python;
  console.log('bench: Python packages of the peers (a few minutes, once)');
  mkdirSync(environment, { recursive: true });
  const steps = [
    ['python3', '-m', 'venv', '--clear', environment],
    [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements],
  ] as const;
  for (const [command, ...args] of steps) {
    const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
    if (status !== 0) {
      throw new Error(
        `the peers' Python environment could not be made (Python 3 with venv and a package index are needed):\n` +
          (error?.message ?? `${stdout}${stderr}`.trim()),
      );
    }
  }
  writeFileSync(stamp, wanted);
  return python;
}

/** Versions of the peers' packages, by name. */
export function peerVersions(python: string): Record<string, string> {
  const program = [
    'import importlib.metadata as m, json',
    "names = ['torch', 'transformers', 'peft', 'trl', 'accelerate']",
    'print(json.dumps({name: m.version(name) for name in names}))',
  ].join('\n');
  const { status, stdout, stderr } = spawnSync(python, ['-c', program], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the peers' packages are not all there:\n${stderr.trim()}`);
  const versions: unknown = JSON.parse(stdout);
  if (typeof versions !== 'object' || versions === null) throw new Error('no versions');
  return Object.fromEntries(Object.entries(versions).map(([name, version]) => [name, String(version)]));
}

interface PeerOptions {
  readonly root: string;
  readonly python: string;
  readonly scratch: string;
  /** What the tables call it. */
  readonly name: string;
  /** Its file in peers/, without `.py`. */
  readonly file: string;
  /** Records of a microbatch, where this peer does best with a number of its own; the step stays the same. */
  readonly batchSize?: number;
}

/** A peer of peers/, which trains as the work says and reports its steps. */
export function peerSide({ root, python, scratch, name, file, batchSize }: PeerOptions): Side {
  return {
    name,
    run(work: Work): Promise<RunResult> {
      const each = work.batchSize * work.accumulation;
      const size = batchSize !== undefined && each % batchSize === 0 ? batchSize : work.batchSize;
      const job = {
        model: work.model,
        data: work.peerData ?? work.data,
        method: work.method,
        precision: work.precision,
        batch_size: size,
        accumulation: each / size,
        steps: work.steps,
        learning_rate: work.learningRate,
        max_length: work.maxLength,
        gradient_checkpointing: work.gradientCheckpointing,
        lora_r: loraRank,
        lora_alpha: loraAlpha,
        threads: work.threads,
        seed: 1,
        output_dir: join(scratch, 'peer'),
      };
      return watchSteps({
        command: python,
        args: [join(root, 'native', 'bench', 'peers', `${file}.py`), JSON.stringify(job)],
        cwd: scratch,
        step: parsePeerStep,
      });
    },
  };
}
