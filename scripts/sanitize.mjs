/** `npm run sanitize`: the engine's tests under the address and undefined-behaviour sanitizers. */

import { availableParallelism } from 'node:os';
import { runSuites } from './suites.mjs';

const folder = 'build/sanitize';

await runSuites([
  [
    'configure with sanitizers',
    'cmake',
    ['-S', 'native', '-B', folder, '-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DSFT_LAB_SANITIZE=address,undefined'],
  ],
  ['build with sanitizers', 'cmake', ['--build', folder, '-j', String(availableParallelism())]],
  ['engine under sanitizers', 'ctest', ['--test-dir', folder, '--output-on-failure', '--no-tests=error']],
]);
