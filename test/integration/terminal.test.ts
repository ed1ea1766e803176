import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { spawn as spawnPty } from 'node-pty';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { history, makeWorkspace, program, until, type Workspace } from './support.js';

let workspace: Workspace;
beforeAll(() => {
  workspace = makeWorkspace();
});
afterAll(() => workspace.remove());

const environment = { ...process.env, TERM: 'xterm-256color', LANG: 'C.UTF-8', NO_COLOR: '' };

function inTerminal(...args: string[]) {
  const pty = spawnPty(process.execPath, [program, ...args], {
    cwd: workspace.directory,
    cols: 120,
    rows: 30,
    env: environment,
  });
  let text = '';
  pty.onData((data) => {
    text += data;
  });
  const ended = new Promise<number>((resolve) => pty.onExit(({ exitCode }) => resolve(exitCode)));
  return { pty, ended, text: () => text };
}

describe('in a terminal', () => {
  it('shows a bar with the time left and a live table; the log gets the lines that stay', async () => {
    workspace.config('a.sft.json', { run_name: 'run' });
    const { ended, text } = inTerminal('train', 'a.sft.json');
    expect(await ended).toBe(0);
    expect(text()).toMatch(/█+░+ \d+\/24/);
    expect(text()).toMatch(/\d+:\d\d left/);
    expect(text()).toContain('\u001b[');
    const log = readFileSync(workspace.path('.sft', 'a', 'run', 'console.log'), 'utf8');
    expect(log).toContain('Finished. 24 steps');
    expect(log).not.toContain('\u001b');
    expect(log).not.toContain('█');
    expect(log.split('\n').filter((line) => /^ +24 /.test(line))).toHaveLength(1);
  });

  it('respects NO_COLOR', async () => {
    workspace.config('b.sft.json', { run_name: 'run', max_steps: 2 });
    const pty = spawnPty(process.execPath, [program, 'train', 'b.sft.json'], {
      cwd: workspace.directory,
      cols: 120,
      rows: 30,
      env: { ...environment, NO_COLOR: '1' },
    });
    let text = '';
    pty.onData((data) => {
      text += data;
    });
    await new Promise((resolve) => pty.onExit(resolve));
    expect(text).toContain('Finished.');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    expect(text).not.toMatch(/\u001b\[\d+m/);
  });

  it('Ctrl+C in the terminal stops in order', async () => {
    workspace.config('c.sft.json', { run_name: 'run', max_steps: 2000 });
    const { pty, ended, text } = inTerminal('train', 'c.sft.json');
    await until('steps', () => /\d+\/2000/.test(text()));
    pty.write('\u0003');
    expect(await ended).toBe(130);
    expect(text()).toContain('sft-lab resume .sft/c/run');
  });

  it('Ctrl+C reaches the run of a comparison once', async () => {
    workspace.config('d.sft.json', { max_steps: 2000, compare: { seed: [1, 2] } });
    const { pty, ended, text } = inTerminal('compare', 'd.sft.json');
    await until('steps', () => /\d+\/2000/.test(text()));
    pty.write('\u0003');
    expect(await ended).toBe(130);
    expect(text()).not.toContain('Left at once');
    expect((await history(workspace.path('.sft', 'd', 'seed-1'))).history.status?.status).toBe('interrupted');
    expect(existsSync(workspace.path('.sft', 'd', 'seed-2', 'events.jsonl'))).toBe(false);
  });

  it('a terminal that is closed does not stop the run', async () => {
    workspace.config('e.sft.json', { run_name: 'run', max_steps: 150 });
    const folder = workspace.path('.sft', 'e', 'run');
    const { pty, text } = inTerminal('train', 'e.sft.json');
    await until('steps', () => /\d+\/150/.test(text()));
    // Hangs up: SIGHUP to the program, and errors for all it writes.
    pty.kill('SIGHUP');
    Reflect.get(pty, 'destroy').call(pty);
    const log = () => readFileSync(`${folder}/console.log`, 'utf8');
    await until('the end of the run', () => log().includes('Finished. 150 steps'));
    expect((await history(folder)).history.status?.status).toBe('finished');
  });

  it('a pipe that is closed does not stop the run', async () => {
    workspace.config('f.sft.json', { run_name: 'run', max_steps: 60 });
    const folder = workspace.path('.sft', 'f', 'run');
    const child = spawn(process.execPath, [program, 'train', 'f.sft.json'], {
      cwd: workspace.directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.stdout.destroy();
    child.stderr.destroy();
    const code = await new Promise((resolve) => child.on('exit', resolve));
    expect(code).toBe(0);
    expect((await history(folder)).history.status?.status).toBe('finished');
  });
});
