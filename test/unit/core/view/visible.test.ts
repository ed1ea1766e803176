import { expect, it } from 'vitest';
import { visibleParts, visibleText } from '../../../../src/core/view/visible.js';

const hidden = (text: string): string[] =>
  visibleParts(text)
    .filter((part) => part.hidden)
    .map((part) => part.text);

it('names what drives terminals, turns text around or is not seen at all', () => {
  expect(hidden('\0 \u0007 \r \u001b[31m \u001f \u007f \u0085')).toEqual([
    'NUL',
    'BEL',
    'CR',
    'ESC',
    'US',
    'DEL',
    'U+0085',
  ]);
  expect(hidden('\u202e \u2066 \u200b \ufeff \ud800 \u{e0041}')).toEqual([
    'RLO',
    'LRI',
    'ZWSP',
    'BOM',
    'U+D800',
    'U+E0041',
  ]);
});

it('leaves text, line ends and what joins emoji as they are', () => {
  const text = 'ESC RLO\tok\nनमस्ते 👩‍🚀';
  expect(visibleParts(text)).toEqual([{ text, hidden: false }]);
  expect(visibleText('a\u200db\u001b[0m')).toBe('aZWJbESC[0m');
});
