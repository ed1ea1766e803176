import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LabError } from '../../../src/core/errors.js';
import { labelMistake, readLabel, writeLabel } from '../../../src/runs/label.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-label-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a name given by a person', () => {
  it('is kept in a file of its own, and taken back by an empty one', async () => {
    expect(readLabel(folder)).toBeUndefined();
    await writeLabel(folder, '  With warm-up 🔥 ');
    expect(readLabel(folder)).toBe('With warm-up 🔥');
    await writeLabel(folder, 'Second try');
    expect(readLabel(folder)).toBe('Second try');
    expect(readdirSync(folder)).toEqual(['label.json']);
    await writeLabel(folder, ' ');
    expect(readLabel(folder)).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is refused where it is none', async () => {
    expect(labelMistake('x'.repeat(120))).toBeUndefined();
    expect(labelMistake('x'.repeat(121))).toContain('121');
    expect(labelMistake('a\nb')).toBeDefined();
    expect(labelMistake('a\u202eb')).toBeDefined();
    await expect(writeLabel(folder, 'a\u0007b')).rejects.toBeInstanceOf(LabError);
    await expect(writeLabel(join(folder, 'planned'), 'name')).rejects.toThrow('no folder yet');
  });

  it.each(['', '{', '{"v":1}', '{"v":1,"label":""}', '{"v":1,"label":"a\\u001b[2Jb"}', '{"v":2,"label":"later"}'])(
    'is not taken from a damaged or hostile file: %s',
    (text) => {
      writeFileSync(join(folder, 'label.json'), text);
      expect(readLabel(folder)).toBeUndefined();
    },
  );
});
