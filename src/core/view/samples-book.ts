/**
 * What a run's model said, folded from its events: for each evaluation set its records, and for each evaluation the loss, the verdict
 * and the answer of each record, in columns, so that sets of a hundred thousand records fit.
 */

import { placeKey, type RecordPlace } from '../data.js';
import type { BodyOf, EventOf, RunEvent } from '../events.js';

/** A record's answer: checked and wrong, checked and right, or not checked. */
export const Verdict = { none: -1, wrong: 0, right: 1 } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** An answer with its tokens. */
export interface KeptSample {
  readonly prompt: string;
  readonly reference: string;
  readonly answer: string;
  readonly finish: BodyOf<'sample'>['finish'];
  /** Texts of all tokens, one after the other, and where each one ends. */
  readonly text: string;
  readonly ends: Uint32Array;
  readonly entropies: Float32Array;
}

/** Longest answer that `examples` events hold: a longer one was cut. */
export const keptAnswer = 200;

/** One evaluation of a set. Rows are those of the set's book. */
export class SetPoint {
  readonly samples = new Map<number, KeptSample>();
  private losses = new Float32Array(0);
  private verdicts = new Int8Array(0);
  private readonly answers: (string | undefined)[] = [];

  constructor(readonly step: number) {}

  /** Null where it was not measured. */
  loss(row: number): number | null {
    const loss = this.losses[row];
    return loss === undefined || Number.isNaN(loss) ? null : loss;
  }

  verdict(row: number): Verdict {
    const verdict = this.verdicts[row];
    return verdict === 1 ? Verdict.right : verdict === 0 ? Verdict.wrong : Verdict.none;
  }

  /** Perhaps cut, where no sample was kept. */
  answer(row: number): string | undefined {
    return this.samples.get(row)?.answer ?? this.answers[row];
  }

  setLoss(row: number, loss: number | null): void {
    this.grow(row);
    this.losses[row] = loss ?? Number.NaN;
  }

  setAnswer(row: number, answer: string | undefined, right: boolean | null): void {
    this.grow(row);
    if (answer !== undefined) this.answers[row] = answer;
    if (right !== null) this.verdicts[row] = right ? Verdict.right : Verdict.wrong;
  }

  private grow(row: number): void {
    if (row < this.losses.length) return;
    const size = Math.max(row + 1, 2 * this.losses.length, 16);
    const losses = new Float32Array(size).fill(Number.NaN);
    losses.set(this.losses);
    this.losses = losses;
    const verdicts = new Int8Array(size).fill(Verdict.none);
    verdicts.set(this.verdicts);
    this.verdicts = verdicts;
  }
}

/** One evaluation set of a run. */
export class SetBook {
  /** Rows in the order in which they were first seen. */
  readonly places: RecordPlace[] = [];
  /** In order of their steps. */
  readonly points: SetPoint[] = [];
  private readonly rows = new Map<string, number>();
  private readonly files = new Map<string, string>();
  /** Short answers are often the same ones: kept once. */
  private readonly known = new Map<string, string>();
  /** What is asked and expected does not change from one evaluation to the next: kept once. */
  private readonly texts: ({ readonly prompt: string; readonly reference: string } | undefined)[] = [];

  row(key: string): number | undefined {
    return this.rows.get(key);
  }

  /** Prompt and reference of a record that was sampled. */
  text(row: number): { readonly prompt: string; readonly reference: string } | undefined {
    return this.texts[row];
  }

  at(step: number): SetPoint | undefined {
    return this.points.find((point) => point.step === step);
  }

  takeExamples({ step, files, items }: EventOf<'examples'>): void {
    const point = this.pointAt(step);
    for (const { file, index, line, loss, answer, right } of items) {
      const row = this.rowAt({ file: files[file] ?? '', index, line });
      point.setLoss(row, loss);
      point.setAnswer(row, answer === undefined ? undefined : this.once(answer), right ?? null);
    }
  }

  takeSample({ step, place, prompt, reference, right, tokens, entropies, answer, finish }: EventOf<'sample'>): void {
    const row = this.rowAt(place);
    const point = this.pointAt(step);
    const before = this.texts[row];
    const texts = before?.prompt === prompt && before.reference === reference ? before : { prompt, reference };
    this.texts[row] = texts;
    const text = tokens.join('');
    let end = 0;
    const ends = Uint32Array.from(tokens, (token) => {
      end += token.length;
      return end;
    });
    point.samples.set(row, {
      ...texts,
      // Most answers are the beginning of their tokens' text: a part of that string takes no room of its own.
      answer: text.startsWith(answer) ? text.slice(0, answer.length) : answer,
      finish,
      text,
      ends,
      entropies: Float32Array.from(entropies),
    });
    point.setAnswer(row, undefined, right);
  }

  /** What was logged for later steps is void. */
  dropAfter(step: number): void {
    while ((this.points.at(-1)?.step ?? 0) > step) this.points.pop();
  }

  private rowAt({ file, index, line }: RecordPlace): number {
    const key = placeKey({ file, index });
    const known = this.rows.get(key);
    if (known !== undefined) return known;
    const name = this.files.get(file) ?? file;
    this.files.set(file, name);
    this.rows.set(key, this.places.length);
    this.places.push({ file: name, index, line });
    return this.places.length - 1;
  }

  private pointAt(step: number): SetPoint {
    let after = this.points.length;
    while (after > 0 && (this.points[after - 1]?.step ?? 0) > step) after--;
    const known = this.points[after - 1];
    if (known?.step === step) return known;
    const point = new SetPoint(step);
    this.points.splice(after, 0, point);
    return point;
  }

  private once(answer: string): string {
    if (answer.length > 40) return answer;
    const known = this.known.get(answer);
    if (known !== undefined) return known;
    if (this.known.size < 10_000) this.known.set(answer, answer);
    return answer;
  }
}

/** The evaluation sets of a run, by name, in the order in which they were first evaluated. */
export class RunSamples {
  readonly sets = new Map<string, SetBook>();
  private lastSeq = -1;

  /** @returns whether anything of what it holds has changed */
  add(events: readonly RunEvent[]): boolean {
    let changed = false;
    for (const event of events) {
      if (event.seq <= this.lastSeq) continue;
      this.lastSeq = event.seq;
      switch (event.type) {
        case 'examples':
          this.book(event.set).takeExamples(event);
          changed = true;
          break;
        case 'sample':
          this.book(event.set).takeSample(event);
          changed = true;
          break;
        case 'status':
          // What an earlier attempt logged behind the place where this one began is void.
          if (event.status === 'started') this.sets.clear();
          else if (event.status === 'resumed') for (const book of this.sets.values()) book.dropAfter(event.step);
          changed ||= event.status === 'started' || event.status === 'resumed';
          break;
        default:
      }
    }
    return changed;
  }

  /** Forgets everything: the log was replaced by another. */
  reset(): void {
    this.sets.clear();
    this.lastSeq = -1;
  }

  private book(set: string): SetBook {
    const known = this.sets.get(set);
    if (known !== undefined) return known;
    const book = new SetBook();
    this.sets.set(set, book);
    return book;
  }
}
