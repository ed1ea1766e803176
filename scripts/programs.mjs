/**
 * Programs that are scripts of Node's: npm, and those of the installed packages. Everywhere Node itself is started with the script: on
 * Windows what goes by their names are batch files, which cannot be spawned. Plain Node: set-up uses it before there are packages.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const modules = fileURLToPath(new URL('../node_modules', import.meta.url));

/** Command and arguments of `npm ARGS`. */
export function npm(...args) {
  // npm sets it for what it runs; beside Node, where Windows' installer puts npm.
  const places = [
    process.env.npm_execpath,
    join(dirname(process.execPath), 'node_modules', 'npm', 'bin', 'npm-cli.js'),
  ];
  const script = places.find((place) => place?.endsWith('npm-cli.js') && existsSync(place));
  return script === undefined ? ['npm', args] : [process.execPath, [script, ...args]];
}

/** Command and arguments of VS Code; undefined where it is not installed. On Windows the batch file lies in a folder of the program's. */
export function vsCode(...args) {
  if (process.platform !== 'win32') return spawnSync('code', ['--version']).status === 0 ? ['code', args] : undefined;
  const folder = (process.env.PATH ?? '').split(delimiter).find((place) => existsSync(join(place, 'code.cmd')));
  return folder === undefined ? undefined : [join(folder, '..', 'Code.exe'), args];
}

/** Command and arguments of a program that an installed package brings: `name`, unless the package calls it otherwise. */
export function packaged(name, args, { from = name } = {}) {
  const folder = join(modules, from);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return [process.execPath, [join(folder, typeof bin === 'string' ? bin : bin[name]), ...args]];
}
