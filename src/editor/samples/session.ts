/** One open samples view: follows its runs, and answers what its page asks. No `vscode` here. */

import type { RecordPlace } from '../../core/data.js';
import type { RunEvent } from '../../core/events.js';
import {
  firstQuery,
  type PromptDetail,
  type PromptRow,
  type SamplesQuery,
  type SamplesRun,
  type ToSamples,
} from '../../core/view/samples.js';
import { RunSamples, type SetBook, Verdict } from '../../core/view/samples-book.js';
import { describePrompt } from '../../core/view/samples-detail.js';
import {
  listPrompts,
  type PromptEntry,
  type PromptList,
  type PromptTable,
  promptTable,
  verdictsOf,
} from '../../core/view/samples-list.js';
import { commonLead, promptTitle } from '../../core/view/samples-titles.js';
import { readingOf } from './reading.js';
import { RecordTexts } from './record-texts.js';

/** A run as lists know it. */
export interface SamplesRunRow extends Omit<SamplesRun, 'key'> {
  /** The resolved config, unchecked. */
  readonly config: Readonly<Record<string, unknown>>;
}

export interface SamplesHome {
  /** Undefined where the folder holds no run (any more). */
  run(folder: string): SamplesRunRow | undefined;
  follow(
    folder: string,
    listener: (batch: { events: readonly RunEvent[]; caughtUp: boolean; restarted: boolean }) => void,
  ): { dispose(): void };
  send(message: ToSamples): void;
}

/** A text on its own, for the editor's diff. */
export interface SampleText {
  readonly run: string;
  readonly set: string;
  readonly place: RecordPlace;
  /** Null: the reference. */
  readonly step: number | null;
  readonly text: string;
}

interface Followed {
  readonly samples: RunSamples;
  readonly follow: { dispose(): void };
  caughtUp: boolean;
}

const flushMs = 50;
/** Records whose texts are read so that they can be searched. */
const mostSearched = 20_000;
/** Prompts from which the common beginning is taken. */
const leadPrompts = 200;
const shortAnswer = 120;

export class SamplesSession {
  private readonly runs = new Map<string, Followed>();
  private readonly texts: RecordTexts;
  private query: SamplesQuery = firstQuery;
  private table: PromptTable = { entries: [], courses: [], differ: [] };
  private books: (SetBook | undefined)[] = [];
  private list: PromptList | undefined;
  /** Places in the list, by key. */
  private positions = new Map<string, number>();
  private byKey = new Map<string, PromptEntry>();
  private version = 0;
  private window = { from: 0, count: 0 };
  private ready = false;
  private timer: NodeJS.Timeout | undefined;
  private changed = { runs: true, samples: true, texts: false };
  private closed = false;
  /** What the page knows of the runs. */
  private told = '';
  private toldKeys = '';

  constructor(
    private readonly home: SamplesHome,
    folders: readonly string[],
  ) {
    this.texts = new RecordTexts(
      (file) =>
        readingOf(
          file,
          this.folders.map((folder) => this.home.run(folder)?.config),
        ),
      () => this.touch('texts'),
    );
    this.add(folders);
  }

  get folders(): string[] {
    return [...this.runs.keys()];
  }

  /** Whether it shows these runs and no others. */
  shows(folders: readonly string[]): boolean {
    return folders.length === this.runs.size && folders.every((folder) => this.runs.has(folder));
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    for (const { follow } of this.runs.values()) follow.dispose();
    this.runs.clear();
    this.texts.close();
  }

  add(folders: readonly string[]): void {
    for (const folder of folders) {
      if (this.runs.has(folder)) continue;
      const followed: Followed = {
        samples: new RunSamples(),
        caughtUp: false,
        follow: this.home.follow(folder, ({ events, caughtUp, restarted }) => {
          if (restarted) followed.samples.reset();
          const changed = followed.samples.add(events);
          if (changed || restarted) this.touch('samples');
          if (caughtUp && !followed.caughtUp) {
            followed.caughtUp = true;
            this.touch('runs', 'samples');
          }
        }),
      };
      this.runs.set(folder, followed);
    }
    this.touch('runs', 'samples');
  }

  remove(folder: string): void {
    this.runs.get(folder)?.follow.dispose();
    this.runs.delete(folder);
    this.touch('runs', 'samples');
  }

  /** What lists know of the runs has changed. */
  rowsChanged(): void {
    this.touch('runs');
  }

