import { describe, expect, test } from 'vitest';
import { analyse } from '../../../src/data/view/analyse.js';
import { describeTokens, lineProblems, linesOfRows, looksLikeDataSet } from '../../../src/editor/preview/raw-lines.js';
import { fileWith } from './support.js';

describe('which files are data sets', () => {
  const line = (value: unknown): string => JSON.stringify(value);
  test.each<[string, string[], boolean]>([
    ['messages', [line({ messages: [{ role: 'user', content: 'a' }] })], true],
    [
      'a broken line among records',
      ['{"prompt":', line({ prompt: 'a', completion: 'b' }), line({ prompt: 'c', completion: 'd' })],
      true,
    ],
    ['blank lines before', ['', '  ', line({ instruction: 'a', output: 'b' })], true],
    ['events of a run', [line({ type: 'train', step: 1 }), line({ type: 'eval', step: 2 })], false],
    [
      'a log that has one text',
      [line({ text: 'started' }), ...Array.from({ length: 5 }, () => line({ level: 'info' }))],
      false,
    ],
    ['no JSON', ['hello', 'there'], false],
    ['nothing', [], false],
  ])('%s', (_name, lines, expected) => {
    expect(looksLikeDataSet(lines)).toBe(expected);
  });
});

test('problems stand on their lines, blank lines counted', async () => {
  const same = '{"prompt": "a", "completion": "b"}';
  const text = `\n${same}\n\n{"broken\n{"prompt": "c", "completion": ""}\n${same}\n`;
  const analysis = await analyse(
    { path: fileWith(text), format: 'auto', evaluation: [] },
    { row: () => undefined, share: () => undefined },
  );
  expect(lineProblems(analysis)).toMatchObject([
    { line: 3, severity: 'error', kind: 'malformed' },
    { line: 4, severity: 'warning', kind: 'empty-completion' },
    { line: 5, severity: 'warning', kind: 'exact-duplicate', other: 0 },
  ]);
  const lines = text.split('\n');
  expect(linesOfRows(lines.length, (line) => lines[line] ?? '')).toEqual([1, 3, 4, 5]);
});

test('a hover says how many tokens, and what is trained on', () => {
  const place = { file: '', index: 0, line: 1 };
  const bytes = Uint8Array.from(Buffer.from('ab é!'));
  const row = {
    place,
    bytes,
    tokens: Int32Array.from([1, 2, 3, 4]),
    groups: Uint8Array.from([1, 1, 2, 2]),
    special: new Uint8Array(4),
    ends: Uint32Array.from([1, 3, 5, 6]),
  };
  expect(describeTokens(row, 1024)).toEqual({ counts: '4 tokens, 2 trained on', trained: 'é!' });
  expect(describeTokens(row, 3)).toEqual({ counts: '4 tokens, 1 trained on, 1 cut off by max_length 3', trained: 'é' });
});
