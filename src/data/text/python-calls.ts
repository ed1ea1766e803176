/**
 * Calls in chat templates that @huggingface/jinja 0.5 does not answer as Python does; they are turned into calls of functions given to
 * the template.
 *
 * - `text.strip(characters)` ignores its argument there and strips all white space; Qwen3's template calls `content.lstrip('\n')`.
 * - `strftime_now(format)` writes month names in the machine's language there; Llama 3.1's template calls it with `%b`.
 */

const stripNames: readonly unknown[] = ['strip', 'lstrip', 'rstrip'];

/** What templates see beside their own variables. The date is that of the making, so that a run does not change at midnight. */
export function pythonCalls(now: Date): Readonly<Record<string, unknown>> {
  return { sft_lab_strip: stripCharacters, sft_lab_strftime: (format: unknown) => strftime(now, String(format)) };
}

/** Changes such calls in the syntax tree of a template, in place. */
export function replaceCalls(tree: unknown): void {
  const open = [tree];
  while (open.length > 0) {
    const node = open.pop();
    if (typeof node !== 'object' || node === null) continue;
    replaceCall(node);
    for (const child of node instanceof Map ? node.values() : Object.values(node)) open.push(child);
  }
}

function replaceCall(node: object): void {
  if (!('type' in node && node.type === 'CallExpression' && 'callee' in node && 'args' in node)) return;
  const { callee, args } = node;
  if (typeof callee !== 'object' || callee === null || !Array.isArray(args) || args.length === 0) return;
  if ('value' in callee && callee.value === 'strftime_now') {
    Object.assign(node, { callee: { type: 'Identifier', value: 'sft_lab_strftime' } });
    return;
  }
  if (!('object' in callee && 'property' in callee && 'computed' in callee) || callee.computed === true) return;
  const { object, property } = callee;
  if (typeof property !== 'object' || property === null || !('value' in property)) return;
  if (!stripNames.includes(property.value)) return;
  const kind = { type: 'StringLiteral', value: property.value };
  Object.assign(node, { callee: { type: 'Identifier', value: 'sft_lab_strip' }, args: [object, kind, ...args] });
}

/** `text.strip(characters)`, `lstrip` or `rstrip` as Python has them: `characters` is a set. */
export function stripCharacters(text: unknown, kind: unknown, characters: unknown): string {
  if (typeof text !== 'string') throw new Error(`${String(kind)}() is a method of strings`);
  if (characters === null || characters === undefined) {
    return kind === 'strip' ? text.trim() : kind === 'lstrip' ? text.trimStart() : text.trimEnd();
  }
  const set = new Set(String(characters));
  const chars = Array.from(text);
  let start = 0;
  let end = chars.length;
  if (kind !== 'rstrip') while (start < end && set.has(chars[start] ?? '')) start++;
  if (kind !== 'lstrip') while (end > start && set.has(chars[end - 1] ?? '')) end--;
  return chars.slice(start, end).join('');
}

const months = 'January February March April May June July August September October November December'.split(' ');
const days = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** The directives of Python's `strftime` that stand for parts of a local date and time, in English. */
export function strftime(date: Date, format: string): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const month = months[date.getMonth()] ?? '';
  const day = days[date.getDay()] ?? '';
  const parts: Readonly<Record<string, string>> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    B: month,
    b: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    p: date.getHours() < 12 ? 'AM' : 'PM',
    '%': '%',
  };
  return format.replace(/%(.)/g, (all, name: string) => (Object.hasOwn(parts, name) ? (parts[name] ?? all) : all));
}
