/**
 * A small phrase grammar, from which all text of the examples and of the starter model's corpus is generated.
 *
 *   (a|b|c)    one of the alternatives, which may nest and may be empty
 *   {slot}     a word or phrase of the lexicon, itself a phrase of this grammar
 *   {slot#1}   the same, and the same again wherever `{slot#1}` stands in this text
 *   {an slot}  the slot behind its indefinite article
 */

import type { Random } from './random.js';

type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'choice'; readonly options: readonly (readonly Node[])[] }
  | { readonly kind: 'slot'; readonly slot: string; readonly binding: string | undefined; readonly article: boolean };

/** Slot name → its fillers. Fillers are drawn with equal chance. */
export type Lexicon = Readonly<Record<string, readonly string[]>>;

/** What `{slot#n}` stood for so far. Pass one map to several `expand` calls to tell one story. */
export type Bindings = Map<string, string>;

const slotPattern = /^(an )?([a-zA-Z]+)(#\w+)?$/;

function parse(phrase: string): readonly Node[] {
  let at = 0;

  function sequence(nested: boolean): Node[] {
    const nodes: Node[] = [];
    let text = '';
    const flush = () => {
      if (text !== '') nodes.push({ kind: 'text', text });
      text = '';
    };
    while (at < phrase.length) {
      const char = phrase.charAt(at);
      if (char === '|' || char === ')') {
        if (!nested) throw new Error(`No opening bracket at ${at}: ${phrase}`);
        break;
      }
      at++;
      if (char === '(') {
        flush();
        const options = [sequence(true)];
        while (phrase.charAt(at) === '|') {
          at++;
          options.push(sequence(true));
        }
        if (phrase.charAt(at) !== ')') throw new Error(`No closing bracket: ${phrase}`);
        at++;
        nodes.push({ kind: 'choice', options });
      } else if (char === '{') {
        flush();
        const end = phrase.indexOf('}', at);
        const match = slotPattern.exec(phrase.slice(at, end));
        if (end < 0 || match === null) throw new Error(`Not a slot at ${at}: ${phrase}`);
        at = end + 1;
        const [, article, slot = '', binding] = match;
        nodes.push({ kind: 'slot', slot, binding: binding && slot + binding, article: article !== undefined });
      } else {
        text += char;
      }
    }
    flush();
    return nodes;
  }

  return sequence(false);
}

export class Grammar {
  private readonly parsed = new Map<string, readonly Node[]>();

  constructor(private readonly lexicon: Lexicon) {}

  /** One text of the phrase, tidied: single spaces, none before punctuation, sentences begin with a capital. */
  expand(phrase: string, random: Random, bindings: Bindings = new Map()): string {
    return tidy(this.raw(phrase, random, bindings));
  }

  private raw(phrase: string, random: Random, bindings: Bindings): string {
    let nodes = this.parsed.get(phrase);
    if (nodes === undefined) {
      nodes = parse(phrase);
      this.parsed.set(phrase, nodes);
    }
    return this.render(nodes, random, bindings);
  }

  private render(nodes: readonly Node[], random: Random, bindings: Bindings): string {
    let out = '';
    for (const node of nodes) {
      if (node.kind === 'text') {
        out += node.text;
      } else if (node.kind === 'choice') {
        out += this.render(pick(node.options, random), random, bindings);
      } else {
        const bound = node.binding === undefined ? undefined : bindings.get(node.binding);
        const fillers = this.lexicon[node.slot];
        if (fillers === undefined) throw new Error(`No slot {${node.slot}} in the lexicon`);
        const filler = bound ?? this.raw(pick(fillers, random), random, bindings);
        if (node.binding !== undefined) bindings.set(node.binding, filler);
        out += node.article ? `${article(filler)} ${filler}` : filler;
      }
    }
    return out;
  }
}

export function pick<T>(items: readonly T[], random: Random): T {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error('Nothing to pick from');
  return item;
}

/** True with the given chance (0 to 1). */
export function chance(probability: number, random: Random): boolean {
  return random.next() < probability;
}

/** An integer from `low` to `high`, both included. */
export function between(low: number, high: number, random: Random): number {
  return low + random.below(high - low + 1);
}

/** A new array in a random order (Fisher-Yates). */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}

function article(word: string): 'a' | 'an' {
  return /^[aeio]|^u(?!s|ni)/i.test(word) ? 'an' : 'a';
}

function tidy(text: string): string {
  return text
    .replace(/ {2,}/g, ' ')
    .replace(/ ([,.!?;:])/g, '$1')
    .replace(/(^|[.!?] |\n)([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase())
    .trim();
}
