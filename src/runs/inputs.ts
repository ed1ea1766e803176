/** What a run reads, told apart by size and by the digest of both ends: cheap for any size, and not fooled by a new date. */

import { createHash } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResolvedConfig } from '../core/config.js';
import { LabError } from '../core/errors.js';
import type { InputFile } from '../core/experiment.js';
import { readError } from './files.js';

const edge = 1 << 20;

export async function fingerprint(path: string): Promise<InputFile> {
  try {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      const hash = createHash('sha256');
      const buffer = Buffer.alloc(Math.min(edge, size));
      for (const start of size > edge ? [0, size - buffer.length] : [0]) {
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
        hash.update(buffer.subarray(0, bytesRead));
      }
      return { path, bytes: size, digest: hash.digest('hex') };
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw readError(error, path);
  }
}

/** Fingerprints of the data sets, the template and the model's files. */
export async function inputsOf(config: ResolvedConfig, modelDirectory: string): Promise<InputFile[]> {
  const data = [config.train_dataset, ...Object.values(config.eval_dataset)].flat().map(({ path }) => path);
  const template = config.chat_template_path === undefined ? [] : [config.chat_template_path];
  const names = await readdir(modelDirectory).catch(() => []);
  const model = names
    .filter((name) => /\.(safetensors|json|jinja)$/.test(name) && !/^(manifest|trainer_state)\.json$/.test(name))
    .sort()
    .map((name) => join(modelDirectory, name));
  const paths = [...new Set([...data, ...template, ...model])];
  return Promise.all(paths.map(fingerprint));
}

/** @throws LabError naming the first input that is no longer what the run began with */
export async function checkInputs(inputs: readonly InputFile[]): Promise<void> {
  for (const input of inputs) {
    const now = await fingerprint(input.path);
    if (now.bytes !== input.bytes || now.digest !== input.digest) {
      throw new LabError('changed since this run began, so the run cannot be continued exactly', {
        place: { file: input.path },
        advice: 'Put the file back as it was, or start a new run.',
      });
    }
  }
}
