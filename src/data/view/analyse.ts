/** A whole data set looked at record by record: what it holds, how long its texts are, and what is wrong with it. */

import type { Example, RecordFormat, TokenizedExample } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { normalizeAnswer } from '../../core/metrics.js';
import { formatInFile, RecordProblem, toExample } from '../read/formats.js';
import { type RawRecord, readRecords } from '../read/records.js';
import { promptKey } from '../set/normal.js';
import { ExampleTokenizer } from '../text/examples.js';
import type { FieldMapping, TemplateOptions } from '../types.js';
import { hashText, SeenTexts } from './hashes.js';
import { lengthBin, lengthBins } from './histogram.js';
import type { Beat } from './jobs.js';
import { addValue, fieldNode, type SchemaField, schemaOf } from './json-scan.js';
import { Labels } from './labels.js';
import { NearDuplicates } from './near.js';
import { type RowProblemKind, rowProblemKinds } from './problem-kinds.js';
import { openRows } from './rows.js';
import { scanSegment } from './segment.js';
import { emptyCompletion, oddEncoding, roleOrder, textOfExample } from './text-problems.js';

export interface AnalysisOptions {
  readonly path: string;
  readonly format: RecordFormat | 'auto';
  readonly fields?: FieldMapping;
  /** Data sets whose prompts must not stand in this one. */
  readonly evaluation: readonly string[];
  /** The allowed answers; left out, they are found where the data has few and short ones. */
  readonly labels?: readonly string[];
  /** With it tokens are counted exactly, as the trainer will make them. */
  readonly model?: TemplateOptions & { readonly maxLength: number; readonly lossOn: 'completion' | 'all' };
  /** Only so many records from the start: the figures are marked as sampled. */
  readonly limit?: number;
}

export interface ProblemRow {
  readonly row: number;
  readonly line: number;
  readonly message: string;
  /** The earlier row that it repeats or contradicts. */
  readonly other?: number;
}

export interface RowProblems {
  readonly kind: RowProblemKind;
  readonly count: number;
  /** The first thousand. */
  readonly rows: readonly ProblemRow[];
}

export interface TokenFigures {
  readonly tokens: number;
  readonly lossTokens: number;
  /** Lengths before truncation. */
  readonly bins: Float64Array;
  readonly truncatedRecords: number;
  readonly truncatedTokens: number;
  readonly maxLength: number;
  readonly maskSource: 'generation' | 'turns' | 'separators' | 'text';
}

export interface Analysis {
  readonly path: string;
  readonly records: number;
  /** Whether these are figures of the first records only. */
  readonly sampled: boolean;
  readonly usable: number;
  readonly bytes: number;
  readonly turns: number;
  readonly turnCounts: Readonly<Record<string, number>>;
  readonly formats: Readonly<Partial<Record<RecordFormat, number>>>;
  readonly schema: readonly SchemaField[];
  /** Lengths of all texts of a record, in characters (UTF-16 units). */
  readonly characters: number;
  readonly bins: Float64Array;
  readonly tokens: TokenFigures | undefined;
  /** Answers with their counts, where the data is of labels. */
  readonly labels: readonly { readonly label: string; readonly count: number }[] | undefined;
  readonly problems: readonly RowProblems[];
  /** Duplicates are looked for among so many records; more are counted as if they were new. */
  readonly duplicatesWithin: number | undefined;
}

const maxListed = 1000;

type Report = (kind: RowProblemKind, message: string, other?: number) => void;

export async function analyse(options: AnalysisOptions, beat: Beat): Promise<Analysis> {
  const analyser = new Analyser(options);
  await analyser.readEvaluation(beat);
  let records = 0;
  let sampled = false;
  for await (const record of readRecords(options.path)) {
    beat.row(record.place.index);
    analyser.add(record);
    if (++records === options.limit) {
      sampled = true;
      break;
    }
  }
  await analyser.findDuplicateKeys(beat);
  return analyser.finish(sampled);
}

/** What one record turned out to be; undefined where it is malformed. */
export interface Seen {
  readonly example: Example;
  readonly format: RecordFormat;
  readonly tokenized: TokenizedExample | undefined;
}

