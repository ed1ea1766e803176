/** Where a text stops being JSON. `JSON.parse` of Node 20 does not tell. */

export interface JsonError {
  /** Offset of the first character that is wrong; the length of the text where it ends too early. */
  readonly offset: number;
  readonly expected: string;
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const literal = /true|false|null/y;
const escapeSequence = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

type State = 'value' | 'first-element' | 'first-key' | 'key' | 'colon' | 'next' | 'end';

const expectations: Readonly<Record<State, string>> = {
  value: 'a value',
  'first-element': 'a value or ]',
  'first-key': 'a key in double quotes or }',
  key: 'a key in double quotes',
  colon: 'a colon',
  next: 'a comma or the closing bracket',
  end: 'nothing more',
};

/** The first error of a text; undefined where it is JSON. */
export function findJsonError(text: string): JsonError | undefined {
  const stack: ('{' | '[')[] = [];
  let state: State = 'value';
  let at = skipBlank(text, 0);
  for (; at < text.length; at = skipBlank(text, at)) {
    const char = text[at];
    const fail = { offset: at, expected: expectations[state] };
    const top = stack.at(-1);
    if (state === 'end') return fail;
    if (state === 'colon') {
      if (char !== ':') return fail;
      state = 'value';
      at++;
    } else if (state === 'next') {
      if (char === (top === '{' ? '}' : ']')) {
        stack.pop();
        state = stack.length === 0 ? 'end' : 'next';
      } else if (char === ',') state = top === '{' ? 'key' : 'value';
      else return fail;
      at++;
    } else if ((state === 'first-key' && char === '}') || (state === 'first-element' && char === ']')) {
      stack.pop();
      state = stack.length === 0 ? 'end' : 'next';
      at++;
    } else if (state === 'key' || state === 'first-key') {
      if (char !== '"') return fail;
      const end = stringEnd(text, at);
      if (typeof end !== 'number') return end;
      at = end;
      state = 'colon';
    } else if (char === '{' || char === '[') {
      stack.push(char);
      state = char === '{' ? 'first-key' : 'first-element';
      at++;
    } else {
      const end = scalarEnd(text, at);
      if (end === undefined) return fail;
      if (typeof end !== 'number') return end;
      at = end;
      state = stack.length === 0 ? 'end' : 'next';
    }
  }
  return state === 'end' ? undefined : { offset: text.length, expected: expectations[state] };
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++;
  return at;
}

function scalarEnd(text: string, at: number): number | JsonError | undefined {
  if (text[at] === '"') return stringEnd(text, at);
  for (const pattern of [number, literal]) {
    pattern.lastIndex = at;
    if (pattern.test(text)) return pattern.lastIndex;
  }
  return undefined;
}

/** The place after a string that begins at `start`. Strings are walked, for a pattern could exhaust the stack on long ones. */
function stringEnd(text: string, start: number): number | JsonError {
  let at = start + 1;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (code < 0x20) return { offset: at, expected: 'no line end or control character inside a string' };
    if (code === 0x5c) {
      escapeSequence.lastIndex = at;
      if (!escapeSequence.test(text)) return { offset: at, expected: 'a valid escape such as \\n or \\u00e9' };
      at = escapeSequence.lastIndex;
    } else at++;
  }
  return { offset: text.length, expected: 'a closing double quote' };
}
