import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventLog } from '../../../src/runs/event-log.js';
import { writeLabel } from '../../../src/runs/label.js';
import { acquireLock } from '../../../src/runs/lock.js';
import { RunIndex } from '../../../src/runs/run-index.js';
import { makeRuns, trainBody } from '../../bench/make-runs.js';

let root: string;
let index: RunIndex | undefined;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sft-index-'));
});
afterEach(() => {
  index?.close();
  rmSync(root, { recursive: true, force: true });
});

async function open(cache?: Iterable<[string, string]>): Promise<RunIndex> {
  index?.close();
  index = new RunIndex(cache);
  await index.setRoots([root]);
  return index;
}

const run = (name = 'run-0') => join(root, 'experiment-0', name);

describe('the list of runs', () => {
  it('is the same from its cache as from the folders, and reads on where the cache ends', async () => {
    makeRuns(root, { experiments: 2, runsEach: 3, points: 20 });
    const cold = (await open()).experiments();
    expect(cold.flatMap(({ runs }) => runs)).toHaveLength(6);
    expect(cold[0]?.runs[0]).toMatchObject({ state: 'finished', step: 20, totalSteps: 20, best: { metric: 'loss' } });
    const snapshot = [...(index?.snapshot() ?? [])];
    expect(snapshot).toHaveLength(6);
    expect((await open(snapshot)).experiments()).toEqual(cold);

    const log = await EventLog.open(join(run(), 'events.jsonl'));
    log.append({ type: 'status', status: 'resumed', step: 20, totalSteps: 30, trainSeconds: 1 });
    log.append(trainBody(21));
    log.close();
    const { best } = cold[0]?.runs[0] ?? {};
    expect((await open(snapshot)).get(run())).toMatchObject({ state: 'interrupted', step: 21, totalSteps: 30, best });
  });

  it('takes no cache that is damaged', async () => {
    makeRuns(root, { experiments: 1, runsEach: 1, points: 5 });
    const { best } = (await open()).get(run()) ?? {};
    const [head = '', evals = ''] = [...(index?.snapshot() ?? [])][0]?.[1].split('\t') ?? [];
    appendFileSync(join(run(), 'events.jsonl'), '\n');
    for (const text of ['', head, head.slice(0, -1), `{"mark":"x"}\t${evals}`, `${head}\t[{}]`, `null\t${evals}`]) {
      expect((await open([[run(), text]])).get(run())).toMatchObject({ state: 'finished', step: 5, best });
    }
  });

  it('reads an experiment that is asked for before the others', async () => {
    makeRuns(root, { experiments: 5, runsEach: 5, points: 5 });
    index = new RunIndex();
    const all = index.setRoots([root]);
    const last = join(root, 'experiment-4');
    const states = (folder: string) => new Set(index?.experiment(folder)?.runs.map(({ state }) => state));
    expect(states(last)).toEqual(new Set(['queued']));
    await index.read(last);
    expect(states(last)).toEqual(new Set(['finished']));
    expect(index.read(last)).toBeUndefined();
    await all;
    expect(index.experiments().every(({ folder }) => index?.read(folder) === undefined)).toBe(true);
  });

  it('shows names as people gave them, and the folder’s again', async () => {
    makeRuns(root, { experiments: 1, runsEach: 2, points: 5 });
    const list = await open();
    const changes: boolean[] = [];
    list.onChange(({ runs }) => changes.push(runs.has(run())));
    await writeLabel(run(), 'The good one');
    list.touch(run());
    expect(list.get(run())?.label).toBe('The good one');
    expect(list.get(run('run-1'))?.label).toContain('Completion-only');
    await writeLabel(join(root, 'experiment-0'), 'Rates');
    list.touch(join(root, 'experiment-0'));
    expect(list.experiments()[0]).toMatchObject({ name: 'experiment-0', label: 'Rates' });
    expect(list.get(run())).toMatchObject({ experiment: 'experiment-0', experimentLabel: 'Rates' });
    await writeLabel(run(), '');
    list.touch(run());
    expect(list.get(run())?.label).toContain('Completion-only');
    expect(changes).toEqual([true, true, true]);
  });

  it('never shows a run that ends as interrupted, however long the part of its log is that was not read', async () => {
    makeRuns(root, { experiments: 1, runsEach: 1, points: 5 });
    const file = join(run(), 'events.jsonl');
    const log = await EventLog.open(file);
    log.append({ type: 'status', status: 'started', step: 0, totalSteps: 9000, trainSeconds: 0 });
    const lock = await acquireLock(run());
    const list = await open();
    expect(list.get(run())?.state).toBe('running');
    const states = new Set<string | undefined>();
    list.onChange(() => states.add(list.get(run())?.state));
    // Several chunks of a list's reading.
    for (let step = 1; step <= 9000; step++) log.append(trainBody(step));
    expect(readFileSync(file).length).toBeGreaterThan(3 << 20);
    log.append({ type: 'status', status: 'finished', step: 9000, totalSteps: 9000, trainSeconds: 9 });
    log.close();
    lock.release();
    await list.refresh();
    expect(list.get(run())).toMatchObject({ state: 'finished', step: 9000 });
    expect([...states]).not.toContain('interrupted');
    list.touch(run());
    expect([...states].at(-1)).toBe('finished');
  });

  it('shows what was killed as interrupted', async () => {
    makeRuns(root, { experiments: 1, runsEach: 1, points: 5 });
    const log = await EventLog.open(join(run(), 'events.jsonl'));
    log.append({ type: 'status', status: 'started', step: 0, totalSteps: 9, trainSeconds: 0 });
    log.append(trainBody(1));
    log.close();
    appendFileSync(join(run(), 'events.jsonl'), '{"v":1,"seq":9');
    writeFileSync(join(run(), 'run.lock'), '{"v":1,"token":"t","pid":4194304}');
    expect((await open()).get(run())).toMatchObject({ state: 'interrupted', step: 1, holder: undefined });
  });
});
