/**
 * Which records to keep, in words: `length > 200 and not assistant ~ /sorry/i`. What is compared: `text` (all of it), the roles
 * `system`, `user`, `assistant`, `tool`, `prompt` and `completion` (last question, last answer), `label` (the answer without regard to
 * case and blanks), `field.<path>` (as in the record), `length` (characters), `tokens`, `turns`, `row` (from 1), `format`, `problem`.
 * How: `=`, `!=`, `<`, `<=`, `>`, `>=`, `:` (contains, whatever the case), `~` (regular expression), and `!:`, `!~`.
 */

import { LabError } from '../../core/errors.js';
import { normalizeAnswer } from '../../core/metrics.js';
import { type RowProblemKind, rowProblemKinds } from './problem-kinds.js';

export type TextSubject =
  | 'text'
  | 'system'
  | 'user'
  | 'assistant'
  | 'tool'
  | 'prompt'
  | 'completion'
  | 'label'
  | 'format';
export type NumberSubject = 'length' | 'tokens' | 'turns' | 'row';
export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';

export type Where =
  | { readonly kind: 'all' }
  | { readonly kind: 'and' | 'or'; readonly left: Where; readonly right: Where }
  | { readonly kind: 'not'; readonly inner: Where }
  | {
      readonly kind: 'number';
      readonly subject: NumberSubject;
      readonly comparison: Comparison;
      readonly value: number;
    }
  | { readonly kind: 'problem'; readonly problem: RowProblemKind | 'any' }
  | {
      readonly kind: 'text';
      readonly subject: TextSubject | { readonly field: readonly string[] };
      readonly match:
        | { readonly how: 'equals' | 'contains'; readonly value: string }
        | { readonly how: 'matches'; readonly source: string; readonly flags: string }
        | { readonly how: 'compares'; readonly comparison: Comparison; readonly value: number };
    };

const textSubjects: readonly string[] = [
  'text',
  'system',
  'user',
  'assistant',
  'tool',
  'prompt',
  'completion',
  'label',
  'format',
];
const numberSubjects: readonly string[] = ['length', 'tokens', 'turns', 'row'];
const maxDepth = 100;

const isText = (word: string): word is TextSubject => textSubjects.includes(word);
const isNumber = (word: string): word is NumberSubject => numberSubjects.includes(word);
const isProblem = (word: string): word is RowProblemKind => (rowProblemKinds as readonly string[]).includes(word);

/** @throws LabError naming the column of what is not understood */
export function parseWhere(text: string): Where {
  const parser = new Parser(text);
  const where = parser.or(0);
  parser.end();
  return where;
}

interface Token {
  readonly kind: 'word' | 'text' | 'regex' | 'operator' | 'bracket';
  readonly text: string;
  readonly flags: string;
  readonly at: number;
}

class Parser {
  private readonly tokens: Token[];
  private next = 0;

  constructor(private readonly source: string) {
    this.tokens = this.split();
  }

  or(depth: number): Where {
    if (depth > maxDepth) throw this.error('is nested too deep', 0);
    let left = this.and(depth);
    while (this.takeWord('or')) left = { kind: 'or', left, right: this.and(depth) };
    return left;
  }

  end(): void {
    const token = this.tokens[this.next];
    if (token !== undefined) throw this.error(`expected "and" or "or", not ${token.text}`, token.at);
  }

  private and(depth: number): Where {
    let left = this.not(depth);
    while (this.takeWord('and')) left = { kind: 'and', left, right: this.not(depth) };
    return left;
  }

  private not(depth: number): Where {
    if (this.takeWord('not')) return { kind: 'not', inner: this.not(depth + 1) };
    const token = this.take('a condition');
    if (token.kind === 'bracket' && token.text === '(') {
      const inner = this.or(depth + 1);
      const close = this.take('a closing )');
      if (close.text !== ')') throw this.error('expected a closing )', close.at);
      return inner;
    }
    if (token.kind !== 'word') throw this.error(`expected what to compare, not ${token.text}`, token.at);
    return this.condition(token);
  }

