/** One line for a prompt in a list. */

const longest = 160;
/** Shorter beginnings in common are no template, but chance. */
const leastLead = 24;
const leastPrompts = 3;

/** What all prompts begin with, up to a whole word: an instruction that says nothing about the single record. */
export function commonLead(prompts: readonly string[]): string {
  const [first] = prompts;
  if (first === undefined || prompts.length < leastPrompts) return '';
  let size = first.length;
  for (const prompt of prompts) {
    let same = 0;
    while (same < size && prompt[same] === first[same]) same++;
    size = same;
  }
  let end = size;
  while (end > 0 && /\S/.test(first[end - 1] ?? ' ')) end--;
  return end < leastLead ? '' : first.slice(0, end);
}

/** The prompt without its lead, in one line, cut. */
export function promptTitle(prompt: string, lead: string): string {
  const own = lead !== '' && prompt.startsWith(lead) ? prompt.slice(lead.length) : prompt;
  // No more is looked at than can be shown: a prompt may be a book.
  const line = own
    .slice(0, 4 * longest)
    .replace(/\s+/g, ' ')
    .trim();
  if (line === '') return prompt.slice(0, longest).replace(/\s+/g, ' ').trim();
  return line.length <= longest ? line : `${line.slice(0, longest).trimEnd()}…`;
}
