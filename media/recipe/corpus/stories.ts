/** Short stories and small talk. */

import { between, chance, type Grammar, pick } from '../grammar.js';
import type { Random } from '../random.js';
import { twoPeople } from './words.js';

const beginnings = [
  '(Once upon a time|Long ago|{time}) {name#a} (went|walked|ran|drove) to {place#p} with {an animal#x}.',
  '{name#a} was {an adjective} {job}. (Every day|Each morning|On {weekday}s) {name#a} went to {place#p}.',
  '{name#a} lived near {place#p} with {an adjective} {animal#x} (and {few} {animal}s|).',
  'It was {an weather} day. {name#a} and {name#b} (met|sat|waited|played) at {place#p}.',
  "{name#a}'s {family} had {an adjective} {animal#x} that (liked|loved|feared) {place#p}.",
  '(In|One day in) {month} {name#a} (got|found|bought|made) {an thing#t}. It was {colour} and (very |){adjective}.',
  '{name#a} (wanted|wished|needed) {an thing#t} more than anything.',
];
const middles = [
  'There {name#a} (saw|found|picked up) {an thing#t}.',
  '{name#b} asked: "(Where is|Have you seen|May I have) the {thing#t}?"',
  'The {animal#x} (ran away|hid|barked|slept|jumped) (behind|under|near) {an thing}.',
  'But the {thing#t} was (broken|lost|too heavy|too small|gone|wet).',
  '{name#a} (looked|searched) (everywhere|in {place}|under the {household}) but (could not find it|found only {an thing}).',
  '"(I am|You look|We are) so {feeling}," said {name#a}.',
  '{name#b} (brought|gave|lent|showed) {name#a} {an thing} and (some|a little) {food}.',
  'Then it (began to rain|got dark|became cold|started to snow), so they (went home|stayed inside|ran to {place#p}).',
  'They (ate|shared|cooked) {food} and drank {drink}.',
  'A {job} (came by|walked past|stopped) and (said|asked): "(Can I help|What happened|Is this your {thing#t})?"',
  '{name#a} (fixed|cleaned|painted|carried|sold) the {thing#t} with {an tool}.',
  '{name#b} was {feeling} because the {thing#t} (was {colour}|made a noise|did not work|fell down|came too late).',
  'The {family} of {name#b} (waited|called|wrote a letter|laughed|told a story).',
  'After {days} {name#a} (came back|had an idea|got a letter from {city}|heard the news).',
  'They (counted|bought|sold) {few} {fruit}s and (some|more) {vegetable}s at the market.',
  '{name#a} (played|learned|bought) the {instrument} (and {name#b} sang|for {days}|).',
];
const endings = [
  'In the end (everyone was|they were all|{name#a} was) {feeling} (again|).',
  '(From then on|After that) {name#a} and {name#b} were (best friends|good neighbours|never {feeling} again).',
  '{name#a} (thanked|hugged|waved to) {name#b} and went home.',
  '"(Thank you|Well done|What a day)," said {name#b}, and they (laughed|smiled).',
  'The {thing#t} stood (at {place#p}|beside the {household}) (for {few} years|ever after).',
  'And that night the {animal#x} slept (well|in a {household} box|beside the {thing#t}).',
];

export function story(grammar: Grammar, random: Random): string {
  const bindings = twoPeople(random);
  const parts = [pick(beginnings, random)];
  for (let n = between(2, 6, random); n > 0; n--) parts.push(pick(middles, random));
  if (chance(0.8, random)) parts.push(pick(endings, random));
  return grammar.expand(parts.join(' '), random, bindings);
}

const exchanges: readonly (readonly [string, string])[] = [
  ['How are you (today|)?', '(Fine|Not bad|Very well), thank you. I am a bit {feeling}.'],
  ['What (did you do|have you done) {when}?', 'I was at {place} with my {family}.'],
  ['Where (are you going|do you go|is {name})?', 'To {place}, (to buy {food}|to see {name}|to find {an thing}).'],
  ['Do you like {food}?', '(Yes, very much|No, I like {food} more|Only with {drink}).'],
  ['What is the weather like in {city}?', 'It is {weather} and (a bit|very) {weather}.'],
  ['(Is|Was) the {product#q} new?', '(Yes, I bought it {when}|No, it is {few} years old|Yes, it cost {amount}).'],
  ['Can you help me with the {thing#r}?', '(Of course|Sure|Yes), (what is wrong with it|give it to me|wait a moment).'],
  [
    '(When|At what time) does the {vehicle#v} (leave|come|go)?',
    'The {vehicle#v} (leaves|goes) at {digit} (in the morning|in the evening).',
  ],
  ['What (colour|kind) is your {clothing#w}?', 'My {clothing#w} is {colour} (and {adjective}|).'],
  ['Who is that {job}?', 'That is {name}, (my {family}|a friend from {city}).'],
  ['(Have you seen|Did you find) my {thing#y}?', 'It is (at {place}|on the {household}|under the chair|in the box).'],
  ['What do you want for dinner?', '(I would like|Let us have|How about) {food} and {drink}.'],
  ['Did the letter from {city} come?', '(Not yet|Yes, {when}|It came {when}), it is (on the table|from my {family}).'],
  ['(How old|How big) is your {animal#z}?', 'My {animal#z} is {few} (years old|months old) and {adjective}.'],
];

export function talk(grammar: Grammar, random: Random): string {
  const bindings = twoPeople(random);
  const lines = chance(0.5, random) ? ['{name#a}: {greeting}, {name#b}.', '{name#b}: {greeting}, {name#a}.'] : [];
  for (let n = between(1, 4, random); n > 0; n--) {
    const [ask, answer] = pick(exchanges, random);
    const [from, to] = chance(0.5, random) ? ['a', 'b'] : ['b', 'a'];
    lines.push(`{name#${from}}: ${ask}`, `{name#${to}}: ${answer}`);
  }
  if (chance(0.4, random)) lines.push('{name#a}: (Goodbye|See you|Thank you), {name#b}.');
  return lines
    .map((line) => grammar.expand(line, random, bindings).replace(/: ([a-z])/, (all) => all.toUpperCase()))
    .join('\n');
}