  private condition(subject: Token): Where {
    const operator = this.take('a comparison');
    if (operator.kind !== 'operator') throw this.error(`expected a comparison, not ${operator.text}`, operator.at);
    const value = this.take('a value');
    if (operator.text.startsWith('!') && operator.text !== '!=') {
      return { kind: 'not', inner: this.compare(subject, operator.text.slice(1), operator.at, value) };
    }
    return this.compare(subject, operator.text, operator.at, value);
  }

  private compare(subject: Token, operator: string, at: number, value: Token): Where {
    const name = subject.text;
    if (isNumber(name)) {
      const number = Number(value.text);
      if (value.kind !== 'word' || !Number.isFinite(number))
        throw this.error(`expected a number, not ${value.text}`, value.at);
      return { kind: 'number', subject: name, comparison: this.comparison(operator, at), value: number };
    }
    if (name === 'problem') {
      if (!isProblem(value.text) && value.text !== 'any') {
        throw this.error(`no such problem: ${value.text}; expected any, ${rowProblemKinds.join(', ')}`, value.at);
      }
      const where: Where = { kind: 'problem', problem: value.text };
      if (operator === '=') return where;
      if (operator === '!=') return { kind: 'not', inner: where };
      throw this.error('a problem is compared with = or !=', at);
    }
    const field = name.startsWith('field.') ? { field: name.slice('field.'.length).split('.') } : undefined;
    if (field === undefined && !isText(name)) {
      const known = [...textSubjects, ...numberSubjects, 'problem', 'field.<path>'].join(', ');
      throw this.error(`cannot compare ${name}; expected one of ${known}`, subject.at);
    }
    const what = field ?? (isText(name) ? name : 'text');
    switch (operator) {
      case '=':
        return { kind: 'text', subject: what, match: { how: 'equals', value: value.text } };
      case '!=':
        return { kind: 'not', inner: { kind: 'text', subject: what, match: { how: 'equals', value: value.text } } };
      case ':':
        return { kind: 'text', subject: what, match: { how: 'contains', value: value.text } };
      case '~':
        return { kind: 'text', subject: what, match: this.regex(value) };
      default: {
        const number = Number(value.text);
        if (field === undefined || !Number.isFinite(number)) {
          throw this.error(`${name} is a text: it is compared with =, !=, : or ~`, at);
        }
        return {
          kind: 'text',
          subject: what,
          match: { how: 'compares', comparison: this.comparison(operator, at), value: number },
        };
      }
    }
  }

  private regex(token: Token): { how: 'matches'; source: string; flags: string } {
    const flags = token.kind === 'regex' ? token.flags : '';
    try {
      new RegExp(token.text, flags);
    } catch (error) {
      throw this.error(error instanceof Error ? error.message : String(error), token.at);
    }
    return { how: 'matches', source: token.text, flags: flags.replace(/[gy]/g, '') };
  }

  private comparison(operator: string, at: number): Comparison {
    switch (operator) {
      case '=':
      case '!=':
      case '<':
      case '<=':
      case '>':
      case '>=':
        return operator;
      default:
        throw this.error('a number is compared with =, !=, <, <=, > or >=', at);
    }
  }

  private takeWord(word: string): boolean {
    const token = this.tokens[this.next];
    if (token?.kind !== 'word' || token.text.toLowerCase() !== word) return false;
    this.next++;
    return true;
  }

  private take(expected: string): Token {
    const token = this.tokens[this.next++];
    if (token === undefined) throw this.error(`ends where ${expected} is expected`, this.source.length);
    return token;
  }

