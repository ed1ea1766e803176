/** Work that gives way: long work in a worker lets other requests, and their cancelling, in between. */

const turnMs = 12;

export class Turn {
  private since = Date.now();

  /** @returns whether it was time to give way, which it then has */
  async over(): Promise<boolean> {
    if (Date.now() - this.since < turnMs) return false;
    await pause(0);
    this.since = Date.now();
    return true;
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    if (milliseconds === 0) setImmediate(resolve);
    else setTimeout(resolve, milliseconds);
  });
}
