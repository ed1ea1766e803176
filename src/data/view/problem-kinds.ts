/** What can be wrong with a row, in the order in which it is listed. */

export const rowProblemKinds = [
  'malformed',
  'empty-completion',
  'exact-duplicate',
  'near-duplicate',
  'eval-overlap',
  'label-outlier',
  'truncated',
  'mixed-formats',
  'odd-encoding',
  'duplicate-keys',
  'role-order',
  'conflicting-answers',
] as const;
export type RowProblemKind = (typeof rowProblemKinds)[number];
