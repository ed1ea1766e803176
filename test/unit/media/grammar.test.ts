import { describe, expect, it } from 'vitest';
import { Grammar, shuffled } from '../../../media/recipe/grammar.js';
import { Random } from '../../../media/recipe/random.js';

const grammar = new Grammar({ fruit: ['apple', 'pear'], pair: ['{fruit} and {fruit}'], all: ['one'] });
const every = (phrase: string): Set<string> => {
  const random = new Random(3);
  return new Set(Array.from({ length: 300 }, () => grammar.expand(phrase, random)));
};

describe('Grammar', () => {
  it('draws every alternative, nested and empty ones too', () => {
    expect(every('a (b|c (d|e)|) f')).toEqual(new Set(['A b f', 'A c d f', 'A c e f', 'A f']));
  });

  it('fills slots, whose fillers are phrases', () => {
    expect(every('{pair}')).toEqual(new Set(['Apple and apple', 'Apple and pear', 'Pear and apple', 'Pear and pear']));
  });

  it('says a bound slot again and puts the right article', () => {
    expect(every('{an fruit#x} is {an fruit#x}.')).toEqual(new Set(['An apple is an apple.', 'A pear is a pear.']));
  });

  it('begins sentences with capitals and leaves no space before punctuation', () => {
    expect(every('one (|) , two . three')).toEqual(new Set(['One, two. Three']));
  });

  it.each(['(a|b', 'a)', '{fruit', '{no slot}', '{unknown}'])('refuses %s', (phrase) => {
    expect(() => every(phrase)).toThrow();
  });
});

it('shuffles without loss', () => {
  const items = [1, 2, 3, 4, 5, 6, 7];
  const once = shuffled(items, new Random(5));
  expect(once).not.toEqual(items);
  expect([...once].sort()).toEqual(items);
  expect(shuffled(items, new Random(5))).toEqual(once);
});
