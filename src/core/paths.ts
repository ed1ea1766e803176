/** Paths as others write them. */

import { sep } from 'node:path';

/** A relative path as it goes into files that travel: with slashes on every system. */
export function portablePath(path: string): string {
  return path.split(sep).join('/');
}

/** A path as VS Code gives it, to be compared with its own: drives of Windows have small letters. */
export function editorPath(path: string): string {
  return path.replace(/^[A-Z]:(?=[\\/])/, (drive) => drive.toLowerCase());
}
