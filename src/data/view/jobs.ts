/** Work on a whole data set, each piece of it done by a worker of its own that can be stopped: what is asked, and what comes back. */

import type { Analysis, AnalysisOptions } from './analyse.js';
import type { CountTask, TokenCounts } from './count-tokens.js';
import type { FilterOptions, FilterResult } from './filter.js';
import type { SegmentResult, SegmentTask } from './segment.js';

export interface Jobs {
  segment: { readonly in: SegmentTask; readonly out: SegmentResult };
  analyse: { readonly in: AnalysisOptions; readonly out: Analysis };
  tokens: { readonly in: CountTask; readonly out: TokenCounts };
  filter: { readonly in: FilterOptions; readonly out: FilterResult };
}

export type JobKind = keyof Jobs;
/** What the worker of all kinds does; parts of JSONL are for `scan-worker.ts`. */
export type Job = { [K in JobKind]: { readonly kind: K; readonly task: Jobs[K]['in'] } }[Exclude<JobKind, 'segment'>];

/** Float64: heartbeat, rows done, share of the bytes done (0 to 1). */
export const progressSlots = 3;

/** What a job says while it works. */
export interface Beat {
  row(row: number): void;
  share(share: number): void;
}
