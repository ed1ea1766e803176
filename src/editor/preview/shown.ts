/** A record cut to what a page can show. */

import type { Example } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import type { PreviewRow, RowTokens } from '../../core/view/preview.js';
import { RecordProblem, type toExample } from '../../data/read/formats.js';
import { layOut } from '../../data/read/lay-out.js';
import type { RawRecord } from '../../data/read/records.js';
import type { ExampleTokenizer } from '../../data/text/examples.js';
import { allTokens, runsOf } from './source.js';

/** Characters of a row in a list, and of one that was opened. */
const listedCharacters = 1600;
const wholeCharacters = 400_000;
const listedTokens = 600;
const wholeTokens = 20_000;
const mostMessages = 40;
const allMessages = 2000;

/** Counts down the characters that may still be shown. */
class Budget {
  cut = 0;

  constructor(private left: number) {}

  take(text: string): string {
    let end = Math.min(text.length, this.left);
    // Never half of a character.
    if (end < text.length && end > 0 && /[\ud800-\udbff]/.test(text[end - 1] ?? '')) end--;
    this.left -= end;
    this.cut += text.length - end;
    return end === text.length ? text : text.slice(0, end);
  }
}

export function shownRow(
  record: RawRecord,
  made: ReturnType<typeof toExample> | undefined,
  whole: boolean,
): PreviewRow {
  const place = placeOf(record);
  if ('problem' in record) return { ...place, problem: record.problem, cut: 0 };
  if (made === undefined || made instanceof RecordProblem) {
    const problem = made === undefined ? 'is no record' : made.message;
    const field = made?.field === undefined ? {} : { field: made.field };
    return { ...rawRow(record, whole), problem, ...field };
  }
  const budget = new Budget(whole ? wholeCharacters : listedCharacters);
  const { example, format } = made;
  if (example.kind === 'text') {
    const content = budget.take(example.text);
    return { ...place, format, messages: [{ role: 'assistant', content }], cut: budget.cut };
  }
  const messages = example.messages.slice(0, whole ? allMessages : mostMessages).map((message) => ({
    role: message.role,
    ...(message.reasoning === undefined ? {} : { reasoning: budget.take(message.reasoning) }),
    content: budget.take(message.content),
    ...(message.extra === undefined ? {} : { extra: budget.take(JSON.stringify(message.extra, null, 2)) }),
  }));
  const left = example.messages.slice(messages.length).reduce((sum, { content }) => sum + content.length + 1, 0);
  const tools = example.tools === undefined ? {} : { tools: budget.take(JSON.stringify(example.tools, null, 2)) };
  return { ...place, format, messages, ...tools, cut: budget.cut + left };
}

/** The record as it stands in the file, laid out as JSON. */
export function rawRow(record: RawRecord, whole: boolean): PreviewRow {
  const place = placeOf(record);
  if ('problem' in record) return { ...place, problem: record.problem, cut: 0 };
  const budget = new Budget(whole ? wholeCharacters : listedCharacters);
  const raw =
    record.source === undefined ? (JSON.stringify(record.value, null, 2) ?? 'null') : layOut(record.source.toString());
  return { ...place, raw: budget.take(raw), cut: budget.cut };
}

function placeOf({ place, bytes }: RawRecord): Pick<PreviewRow, 'row' | 'line' | 'bytes'> {
  return { row: place.index, line: place.line, bytes };
}

export function shownTokens(example: Example, tokenizer: ExampleTokenizer, whole: boolean): RowTokens {
  const row = example.place.index;
  let made: ReturnType<ExampleTokenizer['tokenize']>;
  try {
    made = tokenizer.tokenize(example, 'completion', allTokens);
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    return { row, total: 0, runs: [], ids: [], bytes: '', ends: [], specials: [], problem: error.message };
  }
  const ids = [...made.tokens.subarray(0, whole ? wholeTokens : listedTokens)];
  const ends: number[] = [];
  const specials: number[] = [];
  const parts: string[] = [];
  let at = 0;
  for (const [i, id] of ids.entries()) {
    const bytes = tokenizer.tokenizer.piece(id);
    parts.push(Buffer.from(bytes).toString('latin1'));
    at += bytes.length;
    ends.push(at);
    if (tokenizer.tokenizer.isAdded(id)) specials.push(i);
  }
  return { row, total: made.tokens.length, runs: runsOf(made.groups), ids, bytes: parts.join(''), ends, specials };
}
