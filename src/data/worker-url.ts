/** Where the bundled workers are. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { LabError } from '../core/errors.js';

/**
 * The bundled worker lies beside the bundle that asks for it. From the sources (tests) it is the one that test/setup/data-worker.ts made
 * of the same sources, else the built one.
 */
export function workerUrl(name: 'data-worker.js' | 'data-scan.js'): URL {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    for (const candidate of [join(folder, name), join(folder, 'build', name), join(folder, 'dist', name)]) {
      if (existsSync(candidate)) return pathToFileURL(candidate);
    }
    const parent = dirname(folder);
    if (parent === folder) throw new LabError('the data worker is not built', { advice: 'Run `npm run build`.' });
    folder = parent;
  }
}
