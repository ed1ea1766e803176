/** Texts compared as people would: without regard to case and white space. */

import type { Example } from '../../core/data.js';
import { normalizeAnswer } from '../../core/metrics.js';

export function normalText(text: string): string {
  return text.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
}

/** What an example asks: equal keys are the same question, which must never stand on both sides of a split. */
export function promptKey(example: Example): string {
  if (example.kind === 'text') return normalText(example.text);
  const last = example.messages.at(-1)?.role === 'assistant' ? -1 : example.messages.length;
  return example.messages
    .slice(0, last)
    .map(({ role, content }) => `${role}\u0000${normalText(content)}`)
    .join('\u0001');
}

const maxLabels = 64;
const maxLabelLength = 64;

/**
 * The distinct answers of label-type data, most frequent first: at least two, few, short, and each met three times on average.
 * Undefined where the answers are free text.
 */
export function detectLabels(answers: readonly string[]): string[] | undefined {
  const seen = new Map<string, { text: string; count: number }>();
  for (const answer of answers) {
    if (answer.length > maxLabelLength || answer.includes('\n')) return undefined;
    const key = normalizeAnswer(answer);
    const known = seen.get(key);
    if (known !== undefined) known.count++;
    else if (seen.size === maxLabels) return undefined;
    else seen.set(key, { text: answer.trim(), count: 1 });
  }
  if (seen.size < 2 || answers.length < 3 * seen.size) return undefined;
  return [...seen.values()].sort((a, b) => b.count - a.count || (a.text < b.text ? -1 : 1)).map(({ text }) => text);
}
