/** A JSONL file in parts, which workers go through at once: to find its rows, and to check every line. */

import { LabError } from '../../core/errors.js';
import { type CheckResult, mergeSegments } from './check.js';
import type { JobKind, Jobs } from './jobs.js';
import { openRows, spacingFor } from './rows.js';
import { type JobOptions, runJob } from './run-job.js';
import type { SegmentTask } from './segment.js';

/** Where the lines begin, and how far apart they are marked. */
export interface Layout {
  readonly size: number;
  readonly start: number;
  readonly spacing: number;
}

const segmentWorkers = 2;
const leastSegment = 32 * 1024 * 1024;

/** Undefined where the file is none of lines of JSON, or is packed. */
export async function layoutFor(path: string): Promise<Layout | undefined> {
  const rows = await openRows(path);
  await rows.close();
  const { layout, kind } = rows;
  if (layout?.kind !== 'jsonl' || kind.packing !== 'none') return undefined;
  return { size: kind.size, start: layout.start, spacing: spacingFor(kind.size) };
}

/** Where the rows are. */
export function indexParts(path: string, layout: Layout, options: JobOptions = {}): Promise<CheckResult> {
  return parts(path, layout, false, options);
}

/** Where the rows are, whether each is JSON, what fields they have and how long they are. */
export function checkParts(path: string, layout: Layout, options: JobOptions = {}): Promise<CheckResult> {
  return parts(path, layout, true, options);
}

async function parts(path: string, layout: Layout, check: boolean, options: JobOptions): Promise<CheckResult> {
  return mergeSegments(await runAll('segment', segmentTasks(path, layout, check), options));
}

export function segmentTasks(file: string, { size, start, spacing }: Layout, check: boolean): SegmentTask[] {
  const count = Math.max(1, Math.min(segmentWorkers, Math.floor(size / leastSegment)));
  const border = (part: number): number => (part === count ? size : Math.floor((size * part) / count));
  return Array.from({ length: count }, (_, part) => ({
    file,
    from: border(part),
    to: border(part + 1),
    start,
    spacing,
    check,
  }));
}

/** All or none: where one fails the others are stopped. */
export async function runAll<K extends JobKind>(
  kind: K,
  tasks: readonly Jobs[K]['in'][],
  { signal, onProgress, ...rest }: JobOptions,
): Promise<Jobs[K]['out'][]> {
  const stop = new AbortController();
  const abort = (): void => stop.abort(signal?.reason);
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort, { once: true });
  const shares = tasks.map(() => 0);
  try {
    return await Promise.all(
      tasks.map((task, i) =>
        runJob(kind, task, {
          ...rest,
          signal: stop.signal,
          onProgress: ({ row, share }) => {
            shares[i] = share;
            onProgress?.({ row, share: shares.reduce((sum, one) => sum + one, 0) / tasks.length });
          },
        }),
      ),
    );
  } finally {
    signal?.removeEventListener('abort', abort);
    stop.abort(new LabError('another part failed'));
  }
}
