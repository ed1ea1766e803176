/**
 * The engines of a package: built for every machine of its platform instead of for this one, with the libraries they are linked to
 * looked for beside them. On x64 there are two, and the machine chooses when it loads one (src/engine/addon.ts). The CUDA backend knows
 * no such differences: it is the one that set-up has built.
 */

import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { building, configuring, withAddon } from '../cmake.mjs';
import { hashFiles, hashOf, stamp } from '../made.mjs';
import { root } from '../suites.mjs';

const folder = join(root, 'build', 'package');
const log = join(folder, 'package.log');

/** Names of the engines in a package's `engine/`, which are values of `-march`. */
const levels = {
  x64: ['x86-64-v3', 'x86-64-v4'],
  arm64: [process.platform === 'darwin' ? 'armv8.5-a' : 'armv8.2-a'],
};

export function run(command, args, options = {}) {
  mkdirSync(folder, { recursive: true });
  appendFileSync(log, `\n$ ${command} ${args.join(' ')}\n`);
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...options,
  });
  appendFileSync(log, `${stdout ?? ''}${stderr ?? ''}`);
  if (status === 0) return stdout;
  const end = `${stdout ?? ''}${stderr ?? ''}`.trimEnd().split('\n').slice(-30).join('\n');
  throw new Error(`${command} ${args[0]} failed${error === undefined ? '' : ` (${error.message})`}.\n\n${end}`);
}

function version(command) {
  return spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout ?? '';
}

/**
 * The CUDA backend of the checkout's own build; undefined where that has none.
 *
 * @throws where that build is of other sources: engines linked to it would crash
 */
function cudaBackend(sources) {
  const made = join(root, 'build', 'native.stamp');
  // Set-up's stamp: its tools' hash, then that of the sources (scripts/setup.mjs).
  if (!existsSync(made) || !readFileSync(made, 'utf8').endsWith(sources)) {
    throw new Error('The engine is not built from these sources: run `npm run setup` first.');
  }
  const library = join(root, 'build', 'native', 'cuda', 'libsft_lab_cuda.a');
  return existsSync(library) ? library : undefined;
}

/** Builds what is not built. Returns for each level its name and the addon. */
export function buildEngines() {
  const headers = [join('node_modules', 'node-api-headers'), join('node_modules', 'node-addon-api')];
  const tools = ['c++', 'nvcc', '/usr/local/cuda/bin/nvcc', 'cmake'].map(version);
  const sources = hashFiles('native', ...headers.map((name) => join(name, 'package.json')));
  const cuda = cudaBackend(sources);
  const hash = hashOf(
    sources + hashFiles('scripts/package/engines.mjs'),
    ...tools,
    cuda === undefined ? '' : readFileSync(cuda),
  );
  mkdirSync(folder, { recursive: true });
  const wanted = levels[process.arch];
  if (wanted === undefined) throw new Error(`The engine is not set up for processors of the kind ${process.arch}.`);
  return wanted.map((level) => {
    const build = join(folder, level);
    const addon = join(build, 'sft-lab-engine.node');
    const made = stamp(join(folder, `${level}.stamp`));
    if (existsSync(addon) && made.holds(hash)) return { level, addon };
    console.log(`package: the engine for ${level} (a minute or two, once)`);
    writeFileSync(log, '');
    made.drop();
    const settings = [
      ...[...withAddon, '-DSFT_LAB_PACKAGE=ON', '-DSFT_LAB_TESTS=OFF', `-DSFT_LAB_MARCH=${level}`],
      cuda === undefined ? '-DSFT_LAB_CUDA=OFF' : `-DSFT_LAB_CUDA_LIBRARY=${cuda}`,
    ];
    run(...configuring(build, settings));
    run(...building(build, 'sft_lab_engine'));
    made.set(hash);
    return { level, addon };
  });
}
