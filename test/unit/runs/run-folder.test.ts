import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkConfig, resolveConfig } from '../../../src/core/config-parse.js';
import { LabError } from '../../../src/core/errors.js';
import { portablePath } from '../../../src/core/paths.js';
import { EventLog } from '../../../src/runs/event-log.js';
import { checkInputs, fingerprint, inputsOf } from '../../../src/runs/inputs.js';
import { writeLabel } from '../../../src/runs/label.js';
import { latestUnfinished, summarizeRun } from '../../../src/runs/list.js';
import { acquireLock } from '../../../src/runs/lock.js';
import { refreshReport, reportExperiment, writeReport } from '../../../src/runs/report.js';
import { createRun, fileName, type NewRun, openRun, runNames, writeExperiment } from '../../../src/runs/run-folder.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-runs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const newRun = (name: string): NewRun => ({
  name,
  kind: 'train',
  label: name,
  version: '0',
  configFile: null,
  config: resolveConfig(checkConfig({ model_name_or_path: 'm', train_dataset: 't', test_size: 0.5 }), folder, 'demo'),
  inputs: [],
});
const experiment = () => join(folder, 'demo');

async function log(directory: string, status: 'started' | 'finished' | 'failed'): Promise<void> {
  const events = await EventLog.open(join(directory, 'events.jsonl'));
  events.append({ type: 'status', status, step: 0, totalSteps: 1, trainSeconds: 0 });
  events.close();
}

describe('run folders', () => {
  it('are made whole, with names of their own, and open as they were made', async () => {
    const first = await createRun(experiment(), newRun('a'));
    const others = await Promise.all([1, 2, 3].map(() => createRun(experiment(), newRun('a'))));
    const names = [first, ...others].map(({ info }) => info.name).sort();
    expect(names).toEqual(['a', 'a-2', 'a-3', 'a-4']);
    expect(await runNames(experiment())).toEqual(names);
    expect(readdirSync(experiment()).filter((name) => name.startsWith('.'))).toEqual([]);
    const opened = await openRun(first.directory);
    expect(opened.config).toEqual(first.config);
    expect(opened.info).toEqual(first.info);
  });

  it('never go over what is there', async () => {
    mkdirSync(join(experiment(), 'a'), { recursive: true });
    writeFileSync(join(experiment(), 'b'), 'a file');
    expect((await createRun(experiment(), newRun('a'))).info.name).toBe('a-2');
    expect((await createRun(experiment(), newRun('b'))).info.name).toBe('b-2');
    expect(readFileSync(join(experiment(), 'b'), 'utf8')).toBe('a file');
  });

  it('have names that the system can have', () => {
    const names = ['con', 'CON.txt', 'lpt1', 'run.', 'run . ', 'console', 'v1.2 a'];
    expect(names.map((name) => fileName(name, true))).toEqual([
      '_con',
      '_CON.txt',
      '_lpt1',
      'run',
      'run',
      'console',
      'v1.2 a',
    ]);
    expect(names.map((name) => fileName(name, false))).toEqual(names);
  });

  it('are refused where a folder cannot be', async () => {
    writeFileSync(experiment(), 'a file');
    await expect(createRun(experiment(), newRun('a'))).rejects.toBeInstanceOf(LabError);
    await expect(createRun('/proc/sft-lab', newRun('a'))).rejects.toBeInstanceOf(LabError);
  });

  it('that are none, or damaged, are named', async () => {
    await expect(openRun(folder)).rejects.toThrow('not the folder of a run');
    const { directory } = await createRun(experiment(), newRun('a'));
    const file = join(directory, 'run.json');
    const info = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...info, config: { ...info.config, seed: 'x' } }));
    await expect(openRun(directory)).rejects.toMatchObject({ place: { file, field: 'seed' } });
    writeFileSync(file, '{');
    await expect(openRun(directory)).rejects.toThrow('not valid JSON');
  });

  it('show their state by facts', async () => {
    const run = await createRun(experiment(), newRun('a'));
    const state = async () => (await summarizeRun(run)).state;
    expect(await state()).toBe('created');
    await log(run.directory, 'started');
    expect(await state()).toBe('interrupted');
    const lock = await acquireLock(run.directory);
    expect(await state()).toBe('running');
    lock.release();
    await log(run.directory, 'failed');
    expect(await state()).toBe('failed');
    appendFileSync(run.events, '{"torn');
    expect((await summarizeRun(run)).skipped).toBe(1);
  });

  it('latest: the unfinished one that was active last', async () => {
    const [a, b] = [await createRun(experiment(), newRun('a')), await createRun(experiment(), newRun('b'))];
    await log(a.directory, 'started');
    await log(b.directory, 'finished');
    expect((await latestUnfinished(folder))?.directory).toBe(a.directory);
    await log(a.directory, 'finished');
    expect(await latestUnfinished(folder)).toBeUndefined();
  });
});

describe('inputs', () => {
  it('are told apart by size and by both ends, not by date', async () => {
    const path = join(folder, 'data');
    const bytes = Buffer.alloc(3 << 20, 1);
    writeFileSync(path, bytes);
    const before = await fingerprint(path);
    writeFileSync(path, bytes);
    await expect(checkInputs([before])).resolves.toBeUndefined();
    bytes[bytes.length - 1] = 2;
    writeFileSync(path, bytes);
    await expect(checkInputs([before])).rejects.toThrow('changed since this run began');
    rmSync(path);
    await expect(checkInputs([before])).rejects.toThrow('no such file');
  });

  it('are data, template and model files', async () => {
    for (const name of ['m/config.json', 'm/model.safetensors', 'm/notes.txt', 't', 'chat']) {
      mkdirSync(join(folder, 'm'), { recursive: true });
      writeFileSync(join(folder, name), name);
    }
    const config = { ...newRun('a').config, chat_template_path: join(folder, 'chat') };
    const inputs = await inputsOf(config, join(folder, 'm'));
    expect(inputs.map(({ path }) => portablePath(path.slice(folder.length + 1)))).toEqual([
      't',
      'chat',
      'm/config.json',
      'm/model.safetensors',
    ]);
  });
});

describe('reports', () => {
  it('list what was planned, what is missing and what else is there', async () => {
    const a = await createRun(experiment(), newRun('a'));
    await createRun(experiment(), newRun('extra'));
    await log(a.directory, 'finished');
    await writeExperiment(experiment(), {
      v: 1,
      name: 'demo',
      created: new Date().toISOString(),
      configFile: null,
      digest: '',
      axes: {},
      runs: ['a', 'b'].map((name) => ({ name, label: name.toUpperCase(), values: {} })),
      baseline: 'untuned',
    });
    const report = await reportExperiment(experiment());
    expect(report.rows.map(({ run, label, state }) => [run, label, state])).toEqual([
      ['a', 'A', 'finished'],
      ['b', 'B', 'missing'],
      ['extra', 'extra', 'created'],
    ]);
    const files = await writeReport(experiment(), report);
    expect(files.map((file) => file.slice(experiment().length + 1))).toEqual([
      'report.json',
      'report.md',
      'report.csv',
    ]);
    for (const file of files) expect(readFileSync(file, 'utf8').length).toBeGreaterThan(0);

    // What a person calls a run comes first; the report that is there follows.
    await writeLabel(a.directory, 'The good one');
    await writeLabel(experiment(), 'Renamed');
    await refreshReport(experiment());
    const text = readFileSync(join(experiment(), 'report.md'), 'utf8');
    expect(text).toContain('# Renamed');
    expect(text).toContain('The good one');
  });
});
