import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  digests,
  history,
  interrupt,
  makeWorkspace,
  run,
  start,
  tinyModel,
  until,
  type Workspace,
  writeModel,
} from './support.js';

let workspace: Workspace;
beforeAll(async () => {
  workspace = makeWorkspace();
  workspace.config('base.sft.json', { max_steps: 2, run_name: 'run', eval_dataset: undefined, eval_steps: undefined });
  expect(await run(workspace, 'train', 'base.sft.json', '--quiet')).toMatchObject({ code: 0, stderr: '' });
});
afterAll(() => workspace.remove());

/** Trains with some keys changed; the run must end with an error that a person can use. */
async function refused(keys: Record<string, unknown>, code = 1): Promise<string> {
  workspace.config('bad.sft.json', {
    max_steps: 2,
    run_name: 'bad',
    eval_dataset: undefined,
    eval_steps: undefined,
    ...keys,
  });
  const ended = await run(workspace, 'train', 'bad.sft.json');
  expect(ended).toMatchObject({ code, signal: null });
  expect(ended.stderr).not.toContain('This is a defect');
  expect(ended.stderr).not.toMatch(/^\s+at /m);
  return ended.stderr;
}

describe('configs', () => {
  it.each([
    [['train', 'nowhere.sft.json'], 'nowhere.sft.json: no such file'],
    [['train', 'model'], 'model: is a folder'],
    [['train', 'base.sft.json', '--set', 'max_stepss=3'], '--set: max_stepss: no such key'],
    [['train', 'base.sft.json', '--set', 'loss_on'], 'expected key=value'],
    [['train', 'base.sft.json', '--set', 'device=tpu'], 'device: expected `auto`'],
    [['train'], "missing required argument 'config'"],
    [['trian', 'base.sft.json'], 'Did you mean train?'],
    [['train', 'base.sft.json', '--jsn'], "unknown option '--jsn'"],
    [['resume', 'model'], 'not the folder of a run'],
    [['resume', '--output-dir', 'model'], 'no unfinished run'],
    [['generate', 'nowhere', '--prompt', 'x'], 'no model at nowhere'],
    [['generate', 'model', '--prompt', 'x', '--temperature', 'hot'], 'expected a number from 0 on'],
  ])('%j is a mistake of usage: exit code 2', async (args, message) => {
    const { code, stderr } = await run(workspace, ...args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it('every command has its help', async () => {
    for (const command of ['train', 'compare', 'resume', 'devices', 'generate', 'report', 'schema']) {
      const { code, stdout } = await run(workspace, command, '--help');
      expect(code).toBe(0);
      expect(stdout).toContain(`Usage: sft-lab ${command}`);
    }
    expect((await run(workspace, 'train', '--help')).stdout).toContain('per_device_train_batch_size <integer> [8]');
  });

  it('leave nothing behind', () => {
    expect(readdirSync(workspace.path('.sft'))).toEqual(['base']);
  });
});

describe('models', () => {
  it('of an unknown architecture are refused by name', async () => {
    writeModel(workspace.path('other'), { ...tinyModel, architectures: ['MambaForCausalLM'], model_type: 'mamba' });
    expect(await refused({ model_name_or_path: 'other' })).toMatch(/[Mm]amba/);
  });

  it('that are not there, or no models, are named', async () => {
    expect(await refused({ model_name_or_path: 'nowhere' }, 2)).toContain('model_name_or_path: no model at nowhere');
    expect(await refused({ model_name_or_path: 'some/name' }, 2)).toContain('hf download some/name');
    mkdirSync(workspace.path('empty'));
    expect(await refused({ model_name_or_path: 'empty' }, 2)).toContain('no config.json');
  });

  it('without weights, with half of them or with other ones are refused, the file named', async () => {
    const trained = workspace.path('.sft', 'base', 'run', 'checkpoints', 'step-000002', 'model.safetensors');
    writeModel(workspace.path('broken'));
    const weights = workspace.path('broken', 'model.safetensors');
    const keys = { model_name_or_path: 'broken', initialize_model: false };
    expect(await refused(keys)).toContain('broken');
    writeFileSync(weights, readFileSync(trained));
    truncateSync(weights, Math.floor(statSync(trained).size / 2));
    expect(await refused(keys)).toContain('model.safetensors');
    writeFileSync(weights, 'garbage that is no safetensors file at all');
    expect(await refused(keys)).toContain('model.safetensors');
    writeFileSync(weights, readFileSync(trained));
    writeModel(workspace.path('broken'), { ...tinyModel, hidden_size: 48 });
    expect(await refused(keys)).toMatch(/model\.\w+/);
  });

  it('have a device, or the choice is named', async () => {
    expect(await refused({ device: 'cuda:7' })).toContain('cpu');
  });
});

describe('data', () => {
  it('that is empty, missing or malformed stops the start with file and line', async () => {
    writeFileSync(workspace.path('empty.jsonl'), '');
    expect(await refused({ train_dataset: 'empty.jsonl' })).toContain('empty.jsonl');
    expect(await refused({ train_dataset: 'missing.jsonl' }, 2)).toContain('missing.jsonl: no such file');
    writeFileSync(workspace.path('bad.jsonl'), readFileSync(workspace.path('train.jsonl')));
    appendFileSync(workspace.path('bad.jsonl'), '{"instruction": "x"}\n{"instruction": \n');
    const text = await refused({ train_dataset: 'bad.jsonl' });
    expect(text).toContain('bad.jsonl:65');
    expect(text).toContain('bad.jsonl:66');
    expect((await history(workspace.path('.sft', 'bad', 'bad'))).history.train).toEqual([]);
  });

  it('on_bad_record skip: counted, named, and trained without', async () => {
    workspace.config('skip.sft.json', {
      max_steps: 2,
      train_dataset: 'bad.jsonl',
      on_bad_record: 'skip',
      eval_dataset: undefined,
      eval_steps: undefined,
    });
    const { code, stderr } = await run(workspace, 'train', 'skip.sft.json');
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('Warning') });
    expect(stderr).toContain('bad.jsonl:65');
    const { history: folded } = await history(workspace.path('.sft', 'skip', 'completion'));
    expect(folded.setup?.sets.train).toMatchObject({ records: 64, skippedRecords: 2 });
  });
});

describe('a loss that is not finite', () => {
  it('stops the run, names step and examples, and keeps the last good checkpoint', async () => {
    workspace.config('diverges.sft.json', {
      learning_rate: 1e30,
      save_steps: 1,
      max_steps: 6,
      warmup_steps: 3,
      run_name: 'run',
      eval_dataset: undefined,
      eval_steps: undefined,
    });
    const { code, stderr } = await run(workspace, 'train', 'diverges.sft.json');
    expect(code).toBe(1);
    expect(stderr).toMatch(/train\.jsonl:\d+: the loss is not finite at step \d/);
    expect(stderr).toContain('Lower learning_rate');
    const folder = workspace.path('.sft', 'diverges', 'run');
    // Step 1 has learning rate 0 by warm-up; the next one breaks the weights, and is not saved.
    expect(readdirSync(join(folder, 'checkpoints'))).toEqual(['step-000001']);
    expect((await history(folder)).history.status).toMatchObject({ status: 'failed' });
    expect(existsSync(join(folder, 'run.lock'))).toBe(false);
  });
});

const isRoot = process.getuid?.() === 0;

/** Mounts a small file system, if this process may. */
function mountSmall(path: string, size: string): boolean {
  mkdirSync(path, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('disks', () => {
  it('that take no new folders are named before anything begins', async () => {
    expect(await refused({ output_dir: '/proc/sft-lab' })).toMatch(/\/proc\/sft-lab.*: (cannot be|no such)/);
    writeFileSync(workspace.path('file'), '');
    expect(await refused({ output_dir: 'file/inside' })).toContain('a file stands in its way');
  });

  it.skipIf(isRoot)('that are read-only are named (skipped for root, who may write anywhere)', async () => {
    mkdirSync(workspace.path('locked'), { mode: 0o555 });
    expect(await refused({ output_dir: 'locked' })).toContain('read-only');
  });

  const small = `/tmp/sft-lab-small-${process.pid}`;
  const mounted = isRoot && mountSmall(small, '700k');
  afterAll(() => {
    if (mounted) execFileSync('umount', ['-l', small]);
    rmSync(small, { recursive: true, force: true });
  });

  it.skipIf(!mounted)(
    'that are full end the run with a clear error; earlier checkpoints are intact (needs to mount a tmpfs)',
    async () => {
      workspace.config('full.sft.json', {
        output_dir: small,
        save_steps: 1,
        max_steps: 200,
        run_name: 'run',
        eval_dataset: undefined,
        eval_steps: undefined,
      });
      const { code, stderr } = await run(workspace, 'train', 'full.sft.json');
      expect(code).toBe(1);
      expect(stderr).toMatch(/step-\d+.*: .*no space (is )?left on/i);
      expect(stderr).toMatch(/free some space/i);
      expect(stderr).not.toContain('This is a defect');
      const folder = join(small, 'full', 'run');
      const names = readdirSync(join(folder, 'checkpoints'));
      expect(names.length).toBeGreaterThan(0);
      expect(names.every((name) => name.startsWith('step-'))).toBe(true);
      for (const name of names) {
        const found = digests(join(folder, 'checkpoints', name));
        const manifest = JSON.parse(readFileSync(join(folder, 'checkpoints', name, 'manifest.json'), 'utf8'));
        for (const [file, { sha256 }] of Object.entries<{ sha256: string }>(manifest.files))
          expect(found[file]).toBe(sha256);
      }
      // With some space again, it goes on: one checkpoint fewer, and a limit from now on.
      execFileSync('mount', ['-o', 'remount,size=64m', small]);
      const resumed = start(workspace, ['resume', folder, '--quiet']);
      await until('more steps', async () =>
        (await history(folder)).events.some((event) => event.type === 'status' && event.status === 'resumed'),
      );
      await interrupt(resumed.child);
      expect((await resumed.ended).code).toBe(130);
    },
  );

  it.skipIf(!mounted)('that become read-only under a run do not break what it saved', async () => {
    const folder = join(small, 'full', 'run');
    const before = readdirSync(join(folder, 'checkpoints'));
    execFileSync('mount', ['-o', 'remount,ro', small]);
    const { code, stderr } = await run(workspace, 'resume', folder);
    expect(code).toBe(1);
    expect(stderr).toContain('read-only');
    expect(readdirSync(join(folder, 'checkpoints'))).toEqual(before);
    execFileSync('mount', ['-o', 'remount,rw', small]);
  });
});
