/** The queues, and the phrases that say what a ticket is about. */

export const queues = ['billing', 'shipping', 'returns', 'technical', 'account', 'sales'] as const;
export type Queue = (typeof queues)[number];

/** One thing that customers want. The last phrase of each list is for the held-out split alone. */
export interface Intent {
  readonly phrases: readonly string[];
}
