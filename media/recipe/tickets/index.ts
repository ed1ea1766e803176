/** Customer tickets → the queue that has to answer: a label-type data set with noise, side remarks and typing errors. */

import { between, chance, Grammar, pick } from '../grammar.js';
import { lexicon } from '../lexicon.js';
import { Random } from '../random.js';
import { account } from './account.js';
import { billing } from './billing.js';
import { returns } from './returns.js';
import { sales } from './sales.js';
import { shipping } from './shipping.js';
import { closings, distractors, moods, openings, typed } from './style.js';
import { technical } from './technical.js';
import { type Intent, type Queue, queues } from './types.js';

export { type Queue, queues } from './types.js';

export const intents: Readonly<Record<Queue, readonly Intent[]>> = {
  billing,
  shipping,
  returns,
  technical,
  account,
  sales,
};

/** An Alpaca record. */
export interface Ticket {
  readonly instruction: string;
  readonly input: string;
  readonly output: string;
}

export interface TicketOptions {
  readonly seed: number;
  readonly train: number;
  readonly heldOut: number;
  /** Share of the training records whose label is replaced by another one. The held-out labels are all right. */
  readonly noise: number;
  /** Share of the held-out records whose matter is put in a phrase that no training record uses. */
  readonly unseenPhrases: number;
}

export const ticketOptions: TicketOptions = { seed: 20, train: 3000, heldOut: 402, noise: 0.04, unseenPhrases: 0.4 };

/** Tickets per hundred: the queues are not equally busy, so that accuracy and kappa tell different things. */
const share: Readonly<Record<Queue, number>> = {
  shipping: 22,
  technical: 19,
  billing: 18,
  returns: 17,
  account: 14,
  sales: 10,
};

export const instruction = `Which queue is this ticket for: ${queues.slice(0, -1).join(', ')} or ${queues.at(-1)}?`;

export interface TicketSets {
  readonly train: readonly Ticket[];
  readonly heldOut: readonly Ticket[];
  /** Right label of each training record, in order. */
  readonly trueLabels: readonly Queue[];
  /** Whether each held-out record is put in a phrase that no training record uses, in order. */
  readonly unseenPhrases: readonly boolean[];
}

export function makeTickets(options: TicketOptions = ticketOptions): TicketSets {
  const seen = new Set<string>();
  const heldOut = draw(options.heldOut, new Random(options.seed, 'tickets held-out'), seen, options.unseenPhrases);
  const train = draw(options.train, new Random(options.seed, 'tickets train'), seen, 0);
  const chosen = new Random(options.seed, 'tickets noise');
  const wrong = new Set<number>();
  while (wrong.size < Math.round(options.noise * options.train)) wrong.add(chosen.below(options.train));
  const noisy = train.map(({ text, queue }, i) =>
    record(
      text,
      wrong.has(i)
        ? pick(
            queues.filter((other) => other !== queue),
            chosen,
          )
        : queue,
    ),
  );
  return {
    train: noisy,
    heldOut: heldOut.map(({ text, queue }) => record(text, queue)),
    trueLabels: train.map(({ queue }) => queue),
    unseenPhrases: heldOut.map(({ unseen }) => unseen),
  };
}

const record = (input: string, output: Queue): Ticket => ({ instruction, input, output });

/** `count` tickets whose texts differ from each other and from all in `seen` (letters' case and punctuation aside). */
function draw(count: number, random: Random, seen: Set<string>, unseenPhrases: number) {
  const grammar = new Grammar(lexicon);
  const out: { text: string; queue: Queue; unseen: boolean }[] = [];
  while (out.length < count) {
    const queue = pickQueue(random);
    const unseen = chance(unseenPhrases, random);
    const text = ticket(queue, unseen, grammar, random);
    const key = text.toLowerCase().replace(/[^a-z0-9]/g, '');
    if (seen.has(key)) continue;
    seen.add(key);
    out.push({ text, queue, unseen });
  }
  return out;
}

function pickQueue(random: Random): Queue {
  let ticket = random.next() * queues.reduce((sum, queue) => sum + share[queue], 0);
  for (const queue of queues) {
    ticket -= share[queue];
    if (ticket < 0) return queue;
  }
  return 'sales';
}

function ticket(queue: Queue, unseen: boolean, grammar: Grammar, random: Random): string {
  const { phrases } = pick(intents[queue], random);
  const matter = unseen ? phrases.slice(-1) : phrases.slice(0, -1);
  const first = pick(matter, random);
  const parts = [first];
  if (chance(0.12, random)) {
    const second = pick(matter, random);
    if (second !== first) parts.push(second);
  }
  if (chance(0.3, random)) {
    const other = pick(
      queues.filter((each) => each !== queue),
      random,
    );
    parts.splice(chance(0.5, random) ? 0 : parts.length, 0, pick(distractors[other], random));
  }
  if (chance(0.35, random)) parts.unshift(pick(openings, random));
  if (chance(0.25, random)) parts.splice(between(1, parts.length, random), 0, pick(moods, random));
  if (chance(0.25, random)) parts.push(pick(closings, random));
  return typed(grammar.expand(parts.join(' '), random), random);
}
