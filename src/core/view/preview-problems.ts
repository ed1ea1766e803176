/** The problems of records that the preview tells apart, and their names. */

export const problemKinds = [
  'malformed',
  'empty-completion',
  'role-order',
  'conflicting-answers',
  'eval-overlap',
  'exact-duplicate',
  'near-duplicate',
  'mixed-formats',
  'label-outlier',
  'truncated',
  'odd-encoding',
  'duplicate-keys',
] as const;
export type ProblemKind = (typeof problemKinds)[number];

/** What each problem is called when it is counted. */
export const problemTitles: Readonly<Record<ProblemKind, string>> = {
  malformed: 'Malformed records',
  'empty-completion': 'Empty completions',
  'role-order': 'Roles out of order',
  'conflicting-answers': 'Conflicting answers to one prompt',
  'eval-overlap': 'Prompts of the evaluation set',
  'exact-duplicate': 'Exact duplicates',
  'near-duplicate': 'Near duplicates',
  'mixed-formats': 'Mixed formats',
  'label-outlier': 'Answers outside the labels',
  truncated: 'Cut off by max_length',
  'odd-encoding': 'Odd characters',
  'duplicate-keys': 'Keys that stand twice',
};

export function problemSeverity(kind: ProblemKind): 'error' | 'warning' | 'info' {
  switch (kind) {
    case 'malformed':
      return 'error';
    case 'near-duplicate':
    case 'odd-encoding':
      return 'info';
    default:
      return 'warning';
  }
}
