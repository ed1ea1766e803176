import { sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configPath, dataSetFile, sisterOf, stemOf } from '../../../src/editor/form/choices.js';

it.each([
  ['tickets.train.jsonl', 'tickets.eval.jsonl'],
  ['train.jsonl', 'eval.jsonl'],
  ['Train-data.jsonl', 'eval-data.jsonl'],
  ['gsm8k_train.jsonl', 'gsm8k_test.jsonl'],
  ['trainers.jsonl', undefined],
  ['other.jsonl', undefined],
])('the evaluation set of %s is %s', (name, sister) => {
  const others = ['tickets.eval.jsonl', 'tickets.test.jsonl', 'eval.jsonl', 'eval-data.jsonl', 'gsm8k_test.jsonl'];
  expect(sisterOf(name, others)).toBe(sister);
});

describe('a path in a config', () => {
  it.each([
    ['/w/data/x.jsonl', '/w/data', '/w', 'x.jsonl'],
    ['/w/model', '/w/data', '/w', '../model'],
    ['/w', '/w', '/w', '.'],
    ['/elsewhere/model', '/w/data', '/w', '/elsewhere/model'],
    ['/w2/model', '/w', '/w', '/w2/model'],
    ['/w/model', '/w', undefined, '/w/model'],
  ])('%s from %s in %s is %s', (path, folder, root, expected) => {
    const here = (name: string) => name.replaceAll('/', sep);
    const absolute = expected.startsWith('/');
    expect(configPath(here(path), here(folder), root === undefined ? root : here(root))).toBe(
      absolute ? here(expected) : expected,
    );
  });
});

it.each([
  ['a.jsonl', true],
  ['a.json', true],
  ['a.sft.json', false],
  ['a.CSV', true],
  ['a.jsonl.gz', true],
  ['a.parquet', true],
  ['a.parquet.gz', false],
  ['a.txt', false],
  ['jsonl', false],
])('%s is a data set file: %s', (name, is) => {
  expect(dataSetFile.test(name)).toBe(is);
});

it('the stem is the name without the format', () => {
  expect(stemOf('/x/tickets.train.jsonl.gz')).toBe('tickets.train');
});
