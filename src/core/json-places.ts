/** JSON with the lines its keys stand on, for messages that point into a person's file. */

import { LabError } from './errors.js';

export interface LocatedJson {
  readonly value: unknown;
  /** Line (from 1) of the key or element at a path; of the nearest one above it where the path does not exist. */
  line(path: readonly PropertyKey[]): number | undefined;
}

/** @throws LabError with the line where the text stops being JSON */
export function locateJson(text: string, file: string): LocatedJson {
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text;
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const position = /position (\d+)/.exec(message)?.[1];
    const line = lineAt(body, position === undefined ? body.length : Number(position));
    throw new LabError(`not valid JSON: ${message.replace(/ \(line \d+ column \d+\)/, '')}`, {
      place: { file, line },
      advice: body.trim() === '' ? 'The file is empty.' : 'JSON has no comments and no comma after the last entry.',
      cause: error,
    });
  }
  let places: Map<string, number> | undefined;
  return {
    value,
    line(path) {
      places ??= keyPositions(body);
      for (let length = path.length; length > 0; length--) {
        const position = places.get(JSON.stringify(path.slice(0, length).map(String)));
        if (position !== undefined) return lineAt(body, position);
      }
      return undefined;
    },
  };
}

function lineAt(text: string, position: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < position; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

/** Position of every key and array element of a text known to be valid JSON, by path. */
function keyPositions(text: string): Map<string, number> {
  const positions = new Map<string, number>();
  const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
  /** Open containers: the key (or index) being filled. */
  const stack: { array: boolean; key: string }[] = [];
  let expectKey = false;
  const note = (position: number): void => {
    const path = JSON.stringify(stack.map(({ key }) => key));
    if (!positions.has(path)) positions.set(path, position);
  };
  for (const match of text.matchAll(token)) {
    const part = match[0];
    const top = stack.at(-1);
    if (part === '}' || part === ']') {
      stack.pop();
      expectKey = false;
      continue;
    }
    if (part === ',') {
      if (top?.array === true) top.key = String(Number(top.key) + 1);
      expectKey = top?.array === false;
      continue;
    }
    if (part === ':') continue;
    if (expectKey && top !== undefined) {
      top.key = String(JSON.parse(part));
      note(match.index);
      expectKey = false;
      continue;
    }
    if (top?.array === true) note(match.index);
    if (part === '{' || part === '[') {
      stack.push({ array: part === '[', key: part === '[' ? '0' : '' });
      expectKey = part === '{';
    }
  }
  return positions;
}
