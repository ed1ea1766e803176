/** The bench's own programs, built apart from the engine's normal build. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Builds a program of native/bench. Returns its path. @throws Error with the compiler's output */
export function buildProgram(root: string, target: string): string {
  const folder = join(root, 'build', 'bench', 'native');
  const configure = [
    '-S',
    join(root, 'native'),
    '-B',
    folder,
    '-DSFT_LAB_BENCH=ON',
    '-DSFT_LAB_TESTS=OFF',
    '-DSFT_LAB_CUDA=OFF',
  ];
  for (const args of [configure, ['--build', folder, '--target', target, '-j', '2']]) {
    const { status, stdout, stderr } = spawnSync('cmake', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${target} could not be built:\n${stdout}${stderr}`);
  }
  return join(folder, 'bench', target);
}
