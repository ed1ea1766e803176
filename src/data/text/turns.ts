/**
 * Where in a rendered conversation the assistant speaks, for templates that do not mark it. Everything is found by rendering the
 * conversation again with a small change and comparing, never by knowing a model's family:
 *
 * - A turn begins where the rendering of the messages before it, with the generation prompt, ends: from there on the model has to
 *   write all by itself (an empty thinking block too, where the template puts one).
 * - Its content ends where the rendering goes on unchanged after a probe that takes the content's place, whatever the template
 *   trims or takes out of the content. The turn ends after the end-of-turn token that follows.
 */

import type { Message } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import type { ChatTemplate, Span } from './template.js';

/** How a template writes an assistant turn, learnt once from probes. */
export interface TurnShape {
  /** What follows an answer, up to and including the end-of-turn token; empty where there is none. */
  readonly end: string;
  /** All that follows the answer that ends a conversation; begins with `end`. */
  readonly rest: string;
  /** The special token that ends a turn; undefined where the template writes none. */
  readonly token: string | undefined;
  /** The turn's header, where the template writes one but no generation prompt; else empty. */
  readonly header: string;
}

const probe = 'qzprobeanswerzq';
const question = 'qzprobequestionzq';

/** @throws LabError where the template does not write what the assistant says */
export function learnTurnShape(template: ChatTemplate, specialTokens: ReadonlySet<string>): TurnShape {
  const user: Message = { role: 'user', content: 'a' };
  const text = template.render([user, { role: 'assistant', content: probe }], { prompt: false });
  const at = text.lastIndexOf(probe);
  if (at < 0) {
    throw new LabError('the chat template leaves out what the assistant says', {
      advice: 'Choose another template with chat_template_path.',
    });
  }
  const rest = text.slice(at + probe.length);
  const first = firstToken(rest, specialTokens);
  return {
    end: first === undefined ? '' : rest.slice(0, first.start + first.token.length),
    rest,
    token: first?.token,
    header: missingHeader(template, user, text.slice(0, at)),
  };
}

function firstToken(text: string, tokens: ReadonlySet<string>): { start: number; token: string } | undefined {
  let first: { start: number; token: string } | undefined;
  for (const token of tokens) {
    const start = token === '' ? -1 : text.indexOf(token);
    if (start < 0) continue;
    if (first === undefined || start < first.start || (start === first.start && token.length > first.token.length)) {
      first = { start, token };
    }
  }
  return first;
}

/** Some templates ignore `add_generation_prompt`. White space alone is no header: the model writes it (Llama 2). */
function missingHeader(template: ChatTemplate, user: Message, beforeAnswer: string): string {
  const prompt = tryRender(template, [user], undefined, true);
  const without = tryRender(template, [user], undefined, false);
  if (prompt === undefined || prompt !== without || !beforeAnswer.startsWith(prompt)) return '';
  const header = beforeAnswer.slice(prompt.length);
  return header.trim() === '' ? '' : header;
}

/** The messages as a prompt to be answered, with the turn's header even where the template forgets it. */
export function renderPrompt(
  template: ChatTemplate,
  messages: readonly Message[],
  tools: unknown,
  shape: TurnShape,
): string {
  return template.render(messages, { prompt: true, tools }) + shape.header;
}

