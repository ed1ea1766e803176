import { fileURLToPath } from 'node:url';
/** The first damaged files of `npm run fuzz`, which goes on to ten thousand. */

import { expect, test } from 'vitest';
import { fuzzCase } from '../../fuzz/readers.js';
import { temporaryFolder } from './support.js';

const tables = fileURLToPath(new URL('../../fixtures/tables/', import.meta.url));

test('damaged files give records or are refused, and nothing else', { timeout: 60_000 }, async () => {
  const folder = temporaryFolder();
  const outcomes = { records: 0, refused: 0 };
  for (let i = 0; i < 300; i++) outcomes[(await fuzzCase(i, tables, folder)).outcome]++;
  expect(outcomes.records).toBeGreaterThan(50);
  expect(outcomes.refused).toBeGreaterThan(50);
});
