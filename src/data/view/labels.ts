/** The answers of data that has few and short ones (labels), and those that stand outside of them. */

import type { RecordPlace } from '../../core/data.js';
import { normalizeAnswer } from '../../core/metrics.js';

const maxLength = 64;
const maxLabels = 64;
const maxDistinct = 1024;
const maxOutliers = 1000;
/** So large a part of the answers has to be of the labels, each met three times or in one of 200 records. */
const share = 0.9;

interface Entry {
  readonly text: string;
  count: number;
  readonly places: RecordPlace[];
}

export class Labels {
  private readonly seen = new Map<string, Entry>();
  private readonly others: { readonly place: RecordPlace; readonly answer: string }[] = [];
  private count = 0;
  private readonly allowed: ReadonlySet<string> | undefined;

  constructor(given: readonly string[] | undefined) {
    this.allowed = given === undefined || given.length === 0 ? undefined : new Set(given.map(normalizeAnswer));
    for (const label of given ?? []) this.seen.set(normalizeAnswer(label), { text: label, count: 0, places: [] });
  }

  /** @param answer undefined where it is too long for a label, and others were told that are */
  add(answer: string | undefined, place: RecordPlace): void {
    this.count++;
    if (answer === undefined) return;
    const short = answer.length <= maxLength && !answer.includes('\n');
    const key = short ? normalizeAnswer(answer) : undefined;
    const known = key === undefined ? undefined : this.seen.get(key);
    if (known !== undefined) {
      known.count++;
      if (known.places.length < 8) known.places.push(place);
    } else if (key !== undefined && this.seen.size < maxDistinct) {
      this.seen.set(key, { text: answer.trim(), count: 1, places: [place] });
    } else {
      if (this.others.length < maxOutliers) this.others.push({ place, answer: answer.slice(0, 200) });
    }
  }

  /** Most frequent first; undefined where the answers are free text. */
  list(): { label: string; count: number }[] | undefined {
    return this.chosen()?.map(([, { text, count }]) => ({ label: text, count }));
  }

  outliers(): { readonly place: RecordPlace; readonly answer: string }[] {
    const chosen = this.chosen();
    if (chosen === undefined) return [];
    const labels = new Set(chosen.map(([key]) => key));
    const rare = [...this.seen].flatMap(([key, { text, places }]) =>
      labels.has(key) ? [] : places.map((place) => ({ place, answer: text })),
    );
    return [...rare, ...this.others].sort((a, b) => a.place.index - b.place.index);
  }

  private chosen(): [string, Entry][] | undefined {
    const byCount = [...this.seen].sort(([, a], [, b]) => b.count - a.count || (a.text < b.text ? -1 : 1));
    if (this.allowed !== undefined) return byCount.filter(([key]) => this.allowed?.has(key));
    const common = byCount.filter(([, { count }]) => count >= 3 && count >= this.count / 200).slice(0, maxLabels);
    const covered = common.reduce((sum, [, { count }]) => sum + count, 0);
    return common.length >= 2 && covered >= share * this.count ? common : undefined;
  }
}
