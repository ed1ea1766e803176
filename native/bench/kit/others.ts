/** How much of the machine's time went to programs that are not the bench's. */

import { readFileSync } from 'node:fs';

interface Ticks {
  /** Of all cores: all time, and what was not idle. */
  readonly total: number;
  readonly busy: number;
  /** Of this process and of its children that have ended. */
  readonly own: number;
}

/** @param stat the text of /proc/stat @param self the text of /proc/self/stat */
export function ticks(stat: string, self: string): Ticks {
  // user, nice, system, idle, iowait, irq, softirq, steal
  const all = (/^cpu\s+(.*)$/m.exec(stat)?.[1] ?? '').split(' ').slice(0, 8).map(Number);
  const total = all.reduce((sum, value) => sum + value, 0);
  // The name in brackets may hold blanks; utime, stime, cutime and cstime are the 14th to 17th field.
  const fields = self.slice(self.lastIndexOf(')') + 2).split(' ');
  const own = fields.slice(11, 15).reduce((sum, value) => sum + Number(value), 0);
  return { total, busy: total - (all[3] ?? 0) - (all[4] ?? 0), own };
}

/** Share, 0 to 1, of the machine's time between two readings that others took. */
export function othersShare(before: Ticks, after: Ticks): number {
  const others = after.busy - before.busy - (after.own - before.own);
  return Math.min(1, Math.max(0, others / Math.max(1, after.total - before.total)));
}

export function readTicks(): Ticks {
  return ticks(readFileSync('/proc/stat', 'utf8'), readFileSync('/proc/self/stat', 'utf8'));
}
