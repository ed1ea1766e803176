import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LabError } from '../../../src/core/errors.js';
import {
  checkpointProblem,
  commitCheckpoint,
  dropStaged,
  listCheckpoints,
  newestGoodCheckpoint,
  pruneCheckpoints,
  removeLeftovers,
  stageCheckpoint,
} from '../../../src/runs/checkpoints.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-checkpoints-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function save(step: number, text = 'weights') {
  const staged = await stageCheckpoint(folder, step, async (directory) =>
    writeFileSync(join(directory, 'model.safetensors'), text),
  );
  return { checkpoint: await commitCheckpoint(folder, staged), bytes: staged.bytes };
}

describe('checkpoints', () => {
  it('are complete folders with a manifest, listed by step', async () => {
    await save(100);
    const { checkpoint, bytes } = await save(20);
    expect(bytes).toBe(7);
    expect(readdirSync(folder).sort()).toEqual(['step-000020', 'step-000100']);
    expect((await listCheckpoints(folder)).map(({ step }) => step)).toEqual([20, 100]);
    const manifest = JSON.parse(readFileSync(join(checkpoint.directory, 'manifest.json'), 'utf8'));
    expect(manifest.files['model.safetensors']).toEqual({
      bytes: 7,
      sha256: '9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c',
    });
    expect(await checkpointProblem(checkpoint)).toBeUndefined();
  });

  it('that fail half-way leave nothing behind and hurt no other', async () => {
    await save(1);
    const failure = stageCheckpoint(folder, 2, async (directory) => {
      writeFileSync(join(directory, 'model.safetensors'), 'half');
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    });
    await expect(failure).rejects.toThrow('no space is left on the disk');
    expect(readdirSync(folder)).toEqual(['step-000001']);
  });

  it('that are staged do not count until they are committed', async () => {
    await save(1);
    const staged = await stageCheckpoint(folder, 2, async (directory) => writeFileSync(join(directory, 'a'), ''));
    expect((await listCheckpoints(folder)).map(({ step }) => step)).toEqual([1]);
    await dropStaged(staged);
    expect(readdirSync(folder)).toEqual(['step-000001']);
  });

  it('name the folder they were to become in what goes wrong', async () => {
    const failure = stageCheckpoint(folder, 2, async (directory) => {
      throw new LabError('cannot be written', { place: { file: join(directory, 'model.safetensors') } });
    });
    await expect(failure).rejects.toMatchObject({ place: { file: join(folder, 'step-000002', 'model.safetensors') } });
  });

  it('of the same step are replaced whole', async () => {
    await save(1, 'old');
    await save(1, 'new');
    expect(readdirSync(folder)).toEqual(['step-000001']);
    expect(readFileSync(join(folder, 'step-000001', 'model.safetensors'), 'utf8')).toBe('new');
  });

  it.each([
    ['a shorter file', (path: string) => truncateSync(path, 3), 'has 3 bytes instead of 7'],
    ['a changed file', (path: string) => writeFileSync(path, 'weighty'), 'differs from what was written'],
    ['a missing file', (path: string) => rmSync(path), 'ENOENT'],
    ['a damaged manifest', (path: string) => writeFileSync(join(path, '..', 'manifest.json'), '{'), 'manifest.json'],
    ['no manifest', (path: string) => rmSync(join(path, '..', 'manifest.json')), 'manifest.json'],
    [
      'a manifest that names files elsewhere',
      (path: string) =>
        writeFileSync(join(path, '..', 'manifest.json'), '{"v":1,"step":2,"files":{"../x":{"bytes":1,"sha256":""}}}'),
      'not a file name',
    ],
  ])('with %s are not used', async (_, damage, problem) => {
    await save(1);
    await save(2);
    damage(join(folder, 'step-000002', 'model.safetensors'));
    const found = await newestGoodCheckpoint(folder);
    expect(found.checkpoint?.step).toBe(1);
    expect(found.bad[0]?.problem).toContain(problem);
  });

  it('above the limit go, the oldest first', async () => {
    for (const step of [1, 2, 3]) await save(step);
    expect((await pruneCheckpoints(folder, 2)).map(({ step }) => step)).toEqual([1]);
    expect(readdirSync(folder)).toEqual(['step-000002', 'step-000003']);
    expect(await pruneCheckpoints(folder, 2)).toEqual([]);
  });

  it('that a killed process left half-written are no checkpoints and are cleared away', async () => {
    await save(1);
    mkdirSync(join(folder, '.partial-step-000002-abc'));
    mkdirSync(join(folder, '.deleted-abc'));
    expect(await listCheckpoints(folder)).toHaveLength(1);
    await removeLeftovers(folder);
    expect(readdirSync(folder)).toEqual(['step-000001']);
  });

  it('are none where there is no folder', async () => {
    expect(await newestGoodCheckpoint(join(folder, 'nowhere'))).toEqual({ checkpoint: undefined, bad: [] });
    expect(existsSync(join(folder, 'nowhere'))).toBe(false);
  });
});
