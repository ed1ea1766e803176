/** What frames cost, out of a trace of Chromium: the main thread's time between one frame's beginning and the next one's. */

import { z } from 'zod';

const traceSchema = z.object({
  traceEvents: z.array(
    z.looseObject({
      name: z.string(),
      cat: z.string().optional(),
      ph: z.string(),
      ts: z.number(),
      pid: z.number(),
      tid: z.number(),
      dur: z.number().optional(),
      tdur: z.number().optional(),
      args: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
});
type TraceEvent = z.infer<typeof traceSchema>['traceEvents'][number];

/** Processor time that a frame takes in which nothing is drawn; such frames are left out. */
const idleMs = 2;

export interface FrameTimes {
  /** Milliseconds by the clock that the main thread worked for each frame. */
  readonly wall: readonly number[];
  /** The same by the thread's own processor time, which other programs on the machine hardly disturb. */
  readonly cpu: readonly number[];
}

/** Of the frames between two marks (`performance.mark`). */
export function frameTimes(trace: Buffer, from: string, to: string): FrameTimes {
  const { traceEvents } = traceSchema.parse(JSON.parse(trace.toString('utf8')));
  const begin = traceEvents.find(({ name, cat }) => name === from && cat?.includes('blink.user_timing') === true);
  const end = traceEvents.find(({ name, cat }) => name === to && cat?.includes('blink.user_timing') === true);
  if (begin === undefined || end === undefined) throw new Error('the trace lacks the marks');
  const thread = traceEvents.filter(
    ({ pid, tid, ts }) => pid === begin.pid && tid === begin.tid && ts >= begin.ts && ts <= end.ts,
  );
  const tasks = topLevel(thread.filter(({ name, ph }) => ph === 'X' && name === 'RunTask'));
  const starts = thread.filter(({ name }) => name === 'FireAnimationFrame' || name === 'BeginMainThreadFrame');
  const wall: number[] = [];
  const cpu: number[] = [];
  let last: TraceEvent | undefined;
  const frames = starts.filter((event) => {
    const isNew = event.name === 'BeginMainThreadFrame' && event.ts !== last?.ts;
    if (isNew) last = event;
    return isNew;
  });
  for (const [i, frame] of frames.entries()) {
    const next = frames[i + 1];
    if (next === undefined) break;
    const own = tasks.filter(({ ts, dur = 0 }) => ts + dur > frame.ts && ts + dur <= next.ts + (next.dur ?? 0));
    const sum = (pick: (task: TraceEvent) => number): number =>
      own.reduce((total, task) => total + pick(task), 0) / 1000;
    const spent = sum(({ tdur, dur }) => tdur ?? dur ?? 0);
    if (spent < idleMs) continue;
    wall.push(sum(({ dur }) => dur ?? 0));
    cpu.push(spent);
  }
  return { wall, cpu };
}

/** Tasks that run inside no other. */
function topLevel(tasks: readonly TraceEvent[]): TraceEvent[] {
  let end = 0;
  return [...tasks]
    .sort((a, b) => a.ts - b.ts)
    .filter(({ ts, dur = 0 }) => {
      if (ts < end) return false;
      end = ts + dur;
      return true;
    });
}
