/** What stands around a ticket's matter: greetings, moods, side remarks that belong to other queues, and typing errors. */

import { between, chance, pick } from '../grammar.js';
import type { Random } from '../random.js';
import type { Queue } from './types.js';

export const openings: readonly string[] = [
  '(Hi|Hello|Hey|Good morning|Good evening|Dear team|Hi there|Hello support),',
  '(Hi|Hello), (my name is|this is|I am) {name} {surname}.',
  'Dear (Sir or Madam|customer service|support team),',
  'I (hope|trust) you can help me.',
  'I (have been|am) a customer (for {few} years|since {month}|of yours).',
  '(Quick|Short|One|Just a) question:',
  'This is my (second|third|first) (mail|message|attempt) (to you|about this|).',
  'I (called|phoned|wrote) {when} (already|) (but nobody answered|and was told to write again|).',
  'I {bought} {an product} (from you|in your shop|on your site) {when}.',
  '(Order|Customer|Reference) number {order}.',
  'I am writing (for|on behalf of) {person}.',
  '(Sorry to bother you|Sorry for the long mail|Excuse my English).',
];

export const moods: readonly string[] = [
  'This is (really|very|so) (annoying|frustrating|disappointing).',
  'I am (not amused|quite upset|very disappointed|losing my patience).',
  'It is (urgent|rather urgent|not urgent|a bit urgent).',
  'I (need|expect) an answer (today|by {weekday}|within two days|soon).',
  'I (love|like|enjoy) your (shop|products|store) (otherwise|, but this is too much|).',
  '(That|This) (never happened before|is the second time this year|should not happen).',
  'Please (be quick|hurry|answer soon|take care of it|look into it).',
  'I am (confused|a bit lost|not sure what to do).',
  '{person} is (waiting|already angry|laughing at me).',
];

export const closings: readonly string[] = [
  '(Thanks|Thank you|Many thanks|Thank you for your help|Thanks in advance)(.|!)',
  '(Best|Kind|Warm) regards, {name}',
  '(Please help|Please advise|What should I do|Can you help)?',
  '(Regards|Cheers|Greetings), {name} {surname}',
  'I look forward to (your answer|hearing from you).',
  'You can reach me (after {digit} pm|on {weekday}|by mail).',
  '(Waiting for your reply|Looking forward to your mail).',
];

/** Side remarks that sound like another queue but ask for nothing. */
export const distractors: Readonly<Record<Queue, readonly string[]>> = {
  billing: [
    'The payment went through (fine|without a problem|at once).',
    'I paid by (card|bank transfer) {when} (as always|), that worked.',
    'The invoice is (correct|fine|here), thanks for that.',
    'The {amount} (were charged|came off my card) as expected.',
  ],
  shipping: [
    'The (parcel|package) (arrived|came) (on time|quickly|{when}), (thanks|so that was fine).',
    'Delivery was (fast|very quick|great) (this time|as always).',
    '{carrier} was (friendly|on time|very nice).',
    'It was delivered {when} to {city} (without a problem|).',
  ],
  returns: [
    'I do not want to (return|send back) (it|anything).',
    'Last (month|year) I returned {an product} and that (went well|was easy).',
    'No, I do not want (an exchange|a replacement|to send it back).',
    'My last (return|exchange) was (handled|done) (well|quickly), (thanks|by the way).',
  ],
  technical: [
    '(The app|The {device}) works (fine|well|again) (now|), (by the way|that is not the problem).',
    'I already restarted (the {device}|the app|my computer), (as your page says|that is not it).',
    'The (setup|installation) was easy (last time|).',
    'Nothing is (broken|defective|wrong with the {device} itself).',
  ],
  account: [
    'I (can log in|am logged in) (without problems|fine|to my account).',
    'My (account|login|profile) (is under|uses) {name}@mail.example.',
    'I changed my password {when}, (that worked|no problem there).',
    'The email in my (account|profile) is (up to date|correct).',
  ],
  sales: [
    'I may (buy|order) (another one|a second {product}) (later|next month).',
    'The (price|offer) was (good|fair|great), no complaint there.',
    'I saw (a new {product}|the {plan}) in your shop, (nice|looks good) (by the way|).',
    'It was on (sale|offer) when I {bought} it.',
  ],
};

/** Neighbours on a keyboard, for slips of the finger. */
const neighbours: Readonly<Record<string, string>> = {
  a: 'sq',
  b: 'vn',
  c: 'xv',
  d: 'sf',
  e: 'wr',
  f: 'dg',
  g: 'fh',
  h: 'gj',
  i: 'uo',
  k: 'jl',
  l: 'k',
  m: 'n',
  n: 'bm',
  o: 'ip',
  r: 'et',
  s: 'ad',
  t: 'ry',
  u: 'yi',
  y: 'tu',
};

/** Swaps, drops, doubles or misses one letter inside a word of four letters or more. */
export function typo(text: string, random: Random): string {
  const words = text.split(' ');
  const at = random.below(words.length);
  const word = words[at] ?? '';
  if (!/^[A-Za-z]{4,}[.,!?]?$/.test(word)) return text;
  const i = between(1, word.replace(/\W/g, '').length - 2, random);
  const letter = word.charAt(i);
  const near = neighbours[letter.toLowerCase()];
  const kinds = [
    word.slice(0, i) + word.charAt(i + 1) + letter + word.slice(i + 2),
    word.slice(0, i) + word.slice(i + 1),
    word.slice(0, i) + letter + word.slice(i),
    word.slice(0, i) + (near === undefined ? letter : pick([...near], random)) + word.slice(i + 1),
  ];
  words[at] = pick(kinds, random);
  return words.join(' ');
}

/** How a person types: most do it well, some without capitals or punctuation, some in a hurry or in anger. */
export function typed(text: string, random: Random): string {
  let out = text;
  const hand = random.next();
  if (hand < 0.12) out = out.toLowerCase();
  else if (hand < 0.16) out = out.toLowerCase().replace(/[.,!]/g, '');
  else if (hand < 0.18) out = out.toUpperCase();
  else if (hand < 0.22) out = out.replace(/\./g, '!');
  else if (hand < 0.28)
    out = out
      .replace(/\bI am\b/g, "I'm")
      .replace(/\bdo not\b/g, "don't")
      .replace(/\bcannot\b/g, "can't");
  else if (hand < 0.31) out = out.replace(/\byou\b/g, 'u').replace(/\bplease\b/gi, 'pls');
  if (chance(0.3, random)) {
    for (let slips = between(1, 3, random); slips > 0; slips--) out = typo(out, random);
  }
  return out;
}
