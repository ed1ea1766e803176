/** When a page has painted. */

/** Resolves after the next frame was rendered, with the time. */
export function painted(): Promise<number> {
  return new Promise((done) => {
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => done(performance.now());
      channel.port2.postMessage(null);
    });
  });
}

/** Resolves after the first frame in which the condition holds, with the time. */
export async function paintedWhen(condition: () => boolean): Promise<number> {
  for (;;) {
    const time = await painted();
    if (condition()) return time;
  }
}

/** How many frames the page is asked for; counts from now on. */
export function countFrames(): () => number {
  let frames = 0;
  const next = (): void => {
    frames++;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
  return () => frames;
}
