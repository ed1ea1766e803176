/** What is counted of a set while its examples are made, and what is noticed about them. */

import type { RecordFormat, RecordPlace, TokenizedExample } from '../../core/data.js';
import type { SetReport } from '../types.js';
import type { Problems } from './problems.js';

export class Tally {
  records = 0;
  tokens = 0;
  lossTokens = 0;
  /** Examples with at least one loss token. */
  trained = 0;
  /** Examples that train a stop token. */
  private stopped = 0;
  private truncatedRecords = 0;
  private truncatedTokens = 0;
  private first: RecordPlace | undefined;
  private readonly formats: Partial<Record<RecordFormat, number>> = {};

  constructor(private readonly stops: ReadonlySet<number>) {}

  /** @returns whether the example trains anything */
  add(example: TokenizedExample, format: RecordFormat): boolean {
    const { tokens, mask, truncated, place } = example;
    this.first ??= place;
    this.records++;
    this.formats[format] = (this.formats[format] ?? 0) + 1;
    this.tokens += tokens.length;
    let loss = 0;
    for (const one of mask) loss += one;
    this.lossTokens += loss;
    if (loss > 0) this.trained++;
    if (trainsStop(example, this.stops)) this.stopped++;
    if (truncated > 0) {
      this.truncatedRecords++;
      this.truncatedTokens += truncated;
    }
    return loss > 0;
  }

  get onlyText(): boolean {
    return this.records > 0 && this.formats.text === this.records;
  }

  report(skippedRecords: number): SetReport {
    const { records, tokens, lossTokens, truncatedRecords, truncatedTokens, formats } = this;
    return { records, exact: true, tokens, lossTokens, truncatedRecords, truncatedTokens, skippedRecords, formats };
  }

  /** Notes what concerns the set as a whole. */
  conclude(problems: Problems): void {
    const names = Object.keys(this.formats);
    if (names.length > 1) {
      const message = `records have several formats: ${names.join(', ')}`;
      problems.add({ kind: 'mixed-formats', severity: 'warning', message }, undefined, '');
    }
    if (this.trained > 0 && this.stopped === 0 && problems.count('untrained-stop-token') === 0) {
      problems.add(neverStops, this.first, 'max_length cuts every record off before its stop token');
    }
    if (this.records > 0 && this.trained === 0) {
      problems.add(
        { kind: 'template', severity: 'error', message: 'no record has a token to train on' },
        this.first,
        `of ${this.records} records none has a loss token`,
      );
    }
  }
}

const neverStops = {
  kind: 'untrained-stop-token',
  severity: 'warning',
  message: 'records never train a stop token: the model will not learn to stop',
} as const;

/** From the end, where stop tokens stand. */
function trainsStop({ tokens, mask }: TokenizedExample, stops: ReadonlySet<number>): boolean {
  for (let i = tokens.length - 1; i >= 0; i--) if (mask[i] === 1 && stops.has(tokens[i] ?? -1)) return true;
  return false;
}

/** Notes an example that trains nothing, never teaches the model to stop, or is cut off. */
export function findLost(
  example: TokenizedExample,
  maxLength: number,
  stops: ReadonlySet<number>,
  problems: Problems,
): void {
  const { place, tokens, mask, truncated } = example;
  if (truncated > 0) {
    const message = `records are cut off at max_length ${maxLength}`;
    const kept = `${tokens.length} of ${tokens.length + truncated} tokens are kept`;
    problems.add({ kind: 'truncated', severity: 'warning', message }, place, kept);
  }
  if (!mask.includes(1)) {
    const message = 'records have no token to train on and are left out';
    const why = truncated > 0 ? 'max_length cuts it off before the completion' : 'it has no completion';
    problems.add({ kind: 'no-loss-token', severity: 'warning', message }, place, why);
  } else if (truncated === 0 && !trainsStop(example, stops)) {
    const why =
      stops.size === 0 ? 'tokenizer and template name no stop token' : 'no stop token is among the tokens trained on';
    problems.add(neverStops, place, why);
  }
}
