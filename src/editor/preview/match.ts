/** Whether a record holds the text that is looked for. */

import type { Example } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import type { Filter } from '../../core/view/preview.js';

export type Test = (value: unknown, example: () => Example | undefined) => boolean;

/** @throws LabError where the regular expression is none */
export function textTest({ text, regex, matchCase, scope }: Filter): Test {
  const test = matcher(text, regex, matchCase);
  if (scope.startsWith('role:')) {
    const role = scope.slice('role:'.length);
    return (_value, example) => {
      const made = example();
      if (made === undefined) return false;
      if (made.kind === 'text') return role === 'assistant' && test(made.text);
      return made.messages.some(
        (message) => message.role === role && (test(message.content) || test(message.reasoning ?? '')),
      );
    };
  }
  if (scope.startsWith('field:')) {
    const name = scope.slice('field:'.length);
    return (value) =>
      typeof value === 'object' &&
      value !== null &&
      Object.hasOwn(value, name) &&
      holds(Reflect.get(value, name), test);
  }
  return (value) => holds(value, test);
}

function matcher(text: string, regex: boolean, matchCase: boolean): (text: string) => boolean {
  if (regex) {
    let expression: RegExp;
    try {
      expression = new RegExp(text, matchCase ? 'u' : 'iu');
    } catch (error) {
      const why = error instanceof Error ? error.message.replace(/^.*: /, '') : String(error);
      throw new LabError(`Not a regular expression: ${why}.`);
    }
    return (one) => expression.test(one);
  }
  if (matchCase) return (one) => one.includes(text);
  const wanted = text.toLowerCase();
  return (one) => one.toLowerCase().includes(wanted);
}

/** Any text, number or truth value inside, however deep. Keys do not count. */
function holds(value: unknown, test: (text: string) => boolean): boolean {
  const open = [value];
  while (open.length > 0) {
    const one = open.pop();
    switch (typeof one) {
      case 'string':
        if (test(one)) return true;
        break;
      case 'number':
      case 'boolean':
        if (test(String(one))) return true;
        break;
      case 'object':
        if (one !== null) open.push(...Object.values(one).slice(0, 100_000));
    }
  }
  return false;
}
