import fc from 'fast-check';
import { expect, test } from 'vitest';
import { layOut } from '../../../src/data/read/lay-out.js';

test('what is written stays, in lines', () => {
  expect(layOut('{ "a" : 1.0, "a":[12345678901234567890 ,"\\u00e9\\"{"], "b":{ } }\r')).toBe(
    '{\n  "a": 1.0,\n  "a": [\n    12345678901234567890,\n    "\\u00e9\\"{"\n  ],\n  "b": {}\n}',
  );
});

test('values are laid out as JSON.stringify does it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(layOut(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
    }),
  );
});
