/**
 * Checkpoints of a run: written beside their place, synced, and renamed into it, so that a folder called `step-000100` is
 * complete or not there. `manifest.json` holds the SHA-256 of every file and is checked before a checkpoint is used.
 */

import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import * as z from 'zod';
import { codeOf, LabError } from '../core/errors.js';
import { isInUse, makeFolder, move, readJson, removeFolder, syncPath, writeDurably, writeError } from './files.js';

const manifestSchema = z.object({
  v: z.literal(1),
  step: z.number().int().min(0),
  files: z.record(z.string(), z.object({ bytes: z.number().int(), sha256: z.string() })),
});

export interface Checkpoint {
  readonly step: number;
  /** Absolute path of the folder. */
  readonly directory: string;
}

export function checkpointName(step: number): string {
  return `step-${String(step).padStart(6, '0')}`;
}

/** Those that were finished, oldest first. */
export async function listCheckpoints(folder: string): Promise<Checkpoint[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
  return names
    .flatMap((name) => {
      const step = /^step-(\d+)$/.exec(name)?.[1];
      return step === undefined ? [] : [{ step: Number(step), directory: join(folder, name) }];
    })
    .sort((a, b) => a.step - b.step);
}

/** A checkpoint that is on the disk, whole and verified, but does not count yet. */
export interface StagedCheckpoint extends Checkpoint {
  readonly bytes: number;
}

/**
 * Writes a checkpoint beside its place and reads it back.
 *
 * @param write fills the folder it is given
 * @throws LabError on a full disk or a read-only folder; what was half-written is removed and older checkpoints are untouched
 */
export async function stageCheckpoint(
  folder: string,
  step: number,
  write: (directory: string) => Promise<void>,
): Promise<StagedCheckpoint> {
  const directory = join(folder, `.partial-${checkpointName(step)}-${randomUUID().slice(0, 8)}`);
  try {
    await makeFolder(directory);
    await write(directory);
    const files: z.infer<typeof manifestSchema>['files'] = {};
    let bytes = 0;
    for (const name of (await readdir(directory)).sort()) {
      const path = join(directory, name);
      await syncPath(path);
      const file = { bytes: (await stat(path)).size, sha256: await sha256(path) };
      files[name] = file;
      bytes += file.bytes;
    }
    await writeDurably(join(directory, 'manifest.json'), `${JSON.stringify({ v: 1, step, files }, null, 2)}\n`);
    await syncPath(directory);
    const problem = await checkpointProblem({ step, directory });
    if (problem !== undefined) {
      throw new LabError(`does not read back as written: ${problem}`, {
        place: { file: directory },
        advice: 'The disk may be failing. Older checkpoints were kept.',
      });
    }
    return { step, directory, bytes };
  } catch (error) {
    await removeFolder(directory).catch(() => undefined);
    throw inPlace(writeError(error, directory), directory, join(folder, checkpointName(step)));
  }
}

/** Makes a staged checkpoint count, by renaming it into its place. */
export async function commitCheckpoint(folder: string, staged: StagedCheckpoint): Promise<Checkpoint> {
  const directory = join(folder, checkpointName(staged.step));
  try {
    await discard(folder, directory);
    await move(staged.directory, directory);
    await syncPath(folder);
    return { step: staged.step, directory };
  } catch (error) {
    throw writeError(error, directory);
  }
}

export async function dropStaged(staged: StagedCheckpoint): Promise<void> {
  await removeFolder(staged.directory);
}

/** An error about a folder that was to become another is told about that one: the first is gone when it is read. */
function inPlace(error: unknown, from: string, to: string): unknown {
  if (!(error instanceof LabError) || error.place.file?.startsWith(from) !== true) return error;
  return new LabError(error.message, {
    place: { ...error.place, file: `${to}${error.place.file.slice(from.length)}` },
    ...(error.advice === undefined ? {} : { advice: error.advice }),
    cause: error,
  });
}

/** Reads a checkpoint back against its manifest; what is wrong with it, or undefined. */
export async function checkpointProblem({ directory, step }: Checkpoint): Promise<string | undefined> {
  let manifest: z.infer<typeof manifestSchema>;
  try {
    manifest = await readJson(join(directory, 'manifest.json'), manifestSchema);
  } catch (error) {
    return `manifest.json: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (manifest.step !== step) return `manifest.json is of step ${manifest.step}`;
  for (const [name, expected] of Object.entries(manifest.files)) {
    // A manifest names files of its own folder, nothing else.
    if (name !== name.replace(/[/\\]/g, '') || name.startsWith('.')) return `${name}: not a file name`;
    const path = join(directory, name);
    try {
      const { size } = await stat(path);
      if (size !== expected.bytes) return `${name} has ${size} bytes instead of ${expected.bytes}`;
      if ((await sha256(path)) !== expected.sha256) return `${name} differs from what was written`;
    } catch (error) {
      return `${name}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return undefined;
}

/** The newest checkpoint that reads back right, and the newer ones that do not. */
export async function newestGoodCheckpoint(
  folder: string,
): Promise<{ checkpoint: Checkpoint | undefined; bad: { checkpoint: Checkpoint; problem: string }[] }> {
  const bad: { checkpoint: Checkpoint; problem: string }[] = [];
  for (const checkpoint of (await listCheckpoints(folder)).reverse()) {
    const problem = await checkpointProblem(checkpoint);
    if (problem === undefined) return { checkpoint, bad };
    bad.push({ checkpoint, problem });
  }
  return { checkpoint: undefined, bad };
}

/**
 * Deletes the oldest checkpoints above the limit. Call it once the newest has been verified.
 *
 * @returns those that are gone: one that somebody reads stays on Windows, until the next time
 */
export async function pruneCheckpoints(folder: string, limit: number): Promise<Checkpoint[]> {
  const checkpoints = await listCheckpoints(folder);
  const gone: Checkpoint[] = [];
  for (const old of checkpoints.slice(0, Math.max(0, checkpoints.length - limit))) {
    try {
      await discard(folder, old.directory);
      gone.push(old);
    } catch (error) {
      if (!isInUse(error)) throw error;
    }
  }
  return gone;
}

/** Removes what killed processes left half-written or half-deleted. Only the holder of the run's lock may call this. */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (/^\.(partial|deleted)-/.test(name)) await removeFolder(join(folder, name));
  }
}

/** Renames first, so that a kill in between leaves no incomplete folder under a checkpoint's name. */
async function discard(folder: string, directory: string): Promise<void> {
  const gone = join(folder, `.deleted-${randomUUID().slice(0, 8)}`);
  try {
    await move(directory, gone);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  await removeFolder(gone);
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
