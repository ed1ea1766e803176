/** What the project's own scripts promise: counts that are right, and locks that a dead process does not keep. */

import { spawn, spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const scripts = fileURLToPath(new URL('../../../scripts', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-lab-scripts-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a module that may import the scripts by name. */
function runModule(body: string): { status: number | null; output: string } {
  const file = join(folder, `module-${readdirSync(folder).length}.mjs`);
  writeFileSync(file, body.replaceAll('scripts/', `${pathToFileURL(scripts).href}/`));
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

describe('counts of suites', () => {
  const count = (output: string, status: number): unknown =>
    JSON.parse(
      runModule(
        `import { countTests } from 'scripts/suites.mjs';
         console.log(JSON.stringify(countTests(${JSON.stringify(output)}, ${status})));`,
      ).output,
    );

  test.each([
    ['CTest', '99% tests passed, 1 tests failed out of 220\n', 8, { passed: 219, failed: 1 }],
    [
      'CTest, one skipped',
      '1/2 Test #1: A.B ...***Skipped 0.1 sec\n100% tests passed, 0 tests failed out of 2\n',
      0,
      { passed: 1, failed: 0 },
    ],
    [
      'Vitest',
      ' Test Files  32 passed (32)\n      Tests  679 passed | 1 skipped (680)\n',
      0,
      { passed: 679, failed: 0 },
    ],
    [
      'Vitest, coloured',
      '      Tests \u001b[31m3 failed\u001b[39m | \u001b[32m9 passed\u001b[39m (12)\n',
      1,
      { passed: 9, failed: 3 },
    ],
    [
      'Vitest, a file that does not load',
      ' Test Files  1 failed | 2 passed (3)\n      Tests  9 passed (9)\n',
      1,
      { passed: 9, failed: 1 },
    ],
    ['another script of ours', 'train 1 passed\n\n3 passed, 1 failed\n', 1, { passed: 3, failed: 1 }],
    ['no counts, good', 'fine\n', 0, { passed: 1, failed: 0 }],
    ['no counts, bad', '', 2, { passed: 0, failed: 1 }],
  ])('%s', (_, output, status, counts) => {
    expect(count(output, status)).toEqual(counts);
  });

  test('a failed suite, and one whose program is missing, fail the whole', () => {
    const { status, output } = runModule(
      `import { runSuites } from 'scripts/suites.mjs';
       await runSuites([
         ['good', process.execPath, ['-e', '']],
         ['bad', process.execPath, ['-e', 'process.exit(3)']],
         ['missing', 'no-such-program-of-sft-lab', []],
       ]);`,
    );
    expect(status).toBe(1);
    expect(output).toContain('\n1 passed, 2 failed\n');
  });
});

describe('programs of packages', () => {
  test.each([
    ["npm('--version')", /^\d+\.\d+\.\d+\n$/],
    ["packaged('vitest', ['--version'])", /^vitest\/\d/],
    ["packaged('biome', ['--version'], { from: '@biomejs/biome' })", /^Version: \d/],
  ])('%s', (program, version) => {
    const { status, output } = runModule(
      `import { spawnSync } from 'node:child_process';
       import { npm, packaged } from 'scripts/programs.mjs';
       process.stdout.write(spawnSync(...${program}, { encoding: 'utf8' }).stdout);`,
    );
    expect(output).toMatch(version);
    expect(status).toBe(0);
  });
});

describe('what a library of Windows imports', () => {
  const imports = (file: string) =>
    runModule(
      `import { readFileSync } from 'node:fs';
       import { importedBy } from 'scripts/package/pe.mjs';
       console.log(importedBy(readFileSync(${JSON.stringify(file)})).join(' '));`,
    );
  const pty = (part: string): string => join(scripts, '..', 'node_modules', 'node-pty', 'prebuilds', part);

  test('is read from the file, of any processor', () => {
    expect(imports(pty('win32-x64/conpty.node')).output).toBe('KERNEL32.dll SHLWAPI.dll\n');
    expect(imports(pty('win32-arm64/conpty_console_list.node')).output).toBe('KERNEL32.dll\n');
  });

  test('is refused of other files', () => {
    expect(imports(pty('linux-x64/pty.node')).output).toContain('not a 64-bit library of Windows');
  });
});

describe('the lock of the set-up', () => {
  const holder = `import { takeLock } from 'scripts/lock.mjs';
    const release = await takeLock(process.argv[2], (who) => console.log('waits for ' + who));
    console.log('has it');
    await new Promise((resolve) => process.stdin.on('end', resolve).resume());
    release();
    console.log('gives it back');`;

  /** A process that takes the lock and keeps it until it is told to let go. */
  function start() {
    const file = join(folder, 'holder.mjs');
    writeFileSync(file, holder.replaceAll('scripts/', `${pathToFileURL(scripts).href}/`));
    const child = spawn(process.execPath, [file, join(folder, 'lock')], { stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    const seen = new EventEmitter();
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      seen.emit('more');
    });
    const closed = once(child, 'close');
    /** @throws Error where the process ends without having said it */
    const until = async (text: string): Promise<void> => {
      const ended = closed.then(() => {
        if (!output.includes(text)) throw new Error(`said ${JSON.stringify(output)}, never ${text}`);
      });
      while (!output.includes(text)) await Promise.race([once(seen, 'more'), ended]);
    };
    return { child, until, letGo: () => child.stdin.end(), output: () => output, closed };
  }

  test('is held by one at a time, and leaves nothing', async () => {
    const first = start();
    await first.until('has it');
    const second = start();
    second.letGo();
    await second.until('waits for');
    expect(second.output()).toBe(`waits for process ${first.child.pid}\n`);
    first.letGo();
    await Promise.all([first.closed, second.closed]);
    expect(second.output()).toContain('has it');
    expect(readdirSync(folder)).toEqual(['holder.mjs']);
  });

  test('is taken from a process that was killed', async () => {
    const first = start();
    await first.until('has it');
    first.child.kill('SIGKILL');
    await first.closed;
    expect(existsSync(join(folder, 'lock'))).toBe(true);
    const second = start();
    second.letGo();
    await second.closed;
    expect(second.output()).toBe('has it\ngives it back\n');
  });

  test.runIf(process.platform === 'linux')('is taken from a process whose id another one has now', async () => {
    const pid = process.pid;
    writeFileSync(join(folder, 'lock'), `${pid} 1`);
    const child = start();
    child.letGo();
    await child.closed;
    expect(child.output()).toBe('has it\ngives it back\n');
  });

  test.each(['', 'nonsense'])('is taken when it holds %j', async (content) => {
    writeFileSync(join(folder, 'lock'), content);
    const child = start();
    child.letGo();
    await child.closed;
    expect(child.output()).toBe('has it\ngives it back\n');
  });
});

test('the lock file of the packages names no registry', () => {
  const lock = readFileSync(join(scripts, '..', 'package-lock.json'), 'utf8');
  expect(lock).not.toContain('"resolved"');
});

test('the README of an installed extension has no pictures, dead links or parts about a checkout', () => {
  const { output } = runModule(
    `import { installedReadme } from 'scripts/stage.mjs';
     console.log(installedReadme('# A\\n\\n![x](media/x.png)\\n\\n<!-- checkout -->\\nnpm test\\n<!-- /checkout -->\\nSee [B](B.md), [C](https://c.d/e).\\n'));`,
  );
  expect(output.trim()).toBe('# A\n\nSee B, [C](https://c.d/e).');
});
