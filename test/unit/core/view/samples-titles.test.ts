import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commonLead, promptTitle } from '../../../../src/core/view/samples-titles.js';

const instruction = 'Which queue is this ticket for: billing, shipping or sales?\n\n';

describe('titles of prompts', () => {
  it('leave out the instruction that all prompts begin with, and nothing of what is their own', () => {
    const prompts = ['My order is late.', 'My orange is green.', 'Refund me.'].map((text) => `${instruction}${text}`);
    const lead = commonLead(prompts);
    expect(lead).toBe(instruction);
    expect(prompts.map((prompt) => promptTitle(prompt, lead))).toEqual([
      'My order is late.',
      'My orange is green.',
      'Refund me.',
    ]);
    expect(promptTitle('Something else', lead)).toBe('Something else');
    // Where nothing is left the whole is better than nothing.
    expect(promptTitle(instruction, lead)).toBe(instruction.trim());
  });

  it('are whole where little is in common, or little is known', () => {
    expect(commonLead([])).toBe('');
    expect(commonLead([instruction, instruction])).toBe('');
    expect(commonLead(['The cat sat.', 'The dog sat.', 'The owl sat.'])).toBe('');
  });

  it('are one line of bounded length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), (prompt) => {
        const title = promptTitle(prompt.repeat(4), '');
        expect(title.length).toBeLessThanOrEqual(161);
        expect(title).not.toMatch(/[\n\r\t]/);
      }),
    );
  });

  it('have a lead that all prompts have', () => {
    const prompt = fc
      .array(fc.constantFrom('a', 'b ', 'the same long words ', '\n'), { maxLength: 12 })
      .map((list) => list.join(''));
    fc.assert(
      fc.property(fc.array(prompt, { maxLength: 6 }), (prompts) => {
        const lead = commonLead(prompts);
        for (const one of prompts) expect(one.startsWith(lead)).toBe(true);
      }),
    );
  });
});
