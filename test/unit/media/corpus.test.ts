import { describe, expect, it } from 'vitest';
import { corpusChats, corpusOptions, corpusTexts } from '../../../media/recipe/corpus/index.js';
import { instruction, makeTickets, queues } from '../../../media/recipe/tickets/index.js';

const some = { ...corpusOptions, texts: 6000, chats: 6000 };
const texts = [...corpusTexts(some)];
const chats = [...corpusChats(some)];

describe('the corpus', () => {
  it('is the same each time', () => {
    const few = { ...corpusOptions, texts: 200, chats: 200 };
    expect([...corpusTexts(few)]).toEqual(texts.slice(0, 200));
    expect([...corpusChats(few)]).toEqual(chats.slice(0, 200));
  });

  it('has variety: few texts come twice', () => {
    expect(new Set(texts).size / texts.length).toBeGreaterThan(0.95);
    expect(new Set(chats.map((chat) => JSON.stringify(chat))).size / chats.length).toBeGreaterThan(0.75);
  });

  it('is made of turns that end with an answer', () => {
    for (const messages of chats) {
      expect(messages.map(({ role }) => role).join()).toMatch(/^(system,)?(user,assistant,?)+$/);
      for (const { content } of messages) expect(content).toMatch(/\S/);
    }
  });

  it('does not teach the tickets: no instruction, no queue as an answer, no held-out ticket', () => {
    const heldOut = makeTickets().heldOut.map(({ input }) => input);
    const all = [...texts, ...chats.flat().map(({ content }) => content)].join('\n');
    expect(all.includes(instruction)).toBe(false);
    for (const input of heldOut) expect(all.includes(input)).toBe(false);
    const answers = chats.flat().filter(({ role }) => role === 'assistant');
    expect(answers.filter(({ content }) => queues.some((queue) => content.trim().toLowerCase() === queue))).toEqual([]);
  });
});
