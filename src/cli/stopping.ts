/** Stopping a run: the first Ctrl+C (or SIGTERM) asks it to finish its step and save, the second leaves at once. */

import { onStopRequest } from '../runs/system.js';
import { exitCode } from './failure.js';

export interface Stopping {
  readonly signal: AbortSignal;
  dispose(): void;
}

export interface StopHandlers {
  /** After the first request. */
  readonly onFirst: () => void;
  /** Before the process exits on the second. */
  readonly onSecond: () => void;
}

export function listenForStop({ onFirst, onSecond }: StopHandlers): Stopping {
  const controller = new AbortController();
  const request = (): void => {
    if (!controller.signal.aborted) {
      onFirst();
      controller.abort(new DOMException('stopped by request', 'AbortError'));
      return;
    }
    onSecond();
    process.exit(exitCode.interrupted);
  };
  const deafen = onStopRequest(request);
  // Started by `compare`: when that ends without a word, this run ends in order.
  const orphaned = (): void => {
    if (!controller.signal.aborted) request();
  };
  if (process.channel !== undefined) {
    process.on('disconnect', orphaned);
    process.channel.unref();
  }
  return {
    signal: controller.signal,
    dispose() {
      deafen();
      process.off('disconnect', orphaned);
    },
  };
}
