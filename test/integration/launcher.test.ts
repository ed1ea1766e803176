/** Starting, stopping and continuing runs as the editor does it: one process trains a run, however many windows there are. */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { editorPath } from '../../src/core/paths.js';
import { Launcher } from '../../src/launch/launcher.js';
import { lockHolder } from '../../src/runs/lock.js';
import { history, makeWorkspace, program, until, type Workspace } from './support.js';

let workspace: Workspace;
beforeAll(() => {
  workspace = makeWorkspace();
});
afterAll(() => workspace.remove());

const window = () => new Launcher({ node: process.execPath, program });
const steps = async (folder: string): Promise<number[]> =>
  (await history(folder)).history.train.map(({ step }) => step);

describe('a launcher', () => {
  it('continues a run once: not while it is trained, from whichever window, and not twice at the same time', async () => {
    const file = workspace.config('once.sft.json', { run_name: 'run', max_steps: 4000, logging_steps: 1 });
    const [first, second] = [window(), window()];
    const asked: string[] = [];
    first.listen({ onStopAsked: (folder) => asked.push(folder) });
    const session = await first.start(file);
    const folder = await session.run;
    expect(folder).toBe(editorPath(workspace.path('.sft', 'once', 'run')));
    await until('steps', async () => lockHolder(folder) !== undefined && (await steps(folder)).length > 3);
    for (const launcher of [first, second]) {
      await expect(launcher.resume(folder)).rejects.toThrow(`process ${session.pid} is training this run already`);
    }

    await first.stop(folder);
    expect(asked).toEqual([folder]);
    expect((await session.exited).code).toBe(130);
    await expect(first.stop(folder)).rejects.toThrow('nobody is training this run');

    const again = await second.resume(folder);
    // It has no lock yet.
    await expect(second.resume(folder)).rejects.toThrow('is training this run already');
    const before = (await steps(folder)).length;
    await until('more steps', async () => (await steps(folder)).length > before + 3);
    second.interrupt(again);
    expect((await again.exited).code).toBe(130);
    const all = await steps(folder);
    expect(all).toEqual(all.map((_, i) => i + 1));
  });

  it('asks a comparison to end as a whole when its terminal is interrupted', async () => {
    const file = workspace.config('axes.sft.json', { max_steps: 4000, logging_steps: 1, compare: { seed: [1, 2] } });
    const launcher = window();
    const asked: string[] = [];
    launcher.listen({ onStopAsked: (folder) => asked.push(folder) });
    const session = await launcher.start(file, { compare: true });
    const folder = await session.run;
    await until('steps', async () => (await steps(folder)).length > 3);
    expect(lockHolder(join(folder, '..'))?.pid).toBe(session.pid);
    launcher.interrupt(session);
    expect((await session.exited).code).toBe(130);
    expect(asked).toEqual([folder, join(folder, '..')]);

    // All that is left of it, in one terminal.
    const again = await launcher.resumeExperiments(join(folder, '..'));
    await expect(launcher.resumeExperiments(join(folder, '..'))).rejects.toThrow('is training this run already');
    expect(await again.run).toBe(folder);
    await until('its lock', async () => lockHolder(folder) !== undefined);
    launcher.interrupt(again);
    expect((await again.exited).code).toBe(130);
    expect(asked.slice(2)).toEqual([folder, join(folder, '..')]);
    expect(lockHolder(join(folder, '..'))).toBeUndefined();
  });
});
