/** Rows by number, as they are shown: messages, raw text, tokens. The worker's role `rows`. */

import type { RecordFormat } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import type { Mapping, PreviewRow, RowTokens, ViewKind } from '../../core/view/preview.js';
import { formatInFile, RecordProblem, toExample } from '../../data/read/formats.js';
import type { RawRecord } from '../../data/read/records.js';
import { ExampleTokenizer } from '../../data/text/examples.js';
import type { TemplateOptions } from '../../data/types.js';
import type { Ask, ModelFacts, Opened } from './protocol.js';
import { rawRow, shownRow, shownTokens } from './shown.js';
import { fieldsOf, openRows, type Rows, Turn } from './source.js';
import type { Task } from './worker.js';

const headRows = 50;
/** Records kept for the tokens that are asked for right after the rows. */
const keptRecords = 400;
const largestKept = 1 << 18;
const mostFields = 200;
/** Bytes of a record whose tokens are made without being asked for. */
const largestListed = 1 << 18;

export class RowsService {
  private rows: Rows | undefined;
  private mapping: Mapping = { format: 'auto' };
  private home: RecordFormat | undefined;
  private head: readonly RawRecord[] = [];
  private tokenizer: ExampleTokenizer | undefined;
  private readonly kept = new Map<number, RawRecord>();

  async handle(ask: Exclude<Ask, { cancel: true }>, task: Task): Promise<unknown> {
    switch (ask.method) {
      case 'open':
        return this.open(ask.argument.path, ask.argument.mapping);
      case 'mapping':
        this.remap(ask.argument);
        return { detected: this.home };
      case 'model':
        return this.setModel(ask.argument);
      case 'marks':
        this.opened().setMarks(ask.argument.marks, ask.argument.rows);
        return null;
      case 'index': {
        const rows = this.opened();
        let told = 0;
        await rows.index((count) => {
          task.beat(count);
          if (Date.now() - told < 100) return;
          told = Date.now();
          task.event(count);
        });
        return rows.count;
      }
      case 'rows': {
        const { rows, view, whole } = ask.argument;
        return this.shown(rows, view, whole, task);
      }
      case 'tokens': {
        const { rows, whole } = ask.argument;
        return this.tokens(rows, whole, task);
      }
      case 'close':
        await this.rows?.close();
        this.rows = undefined;
        return null;
      case 'record': {
        const [record] = await this.readSources(Uint32Array.of(ask.argument));
        if (record === undefined) throw new LabError(`row ${ask.argument + 1} is not there`);
        return 'problem' in record
          ? record.problem
          : (record.source?.toString().trim() ?? JSON.stringify(record.value));
      }
      default:
        throw new Error(`rows cannot ${ask.method}`);
    }
  }

  private async open(path: string, mapping: Mapping): Promise<Opened> {
    await this.rows?.close();
    this.rows = undefined;
    this.kept.clear();
    this.rows = await openRows(path);
    const { kind, layout } = this.rows;
    this.head = await this.rows.read(0, headRows);
    this.remap(mapping);
    const fields = new Set<string>();
    for (const record of this.head) {
      if ('problem' in record || typeof record.value !== 'object' || record.value === null) continue;
      if (!Array.isArray(record.value)) for (const key of Object.keys(record.value)) fields.add(key);
    }
    const name = layout?.kind ?? kind.kind;
    return {
      kind: kind.packing === 'none' ? name : `${kind.kind === 'jsonl' ? 'json' : kind.kind}, ${kind.packing}`,
      bytes: kind.size,
      fields: [...fields].slice(0, mostFields).map((field) => field.slice(0, 200)),
      detected: this.home,
      count: this.rows.count,
      complete: this.rows.complete,
      lines: layout?.kind === 'jsonl' && kind.packing === 'none',
    };
  }

  /** The format that the first good record has is the file's, as it is for the trainer. */
  private remap(mapping: Mapping): void {
    this.mapping = mapping;
    this.home = undefined;
    for (const record of this.head) {
      const made = this.example(record);
      if (made === undefined || made instanceof RecordProblem) continue;
      this.home = made.format;
      return;
    }
  }

