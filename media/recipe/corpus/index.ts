/** The starter model's corpus: plain texts and conversations, all made by grammar. Made on demand, never committed. */

import { Grammar, pick } from '../grammar.js';
import { Random } from '../random.js';
import { type ChatMessage, chat } from './chats.js';
import { factText, sumText } from './facts.js';
import { shopTalk } from './shop.js';
import { story, talk } from './stories.js';
import { words } from './words.js';

export interface CorpusOptions {
  readonly seed: number;
  readonly texts: number;
  readonly chats: number;
}

export const corpusOptions: CorpusOptions = { seed: 22, texts: 60_000, chats: 60_000 };

type Writer = (grammar: Grammar, random: Random) => string;

const sums: Writer = (_, random) => sumText(random);

/** Writers with the chances in which they are called. */
const writers: readonly Writer[] = [
  ...[shopTalk, shopTalk, shopTalk, shopTalk, story, story, story, talk, factText, factText],
  ...[sums, sums],
];

export function* corpusTexts({ seed, texts }: CorpusOptions = corpusOptions): Generator<string> {
  const random = new Random(seed, 'texts');
  const grammar = new Grammar(words);
  for (let n = 0; n < texts; n++) yield pick(writers, random)(grammar, random);
}

export function* corpusChats({ seed, chats }: CorpusOptions = corpusOptions): Generator<ChatMessage[]> {
  const random = new Random(seed, 'chats');
  const grammar = new Grammar(words);
  for (let n = 0; n < chats; n++) yield chat(random, grammar);
}
