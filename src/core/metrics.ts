/** Whether an answer is right, and what many answers amount to. */

export type VerifierKind = 'label' | 'number' | 'exact' | 'none';

/** What a verifier says of one answer. `parsed` is the answer as a class of its own; undefined: unparsable, and so not right. */
export interface Verdict {
  readonly right: boolean;
  readonly parsed: string | undefined;
  /** The reference, in the same form. */
  readonly expected: string;
}

export type Verifier = (answer: string, reference: string) => Verdict;

/** Name of the class of unparsable answers in tables. */
export const unparsable = '(unparsable)';

/** Compared text: Unicode-composed, white space collapsed, letters lowered. */
export function normalizeAnswer(text: string): string {
  return text.normalize('NFC').replace(/\s+/gu, ' ').trim().toLowerCase();
}

/**
 * Makes a verifier.
 *
 * @param labels the allowed answers; needed for `label`
 */
export function createVerifier(kind: Exclude<VerifierKind, 'none'>, labels: readonly string[] = []): Verifier {
  switch (kind) {
    case 'label': {
      const known = new Set(labels.map(normalizeAnswer));
      return (answer, reference) => {
        const text = normalizeAnswer(answer);
        const parsed = known.has(text) ? text : undefined;
        const expected = normalizeAnswer(reference);
        return { right: parsed === expected, parsed, expected };
      };
    }
    case 'number':
      return (answer, reference) => {
        const parsed = finalNumber(answer);
        const expected = finalNumber(reference) ?? normalizeAnswer(reference);
        return { right: parsed === expected, parsed, expected };
      };
    case 'exact':
      return (answer, reference) => {
        const parsed = normalizeAnswer(answer);
        const expected = normalizeAnswer(reference);
        return { right: parsed === expected, parsed, expected };
      };
  }
}

/**
 * The verifier that suits a set of references: `label` where the set has labels, `number` where almost all references end in
 * `#### number`, else `none` (free text is not expected to be repeated word for word).
 */
export function detectVerifier(references: readonly string[], labels: readonly string[] | undefined): VerifierKind {
  if (labels !== undefined && labels.length > 0) return 'label';
  const marked = references.filter((reference) => markedNumber(reference) !== undefined).length;
  return references.length > 0 && marked >= 0.9 * references.length ? 'number' : 'none';
}

// A sign counts only where no digit or letter stands before it: `3-2` holds 3 and 2.
const numberPattern =
  /(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<=[A-Za-z_])\d+(?:\.\d+)?|[-+]?(?<!\d)\.\d+/g;

/** The number after the last `####`, else the last number of the text, in canonical form (`-1200.5`); undefined without any. */
export function finalNumber(text: string): string | undefined {
  return markedNumber(text) ?? canonical(matches(text).at(-1));
}

function markedNumber(text: string): string | undefined {
  const at = text.lastIndexOf('####');
  if (at === -1) return undefined;
  const line = text
    .slice(at + 4)
    .split('\n')
    .find((part) => part.trim() !== '');
  return line === undefined ? undefined : canonical(matches(line)[0]);
}

function matches(text: string): string[] {
  // A Unicode minus is a minus; a sign stands off its currency or its digits: `-$5`, `- 5`.
  const plain = text.replace(/\u2212/g, '-').replace(/([-+]?)\s?[$€£]\s?(?=[\d.])/g, '$1');
  return [...plain.matchAll(numberPattern)].map((match) => match[0]);
}

function canonical(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const negative = text.startsWith('-');
  const [whole = '', decimals = ''] = text.replace(/^[-+]/, '').replaceAll(',', '').split('.');
  const left = whole.replace(/^0+(?=\d)/, '') || '0';
  const right = decimals.replace(/0+$/, '');
  const value = right === '' ? left : `${left}.${right}`;
  return negative && value !== '0' ? `-${value}` : value;
}

/** Counts of answers: `counts[reference][answer]`, with a last column for unparsable answers. */
export interface Confusion {
  readonly labels: readonly string[];
  /** (labels, labels + 1) */
  readonly counts: readonly (readonly number[])[];
}

export function confusionOf(verdicts: readonly Verdict[], labels: readonly string[]): Confusion {
  const names = [...new Set(labels.map(normalizeAnswer))];
  const index = new Map(names.map((name, i) => [name, i]));
  // References outside the label set (an evaluation set with a label training never showed) get rows of their own.
  for (const { expected } of verdicts) {
    if (!index.has(expected)) {
      index.set(expected, names.length);
      names.push(expected);
    }
  }
  const counts = names.map(() => new Array<number>(names.length + 1).fill(0));
  for (const { expected, parsed } of verdicts) {
    const row = counts[index.get(expected) ?? 0];
    const column = parsed === undefined ? names.length : (index.get(parsed) ?? names.length);
    if (row !== undefined) row[column] = (row[column] ?? 0) + 1;
  }
  return { labels: names, counts };
}

/** Share of right answers; undefined for none at all. */
export function accuracyOf(verdicts: readonly Verdict[]): number | undefined {
  return verdicts.length === 0 ? undefined : verdicts.filter(({ right }) => right).length / verdicts.length;
}

/**
 * Cohen's kappa: (p_o − p_e) / (1 − p_e), agreement beyond what the two marginal distributions give by chance (Cohen 1960).
 *
 * Unparsable answers are a class that no reference has. Without answers there is no kappa (undefined). Where all references
 * and all answers are one and the same class, p_e is 1 and the quotient undefined; its limit, 0, is returned: a set with one
 * class shows no skill.
 */
export function kappaOf(verdicts: readonly Verdict[]): number | undefined {
  const total = verdicts.length;
  if (total === 0) return undefined;
  const expected = new Map<string, number>();
  const answered = new Map<string, number>();
  let agreed = 0;
  for (const verdict of verdicts) {
    expected.set(verdict.expected, (expected.get(verdict.expected) ?? 0) + 1);
    if (verdict.parsed !== undefined) answered.set(verdict.parsed, (answered.get(verdict.parsed) ?? 0) + 1);
    if (verdict.right) agreed++;
  }
  // In whole numbers, so that full chance agreement is recognised exactly.
  let chance = 0;
  for (const [label, count] of expected) chance += count * (answered.get(label) ?? 0);
  return chance === total * total ? 0 : (agreed * total - chance) / (total * total - chance);
}

/** Mean of `correct` for each right answer and `wrong` for each other; undefined for none at all. */
export function meanScoreOf(verdicts: readonly Verdict[], correct: number, wrong: number): number | undefined {
  if (verdicts.length === 0) return undefined;
  return verdicts.reduce((sum, { right }) => sum + (right ? correct : wrong), 0) / verdicts.length;
}
