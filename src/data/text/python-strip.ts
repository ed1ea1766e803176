/**
 * Python's `str.strip(characters)` in chat templates: @huggingface/jinja 0.5 ignores the argument and strips all white space, and
 * Qwen3's template calls `content.lstrip('\n')`. Calls with an argument are turned into calls of a function given to the template.
 */

const names: readonly unknown[] = ['strip', 'lstrip', 'rstrip'];

/** The name under which `stripCharacters` is given to templates. */
export const stripName = 'sft_lab_strip';

/** Changes such calls in the syntax tree of a template, in place. */
export function replaceStripCalls(tree: unknown): void {
  const open = [tree];
  while (open.length > 0) {
    const node = open.pop();
    if (typeof node !== 'object' || node === null) continue;
    const call = stripCall(node);
    if (call !== undefined) {
      const { object, name, args } = call;
      const kind = { type: 'StringLiteral', value: name };
      Object.assign(node, { callee: { type: 'Identifier', value: stripName }, args: [object, kind, ...args] });
    }
    for (const child of node instanceof Map ? node.values() : Object.values(node)) open.push(child);
  }
}

function stripCall(node: object): { object: unknown; name: unknown; args: readonly unknown[] } | undefined {
  if (!('type' in node && node.type === 'CallExpression' && 'callee' in node && 'args' in node)) return undefined;
  const { callee, args } = node;
  if (typeof callee !== 'object' || callee === null || !Array.isArray(args) || args.length === 0) return undefined;
  if (!('object' in callee && 'property' in callee && 'computed' in callee) || callee.computed === true)
    return undefined;
  const { property } = callee;
  if (typeof property !== 'object' || property === null || !('value' in property)) return undefined;
  return names.includes(property.value) ? { object: callee.object, name: property.value, args } : undefined;
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