/** The assistant's spans in the rendering of `messages`, with that rendering. */
export function assistantTurns(
  template: ChatTemplate,
  messages: readonly Message[],
  tools: unknown,
  shape: TurnShape,
): { text: string; spans: Span[] } {
  const text = template.render(messages, { prompt: false, tools });
  const turns = messages.flatMap(({ role }, index) => {
    if (role !== 'assistant') return [];
    const probed = lazy(() => renderProbed(template, messages, tools, index, probe));
    return [{ index, probed, start: turnStart(template, messages, tools, shape, index, text, probed) }];
  });
  const spans: Span[] = [];
  for (const [n, { index, probed, start }] of turns.entries()) {
    if (start === undefined) throw ambiguous(index);
    const limit = turns[n + 1]?.start ?? text.length;
    const restAt = text.length - shape.rest.length;
    // After the prompt that ends in the last turn's header stands that turn alone: no probe is needed to see its end.
    const end =
      index === messages.length - 1 && restAt >= start && text.endsWith(shape.rest)
        ? restAt + shape.end.length
        : turnEnd(text, start, limit, probed(), shape);
    if (end === undefined || end < start || start < (spans.at(-1)?.end ?? 0)) throw ambiguous(index);
    if (end > start) spans.push({ start, end });
  }
  return { text, spans };
}

function lazy<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function ambiguous(index: number): LabError {
  return new LabError(`the chat template does not show where the assistant's message ${index} stands`, {
    place: { field: `messages[${index}]` },
    advice: 'Use a template with {% generation %} blocks (chat_template_path), or loss_on "all".',
  });
}

/** A rendering around the one place where a probe stands. */
interface Probed {
  readonly before: string;
  readonly after: string;
}

/** Renders with a probe in place of a message's content; undefined where it does not show up exactly once. */
function renderProbed(
  template: ChatTemplate,
  messages: readonly Message[],
  tools: unknown,
  index: number,
  content: string,
): Probed | undefined {
  const changed = messages.map((message, i): Message => {
    if (i !== index) return message;
    const { reasoning: _reasoning, ...rest } = message;
    return { ...rest, content };
  });
  const parts = tryRender(template, changed, tools, false)?.split(content);
  const [before, after] = parts ?? [];
  return parts?.length === 2 && before !== undefined && after !== undefined ? { before, after } : undefined;
}

function turnStart(
  template: ChatTemplate,
  messages: readonly Message[],
  tools: unknown,
  shape: TurnShape,
  index: number,
  text: string,
  probed: () => Probed | undefined,
): number | undefined {
  const earlier = messages.slice(0, index);
  const prompt = tryRender(template, earlier, tools, true);
  if (prompt !== undefined && text.startsWith(prompt + shape.header)) return prompt.length + shape.header.length;
  // The template writes the messages before it otherwise once there is an answer (Mistral moves the system message). What it writes
  // from the last question on may still be the same: a probe in the question's place shows where that ends.
  const asked = renderProbed(template, messages, tools, index - 1, question);
  const alone = tryRender(template, replaceLast(earlier, question), tools, true)?.split(question).at(-1);
  if (asked !== undefined && alone !== undefined && text.endsWith(asked.after)) {
    const lead = alone + shape.header;
    if (asked.after.startsWith(lead)) return text.length - asked.after.length + lead.length;
  }
  // Or the generation prompt is not what stands before answers (DeepSeek-R1's opens a thinking block): the answer's own place.
  const before = probed()?.before;
  return before !== undefined && text.startsWith(before) ? before.length : undefined;
}

function replaceLast(messages: readonly Message[], content: string): Message[] {
  return messages.map((message, i) => (i === messages.length - 1 ? { ...message, content } : message));
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

/** Where the turn that begins at `start` ends, after its end-of-turn token; the next one begins at `limit`. */
function turnEnd(
  text: string,
  start: number,
  limit: number,
  probed: Probed | undefined,
  { end, token }: TurnShape,
): number | undefined {
  if (probed === undefined || !text.endsWith(probed.after)) return undefined;
  const contentEnd = text.length - probed.after.length;
  if (probed.after.startsWith(end) && contentEnd >= start) return Math.min(limit, contentEnd + end.length);
  // Something stands between the answer and its end (tool calls), or the template joins answers that follow one another.
  const at = token === undefined ? -1 : text.indexOf(token, Math.max(start, contentEnd));
  if (token === undefined || at < 0) return undefined;
  return Math.min(limit, at + token.length);
}
