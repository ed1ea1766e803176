/** Instructions and answers in the chat format: questions of fact, small reading tasks, requests. */

import { between, chance, Grammar, pick, shuffled } from '../grammar.js';
import type { Random } from '../random.js';
import { factQuestion } from './facts.js';
import { letter } from './letters.js';
import { shopTalk } from './shop.js';
import { story } from './stories.js';
import { twoPeople, words } from './words.js';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

type Turn = readonly [ask: string, answer: string];
type Task = (grammar: Grammar, random: Random) => Turn;

const question: Task = (_, random) => {
  const { ask, answer } = factQuestion(random);
  return [ask, answer];
};

/** A few clauses, of which one is asked for. */
const reading: Task = (grammar, random) => {
  const said = shuffled(
    [
      {
        clause: '{name#a} (bought|found|sold|lost) a {colour#c} {product#p}.',
        ask: '(What colour was it|Which colour)?',
        answer: '{colour#c}',
      },
      { clause: '(It was|This happened) {when#w}.', ask: 'When (was it|did it happen)?', answer: '{when#w}' },
      { clause: 'It cost {amount#m}.', ask: '(What did it cost|How much was it)?', answer: '{amount#m}' },
      {
        clause: '{name#b} (was there too|came from {city#t}|helped with it|gave advice).',
        ask: 'Who (else was there|came too)?',
        answer: '{name#b}',
      },
      { clause: 'They (met|talked|were) at {place#l}.', ask: 'Where (was that|were they)?', answer: '{place#l}' },
      { clause: 'The number was {order#n}.', ask: '(What is|Tell me) the number.', answer: '{order#n}' },
      { clause: '{name#a} was {feeling#f}.', ask: 'How (did {name#a} feel|was {name#a})?', answer: '{feeling#f}' },
    ],
    random,
  ).slice(0, between(2, 4, random));
  const wanted = pick(said, random);
  const bindings = twoPeople(random);
  const text = grammar.expand(said.map(({ clause }) => clause).join(' '), random, bindings);
  const ask = grammar.expand(wanted.ask, random, bindings);
  return [
    chance(0.5, random) ? `${text} ${ask}` : `${ask}\n\n${text}`,
    grammar.expand(wanted.answer, random, bindings),
  ];
};

const moods: readonly Turn[] = [
  ['I (love|like) (the|this) {product}, it is (great|wonderful|very good).', 'good'],
  ['(What a|Such a) (lovely|nice|great) day at {place}.', 'good'],
  ['{name} was (friendly|kind|quick) and (helped me at once|brought {food}).', 'good'],
  ['The {food} was (delicious|great) and the {drink} too.', 'good'],
  ['I (hate|do not like) (the|this) {product}, it is (awful|ugly|useless).', 'bad'],
  ['What a (terrible|boring|sad) day at {place}.', 'bad'],
  ['{name} was (rude|slow|unfriendly) and (did not help|went away).', 'bad'],
  ['The {food} was (cold|awful) and the {drink} too.', 'bad'],
];
const mood: Task = (grammar, random) => {
  const [text, answer] = pick(moods, random);
  const ask = pick(['Is this good or bad?', 'Good or bad?', 'How does this sound: good or bad?'], random);
  return [`${ask}\n\n${grammar.expand(text, random)}`, answer];
};

const request: Task = (grammar, random) => {
  const bindings = new Map<string, string>();
  const [ask, answer] = pick(
    [
      ['(Say|Write) "{thing#t} {place#p}".', '{thing#t} {place#p}'],
      ['Repeat: {name#a} has {an product#q}.', '{name#a} has {an product#q}.'],
      ['{greeting#g}!', '{greeting#g}! (How can I help you|What can I do for you)?'],
      ['(Thank you|Thanks)!', 'You are welcome.'],
      ['My name is {name#a}. What is my name?', '{name#a}'],
      ['(Give me|I need) a name for my {animal}.', '(How about|Call it) {name}(?|.)'],
      ['Write a sentence with the word {thing#t}.', '{name} (has|sees|needs|likes) {an thing#t}.'],
      ['What do you see at {place#p}?', 'At {place#p} I see {an animal} and {an thing}.'],
      ['What should I (cook|eat|drink) today?', '(How about|Try|Take) {food} with {drink}(?|.)'],
      ['(Greet|Say hello to) {name#a}.', 'Hello, {name#a}!'],
    ] as const,
    random,
  );
  return [grammar.expand(ask, random, bindings), grammar.expand(answer, random, bindings)];
};

const telling: Task = (grammar, random) => [
  pick(['Tell me a story.', 'Write a short story.', 'I would like to hear a story.'], random),
  story(grammar, random),
];

const aboutShops: Task = (grammar, random) => {
  const text = shopTalk(grammar, random);
  const at = text.indexOf('. ') + 1;
  return [
    pick(['Go on: ', 'Continue this text: ', 'What comes next? '], random) + text.slice(0, at),
    text.slice(at + 1),
  ];
};

/** Tasks with the chances in which they are set. */
const tasks: readonly Task[] = [
  ...[question, question, question, question, reading, reading, reading, mood, request, request, telling, aboutShops],
  ...[letter, letter, letter, letter, letter],
];

const systems = ['You are a helpful assistant.', 'Answer in short.', 'You are a friendly helper.', 'Be brief.'];

/** A conversation of one to three turns. */
export function chat(random: Random, grammar: Grammar = new Grammar(words)): ChatMessage[] {
  const out: ChatMessage[] = chance(0.15, random) ? [{ role: 'system', content: pick(systems, random) }] : [];
  for (let turns = chance(0.25, random) ? between(2, 3, random) : 1; turns > 0; turns--) {
    const [ask, answer] = pick(tasks, random)(grammar, random);
    out.push({ role: 'user', content: ask }, { role: 'assistant', content: answer });
  }
  return out;
}
