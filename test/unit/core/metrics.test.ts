import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  accuracyOf,
  confusionOf,
  createVerifier,
  detectVerifier,
  finalNumber,
  kappaOf,
  meanScoreOf,
  normalizeAnswer,
  type Verdict,
} from '../../../src/core/metrics.js';

/** Verdicts from pairs of reference and answer; an answer of undefined is unparsable. */
function verdicts(...pairs: [string, string | undefined][]): Verdict[] {
  return pairs.map(([expected, parsed]) => ({ expected, parsed, right: expected === parsed }));
}

describe('verifiers', () => {
  it('label: white space and case do not count, other text is unparsable', () => {
    const verify = createVerifier('label', ['Billing', 'Technical  Support']);
    expect(verify(' billing\n', 'Billing')).toEqual({ right: true, parsed: 'billing', expected: 'billing' });
    expect(verify('technical\tsupport', 'Technical Support').right).toBe(true);
    expect(verify('Billing', 'Technical Support')).toMatchObject({ right: false, parsed: 'billing' });
    expect(verify('billing please', 'Billing')).toMatchObject({ right: false, parsed: undefined });
    expect(verify('', 'Billing').parsed).toBeUndefined();
  });

  it.each([
    ['So it is 3.\n#### 42', '42'],
    ['#### 1,234.50 dollars', '1234.5'],
    ['#### -7', '-7'],
    ['#### $1,200', '1200'],
    ['#### 1\nwait\n#### 2', '2'],
    ['we get 3-2 = 1', '1'],
    ['3-2', '2'],
    ['it is -0.50', '-0.5'],
    ['\u22125 degrees', '-5'],
    ['+8', '8'],
    ['x=5', '5'],
    ['.5', '0.5'],
    ['-0', '0'],
    ['007', '7'],
    ['12,34', '34'],
    ['1,000,000', '1000000'],
    ['the answer is 20.', '20'],
    ['#### none, but 4', '4'],
  ])('number: %j ends in %s', (text, expected) => {
    expect(finalNumber(text)).toBe(expected);
  });

  it('number: none at all is unparsable', () => {
    expect(finalNumber('no idea')).toBeUndefined();
    expect(createVerifier('number')('no idea', '#### 4')).toEqual({ right: false, parsed: undefined, expected: '4' });
    expect(createVerifier('number')('so 4.0', 'steps\n#### 4').right).toBe(true);
  });

  it('number: any integer comes back as it is, with or without separators', () => {
    fc.assert(
      fc.property(fc.integer(), (n) => {
        expect(finalNumber(`answer: ${n}`)).toBe(String(n));
        expect(finalNumber(`#### ${n.toLocaleString('en-US')}`)).toBe(String(n));
      }),
    );
  });

  it('exact: equal text after normalising', () => {
    expect(createVerifier('exact')('  A  b ', 'a B').right).toBe(true);
    expect(createVerifier('exact')('a', 'b').right).toBe(false);
  });

  it('normalising is idempotent', () => {
    fc.assert(fc.property(fc.string(), (text) => normalizeAnswer(normalizeAnswer(text)) === normalizeAnswer(text)));
  });

  it('detects the verifier by the references', () => {
    expect(detectVerifier(['a', 'b'], ['a', 'b'])).toBe('label');
    expect(detectVerifier(['x\n#### 3', 'y\n#### 4'], undefined)).toBe('number');
    expect(detectVerifier(['Dear Sir', 'in 1999 ...'], undefined)).toBe('none');
    expect(detectVerifier([], undefined)).toBe('none');
  });
});

describe('kappa', () => {
  it('is (p_o - p_e) / (1 - p_e), worked by hand', () => {
    // p_o = 5/8; p_e = (4·3 + 2·3 + 2·2) / 64.
    const pairs: [string, string][] = [
      ['0', '0'],
      ['1', '2'],
      ['2', '2'],
      ['0', '0'],
      ['1', '1'],
      ['2', '1'],
      ['0', '0'],
      ['0', '1'],
    ];
    expect(kappaOf(verdicts(...pairs))).toBeCloseTo(0.42857142857142855, 12);
  });

  it('is 1 for full agreement over two classes, -1 for full disagreement', () => {
    expect(kappaOf(verdicts(['a', 'a'], ['b', 'b']))).toBe(1);
    expect(kappaOf(verdicts(['a', 'b'], ['b', 'a']))).toBe(-1);
  });

  it('is 0 for a constant answer, and in the degenerate case of one class only', () => {
    expect(kappaOf(verdicts(['a', 'a'], ['b', 'a']))).toBe(0);
    expect(kappaOf(verdicts(['a', 'a'], ['a', 'a']))).toBe(0);
  });

  it('counts unparsable answers as a class that is never right', () => {
    expect(kappaOf(verdicts(['a', undefined], ['b', undefined]))).toBe(0);
    expect(kappaOf(verdicts(['a', 'a'], ['b', undefined]))).toBeCloseTo((0.5 - 0.25) / 0.75, 12);
  });

  it('does not exist without answers', () => {
    expect(kappaOf([])).toBeUndefined();
    expect(accuracyOf([])).toBeUndefined();
    expect(meanScoreOf([], 2, -1)).toBeUndefined();
  });

  it('lies between -1 and 1 and never above accuracy', () => {
    const label = fc.constantFrom('a', 'b', 'c');
    fc.assert(
      fc.property(fc.array(fc.tuple(label, fc.option(label, { nil: undefined })), { minLength: 1 }), (pairs) => {
        const all = verdicts(...pairs);
        const kappa = kappaOf(all) ?? Number.NaN;
        expect(kappa).toBeGreaterThanOrEqual(-1);
        expect(kappa).toBeLessThanOrEqual((accuracyOf(all) ?? 0) + 1e-12);
      }),
    );
  });
});

describe('scores and confusion', () => {
  it('gives +2 and -1', () => {
    expect(meanScoreOf(verdicts(['a', 'a'], ['a', 'b'], ['b', undefined]), 2, -1)).toBe(0);
  });

  it('counts by reference and answer, unparsable last, strange references in rows of their own', () => {
    const { labels, counts } = confusionOf(verdicts(['a', 'a'], ['a', 'b'], ['b', undefined], ['z', 'a']), ['A', 'b']);
    expect(labels).toEqual(['a', 'b', 'z']);
    expect(counts).toEqual([
      [1, 1, 0, 0],
      [0, 0, 0, 1],
      [1, 0, 0, 0],
    ]);
  });
});
