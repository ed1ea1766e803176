/** One look at each record by itself: what it is, how long, its tokens, and what is wrong with it. Parts of a set are looked at by several threads. */

import type { Example, RecordFormat, TokenizedExample } from '../../core/data.js';
import { TokenGroup } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { normalizeAnswer } from '../../core/metrics.js';
import { formatInFile, RecordProblem, toExample } from '../read/formats.js';
import type { RawRecord } from '../read/values.js';
import { promptKey } from '../set/normal.js';
import { ExampleTokenizer } from '../text/examples.js';
import type { FieldMapping, TemplateOptions } from '../types.js';
import { type FactBlock, FactBuilder, type GoodRecord } from './facts.js';
import { hashText } from './hashes.js';
import { addValue, type FieldNode, fieldNode } from './json-scan.js';
import { signatureOf } from './near.js';
import { emptyCompletion, oddEncoding, roleOrder, textOfExample } from './text-problems.js';

export interface ExamineOptions {
  readonly path: string;
  readonly format: RecordFormat | 'auto';
  readonly fields?: FieldMapping;
  readonly model?: TemplateOptions;
}

/** What one record turned out to be. */
export interface Seen {
  readonly example: Example;
  readonly format: RecordFormat;
  readonly tokenized: TokenizedExample | undefined;
}

/** More tokens than any record has: all of them are kept, and whoever counts cuts them where its `max_length` says. */
export const allTokens = 2 ** 30;

export class Examiner {
  /** The fields met, where they are wanted. */
  root: FieldNode = fieldNode('');
  private readonly tokenizer: ExampleTokenizer | undefined;
  private readonly facts = new FactBuilder();

  /** @param home the format of the file's first good record, where it is known already */
  constructor(
    private readonly options: ExamineOptions,
    private readonly wantsFields: boolean,
    public home?: RecordFormat,
  ) {
    if (options.model !== undefined) this.tokenizer = new ExampleTokenizer(options.model);
  }

  get maskSource(): 'generation' | 'turns' | 'separators' | undefined {
    return this.tokenizer?.maskSource;
  }

  get count(): number {
    return this.facts.count;
  }

  /** What the record is, without looking for problems; undefined where it is malformed. */
  read(record: RawRecord): Seen | undefined {
    const made = this.example(record);
    if (typeof made === 'string') return undefined;
    this.home ??= made.format;
    const tokenized = this.tokenize(made.example);
    return { ...made, tokenized: typeof tokenized === 'string' ? undefined : tokenized };
  }

  add(record: RawRecord): void {
    if (this.wantsFields && !('problem' in record)) addValue(this.root, record.value);
    const good = this.good(record);
    this.facts.add(record.place.line, record.bytes, good?.facts, good?.answer);
  }

  /** What was found since the last call. */
  take(): FactBlock {
    return this.facts.take(this.home);
  }

  /** The fields met since the last call, where they are wanted. */
  takeFields(): FieldNode | undefined {
    const { root } = this;
    this.root = fieldNode('');
    return this.wantsFields ? root : undefined;
  }

  private good(record: RawRecord): { readonly facts: GoodRecord; readonly answer?: string } | undefined {
    const { facts } = this;
    const made = this.example(record);
    if (typeof made === 'string') {
      facts.note('malformed', made);
      return undefined;
    }
    const { example, format } = made;
    this.home ??= format;
    const text = textOfExample(example);
    const odd = oddEncoding(text);
    if (odd !== undefined) facts.note('odd-encoding', odd);
    const tokenized = this.tokenize(example);
    if (typeof tokenized === 'string') facts.note('malformed', tokenized);
    const tokens = typeof tokenized === 'string' ? undefined : tokenized;
    const common = {
      format,
      characters: text.length,
      exact: hashText(exactKey(example)),
      signature: signatureOf(text),
      tokens: tokens?.tokens.length,
      runs: tokens === undefined ? [] : runsOf(tokens.groups),
    };
    if (example.kind === 'text') {
      if (example.text.trim() === '') facts.note('empty-completion', 'the text is empty');
      return { facts: { ...common, turns: 0, answer: undefined } };
    }
    const { messages } = example;
    const empty = emptyCompletion(messages);
    if (empty !== undefined) facts.note('empty-completion', empty);
    const order = roleOrder(messages);
    if (order !== undefined) facts.note('role-order', order);
    const last = messages.at(-1);
    const turns = messages.length;
    if (last?.role !== 'assistant') return { facts: { ...common, turns, answer: undefined } };
    const answer = { prompt: hashText(promptKey(example)), answer: hashText(normalizeAnswer(last.content)) };
    return { facts: { ...common, turns, answer }, answer: last.content };
  }

  private example(record: RawRecord): { example: Example; format: RecordFormat } | string {
    if ('problem' in record) return record.problem;
    const { fields } = this.options;
    const format = this.options.format === 'auto' ? formatInFile(record.value, fields, this.home) : this.options.format;
    const made = toExample(record.value, format, fields, record.place);
    if (!(made instanceof RecordProblem)) return made;
    return made.field === undefined ? made.message : `${made.field}: ${made.message}`;
  }

  private tokenize(example: Example): TokenizedExample | string | undefined {
    if (this.tokenizer === undefined) return undefined;
    try {
      return this.tokenizer.tokenize(example, 'completion', allTokens);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      return error.message;
    }
  }
}

function exactKey(example: Example): string {
  if (example.kind === 'text') return example.text;
  return JSON.stringify(
    example.messages.map(({ role, content, reasoning, extra }) => [role, content, reasoning, extra]),
  );
}

/** Lengths of prompt and completion parts in turn, beginning with a prompt's. */
export function runsOf(groups: Uint8Array): number[] {
  const runs = [0];
  let completion = false;
  for (const group of groups) {
    if ((group === TokenGroup.completion) !== completion) {
      completion = !completion;
      runs.push(0);
    }
    runs[runs.length - 1] = (runs.at(-1) ?? 0) + 1;
  }
  return runs;
}
