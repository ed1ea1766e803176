import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { describeModel, findModel, hubCache, installedModels, starterName } from '../../../src/data/models.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-models-'));
  vi.stubEnv('HF_HOME', join(folder, 'hf'));
  vi.stubEnv('HF_HUB_CACHE', undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

function safetensors(shapes: Record<string, number[]>): Buffer {
  const entries = Object.entries(shapes).map(([name, shape]) => [name, { dtype: 'F32', shape, data_offsets: [0, 0] }]);
  const header = Buffer.from(JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header]);
}

function writeModel(directory: string, architecture = 'Qwen3ForCausalLM'): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(
    join(directory, 'config.json'),
    JSON.stringify({ architectures: [architecture], max_position_embeddings: 64 }),
  );
  writeFileSync(join(directory, 'tokenizer.json'), '{}');
  writeFileSync(join(directory, 'model-00001-of-00002.safetensors'), safetensors({ a: [3, 4], b: [5] }));
  writeFileSync(join(directory, 'model-00002-of-00002.safetensors'), safetensors({ c: [2, 2, 2] }));
}

/** As the Hugging Face libraries lay a download out: blobs, and snapshots of links to them. */
function download(name: string, revision: string, architecture?: string): string {
  const repository = join(hubCache(), `models--${name.replace('/', '--')}`);
  const snapshot = join(repository, 'snapshots', revision);
  writeModel(join(repository, 'blobs'), architecture);
  mkdirSync(join(repository, 'snapshots'), { recursive: true });
  // On Windows a junction: links want a right that few have.
  symlinkSync(join(repository, 'blobs'), snapshot, 'junction');
  mkdirSync(join(repository, 'refs'), { recursive: true });
  writeFileSync(join(repository, 'refs', 'main'), revision);
  return snapshot;
}

describe('installed models', () => {
  it('are the starter and the language models of the cache, with their sizes', async () => {
    download('Qwen/Qwen3-0.6B', 'abc');
    download('a--b/c', 'def');
    download('sentence/encoder', 'ghi', 'BertModel');
    mkdirSync(join(hubCache(), 'models--half--done', 'snapshots'), { recursive: true });
    writeFileSync(join(hubCache(), 'version.txt'), '1');
    const found = await installedModels();
    expect(found.map(({ name, origin }) => [name, origin])).toEqual([
      [starterName, 'starter'],
      // The first `--` ends the owner: that is what the layout says.
      ['a/b--c', 'cache'],
      ['Qwen/Qwen3-0.6B', 'cache'],
    ]);
    expect(found[2]).toMatchObject({ parameters: 25, maxPositions: 64, problem: undefined });
    expect(found[0]?.parameters).toBeGreaterThan(1e6);
  });

  it('are the starter alone where there is no cache', async () => {
    expect((await installedModels()).map(({ name }) => name)).toEqual([starterName]);
  });
});

it('the cache is where the environment says', () => {
  expect(hubCache({ HF_HUB_CACHE: '/x' })).toBe('/x');
  expect(hubCache({ HF_HOME: '/h' })).toBe(join('/h', 'hub'));
  expect(hubCache({ XDG_CACHE_HOME: '/c' })).toBe(join('/c', 'huggingface', 'hub'));
});

it('a model is found by path, by name in the cache, or as the starter', async () => {
  const snapshot = download('Qwen/Qwen3-0.6B', 'abc');
  writeModel(join(folder, 'mine'));
  expect(await findModel('mine', folder)).toBe(join(folder, 'mine'));
  expect(await findModel('Qwen/Qwen3-0.6B', folder)).toBe(snapshot);
  expect(await findModel(starterName, folder)).toMatch(/starter-model$/);
  await expect(findModel('no/model', folder)).rejects.toThrow('no model at no/model');
});

describe('a folder that is no model says why', () => {
  it.each([
    [
      'damaged weights',
      (at: string) => writeFileSync(join(at, 'model-00002-of-00002.safetensors'), 'rubbish'),
      /header.*damaged/,
    ],
    ['no tokenizer', (at: string) => rmSync(join(at, 'tokenizer.json')), /tokenizer\.json/],
    ['no config', (at: string) => rmSync(join(at, 'config.json')), /config\.json/],
    [
      'a hostile config',
      (at: string) => writeFileSync(join(at, 'config.json'), '{"architectures": 7}'),
      /config\.json/,
    ],
  ])('%s', async (_name, spoil, problem) => {
    const at = join(folder, 'model');
    writeModel(at);
    spoil(at);
    expect((await describeModel(at)).problem).toMatch(problem);
  });
});
