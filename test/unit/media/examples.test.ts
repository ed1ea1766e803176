import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { arithmeticOptions, makeArithmetic } from '../../../media/recipe/arithmetic/index.js';
import { exampleFiles } from '../../../media/recipe/examples.js';
import { instruction, makeTickets, queues, ticketOptions } from '../../../media/recipe/tickets/index.js';
import { parseConfig } from '../../../src/core/config-parse.js';

const folder = join(import.meta.dirname, '../../../media/examples');
const letters = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '');

it.each(Object.entries(exampleFiles()))('%s is what the generator writes', (name, text) => {
  expect(readFileSync(join(folder, name), 'utf8') === text).toBe(true);
});

it.each(['tickets.sft.json', 'arithmetic.sft.json'])('%s is a config', (name) => {
  const file = join(folder, name);
  expect(parseConfig(readFileSync(file, 'utf8'), file).model_name_or_path).toBe('../starter-model');
});

describe('tickets', () => {
  const { train, heldOut, trueLabels, unseenPhrases } = makeTickets();

  it('are as many as stated, all with one instruction and one of six labels', () => {
    expect([train.length, heldOut.length]).toEqual([3000, 402]);
    for (const ticket of [...train, ...heldOut]) {
      expect(ticket.instruction).toBe(instruction);
      expect(queues).toContain(ticket.output);
    }
  });

  it('have 120 wrong training labels', () => {
    const wrong = train.filter(({ output }, i) => output !== trueLabels[i]);
    expect(wrong.length).toBe(120);
    expect(wrong.length).toBe(train.length * ticketOptions.noise);
  });

  it('never repeat, least of all across the split', () => {
    const texts = [...train, ...heldOut].map(({ input }) => letters(input));
    expect(new Set(texts).size).toBe(texts.length);
  });

  it('use every queue in the stated shares', () => {
    const shares = queues.map((queue) => trueLabels.filter((label) => label === queue).length / trueLabels.length);
    const stated = [0.18, 0.22, 0.17, 0.19, 0.14, 0.1];
    shares.forEach((share, i) => {
      expect(Math.abs(share - (stated[i] ?? 0))).toBeLessThan(0.025);
    });
  });

  it('hold out phrases as well as texts', () => {
    const unseen = unseenPhrases.filter(Boolean).length / unseenPhrases.length;
    expect(Math.abs(unseen - ticketOptions.unseenPhrases)).toBeLessThan(0.05);
    // One such phrase, by its unmistakable words.
    const said = (tickets: typeof train) => tickets.filter(({ input }) => /border office/i.test(input)).length;
    expect(said(heldOut)).toBeGreaterThan(0);
    expect(said(train)).toBe(0);
  });
});

describe('arithmetic', () => {
  const { train, heldOut, trueAnswers } = makeArithmetic();
  const answers = (value: string | undefined) => /\n#### (-?\d+)$/.exec(value ?? '')?.[1];
  /** Whether each line's sum is right and the last result is the answer. */
  const worked = (value: string): boolean => {
    const sums = [...value.matchAll(/(\d+) ([-+*/]) (\d+) = (-?\d+)$/gm)];
    const right = sums.every(([, a, sign, b, result]) => {
      const [x, y] = [Number(a), Number(b)];
      return Number(result) === (sign === '+' ? x + y : sign === '-' ? x - y : sign === '*' ? x * y : x / y);
    });
    return sums.length > 0 && right && sums.at(-1)?.[4] === answers(value);
  };

  it('are as many as stated, and all end with an answer', () => {
    expect([train.length, heldOut.length]).toEqual([3000, 300]);
    for (const { conversations } of [...train, ...heldOut]) {
      expect(conversations.map(({ from }) => from).join()).toMatch(/^human,gpt(,human,gpt)?$/);
      expect(answers(conversations.at(-1)?.value)).toBeDefined();
    }
  });

  it('are right, but for 45 training answers', () => {
    const wrong = train.filter(
      ({ conversations }) => !conversations.every(({ from, value }) => from === 'human' || worked(value)),
    );
    expect(wrong.length).toBe(45);
    expect(wrong.length).toBe(train.length * arithmeticOptions.noise);
    expect(
      train.filter(({ conversations }, i) => answers(conversations.at(-1)?.value) !== `${trueAnswers[i]}`),
    ).toEqual(wrong);
    for (const { conversations } of heldOut) {
      for (const { from, value } of conversations) if (from === 'gpt') expect(worked(value), value).toBe(true);
    }
  });

  it('never negative and never a fraction', () => {
    for (const answer of trueAnswers) expect(Number.isInteger(answer) && answer >= 0).toBe(true);
  });

  it('have one to four steps', () => {
    const steps = new Set(heldOut.map(({ conversations }) => (conversations[1]?.value.split('\n').length ?? 0) - 1));
    expect([...steps].sort()).toEqual([1, 2, 3, 4]);
  });

  it('never repeat a question, least of all across the split', () => {
    const questions = [...train, ...heldOut].map(({ conversations }) => conversations[0]?.value);
    expect(new Set(questions).size).toBe(questions.length);
  });
});
