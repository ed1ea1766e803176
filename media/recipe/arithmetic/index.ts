/** Arithmetic word problems with worked steps and a last line `#### answer`, as ShareGPT conversations. */

import { between, chance, pick } from '../grammar.js';
import { Random } from '../random.js';
import { add, kinds, type Problem, type Step, times } from './kinds.js';

/** A ShareGPT record. */
export interface Conversation {
  readonly conversations: readonly { readonly from: 'human' | 'gpt'; readonly value: string }[];
}

export interface ArithmeticOptions {
  readonly seed: number;
  readonly train: number;
  readonly heldOut: number;
  /** Share of the training records whose last result, and so the answer, is wrong. */
  readonly noise: number;
}

export const arithmeticOptions: ArithmeticOptions = { seed: 21, train: 3000, heldOut: 300, noise: 0.015 };

export interface ArithmeticSets {
  readonly train: readonly Conversation[];
  readonly heldOut: readonly Conversation[];
  /** Right answer of each training record, in order. */
  readonly trueAnswers: readonly number[];
}

export function makeArithmetic(options: ArithmeticOptions = arithmeticOptions): ArithmeticSets {
  const seen = new Set<string>();
  const heldOut = draw(options.heldOut, new Random(options.seed, 'arithmetic held-out'), seen);
  const train = draw(options.train, new Random(options.seed, 'arithmetic train'), seen);
  const chosen = new Random(options.seed, 'arithmetic noise');
  const wrong = new Set<number>();
  while (wrong.size < Math.round(options.noise * options.train)) wrong.add(chosen.below(options.train));
  return {
    train: train.map((problem, i) => conversation(problem, wrong.has(i) ? pick([-10, -2, -1, 1, 2, 10], chosen) : 0)),
    heldOut: heldOut.map((problem) => conversation(problem, 0)),
    trueAnswers: train.map(answer),
  };
}

/** A problem, and in some records a second turn that goes on from its answer. */
interface Drawn extends Problem {
  readonly words: boolean;
  readonly more: Problem | undefined;
}

function draw(count: number, random: Random, seen: Set<string>): Drawn[] {
  const out: Drawn[] = [];
  while (out.length < count) {
    const problem = pick(kinds, random)(random);
    const words = chance(0.7, random);
    const more = chance(0.06, random) ? followUp(problem, random) : undefined;
    if (seen.has(problem.question)) continue;
    seen.add(problem.question);
    out.push({ ...problem, words, more });
  }
  return out;
}

function followUp(problem: Problem, random: Random): Problem {
  const last = problem.steps.at(-1)?.result ?? 0;
  const k = between(2, 20, random);
  return pick(
    [
      { question: `And if it were ${k} more?`, steps: [add('Then', last, k)] },
      { question: 'And twice as much?', steps: [times('Twice', last, 2)] },
      { question: `What is that plus ${k}?`, steps: [add('Then', last, k)] },
    ],
    random,
  );
}

const answer = (drawn: Drawn): number => (drawn.more ?? drawn).steps.at(-1)?.result ?? 0;

function conversation(drawn: Drawn, error: number): Conversation {
  const turn = (problem: Problem, off: number) => [
    { from: 'human', value: problem.question } as const,
    { from: 'gpt', value: worked(problem.steps, drawn.words, off) } as const,
  ];
  if (drawn.more === undefined) return { conversations: turn(drawn, error) };
  return { conversations: [...turn(drawn, 0), ...turn(drawn.more, error)] };
}

function worked(steps: readonly Step[], words: boolean, error: number): string {
  const lines = steps.map(({ about, sum, result }, i) => {
    const value = i === steps.length - 1 ? result + error : result;
    return words ? `${about}: ${sum} = ${value}` : `${sum} = ${value}`;
  });
  return `${lines.join('\n')}\n#### ${(steps.at(-1)?.result ?? 0) + error}`;
}
