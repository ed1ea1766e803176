/** Pre-trains the starter model from random weights with `sft-lab train`, and puts it into `media/starter-model/`. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { starterFiles } from './starter.js';

const commandLine = 'dist/cli.js';
const config = 'media/recipe/pretrain.sft.json';
/** Where that config sends the run. */
const runDirectory = '.cache/starter/runs/starter/pretrain';

export async function pretrain(target: string): Promise<void> {
  await rm(runDirectory, { recursive: true, force: true });
  const child = spawn(process.execPath, [commandLine, 'train', config], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`Pre-training ended with exit code ${code}`);

  const checkpoints = join(runDirectory, 'checkpoints');
  const last = (await readdir(checkpoints)).sort().at(-1);
  if (last === undefined) throw new Error(`No checkpoint in ${checkpoints}`);
  await mkdir(target, { recursive: true });
  for (const [name, text] of Object.entries(starterFiles())) await writeFile(join(target, name), text);
  await copyFile(join(checkpoints, last, 'model.safetensors'), join(target, 'model.safetensors'));
}
