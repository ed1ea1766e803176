/** Blocks of facts in the order of the file, put together: figures, and the problems that only other records show. */

import type { RecordFormat } from '../../core/data.js';
import { countLoss } from '../../core/mask.js';
import { normalizeAnswer } from '../../core/metrics.js';
import { formatInFile, RecordProblem, toExample } from '../read/formats.js';
import { readRecords } from '../read/records.js';
import { promptKey } from '../set/normal.js';
import type { Analysis, AnalysisOptions, ProblemRow } from './analyse.js';
import { Duplicates, mostCompared } from './duplicates.js';
import { type FactBlock, formatAt, longAnswer, noAnswer } from './facts.js';
import { hashText, SeenTexts } from './hashes.js';
import { lengthBin, lengthBins } from './histogram.js';
import type { Beat } from './jobs.js';
import type { SchemaField } from './json-scan.js';
import { Labels } from './labels.js';
import { signatureWords } from './near.js';
import { type RowProblemKind, rowProblemKinds } from './problem-kinds.js';

const maxListed = 1000;

/** What the set is read with; `model` alone decides whether there are tokens. */
export type FoldOptions = Pick<AnalysisOptions, 'path' | 'fields' | 'evaluation' | 'labels'> & {
  readonly model?: { readonly maxLength: number; readonly lossOn: 'completion' | 'all' };
};

export class Fold {
  records = 0;
  usable = 0;
  bytes = 0;
  turns = 0;
  readonly formats: Partial<Record<RecordFormat, number>> = {};
  private readonly found = new Map<RowProblemKind, { count: number; rows: ProblemRow[] }>();
  private readonly duplicates = new Duplicates();
  private readonly evaluation = new SeenTexts();
  private readonly labels: Labels;
  private readonly turnCounts: Record<string, number> = {};
  private readonly bins = new Float64Array(lengthBins);
  private readonly tokenBins = new Float64Array(lengthBins);
  private home: RecordFormat | undefined;
  private characters = 0;
  private tokens = 0;
  private lossTokens = 0;
  private truncatedRecords = 0;
  private truncatedTokens = 0;

  /** @param onProblem told of every problem, however many there are */
  constructor(
    private readonly options: FoldOptions,
    private readonly onProblem: (kind: RowProblemKind, row: number) => void = () => undefined,
  ) {
    this.labels = new Labels(options.labels);
  }

  /** Reads the prompts that must not stand in this set. */
  async readEvaluation(beat: Beat): Promise<void> {
    const { fields } = this.options;
    for (const path of this.options.evaluation) {
      let home: RecordFormat | undefined;
      for await (const record of readRecords(path)) {
        beat.row(record.place.index);
        if ('problem' in record) continue;
        const made = toExample(record.value, formatInFile(record.value, fields, home), fields, record.place);
        if (made instanceof RecordProblem) continue;
        home ??= made.format;
        this.evaluation.put(hashText(promptKey(made.example)), record.place.index);
      }
    }
  }

  add(block: FactBlock): void {
    let note = 0;
    let long = 0;
    for (let at = 0; at < block.count; at++) {
      const row = this.records++;
      const line = block.lines[at] ?? 0;
      this.bytes += block.bytes[at] ?? 0;
      for (; block.notes[note]?.at === at; note++) {
        const { kind, message } = block.notes[note] ?? { kind: 'malformed', message: '' };
        this.report(kind, { row, line, message });
      }
      const format = formatAt(block, at);
      if (format === undefined) continue;
      this.record(block, at, row, line, format);
      const label = block.labels[at] ?? noAnswer;
      if (label === noAnswer) continue;
      const text = label === longAnswer ? block.longAnswers[long++] : block.labelTexts[label];
      this.labels.add(text, { file: this.options.path, index: row, line });
    }
  }