export class Analyser {
  private readonly found = new Map<RowProblemKind, { count: number; rows: ProblemRow[] }>();
  private readonly root = fieldNode('');
  private readonly exact = new SeenTexts();
  private readonly prompts = new SeenTexts();
  private readonly near = new NearDuplicates();
  private readonly evaluation = new SeenTexts();
  private readonly answers = new Answers();
  private readonly labels: Labels;
  private readonly tokenizer: ExampleTokenizer | undefined;
  private readonly formats: Partial<Record<RecordFormat, number>> = {};
  private readonly turnCounts: Record<string, number> = {};
  private readonly bins = new Float64Array(lengthBins);
  private readonly tokenBins = new Float64Array(lengthBins);
  private home: RecordFormat | undefined;
  private records = 0;
  private usable = 0;
  private bytes = 0;
  private turns = 0;
  private characters = 0;
  private tokens = 0;
  private lossTokens = 0;
  private truncatedRecords = 0;
  private truncatedTokens = 0;

  /** @param onProblem told of every problem, however many there are */
  constructor(
    private readonly options: AnalysisOptions,
    private readonly onProblem: (kind: RowProblemKind, row: number) => void = () => undefined,
  ) {
    this.labels = new Labels(options.labels);
    if (options.model !== undefined) this.tokenizer = new ExampleTokenizer(options.model);
  }

  async readEvaluation(beat: Beat): Promise<void> {
    for (const path of this.options.evaluation) {
      let home: RecordFormat | undefined;
      for await (const record of readRecords(path)) {
        beat.row(record.place.index);
        if ('problem' in record) continue;
        const made = toExample(
          record.value,
          formatInFile(record.value, this.options.fields, home),
          this.options.fields,
          record.place,
        );
        if (made instanceof RecordProblem) continue;
        home ??= made.format;
        this.evaluation.put(hashText(promptKey(made.example)), record.place.index);
      }
    }
  }

  /** What the record is, without looking for problems. */
  read(record: RawRecord): Seen | undefined {
    const made = this.example(record, () => undefined);
    if (made === undefined) return undefined;
    this.home ??= made.format;
    return { ...made, tokenized: this.tokenize(made.example, () => undefined) };
  }

  add(record: RawRecord): Seen | undefined {
    this.records++;
    this.bytes += record.bytes;
    const { index: row, line } = record.place;
    const report: Report = (kind, message, other) => {
      this.report(kind, { row, line, message, ...(other === undefined ? {} : { other }) });
    };
    if (!('problem' in record)) addValue(this.root, record.value);
    const made = this.example(record, report);
    if (made === undefined) return undefined;
    const { example, format } = made;
    this.home ??= format;
    if (format !== this.home) report('mixed-formats', `is of the format ${format}, the first record of ${this.home}`);
    this.usable++;
    this.formats[format] = (this.formats[format] ?? 0) + 1;
    this.look(example, report);
    return { example, format, tokenized: this.tokenize(example, report) };
  }

  private example(record: RawRecord, report: Report): { example: Example; format: RecordFormat } | undefined {
    if ('problem' in record) {
      report('malformed', record.problem);
      return undefined;
    }
    const { fields } = this.options;
    const format = this.options.format === 'auto' ? formatInFile(record.value, fields, this.home) : this.options.format;
    const made = toExample(record.value, format, fields, record.place);
    if (!(made instanceof RecordProblem)) return made;
    report('malformed', made.field === undefined ? made.message : `${made.field}: ${made.message}`);
    return undefined;
  }

  private look(example: Example, report: Report): void {
    const { index: row } = example.place;
    const text = textOfExample(example);
    this.characters += text.length;
    const bin = lengthBin(text.length);
    this.bins[bin] = (this.bins[bin] ?? 0) + 1;
    const odd = oddEncoding(text);
    if (odd !== undefined) report('odd-encoding', odd);
    const same = this.exact.put(hashText(exactKey(example)), row);
    if (same !== undefined) report('exact-duplicate', `is the same as row ${same + 1}`, same);
    else {
      const near = this.near.add(row, text);
      if (near !== undefined) {
        report(
          'near-duplicate',
          `has about ${Math.round(near.likeness * 100)} % in common with row ${near.row + 1}`,
          near.row,
        );
      }
    }
    if (example.kind === 'text') {
      if (example.text.trim() === '') report('empty-completion', 'the text is empty');
      return;
    }
    const { messages } = example;
    this.turns += messages.length;
    const turns = messages.length > 20 ? 'more than 20' : String(messages.length);
    this.turnCounts[turns] = (this.turnCounts[turns] ?? 0) + 1;
    const empty = emptyCompletion(messages);
    if (empty !== undefined) report('empty-completion', empty);
    const order = roleOrder(messages);
    if (order !== undefined) report('role-order', order);
    const last = messages.at(-1);
    if (last?.role !== 'assistant') return;
    this.labels.add(last.content, example.place);
    const key = promptKey(example);
    if (this.evaluation.has(hashText(key))) report('eval-overlap', 'its prompt stands in the evaluation set too');
    const first = this.prompts.put(hashText(key), row);
    if (first === undefined) this.answers.put(row, hashText(normalizeAnswer(last.content)));
    else if (this.answers.differs(first, hashText(normalizeAnswer(last.content)))) {
      report('conflicting-answers', `answers the prompt of row ${first + 1} in another way`, first);
    }
  }

