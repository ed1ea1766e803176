/** The evaluation set that is split off the training data. Equal prompts always fall on one side. */

import { createHash } from 'node:crypto';
import type { Example } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { permutation, Random } from '../../core/random.js';
import { promptKey } from './normal.js';

/** A number in [0, 1) that depends on the seed and the prompt alone, whatever else stands in the file. */
export function splitPoint(seed: number, key: string): number {
  const digest = createHash('sha256').update(`${seed}\u0000${key}`).digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

/** @param size below 1 a fraction, from 1 on a number of records; the nearest that whole groups of equal prompts allow */
export function split<T extends { example: Example }>(
  records: readonly T[],
  size: number,
  seed: number,
): { train: T[]; held: T[] } {
  const wanted = size < 1 ? Math.round(size * records.length) : size;
  const groups = new Map<string, { point: number; members: T[] }>();
  for (const record of records) {
    const key = promptKey(record.example);
    const group = groups.get(key);
    if (group !== undefined) group.members.push(record);
    else groups.set(key, { point: splitPoint(seed, key), members: [record] });
  }
  const held = new Set<T>();
  for (const { members } of [...groups.values()].sort((a, b) => a.point - b.point)) {
    if (held.size + members.length > wanted && held.size > 0) {
      if (held.size >= wanted) break;
      continue;
    }
    if (held.size >= wanted) break;
    for (const member of members) held.add(member);
  }
  const train = records.filter((record) => !held.has(record));
  if (train.length === 0 || held.size === 0) {
    throw new LabError(`${records.length} records cannot be split into training and evaluation`, {
      place: { field: 'test_size' },
      advice: 'Lower test_size, or give an eval_dataset.',
    });
  }
  return { train, held: records.filter((record) => held.has(record)) };
}

/** The first `count` after a seeded shuffle, in their old order; 0: all. */
export function subset<T>(items: readonly T[], count: number, seed: number, stream: number): readonly T[] {
  if (count === 0 || count >= items.length) return items;
  const chosen = permutation(items.length, new Random(seed, stream)).slice(0, count).sort();
  return Array.from(chosen, (i) => items[i]).filter((item) => item !== undefined);
}
