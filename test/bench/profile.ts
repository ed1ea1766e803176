/** Where an extension host's time went, of a CPU profile: in which part of the extension, or in VS Code. */

import type { Profiler } from 'node:inspector';

export type Part = 'index' | 'tree' | 'rest of the extension' | 'VS Code' | 'garbage';

/** Names of source files before their lines, as esbuild writes them. */
const heading = /^\/\/ ((?:src|node_modules)\/\S+)$/;

/**
 * Milliseconds of each part. Node's own functions and packages count as those that called them.
 *
 * @param bundle text of the extension's script
 */
export function partsOf(
  { nodes, samples = [], timeDeltas = [] }: Profiler.Profile,
  bundle: string,
): Record<Part, number> {
  const sources: string[] = [];
  for (const line of bundle.split('\n')) sources.push(heading.exec(line)?.[1] ?? sources.at(-1) ?? '');
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children }) => (children ?? []).map((child) => [child, id] as const)));
  const partOf = (id: number | undefined): Part | undefined => {
    const node = id === undefined ? undefined : byId.get(id);
    if (node === undefined) return undefined;
    const { url, lineNumber, functionName } = node.callFrame;
    if (functionName === '(garbage collector)') return 'garbage';
    if (functionName === '(idle)') return undefined;
    if (url.endsWith('/dist/extension.cjs')) {
      const source = sources[lineNumber] ?? '';
      if (/^src\/(runs|editor\/runs)\//.test(source)) return 'index';
      if (source.startsWith('src/editor/tree/')) return 'tree';
      return partOf(parents.get(node.id)) ?? 'rest of the extension';
    }
    if (/extensionHost|\/vs\//.test(url)) return 'VS Code';
    return partOf(parents.get(node.id));
  };
  const parts: Record<Part, number> = { index: 0, tree: 0, 'rest of the extension': 0, 'VS Code': 0, garbage: 0 };
  const known = new Map<number, Part | undefined>();
  for (const [i, id] of samples.entries()) {
    if (!known.has(id)) known.set(id, partOf(id));
    const part = known.get(id);
    if (part !== undefined) parts[part] += (timeDeltas[i] ?? 0) / 1000;
  }
  return parts;
}
