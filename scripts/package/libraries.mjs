/**
 * The libraries that an engine is linked to and that a machine need not have: copied beside it, so that nothing has to be
 * installed. What every system of the platform has stays out.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { run } from './engines.mjs';
import { importedBy } from './pe.mjs';

/** What comes with the system, or with the editor that loads the engine. Windows' own lies in its own folder. */
const systems = {
  linux: /^(linux-vdso|ld-linux|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)\.so)/,
  darwin: /^(libSystem|libc\+\+|libobjc)/,
};

/** Name and place of each library that a file needs itself, or, as Linux tells them, that it needs in all. */
const needed = {
  linux: (file) => [...run('ldd', [file]).matchAll(/^\s*(\S+) => (\/\S+)/gm)].map(([, name, path]) => ({ name, path })),
  darwin: (file) =>
    run('otool', ['-L', file])
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(' ')[0])
      .filter((path) => path.startsWith('/opt/') || path.startsWith('/usr/local/'))
      .map((path) => ({ name: basename(path), path })),
  win32: neededOnWindows,
};

/** Windows finds libraries by their names alone. @throws where one is nowhere */
function neededOnWindows(file) {
  const windows = (process.env.SystemRoot ?? 'C:\\Windows').toLowerCase();
  const places = (process.env.PATH ?? '').split(delimiter);
  const folders = places.filter((one) => one !== '' && !one.toLowerCase().startsWith(windows));
  return importedBy(readFileSync(file)).flatMap((name) => {
    if (/^(api|ext)-ms-/i.test(name)) return [];
    const path = folders.map((folder) => join(folder, name)).find((one) => existsSync(one));
    if (path !== undefined) return [{ name, path }];
    if (existsSync(join(windows, 'System32', name))) return [];
    throw new Error(`${basename(file)} needs ${name}, which is in no folder of PATH.`);
  });
}

/** The libraries to copy for some files, and for those libraries, each once. */
export function librariesOf(files, found = new Map()) {
  for (const { name, path } of files.flatMap(needed[process.platform])) {
    if (found.has(name) || systems[process.platform]?.test(name)) continue;
    found.set(name, realpathSync(path));
    librariesOf([path], found);
  }
  return [...found].map(([name, path]) => ({ name, path }));
}

/** What a library's licence says, and where it was found. @throws where there is none: what has no licence is not given on */
export function licenceOf({ name, path }) {
  const owner = spawnSync('dpkg-query', ['-S', path, path.replace(/^\/usr/, '')], { encoding: 'utf8' });
  const debian = /^([^:\s]+)(:\S+)?: /.exec(owner.stdout ?? '')?.[1];
  if (debian !== undefined) return debianLicence(debian);
  const msys2 = spawnSync('pacman', ['-Qoq', path], { encoding: 'utf8' });
  if (msys2.status === 0) return msys2Licence(msys2.stdout.trim(), dirname(path));
  // Homebrew keeps it in the folder of the version.
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const file = existsSync(folder) ? readdirSync(folder).find((one) => /^(licen[cs]e|copying)/i.test(one)) : undefined;
    if (file !== undefined) return { title: basename(folder), text: readFileSync(join(folder, file), 'utf8') };
  }
  throw new Error(`No licence of ${name} (${path}) was found.`);
}

/** Kept by the package's name, without what says for which environment of MSYS2 it is. */
function msys2Licence(owner, programs) {
  const name = owner.replace(/^mingw-w64-(clang-|ucrt-)?(x86_64|aarch64)-/, '');
  const folder = join(programs, '..', 'share', 'licenses', name);
  const texts = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8').trim());
  return { title: `${name} (MSYS2)`, text: texts.join('\n\n') };
}

/** The copyright file of a Debian package, with the licences that it only points to, and where its source is. */
export function debianLicence(name) {
  const copyright = readFileSync(join('/usr/share/doc', name, 'copyright'), 'utf8');
  const ask = (format) => spawnSync('dpkg-query', ['-W', '-f', format, name], { encoding: 'utf8' }).stdout.trim();
  const version = ask('$' + '{Version}');
  const source = `${ask('$' + '{source:Package}')}/${ask('$' + '{source:Version}')}`;
  const pointedTo = [...copyright.matchAll(/\/usr\/share\/common-licenses\/([A-Za-z]+-[\d.]*\d)/g)].map(
    ([, licence]) => licence,
  );
  const texts = [...new Set(pointedTo)].sort().map((licence) => {
    const text = readFileSync(join('/usr/share/common-licenses', licence), 'utf8');
    return `/usr/share/common-licenses/${licence}:\n\n${text.trim()}`;
  });
  const from = `Its source, as Debian built it: https://sources.debian.org/src/${source}/`;
  return { title: `${name} ${version} (Debian)`, text: [from, copyright.trim(), ...texts].join('\n\n') };
}