  private setModel(options: TemplateOptions | undefined): ModelFacts | undefined {
    this.tokenizer = undefined;
    if (options === undefined) return undefined;
    this.tokenizer = new ExampleTokenizer(options);
    return {
      maskSource: this.tokenizer.maskSource,
      missing: this.tokenizer.missingTokens(),
    };
  }

  private async shown(rows: Uint32Array, view: ViewKind, whole: boolean, task: Task): Promise<PreviewRow[]> {
    const records = await (view === 'raw' ? this.readSources(rows) : this.read(rows));
    return records.map((record) => {
      task.beat(record.place.index);
      return view === 'raw' ? rawRow(record, whole) : shownRow(record, this.example(record), whole);
    });
  }

  private async tokens(rows: Uint32Array, whole: boolean, task: Task): Promise<(RowTokens | null)[]> {
    const { tokenizer } = this;
    if (tokenizer === undefined) return Array.from(rows, () => null);
    const found: (RowTokens | null)[] = [];
    const turn = new Turn();
    for (const record of await this.read(rows)) {
      task.beat(record.place.index);
      // Somebody scrolls on, and what is asked next comes first.
      if (await turn.over()) task.signal.throwIfAborted();
      if (!whole && record.bytes > largestListed) {
        found.push(tooLarge(record));
        continue;
      }
      const made = this.example(record);
      found.push(
        made === undefined || made instanceof RecordProblem ? null : shownTokens(made.example, tokenizer, whole),
      );
    }
    return found;
  }

  private example(record: RawRecord): ReturnType<typeof toExample> | undefined {
    if ('problem' in record) return undefined;
    const fields = fieldsOf(this.mapping);
    const format = this.mapping.format === 'auto' ? formatInFile(record.value, fields, this.home) : this.mapping.format;
    return toExample(record.value, format, fields, record.place);
  }

  /** As they stand in the file, which few want: they are not kept. */
  private async readSources(wanted: Uint32Array): Promise<RawRecord[]> {
    const records: RawRecord[] = [];
    for (const [from, count] of stretches(wanted)) records.push(...(await this.opened().read(from, count, true)));
    return records;
  }

  /** Rows next to each other are read together. */
  private async read(wanted: Uint32Array): Promise<RawRecord[]> {
    const rows = this.opened();
    for (const [from, count] of stretches(wanted)) {
      const missing = Array.from({ length: count }, (_, k) => from + k).some((row) => !this.kept.has(row));
      if (missing) for (const record of await rows.read(from, count)) this.keep(record);
    }
    const found = Array.from(wanted, (row) => this.kept.get(row)).filter((record) => record !== undefined);
    this.forget();
    return found;
  }

  private keep(record: RawRecord): void {
    this.kept.delete(record.place.index);
    this.kept.set(record.place.index, record);
  }

  private forget(): void {
    for (const [row, { bytes }] of this.kept) if (bytes > largestKept) this.kept.delete(row);
    for (const row of this.kept.keys()) {
      if (this.kept.size <= keptRecords) return;
      this.kept.delete(row);
    }
  }

  private opened(): Rows {
    if (this.rows === undefined) throw new LabError('the data set is not open');
    return this.rows;
  }
}

/** Where rows next to each other begin, and how many there are. */
function stretches(rows: Uint32Array): [number, number][] {
  const found: [number, number][] = [];
  for (const row of rows) {
    const last = found.at(-1);
    if (last !== undefined && last[0] + last[1] === row) last[1]++;
    else found.push([row, 1]);
  }
  return found;
}

function tooLarge({ place, bytes }: RawRecord): RowTokens {
  const problem = `has ${Math.round(bytes / 1000).toLocaleString('en')} kB: its tokens are shown with all of it`;
  return { row: place.index, total: 0, runs: [], ids: [], bytes: '', ends: [], specials: [], problem };
}
