/** All that is shown of one record: how its answers went in every run, one answer whole, and the one it is compared with. */

import type { PromptDetail, Said, SamplesQuery, Track } from './samples.js';
import { keptAnswer, type SetBook, type SetPoint, Verdict } from './samples-book.js';
import type { PromptEntry } from './samples-list.js';

export interface DetailContext {
  /** Folders of the runs, and what each holds of the set. */
  readonly runs: readonly string[];
  readonly books: readonly (SetBook | undefined)[];
  /** Index of the run whose answer is shown. */
  readonly current: number;
  readonly query: Pick<SamplesQuery, 'step' | 'base'>;
}

export function describePrompt(
  entry: PromptEntry,
  { runs, books, current, query }: DetailContext,
): Pick<PromptDetail, 'key' | 'place' | 'tracks' | 'shown' | 'base'> {
  const pointsOf = (index: number): readonly SetPoint[] =>
    entry.rows[index] === undefined ? [] : (books[index]?.points ?? []);
  const answered = (index: number, point: SetPoint): boolean => {
    const row = entry.rows[index];
    return row !== undefined && point.answer(row) !== undefined;
  };
  const points = pointsOf(current);
  const { step, base } = query;
  const at =
    step === null
      ? points.length - 1
      : Math.max(
          0,
          points.findLastIndex((point) => point.step <= step),
        );
  const { file, index, line } = entry.place;
  return {
    key: entry.key,
    place: { file, record: index + 1, line },
    tracks: runs.map(
      (run, i): Track => ({ run, points: pointsOf(i).map((point) => markOf(point, entry.rows[i] ?? -1)) }),
    ),
    shown: said(current, points[at]),
    base: baseSaid(),
  };

  function baseSaid(): Said | null {
    switch (base.kind) {
      case 'none':
      case 'reference':
        return null;
      case 'previous':
        return said(
          current,
          points.slice(0, Math.max(0, at)).findLast((point) => answered(current, point)),
        );
      case 'first': {
        const first = points.find((point) => answered(current, point));
        return first === points[at] ? null : said(current, first);
      }
      case 'run': {
        const other = runs.indexOf(base.run);
        return other === current
          ? null
          : said(
              other,
              pointsOf(other).findLast((point) => answered(other, point)),
            );
      }
    }
  }

  function said(of: number, point: SetPoint | undefined): Said | null {
    const [row, run] = [entry.rows[of], runs[of]];
    if (row === undefined || run === undefined || point === undefined) return null;
    const sample = point.samples.get(row);
    const answer = point.answer(row) ?? null;
    return {
      run,
      step: point.step,
      answer,
      cut: sample === undefined && answer !== null && answer.length >= keptAnswer,
      verdict: point.verdict(row),
      loss: point.loss(row),
      finish: sample?.finish ?? null,
      tokens:
        sample === undefined
          ? null
          : { text: sample.text, ends: Array.from(sample.ends), entropies: Array.from(sample.entropies) },
    };
  }
}

function markOf(point: SetPoint, row: number): Track['points'][number] {
  return {
    step: point.step,
    verdict: row < 0 ? Verdict.none : point.verdict(row),
    loss: point.loss(row),
    answered: point.answer(row) !== undefined,
    sampled: point.samples.has(row),
  };
}