  private record(block: FactBlock, at: number, row: number, line: number, format: RecordFormat): void {
    const report = (kind: RowProblemKind, message: string): void => this.report(kind, { row, line, message });
    this.home ??= format;
    if (format !== this.home) report('mixed-formats', `is of the format ${format}, the first record of ${this.home}`);
    this.usable++;
    this.formats[format] = (this.formats[format] ?? 0) + 1;
    const characters = block.characters[at] ?? 0;
    this.characters += characters;
    const bin = lengthBin(characters);
    this.bins[bin] = (this.bins[bin] ?? 0) + 1;
    const turns = block.turns[at] ?? 0;
    if (format !== 'text') {
      this.turns += turns;
      const key = turns > 20 ? 'more than 20' : String(turns);
      this.turnCounts[key] = (this.turnCounts[key] ?? 0) + 1;
    }
    const prompt = block.prompts[at] ?? 0;
    const answered = block.labels[at] === noAnswer ? undefined : { prompt, answer: block.answers[at] ?? 0 };
    const signature =
      block.signed[at] === 1 ? block.signatures.subarray(at * signatureWords, (at + 1) * signatureWords) : undefined;
    this.duplicates.add({ row, line, exact: block.exact[at] ?? 0, answered, signature });
    if (answered !== undefined && this.evaluation.has(prompt)) {
      report('eval-overlap', 'its prompt stands in the evaluation set too');
    }
    this.countTokens(block, at, report);
  }

  private countTokens(block: FactBlock, at: number, report: (kind: RowProblemKind, message: string) => void): void {
    const whole = block.tokens[at] ?? -1;
    const { model } = this.options;
    if (whole < 0 || model === undefined) return;
    const bin = lengthBin(whole);
    this.tokenBins[bin] = (this.tokenBins[bin] ?? 0) + 1;
    this.tokens += Math.min(whole, model.maxLength);
    const from = at === 0 ? 0 : (block.runEnds[at - 1] ?? 0);
    this.lossTokens += countLoss(block.runs, model.lossOn, model.maxLength, from, block.runEnds[at] ?? 0);
    const cut = whole - model.maxLength;
    if (cut <= 0) return;
    this.truncatedRecords++;
    this.truncatedTokens += cut;
    report('truncated', `has ${whole} tokens: ${cut} are cut off by max_length ${model.maxLength}`);
  }

  /** Parsing has thrown them away: they are found by those who look at the bytes. */
  addDuplicateKeys(rows: readonly { readonly row: number; readonly line: number }[]): void {
    const message = 'has a key twice in one object: the last one counts';
    for (const { row, line } of rows) {
      if (row < this.records) this.report('duplicate-keys', { row, line, message });
    }
  }

  /** Once, after all blocks. @param beat told that it goes on */
  finish(
    sampled: boolean,
    schema: readonly SchemaField[],
    maskSource: 'generation' | 'turns' | 'separators' | undefined,
    beat: (row: number) => void = () => undefined,
  ): Analysis {
    this.duplicates.find(({ kind, ...found }) => this.report(kind, found), beat);
    for (const { place, answer } of this.labels.outliers()) {
      const message = `the answer ${JSON.stringify(answer.slice(0, 60))} is none of the labels`;
      this.report('label-outlier', { row: place.index, line: place.line, message });
    }
    const { model } = this.options;
    const onlyText = this.usable > 0 && this.formats.text === this.usable;
    const order = (kind: RowProblemKind): number => rowProblemKinds.indexOf(kind);
    return {
      path: this.options.path,
      records: this.records,
      sampled,
      usable: this.usable,
      bytes: this.bytes,
      turns: this.turns,
      turnCounts: this.turnCounts,
      formats: this.formats,
      schema,
      characters: this.characters,
      bins: this.bins,
      tokens:
        maskSource === undefined || model === undefined
          ? undefined
          : {
              tokens: this.tokens,
              lossTokens: this.lossTokens,
              bins: this.tokenBins,
              truncatedRecords: this.truncatedRecords,
              truncatedTokens: this.truncatedTokens,
              maxLength: model.maxLength,
              maskSource: onlyText ? 'text' : maskSource,
            },
      labels: this.labels.list(),
      problems: [...this.found]
        .map(([kind, { count, rows }]) => ({ kind, count, rows }))
        .sort((a, b) => order(a.kind) - order(b.kind)),
      duplicatesWithin: this.duplicates.full ? mostCompared : undefined,
    };
  }

  /** Whether it was finished or not. */
  close(): void {
    this.duplicates.close();
  }

  private report(kind: RowProblemKind, problem: ProblemRow): void {
    let entry = this.found.get(kind);
    if (entry === undefined) {
      entry = { count: 0, rows: [] };
      this.found.set(kind, entry);
    }
    entry.count++;
    if (entry.rows.length < maxListed) entry.rows.push(problem);
    this.onProblem(kind, problem.row);
  }
}

/** A label as filters compare it; undefined where the record has none. */
export function labelAt(block: FactBlock, at: number): string | undefined {
  const label = block.labels[at] ?? noAnswer;
  const text = block.labelTexts[label];
  return text === undefined ? undefined : normalizeAnswer(text);
}