  start(query: SamplesQuery): void {
    this.ready = true;
    this.query = query;
    this.told = '';
    this.changed = { runs: true, samples: true, texts: false };
    this.flush();
  }

  ask(query: SamplesQuery): void {
    const before = this.query;
    this.query = query;
    const { set, run, filter, order, text } = query;
    const listed =
      set !== before.set ||
      run !== before.run ||
      filter !== before.filter ||
      order !== before.order ||
      text !== before.text;
    if (!listed) {
      this.sendDetail();
      return;
    }
    if (set !== before.set || run !== before.run) this.gather();
    else this.relist();
    // A person who filters wants to see what was found.
    if (this.selected === undefined || !this.positions.has(this.selected.key)) this.selectPosition(0);
    this.sendList();
    this.sendDetail();
  }

  rows(version: number, from: number, count: number): void {
    if (version !== this.version) return;
    this.window = { from, count };
    this.sendRows();
  }

  select(position: number): void {
    this.selectPosition(position);
    this.sendDetail();
  }

  /** The record that is shown. */
  get selected(): PromptEntry | undefined {
    return this.query.selected === null ? undefined : this.byKey.get(this.query.selected);
  }

  /** The run whose answers are listed. */
  private get current(): string | undefined {
    const { run } = this.query;
    return run !== null && this.runs.has(run) ? run : this.folders[0];
  }

  private get set(): string | undefined {
    const { set } = this.query;
    const sets = this.sets();
    return set !== null && sets.includes(set) ? set : sets[0];
  }

  /** Both sides of the comparison that is shown, the older one first. Undefined: there is none. */
  compared(): { readonly before: SampleText; readonly after: SampleText } | undefined {
    const { selected: entry, set } = this;
    if (entry === undefined || set === undefined) return undefined;
    const detail = this.detailOf(entry);
    const { shown, base, reference } = detail;
    if (shown?.answer === undefined || shown.answer === null) return undefined;
    const { place } = entry;
    const after = { run: shown.run, set, place, step: shown.step, text: shown.answer };
    if (base !== null && base.answer !== null) {
      return { before: { run: base.run, set, place, step: base.step, text: base.answer }, after };
    }
    if (this.query.base.kind !== 'reference' || reference === null) return undefined;
    return { before: { run: shown.run, set, place, step: null, text: reference }, after };
  }

