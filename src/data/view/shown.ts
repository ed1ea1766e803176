/** Records as a preview shows them: short enough to be sent and drawn, whatever stands in the file. */

import type { RecordFormat } from '../../core/data.js';
import type { PreviewRow } from '../../core/view/preview.js';
import { formatInFile, RecordProblem, toExample } from '../read/formats.js';
import type { RawRecord } from '../read/records.js';
import type { FieldMapping } from '../types.js';
import { textOfExample } from './text-problems.js';

const mostCharacters = 40_000;
const mostMessages = 200;
const summaryLength = 300;

/** @param home the format of the first record */
export function shownRow(
  record: RawRecord,
  format: RecordFormat | 'auto',
  fields: FieldMapping | undefined,
  home: RecordFormat | undefined,
): PreviewRow {
  const { index: row, line } = record.place;
  const base = { row, line, summary: '', raw: '', length: 0, messages: [], cut: false };
  if ('problem' in record) return { ...base, problem: record.problem };
  const whole = JSON.stringify(record.value, null, 2) ?? 'null';
  const raw = whole.slice(0, mostCharacters);
  const cut = raw.length < whole.length;
  const made = toExample(
    record.value,
    format === 'auto' ? formatInFile(record.value, fields, home) : format,
    fields,
    record.place,
  );
  if (made instanceof RecordProblem) {
    const problem = made.field === undefined ? made.message : `${made.field}: ${made.message}`;
    return { ...base, raw, cut, summary: JSON.stringify(record.value).slice(0, summaryLength), problem };
  }
  const { example } = made;
  if (example.kind === 'text') {
    const text = example.text;
    const content = text.slice(0, mostCharacters);
    const messages: PreviewRow['messages'] = [{ role: 'assistant', content }];
    return {
      ...base,
      raw,
      messages,
      summary: text.slice(0, summaryLength),
      length: text.length,
      cut: cut || content.length < text.length,
    };
  }
  let left = mostCharacters;
  let short = cut || example.messages.length > mostMessages;
  const take = (text: string): string => {
    const taken = text.slice(0, left);
    left -= taken.length;
    if (taken.length < text.length) short = true;
    return taken;
  };
  const messages = example.messages.slice(0, mostMessages).map(({ role, content, reasoning, extra }) => ({
    role,
    content: take(content),
    ...(reasoning === undefined ? {} : { reasoning: take(reasoning) }),
    ...(extra === undefined ? {} : { extra: take(JSON.stringify(extra, null, 2)) }),
  }));
  const first = example.messages.find(({ role }) => role === 'user') ?? example.messages[0];
  return {
    ...base,
    raw,
    messages,
    summary: (first?.content ?? '').slice(0, summaryLength),
    length: textOfExample(example).length,
    cut: short,
  };
}
