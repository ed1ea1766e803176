/** Plain facts, word lists and sums. */

import { between, chance, type Grammar, pick, shuffled } from '../grammar.js';
import type { Random } from '../random.js';
import { capitals, kinds, opposites, uses } from './words.js';

const an = (word: string): string => `${/^[aeiou]/.test(word) ? 'an' : 'a'} ${word}`;
const kindNames = Object.keys(kinds);

export interface Question {
  readonly ask: string;
  readonly answer: string;
}

type Fact = (random: Random) => { readonly statement: string; readonly questions: readonly Question[] };

const member: Fact = (random) => {
  const kind = pick(kindNames, random);
  const thing = pick(kinds[kind] ?? [], random);
  const others = shuffled(kindNames, random).filter((other) => other !== kind && !(kinds[other] ?? []).includes(thing));
  const three = shuffled([kind, ...others.slice(0, 2)], random);
  const stray = pick(kinds[others[0] ?? ''] ?? [], random);
  const list = shuffled(kinds[kind] ?? [], random);
  return {
    statement: pick(
      [`The ${thing} is ${an(kind)}.`, `${list.slice(0, 3).join(', ')}: each is ${an(kind)}.`, `${thing} (${kind})`],
      random,
    ),
    questions: [
      { ask: `What is ${an(thing)}?`, answer: `The ${thing} is ${an(kind)}.` },
      { ask: `Which kind is "${thing}": ${three[0]}, ${three[1]} or ${three[2]}?`, answer: kind },
      { ask: `${thing}: ${three.join(', ')}?`, answer: kind },
      { ask: `Is the ${thing} ${an(kind)}?`, answer: 'Yes' },
      { ask: `Is the ${stray} ${an(kind)}?`, answer: (kinds[kind] ?? []).includes(stray) ? 'Yes' : 'No' },
      { ask: `Name three of this kind: ${kind}.`, answer: list.slice(0, 3).join(', ') },
      { ask: `Which does not belong: ${shuffled([list[0], list[1], stray], random).join(', ')}?`, answer: stray },
    ],
  };
};

const use: Fact = (random) => {
  const [thing, purpose] = pick(uses, random);
  const [other] = pick(uses, random);
  return {
    statement: pick(
      [`${an(thing)} is there ${purpose}.`, `People need ${an(thing)} ${purpose}.`, `We use ${an(thing)} ${purpose}.`],
      random,
    ),
    questions: [
      { ask: `What is ${an(thing)} for?`, answer: purpose },
      { ask: `What do we need ${purpose}?`, answer: an(thing) },
      ...(other === thing
        ? []
        : [{ ask: `What helps ${purpose}: ${shuffled([thing, other], random).join(' or ')}?`, answer: thing }]),
    ],
  };
};

const capital: Fact = (random) => {
  const [country, city] = pick(capitals, random);
  return {
    statement: pick(
      [`The capital of ${country} is ${city}.`, `${city} is the capital of ${country}.`, `${city} lies in ${country}.`],
      random,
    ),
    questions: [
      { ask: `What is the capital of ${country}?`, answer: city },
      { ask: `In which country is ${city}?`, answer: country },
    ],
  };
};

const opposite: Fact = (random) => {
  const [a, b] = shuffled(pick(opposites, random), random) as [string, string];
  return {
    statement: pick(
      [`${a} is the opposite of ${b}.`, `It is not ${a}, it is ${b}.`, `${a} and ${b} are opposites.`],
      random,
    ),
    questions: [{ ask: `What is the opposite of ${a}?`, answer: b }],
  };
};

const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const day: Fact = (random) => {
  const i = random.below(7);
  const [today = '', next = ''] = [days[i], days[(i + 1) % 7]];
  return {
    statement: pick(
      [
        `After ${today} comes ${next}.`,
        `Today is ${today}, tomorrow is ${next}.`,
        `${today} is the day before ${next}.`,
      ],
      random,
    ),
    questions: [
      { ask: `Which day comes after ${today}?`, answer: next },
      { ask: `Which day is before ${next}?`, answer: today },
    ],
  };
};

const sum: Fact = (random) => {
  const [a, b] = [between(1, 60, random), between(1, 40, random)];
  const [c, d] = [between(2, 15, random), between(2, 12, random)];
  const [expression, result] = pick(
    [
      [`${a} + ${b}`, a + b],
      [`${a + b} - ${b}`, a],
      [`${c} * ${d}`, c * d],
      [`${c * d} / ${d}`, c],
    ] as const,
    random,
  );
  return {
    statement: `${expression} = ${result}`,
    questions: [
      { ask: `What is ${expression}?`, answer: `${result}` },
      { ask: `${expression} =`, answer: `${result}` },
    ],
  };
};

/** Facts with the chances in which they are told. */
const facts: readonly Fact[] = [member, member, member, use, use, capital, opposite, day];

/** A few facts in a row. */
export function factText(grammar: Grammar, random: Random): string {
  const statements: string[] = [];
  for (let n = between(2, 6, random); n > 0; n--) statements.push(pick(facts, random)(random).statement);
  return grammar.expand(statements.join(' ').replace(/[()]/g, ''), random);
}

/** Sums, one a line. */
export function sumText(random: Random): string {
  const lines: string[] = [];
  for (let n = between(4, 12, random); n > 0; n--) lines.push(sum(random).statement);
  return lines.join('\n');
}

export function factQuestion(random: Random): Question {
  return pick((chance(0.35, random) ? sum : pick(facts, random))(random).questions, random);
}
