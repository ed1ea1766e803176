/** The set-up for a person who is not root: one message with the command to type, and nothing made. Needs Debian's dpkg-query. */

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const query = '/usr/bin/dpkg-query';

/** Root's tests run the set-up as nobody; others as themselves. */
const nobody = 65_534;
const user = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
const possible = existsSync(query) && spawnSync(process.execPath, ['-e', ''], { cwd: '/', ...user }).status === 0;

let folder: string;
let project: string;
let programs: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-lab-setup-'));
  [project, programs] = [join(folder, 'project'), join(folder, 'bin')];
  mkdirSync(project);
  mkdirSync(programs);
  cpSync(join(root, 'scripts'), join(project, 'scripts'), { recursive: true });
  for (const path of [folder, project]) {
    chmodSync(path, 0o755);
    if (user.uid !== undefined) chownSync(path, nobody, nobody);
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the set-up with nothing but Debian's own list of packages within reach, from which some are left out. */
function setUp(missing: string, others: readonly string[] = []) {
  const program = (name: string, text: string): void =>
    writeFileSync(join(programs, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  program('dpkg-query', `${query} "$@" | /bin/grep -vE ' (${missing})(:| )'`);
  for (const name of others) program(name, 'exit 1');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/setup.mjs'], {
    cwd: project,
    env: { PATH: programs },
    encoding: 'utf8',
    ...user,
  });
  return { status, stdout, stderr };
}

describe.runIf(possible)('a person who may not install packages', () => {
  const said = 'setup: Debian packages are missing. Install them, then run this again:\n\n';

  test('reads the command, with what is missing alone', () => {
    expect(setUp('libdnnl-dev', ['sudo'])).toEqual({
      status: 1,
      stdout: '',
      stderr: `${said}  sudo apt-get update && sudo apt-get install -y --no-install-recommends libdnnl-dev\n\n`,
    });
    expect(readdirSync(project)).toEqual(['scripts']);
  });

  test('is not told to use sudo where there is none', () => {
    expect(setUp('cmake|libgtest-dev')).toEqual({
      status: 1,
      stdout: '',
      stderr: `${said}  su -c "apt-get update && apt-get install -y --no-install-recommends cmake libgtest-dev"\n\n`,
    });
    expect(readdirSync(project)).toEqual(['scripts']);
  });

  test('is told where the project is not theirs', () => {
    mkdirSync(join(project, 'build'));
    if (user.uid === undefined) chmodSync(join(project, 'build'), 0o555);
    const { status, stderr } = setUp('no-such-package');
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `setup: ${join(project, 'build')} cannot be written (EACCES). Is the project another user's?\n`,
    });
    expect(readdirSync(join(project, 'build'))).toEqual([]);
  });
});
