/**
 * Where in a rendered conversation the assistant speaks: from the end of the generation prompt to the end-of-turn token, both
 * found by rendering, never by knowing a model's family.
 *
 * - A turn begins where the rendering of the messages before it, with the generation prompt, ends: from there on the model has to
 *   write all by itself (an empty thinking block too, where the template puts one).
 * - It ends with the end-of-turn token: what the template writes after an answer, learnt once from a probe. A template may change the answer
 *   (trim it, take a thinking block out), so the answer is looked for as it is, trimmed, and without its thinking.
 */

import type { Message } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import type { ChatTemplate, Span } from './template.js';

/** What a template writes after an answer, up to and including its end-of-turn token. */
export interface TurnEnd {
  readonly text: string;
  /** The special token that ends a turn; undefined where the template writes none. */
  readonly token: string | undefined;
}

const probe = 'qzprobeanswerzq';

/** Learns how a template ends an assistant turn. */
export function learnTurnEnd(template: ChatTemplate, specialTokens: ReadonlySet<string>): TurnEnd {
  const text = template.render(
    [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: probe },
    ],
    { prompt: false },
  );
  const at = text.lastIndexOf(probe);
  if (at < 0) {
    throw new LabError('the chat template leaves out what the assistant says', {
      advice: 'Choose another template with chat_template_path.',
    });
  }
  const rest = text.slice(at + probe.length);
  let first: { start: number; token: string } | undefined;
  for (const token of specialTokens) {
    const start = rest.indexOf(token);
    if (token === '' || start < 0) continue;
    if (first === undefined || start < first.start || (start === first.start && token.length > first.token.length)) {
      first = { start, token };
    }
  }
  return first === undefined
    ? { text: '', token: undefined }
    : { text: rest.slice(0, first.start + first.token.length), token: first.token };
}

/** The assistant's spans in the rendering of `messages`, with that rendering. */
export function assistantTurns(
  template: ChatTemplate,
  messages: readonly Message[],
  tools: unknown,
  end: TurnEnd,
): { text: string; spans: Span[] } {
  const text = template.render(messages, { prompt: false, tools });
  const spans: Span[] = [];
  const starts = messages.flatMap(({ role }, i) =>
    // Answers that follow one another are one turn where the template joins them, and each a turn of its own otherwise.
    role === 'assistant' ? [{ i, start: turnStart(template, messages, tools, i, text) }] : [],
  );
  for (const [n, { i, start }] of starts.entries()) {
    const message = messages[i];
    if (message === undefined || start === undefined) throw ambiguous(i);
    const limit = starts[n + 1]?.start ?? text.length;
    const stop = turnEnd(text, start, limit, message, end);
    if (stop === undefined) throw ambiguous(i);
    spans.push({ start, end: stop });
  }
  return { text, spans };
}

function ambiguous(index: number): LabError {
  return new LabError(`the chat template does not show where the assistant's message ${index} stands`, {
    place: { field: `messages[${index}]` },
    advice: 'Use a template with {% generation %} blocks (chat_template_path), or loss_on "all".',
  });
}

function turnStart(
  template: ChatTemplate,
  messages: readonly Message[],
  tools: unknown,
  index: number,
  text: string,
): number | undefined {
  const before = tryRender(template, messages.slice(0, index), tools, true);
  if (before !== undefined && before.length <= text.length && text.startsWith(before)) return before.length;
  // The template writes what came before differently once there is an answer: put a probe in its place and see where that stands.
  const probed = messages.map((message, i) => (i === index ? { role: message.role, content: probe } : message));
  const rendered = tryRender(template, probed, tools, false);
  const at = rendered?.indexOf(probe) ?? -1;
  return rendered !== undefined && at >= 0 && text.startsWith(rendered.slice(0, at)) ? at : undefined;
}

function tryRender(
  template: ChatTemplate,
  messages: readonly Message[],
  tools: unknown,
  prompt: boolean,
): string | undefined {
  if (messages.length === 0) return undefined;
  try {
    return template.render(messages, { prompt, tools });
  } catch {
    return undefined; // some templates refuse conversations that do not end as they like
  }
}

/** Where the turn that begins at `start` ends, after its end-of-turn token. */
function turnEnd(text: string, start: number, limit: number, message: Message, end: TurnEnd): number | undefined {
  for (const content of contentForms(message.content)) {
    for (let at = text.indexOf(content, start); at >= 0 && at <= limit; at = text.indexOf(content, at + 1)) {
      const stop = at + content.length;
      if (text.startsWith(end.text, stop) && stop <= limit) return stop + end.text.length;
      if (content === '') break;
    }
  }
  // Something stands between the answer and its end (tool calls): the first end-of-turn token before the next turn.
  if (end.token === undefined) return undefined;
  const at = text.indexOf(end.token, start);
  return at >= 0 && at < limit ? at + end.token.length : undefined;
}

/** The forms in which a template may write an answer. */
function contentForms(content: string): string[] {
  const answer = content.slice(
    content.lastIndexOf('</think>') + (content.includes('</think>') ? '</think>'.length : 0),
  );
  const forms = [content, content.trim(), answer, answer.replace(/^\n+/, ''), answer.trim()];
  return [...new Set(forms)].filter((form) => form !== '').concat('');
}