  private tokenize(example: Example, report: Report): TokenizedExample | undefined {
    const { model } = this.options;
    if (this.tokenizer === undefined || model === undefined) return undefined;
    let made: TokenizedExample;
    try {
      made = this.tokenizer.tokenize(example, model.lossOn, model.maxLength);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      report('malformed', error.message);
      return undefined;
    }
    const whole = made.tokens.length + made.truncated;
    const bin = lengthBin(whole);
    this.tokenBins[bin] = (this.tokenBins[bin] ?? 0) + 1;
    this.tokens += made.tokens.length;
    for (const one of made.mask) this.lossTokens += one;
    if (made.truncated > 0) {
      this.truncatedRecords++;
      this.truncatedTokens += made.truncated;
      report('truncated', `has ${whole} tokens: ${made.truncated} are cut off by max_length ${model.maxLength}`);
    }
    return made;
  }

  /** What parsing cannot tell any more: keys that stand twice in an object of a line of JSONL. */
  async findDuplicateKeys(beat: Beat): Promise<void> {
    const { path } = this.options;
    const rows = await openRows(path);
    await rows.close();
    const { layout, kind } = rows;
    if (layout?.kind !== 'jsonl' || kind.packing !== 'none') return;
    // Of a sample not more than its own bytes, with their line ends.
    const to = Math.min(kind.size, layout.start + 2 * (this.bytes + this.records));
    const task = { file: path, from: 0, to, start: layout.start, spacing: kind.size + 1, check: true };
    const { duplicateKeys } = scanSegment(task, () => beat.row(this.records));
    for (const { row, line } of duplicateKeys.rows) {
      const message = 'has a key twice in one object: the last one counts';
      if (row < this.records) this.report('duplicate-keys', { row, line, message });
    }
  }

  finish(sampled: boolean): Analysis {
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
      schema: schemaOf([this.root]),
      characters: this.characters,
      bins: this.bins,
      tokens:
        this.tokenizer === undefined || model === undefined
          ? undefined
          : {
              tokens: this.tokens,
              lossTokens: this.lossTokens,
              bins: this.tokenBins,
              truncatedRecords: this.truncatedRecords,
              truncatedTokens: this.truncatedTokens,
              maxLength: model.maxLength,
              maskSource: onlyText ? 'text' : this.tokenizer.maskSource,
            },
      labels: this.labels.list(),
      problems: [...this.found]
        .map(([kind, { count, rows }]) => ({ kind, count, rows }))
        .sort((a, b) => order(a.kind) - order(b.kind)),
      duplicatesWithin: this.exact.full || this.near.full ? 1 << 20 : undefined,
    };
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

/** The answer that was first given to a prompt, by the row that it stands in. */
class Answers {
  private hashes = new Float64Array(1024);

  put(row: number, hash: number): void {
    if (row >= 1 << 21) return;
    if (row >= this.hashes.length) {
      const larger = new Float64Array(Math.max(row + 1, this.hashes.length * 2));
      larger.set(this.hashes);
      this.hashes = larger;
    }
    this.hashes[row] = hash + 1;
  }

  differs(row: number, hash: number): boolean {
    const known = this.hashes[row] ?? 0;
    return known !== 0 && known !== hash + 1;
  }
}

function exactKey(example: Example): string {
  if (example.kind === 'text') return example.text;
  return JSON.stringify(
    example.messages.map(({ role, content, reasoning, extra }) => [role, content, reasoning, extra]),
  );
}
