import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { copyModelFiles, findModel, foldersOf, maxPositionsOf } from '../../../src/train/model-folder.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-model-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  vi.unstubAllEnvs();
});

function write(path: string, value: unknown): void {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), typeof value === 'string' ? value : JSON.stringify(value));
}

describe('findModel', () => {
  it('finds folders, relative to the config', async () => {
    write('m/config.json', {});
    expect(await findModel('m', folder)).toBe(join(folder, 'm'));
    expect(await findModel(join(folder, 'm'), '/elsewhere')).toBe(join(folder, 'm'));
  });

  it('finds names in the Hugging Face cache, by the revision that main is', async () => {
    vi.stubEnv('HF_HUB_CACHE', join(folder, 'hub'));
    write('hub/models--Qwen--Qwen3-0.6B/refs/main', 'abc\n');
    write('hub/models--Qwen--Qwen3-0.6B/snapshots/abc/config.json', {});
    write('hub/models--Qwen--Qwen3-0.6B/snapshots/aaa/config.json', {});
    expect(await findModel('Qwen/Qwen3-0.6B', folder)).toBe(join(folder, 'hub/models--Qwen--Qwen3-0.6B/snapshots/abc'));
    await expect(findModel('Qwen/Qwen3-8B', folder)).rejects.toMatchObject({
      advice: expect.stringContaining('hf download Qwen/Qwen3-8B'),
    });
  });

  it('refuses what is no model', async () => {
    write('m/readme', '');
    await expect(findModel('m', folder)).rejects.toThrow('no config.json');
    await expect(findModel('n', folder)).rejects.toThrow('no model at n');
    await expect(findModel('m/readme', folder)).rejects.toThrow('no model at');
  });
});

describe('foldersOf', () => {
  it('takes an adapter with its base', async () => {
    write('base/config.json', {});
    write('adapter/adapter_config.json', { base_model_name_or_path: '../base' });
    const [base, adapter] = [join(folder, 'base'), join(folder, 'adapter')];
    expect(await foldersOf(adapter)).toEqual({ base, adapter, tokenizer: base });
    write('adapter/tokenizer.json', {});
    expect(await foldersOf(adapter)).toEqual({ base, adapter, tokenizer: adapter });
    expect(await foldersOf(base)).toEqual({ base, adapter: undefined, tokenizer: base });
  });

  it('names what an adapter lacks', async () => {
    write('adapter/adapter_config.json', {});
    await expect(foldersOf(join(folder, 'adapter'))).rejects.toMatchObject({
      place: { field: 'base_model_name_or_path' },
    });
    write('adapter/adapter_config.json', '{');
    await expect(foldersOf(join(folder, 'adapter'))).rejects.toThrow('not valid JSON');
    write('adapter/adapter_config.json', { base_model_name_or_path: '../gone' });
    await expect(foldersOf(join(folder, 'adapter'))).rejects.toThrow('no model at ../gone');
  });
});

describe('copyModelFiles', () => {
  it('copies what loaders need, through links, and says that weights are float32', async () => {
    write('blob', '{"a":1}');
    write('m/config.json', { model_type: 'qwen3', torch_dtype: 'bfloat16' });
    write('m/generation_config.json', {});
    write('m/model.safetensors', 'weights');
    symlinkSync(join(folder, 'blob'), join(folder, 'm', 'tokenizer.json'));
    mkdirSync(join(folder, 'full'));
    await copyModelFiles(join(folder, 'm'), join(folder, 'full'), { adapter: false, template: 'mine' });
    expect(readdirSync(join(folder, 'full')).sort()).toEqual([
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'tokenizer.json',
    ]);
    expect(JSON.parse(readFileSync(join(folder, 'full', 'config.json'), 'utf8'))).toEqual({
      model_type: 'qwen3',
      torch_dtype: 'float32',
    });
    expect(readFileSync(join(folder, 'full', 'chat_template.jinja'), 'utf8')).toBe('mine');
    mkdirSync(join(folder, 'lora'));
    await copyModelFiles(join(folder, 'm'), join(folder, 'lora'), { adapter: true, template: undefined });
    expect(readdirSync(join(folder, 'lora'))).toEqual(['tokenizer.json']);
  });
});

it('maxPositionsOf reads the config, and leaves its mistakes to the engine', async () => {
  write('m/config.json', { max_position_embeddings: 512 });
  expect(await maxPositionsOf(join(folder, 'm'))).toBe(512);
  write('m/config.json', {});
  expect(await maxPositionsOf(join(folder, 'm'))).toBeUndefined();
});
