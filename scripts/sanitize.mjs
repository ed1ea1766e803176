/** `npm run sanitize`: the engine's tests under the address and undefined-behaviour sanitizers. */

import { building, configuring, testing } from './cmake.mjs';
import { runSuites } from './suites.mjs';

const folder = 'build/sanitize';

await runSuites([
  [
    'configure with sanitizers',
    ...configuring(folder, ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DSFT_LAB_SANITIZE=address,undefined']),
  ],
  ['build with sanitizers', ...building(folder)],
  ['engine under sanitizers', ...testing(folder)],
]);
