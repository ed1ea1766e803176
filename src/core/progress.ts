/** How far a run is, and how long it still takes: said the same way wherever it is said. */

export interface Progress {
  readonly step: number;
  /** 0 or null: not known yet. */
  readonly totalSteps: number | null;
  readonly trainSeconds: number | null;
}

/** Estimated seconds of training until the last step; null: nothing to tell from. */
export function remainingSeconds({ step, totalSteps, trainSeconds }: Progress): number | null {
  if (totalSteps === null || totalSteps <= 0 || trainSeconds === null || step <= 0) return null;
  return (Math.max(0, totalSteps - step) * trainSeconds) / step;
}

/** 42 %, or `step 17` where nobody knows of how many. */
export function formatProgress({ step, totalSteps }: Progress): string {
  if (totalSteps === null || totalSteps <= 0) return `step ${step.toLocaleString('en-US')}`;
  return `${Math.min(100, Math.floor((100 * step) / totalSteps))} %`;
}
