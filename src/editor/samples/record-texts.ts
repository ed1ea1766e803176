/**
 * Prompts and references of records of which the log holds no sample: read from the data set, in a worker that is given back when nothing
 * more is asked. What is asked for last comes first: it is what a person looks at.
 */

import type { RecordPlace } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { RecordProblem, toExample } from '../../data/read/formats.js';
import type { RawRecord } from '../../data/read/values.js';
import { type OpenDataSet, openDataView } from '../../data/view/index.js';
import type { RecordReading } from './reading.js';

export type RecordText =
  | { readonly kind: 'text'; readonly prompt: string; readonly reference: string }
  | { readonly kind: 'missing'; readonly reason: string };

const batch = 64;
const longestText = 100_000;
const idleMs = 10_000;

export class RecordTexts {
  private readonly files = new Map<string, FileTexts>();

  constructor(
    private readonly reading: (file: string) => RecordReading,
    /** More is known. */
    private readonly changed: () => void,
  ) {}

  /** Undefined: not read yet. */
  get({ file, index }: RecordPlace): RecordText | undefined {
    return this.files.get(file)?.known.get(index);
  }

  want(places: readonly RecordPlace[]): void {
    for (const place of places) {
      let texts = this.files.get(place.file);
      if (texts === undefined) {
        texts = new FileTexts(place.file, this.reading(place.file), this.changed);
        this.files.set(place.file, texts);
      }
      texts.want(place);
    }
  }

  close(): void {
    for (const texts of this.files.values()) texts.close();
    this.files.clear();
  }
}

class FileTexts {
  readonly known = new Map<number, RecordText>();
  /** The last one asked for is last. */
  private readonly wanted = new Map<number, RecordPlace>();
  private working = false;
  private closed = false;
  private view: OpenDataSet | undefined;
  private idle: NodeJS.Timeout | undefined;

  constructor(
    private readonly file: string,
    private readonly reading: RecordReading,
    private readonly changed: () => void,
  ) {}

  want(place: RecordPlace): void {
    if (this.known.has(place.index)) return;
    this.wanted.delete(place.index);
    this.wanted.set(place.index, place);
    // In a moment, so that those asked for together are read together.
    queueMicrotask(() => void this.work());
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.idle);
    void this.view?.close();
    this.view = undefined;
  }

  private async work(): Promise<void> {
    if (this.working || this.closed || this.wanted.size === 0) return;
    this.working = true;
    clearTimeout(this.idle);
    try {
      if (this.view === undefined) {
        this.view = await openDataView(this.file);
        await this.view.index();
      }
      while (this.wanted.size > 0 && !this.closed) {
        await this.readSome(this.view);
        this.changed();
      }
    } catch (error) {
      // What cannot be read now is said to be missing; nothing asks again before the view is opened anew.
      for (const index of this.wanted.keys()) this.known.set(index, { kind: 'missing', reason: reasonOf(error) });
      this.wanted.clear();
      if (!this.closed) this.changed();
    } finally {
      this.working = false;
      if (this.closed) await this.view?.close();
      else this.idle = setTimeout(() => this.rest(), idleMs).unref();
    }
  }

  private rest(): void {
    void this.view?.close();
    this.view = undefined;
  }

  private async readSome(view: OpenDataSet): Promise<void> {
    const places = [...this.wanted.values()].slice(-batch).sort((a, b) => a.index - b.index);
    for (const place of places) this.wanted.delete(place.index);
    for (let at = 0; at < places.length; ) {
      const from = places[at]?.index ?? 0;
      let end = at + 1;
      // Near ones in one go: a few records more cost less than another look.
      while (end < places.length && (places[end]?.index ?? 0) - (places[end - 1]?.index ?? 0) <= 4) end++;
      const records = await view.rows(from, (places[end - 1]?.index ?? from) - from + 1);
      for (const place of places.slice(at, end)) {
        this.known.set(place.index, this.textOf(records[place.index - from], place));
      }
      at = end;
    }
  }

  private textOf(record: RawRecord | undefined, place: RecordPlace): RecordText {
    if (record === undefined || record.place.line !== place.line) {
      return { kind: 'missing', reason: 'the data set has changed since' };
    }
    if ('problem' in record) return { kind: 'missing', reason: record.problem };
    const made = toExample(record.value, this.reading.format, this.reading.fields, place);
    if (made instanceof RecordProblem) return { kind: 'missing', reason: made.message };
    const { example } = made;
    if (example.kind === 'text') return { kind: 'text', prompt: '', reference: example.text.slice(0, longestText) };
    const last = example.messages.at(-1);
    const before = example.messages.slice(0, -1);
    return {
      kind: 'text',
      prompt: (before.findLast(({ role }) => role === 'user')?.content ?? '').slice(0, longestText),
      reference: (last?.content ?? '').slice(0, longestText),
    };
  }
}

function reasonOf(error: unknown): string {
  return error instanceof LabError || error instanceof Error ? error.message : String(error);
}