  private split(): Token[] {
    const tokens: Token[] = [];
    let at = 0;
    for (;;) {
      while (/\s/.test(this.source[at] ?? '')) at++;
      if (at >= this.source.length) return tokens;
      const rest = this.source.slice(at);
      const operator = /^(!=|<=|>=|!~|!:|=|<|>|~|:)/.exec(rest)?.[0];
      const char = this.source[at] ?? '';
      const push = (kind: Token['kind'], text: string, length: number, flags = ''): void => {
        tokens.push({ kind, text, flags, at });
        at += length;
      };
      if (operator !== undefined) push('operator', operator, operator.length);
      else if (char === '(' || char === ')') push('bracket', char, 1);
      else if (char === '"' || char === "'") {
        const { text, length } = this.quoted(rest, char, at);
        push('text', text, length);
      } else if (char === '/' && tokens.at(-1)?.kind === 'operator') {
        const { text, length } = this.quoted(rest, '/', at);
        const flags = /^[a-z]*/.exec(rest.slice(length))?.[0] ?? '';
        push('regex', text, length + flags.length, flags);
      } else {
        const word = /^[^\s()"'=<>~:!]+/.exec(rest)?.[0];
        if (word === undefined) throw this.error(`cannot read ${char}`, at);
        push('word', word, word.length);
      }
    }
  }

  /** A quoted text or regular expression; in texts a backslash takes the next character as it is, in expressions it stays. */
  private quoted(rest: string, mark: string, at: number): { text: string; length: number } {
    let text = '';
    for (let i = 1; i < rest.length; i++) {
      const char = rest[i] ?? '';
      if (char === mark) return { text, length: i + 1 };
      if (char === '\\') {
        const next = rest[++i] ?? '';
        text += mark === '/' && next !== '/' ? char + next : next;
      } else text += char;
    }
    throw this.error(`a closing ${mark} is missing`, at);
  }

  private error(message: string, at: number): LabError {
    return new LabError(`${message} (column ${at + 1} of: ${this.source.slice(0, 200)})`, {
      place: { field: 'where' },
    });
  }
}

/** What a condition is asked about. */
export interface Candidate {
  readonly row: number;
  /** The record as in the file; undefined where it cannot be read. */
  readonly value: unknown;
  readonly format: string;
  readonly turns: number;
  readonly tokens: number;
  readonly length: number;
  text(subject: TextSubject): readonly string[];
  hasProblem(kind: RowProblemKind | 'any'): boolean;
}

/** A function of a record, with the regular expressions made once. */
export function compileWhere(where: Where): (candidate: Candidate) => boolean {
  switch (where.kind) {
    case 'all':
      return () => true;
    case 'and': {
      const [left, right] = [compileWhere(where.left), compileWhere(where.right)];
      return (candidate) => left(candidate) && right(candidate);
    }
    case 'or': {
      const [left, right] = [compileWhere(where.left), compileWhere(where.right)];
      return (candidate) => left(candidate) || right(candidate);
    }
    case 'not': {
      const inner = compileWhere(where.inner);
      return (candidate) => !inner(candidate);
    }
    case 'number': {
      const { subject, comparison, value } = where;
      return (candidate) => compare(subject === 'row' ? candidate.row + 1 : candidate[subject], comparison, value);
    }
    case 'problem':
      return (candidate) => candidate.hasProblem(where.problem);
    case 'text': {
      const test = textTest(where.match);
      const { subject } = where;
      if (typeof subject === 'string') {
        const matches = subject === 'label' ? labelTest(where.match) : test;
        return (candidate) => candidate.text(subject).some(matches);
      }
      return (candidate) => fieldTexts(candidate.value, subject.field).some(test);
    }
  }
}

type TextMatch = Extract<Where, { kind: 'text' }>['match'];

function textTest(match: TextMatch): (text: string) => boolean {
  switch (match.how) {
    case 'equals':
      return (text) => text === match.value;
    case 'contains': {
      const value = match.value.toLowerCase();
      return (text) => text.toLowerCase().includes(value);
    }
    case 'matches': {
      const regex = new RegExp(match.source, match.flags);
      return (text) => regex.test(text);
    }
    case 'compares':
      return (text) => text.trim() !== '' && compare(Number(text), match.comparison, match.value);
  }
}

function labelTest(match: TextMatch): (text: string) => boolean {
  if (match.how !== 'equals') return textTest(match);
  const value = normalizeAnswer(match.value);
  return (text) => normalizeAnswer(text) === value;
}

function compare(a: number, comparison: Comparison, b: number): boolean {
  switch (comparison) {
    case '=':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
  }
}

/** What stands at a path, in every element of the lists on the way and at its end; objects as JSON. */
function fieldTexts(value: unknown, path: readonly string[]): string[] {
  const [key, ...rest] = path;
  if (Array.isArray(value)) return value.flatMap((one) => fieldTexts(one, path));
  if (key === undefined) {
    if (value === null || value === undefined) return [];
    return [typeof value === 'string' ? value : (JSON.stringify(value) ?? '')];
  }
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return [];
  return fieldTexts(Reflect.get(value, key), rest);
}
