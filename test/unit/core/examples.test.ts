import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseConfig } from '../../../src/core/config-parse.js';

const media = new URL('../../../media/', import.meta.url);
const configs = readdirSync(media, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.sft.json'));

it.each(configs)('media/%s is a config', (name) => {
  expect(() => parseConfig(readFileSync(new URL(name, media), 'utf8'), name)).not.toThrow();
});
