/** The view's side of the wire: messages to and from the extension, and state that outlives the page. */

import type { z } from 'zod';

interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

export interface Host<Incoming, Outgoing, State> {
  send(message: Outgoing): void;
  /** Messages that do not fit the schema are dropped: they are not ours. */
  listen(listener: (message: Incoming) => void): void;
  /** What was kept last; the fallback where there is nothing, or nothing that fits. */
  readonly state: State;
  keep(state: State): void;
}

/** Connects to the extension; to be called once in a page, as `acquireVsCodeApi` may be. */
export function connect<Incoming, Outgoing, State>(parts: {
  readonly incoming: z.ZodType<Incoming>;
  readonly state: z.ZodType<State>;
  readonly fallback: State;
}): Host<Incoming, Outgoing, State> {
  const api = acquireVsCodeApi();
  const kept = parts.state.safeParse(api.getState());
  return {
    send: (message) => api.postMessage(message),
    listen: (listener) => {
      window.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
        const parsed = parts.incoming.safeParse(data);
        if (parsed.success) listener(parsed.data);
      });
    },
    state: kept.success ? kept.data : parts.fallback,
    keep: (state) => api.setState(state),
  };
}

/** Runs the work once in the next frame, however often it is asked for. */
export function oncePerFrame(work: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}