  private touch(...parts: (keyof SamplesSession['changed'])[]): void {
    if (this.closed) return;
    for (const part of parts) this.changed[part] = true;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      if (this.ready) this.flush();
    }, flushMs);
  }

  private flush(): void {
    const { runs, samples, texts } = this.changed;
    this.changed = { runs: false, samples: false, texts: false };
    const others = (runs || samples) && this.sendRuns();
    // The past comes in many pieces: one list when all of it is there.
    if (this.reading) return;
    if (samples || others || (texts && this.query.text !== '')) {
      if (samples || others) this.gather();
      else this.relist();
      if (this.selected === undefined) this.selectPosition(0);
      this.sendList();
      this.sendDetail();
    } else if (texts) {
      this.sendRows();
      this.sendDetail();
    }
  }

  private get reading(): boolean {
    return [...this.runs.values()].some(({ caughtUp }) => !caughtUp);
  }

  private sets(): string[] {
    return [...new Set([...this.runs.values()].flatMap(({ samples }) => [...samples.sets.keys()]))];
  }

  /** Progress of a run alone is nothing new here. @returns whether the runs are others, or became known */
  private sendRuns(): boolean {
    const known = this.folders.flatMap((key) => {
      const row = this.home.run(key);
      return row === undefined ? [] : [{ key, label: row.label, experiment: row.experiment, state: row.state }];
    });
    const keys = known.map(({ key }) => key);
    const missing = this.folders.filter((folder) => !keys.includes(folder));
    const message: ToSamples = { type: 'runs', runs: known, missing, sets: this.sets(), reading: this.reading };
    const told = JSON.stringify(message);
    if (told === this.told) return false;
    const before = this.toldKeys;
    this.told = told;
    this.toldKeys = keys.join('\n');
    this.home.send(message);
    return this.toldKeys !== before;
  }

  /** Gathers what is known of all records; what is shown of them follows. */
  private gather(): void {
    const { set } = this;
    this.books = this.folders.map((folder) =>
      set === undefined ? undefined : this.runs.get(folder)?.samples.sets.get(set),
    );
    this.table = promptTable(this.books, this.currentIndex);
    this.byKey = new Map(this.table.entries.map((entry) => [entry.key, entry]));
    this.relist();
  }

  private relist(): void {
    const { entries } = this.table;
    if (this.query.text !== '') this.texts.want(this.unknown(entries.slice(0, mostSearched)).reverse());
    this.list = listPrompts(this.table, this.query, (entry) => {
      const { prompt, reference } = this.textOf(entry);
      return `${prompt ?? ''}\n${reference ?? ''}`;
    });
    this.positions = new Map(this.list.order.map((i, position) => [entries[i]?.key ?? '', position]));
    this.version++;
  }

  private get currentIndex(): number {
    return Math.max(0, this.folders.indexOf(this.current ?? ''));
  }

  private selectPosition(position: number): void {
    const index = this.list?.order[position];
    const entry = index === undefined ? undefined : this.table.entries[index];
    if (entry !== undefined) this.query = { ...this.query, selected: entry.key };
  }

  private sendList(): void {
    const { list, current } = this;
    if (list === undefined) return;
    const book = this.books[this.currentIndex];
    this.home.send({
      type: 'list',
      version: this.version,
      set: this.set ?? null,
      run: current ?? null,
      count: list.order.length,
      counts: { ...list.counts },
      steps: book?.points.map(({ step }) => step) ?? [],
      checked: this.table.courses.some(({ last }) => last !== Verdict.none),
      samplesKept: this.samplesKept(current),
      position: this.positions.get(this.query.selected ?? '') ?? null,
    });
  }

  private samplesKept(folder: string | undefined): number {
    const kept = folder === undefined ? undefined : this.home.run(folder)?.config.num_sample_generations;
    return typeof kept === 'number' ? kept : 0;
  }

  private sendRows(): void {
    const { list, window } = this;
    if (list === undefined || window.count === 0) return;
    const indexes = list.order.slice(window.from, window.from + window.count);
    const shown = indexes.flatMap((index) => this.table.entries[index] ?? []);
    this.texts.want(this.unknown(shown).reverse());
    const lead = commonLead(
      this.table.entries.slice(0, leadPrompts).flatMap((entry) => this.textOf(entry).prompt ?? []),
    );
    const current = this.currentIndex;
    const rows = indexes.flatMap((index): PromptRow[] => {
      const entry = this.table.entries[index];
      const course = this.table.courses[index];
      if (entry === undefined || course === undefined) return [];
      const { prompt } = this.textOf(entry);
      const answer = course.answer?.slice(0, shortAnswer) ?? null;
      return [
        {
          key: entry.key,
          title: prompt === null ? null : promptTitle(prompt, lead),
          answer,
          verdicts: verdictsOf(this.books[current], entry.rows[current]),
          loss: course.loss,
          record: entry.place.index + 1,
        },
      ];
    });
    this.home.send({ type: 'rows', version: this.version, from: window.from, rows });
  }

  /** Places of those of which nothing is known. */
  private unknown(entries: readonly PromptEntry[]): RecordPlace[] {
    return entries.flatMap((entry) => (this.textOf(entry).source.kind === 'reading' ? [entry.place] : []));
  }

  private textOf(entry: PromptEntry): Pick<PromptDetail, 'prompt' | 'reference' | 'source'> {
    const order = [this.currentIndex, ...this.books.keys()];
    for (const i of order) {
      const row = entry.rows[i];
      const known = row === undefined ? undefined : this.books[i]?.text(row);
      if (known !== undefined) return { ...known, source: { kind: 'log' } };
    }
    const read = this.texts.get(entry.place);
    if (read === undefined) return { prompt: null, reference: null, source: { kind: 'reading' } };
    if (read.kind === 'missing') return { prompt: null, reference: null, source: read };
    return { prompt: read.prompt, reference: read.reference, source: { kind: 'file' } };
  }

  private sendDetail(): void {
    const { selected } = this;
    if (selected !== undefined) this.texts.want(this.unknown([selected]));
    this.home.send({ type: 'detail', detail: selected === undefined ? null : this.detailOf(selected) });
  }

  private detailOf(entry: PromptEntry): PromptDetail {
    const { folders: runs, books, query } = this;
    const current = query.shown !== null && this.runs.has(query.shown) ? runs.indexOf(query.shown) : this.currentIndex;
    const position = this.positions.get(entry.key) ?? null;
    return { position, ...this.textOf(entry), ...describePrompt(entry, { runs, books, current, query }) };
  }
}
