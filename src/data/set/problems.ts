/** What is wrong with a data set: counted whole, with the first ten places of each kind. */

import type { RecordPlace } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import type { Problem } from '../types.js';

const shownPlaces = 10;

export class Problems {
  private readonly byKind = new Map<
    string,
    { problem: Omit<Problem, 'places'>; count: number; places: Problem['places'][number][] }
  >();

  add(
    problem: Omit<Problem, 'places' | 'count'>,
    place: RecordPlace | undefined,
    message: string,
    field?: string,
  ): void {
    let entry = this.byKind.get(problem.kind);
    if (entry === undefined) {
      entry = { problem: { ...problem, count: 0 }, count: 0, places: [] };
      this.byKind.set(problem.kind, entry);
    }
    entry.count++;
    if (place !== undefined && entry.places.length < shownPlaces) {
      entry.places.push({ place, message, ...(field === undefined ? {} : { field }) });
    }
  }

  count(kind: Problem['kind']): number {
    return this.byKind.get(kind)?.count ?? 0;
  }

  list(): Problem[] {
    return [...this.byKind.values()].map(({ problem, count, places }) => ({ ...problem, count, places }));
  }

  /** @throws LabError listing the bad records, if there are any */
  throwBadRecords(): void {
    const bad = this.byKind.get('bad-record');
    const first = bad?.places[0];
    if (bad === undefined || first === undefined) return;
    const lines = bad.places.map(
      ({ place, field, message }) =>
        `${place.file}:${place.line}: ${field === undefined ? '' : `${field}: `}${message}`,
    );
    const more = bad.count > lines.length ? [`and ${bad.count - lines.length} more`] : [];
    throw new LabError(bad.count === 1 ? first.message : `${first.message} (${bad.count} bad records)`, {
      place: {
        file: first.place.file,
        line: first.place.line,
        ...(first.field === undefined ? {} : { field: first.field }),
      },
      advice: ['Mend these records, or set on_bad_record to "skip":', ...lines, ...more].join('\n    '),
    });
  }
}
