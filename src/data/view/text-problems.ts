/** What is odd about the texts of one example, without regard to any other. */

import type { Example, Message } from '../../core/data.js';

/** What is odd about a text's characters; undefined where nothing is. */
export function oddEncoding(text: string): string | undefined {
  const found = odd.exec(text);
  if (found === null) return undefined;
  const char = found[0].codePointAt(0) ?? 0;
  const name = `U+${char.toString(16).toUpperCase().padStart(4, '0')}`;
  if (char === 0xfffd) return 'holds U+FFFD, which stands where a character was lost';
  if (char === 0) return 'holds NUL characters';
  if (char < 0x20 || (char >= 0x7f && char < 0xa0)) return `holds the control character ${name}`;
  if (char >= 0xd800 && char <= 0xdfff) return `holds ${name}, half of a character`;
  if (char === 0xfeff) return 'holds a byte order mark inside';
  if ((char >= 0x202a && char <= 0x202e) || (char >= 0x2066 && char <= 0x2069)) {
    return `holds ${name}, which turns the direction in which text is shown`;
  }
  return `holds ${JSON.stringify(found[0])}: UTF-8 that was read as another encoding`;
}

/** Lost, control and half characters, direction controls, and the usual traces of UTF-8 read as Latin-1 or Windows-1252. */
const odd =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffd\ufeff\u202a-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\u00c3[\u00a0-\u00bf]|\u00e2\u20ac[\u0153\u009d\u2122\u02dc\u201c\u201d\u00a6]/;

/** Texts of a message that are shown and trained on. */
export function textOfExample(example: Example): string {
  return example.kind === 'text' ? example.text : example.messages.map(({ content }) => content).join('\n');
}

export function emptyCompletion(messages: readonly Message[]): string | undefined {
  const empty = messages.findIndex(
    ({ role, content, extra }) => role === 'assistant' && content.trim() === '' && extra?.tool_calls === undefined,
  );
  return empty < 0 ? undefined : `the answer of turn ${empty + 1} is empty`;
}

/** Roles that do not come in the order system, user, assistant, user, ...; tools may answer an assistant. */
export function roleOrder(messages: readonly Message[]): string | undefined {
  let last: Message['role'] | undefined;
  for (const [i, { role }] of messages.entries()) {
    const turn = `turn ${i + 1}`;
    if (role === 'system' && i > 0) return `${turn} is a system message after the start`;
    if (role === 'assistant' && (last === undefined || last === 'system'))
      return `${turn} is an answer before any question`;
    if (role === 'assistant' && last === 'assistant') return `${turn} is an answer right after another`;
    if (role === 'user' && last === 'user') return `${turn} is a question right after another`;
    if (role === 'tool' && last !== 'assistant' && last !== 'tool')
      return `${turn} is a tool's answer that nobody asked for`;
    last = role;
  }
  if (messages.some(({ role }) => role === 'assistant') && last !== 'assistant')
    return `the last turn is of the role ${last}`;
  return messages.some(({ role }) => role === 'assistant') ? undefined : 'no turn is an answer';
}
