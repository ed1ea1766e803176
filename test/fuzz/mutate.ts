/** Damaged files for the readers: seeded changes to good ones, the same for every run. */

import type { Random } from '../../src/core/random.js';

const interesting = [0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x22, 0x2c, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d, 0x3c, 0x3e];

/** One to eight changes: bits, bytes, runs, cuts, repetitions, numbers of all ones, pieces of another file. */
export function mutate(original: Buffer, other: Buffer, random: Random): Buffer {
  let bytes: Buffer = Buffer.from(original);
  const changes = 1 + random.below(8);
  for (let i = 0; i < changes && bytes.length > 0; i++) bytes = change(bytes, other, random);
  return bytes;
}

function change(bytes: Buffer, other: Buffer, random: Random): Buffer {
  // Headers and footers matter most: half of the changes fall near the ends.
  const spot = (): number => {
    const near = Math.min(256, bytes.length);
    const kind = random.below(4);
    if (kind === 0) return random.below(near);
    return kind === 1 ? bytes.length - 1 - random.below(near) : random.below(bytes.length);
  };
  const at = spot();
  switch (random.below(8)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 1:
      bytes[at] = interesting[random.below(interesting.length)] ?? 0;
      return bytes;
    case 2:
      for (let i = 0; i < 4 && at + i < bytes.length; i++) bytes[at + i] = random.below(2) * 0xff;
      return bytes;
    case 3:
      return bytes.subarray(0, at);
    case 4: {
      const piece = bytes.subarray(at, at + 1 + random.below(200));
      return Buffer.concat([bytes.subarray(0, at), piece, piece, bytes.subarray(at)]);
    }
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(50))]);
    case 6: {
      const from = random.below(Math.max(1, other.length));
      return Buffer.concat([bytes.subarray(0, at), other.subarray(from, from + random.below(300)), bytes.subarray(at)]);
    }
    default: {
      const noise = Buffer.from(Array.from({ length: 1 + random.below(16) }, () => random.below(256)));
      return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
    }
  }
}
