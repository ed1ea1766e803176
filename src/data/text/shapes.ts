/**
 * Chat templates at the speed of joining strings. Conversations of one shape (the same roles in the same order) differ in their texts
 * alone, and what a template does with a text is mostly to write it down. So a shape is rendered once, with characters that stand in
 * for the texts, and the texts of every conversation of the shape are put in their places.
 *
 * Safe because it is the template's own interpreter that renders the shape, under watch: where a stand-in reaches anything that could
 * decide by the text or change it (a comparison, a filter, a method, a call), the shape is given up and its conversations are
 * rendered as they are. Which places of a template only pass texts on is a list; all that is not on it counts as one that looks.
 */

import { Environment, Interpreter } from '@huggingface/jinja';
import type { Message } from '../../core/data.js';

/** The interpreter's face. The package's own types of it name files without their endings, which resolve to nothing here. */
interface Evaluates {
  run(tree: unknown): { readonly value: unknown };
  evaluate(node: unknown, environment: unknown): { readonly value: unknown };
}
const TemplateInterpreter: new (environment: unknown) => Evaluates = Interpreter;

/** What a shape is rendered to: text, and numbers of messages whose content stands there. */
type Part = string | number;

interface Shape {
  readonly parts: readonly Part[];
  /** Whether it holds only for texts that are not empty and have no white space at either end (`trim`, `if content`). */
  readonly solid: boolean;
}

const firstStandIn = 0xf6000;
const mostMessages = 256;
const mostShapes = 512;
const standIn = /[\u{f6000}-\u{f60ff}]/u;
const standIns = /([\u{f6000}-\u{f60ff}])/u;

export class ShapeRenderer {
  /** `undefined`: conversations of this shape have to be rendered one by one. */
  private readonly shapes = new Map<string, Shape | undefined>();
  private readonly looks: ReadonlyMap<unknown, Look> | undefined;

  /**
   * @param variables what the template sees beside the messages; the same at every rendering
   * @param borders what the template's own text is cut at
   */
  constructor(
    private readonly tree: unknown,
    source: string,
    private readonly variables: Readonly<Record<string, unknown>>,
    private readonly borders: RegExp,
  ) {
    const named = Object.values(variables).some((value) => typeof value === 'string' && standIn.test(value));
    this.looks = standIn.test(source) || named ? undefined : looksOf(tree);
  }

  /** The rendering of the conversation, in parts; undefined where it has to be rendered as it is. */
  render(messages: readonly Message[], prompt: boolean): string[] | undefined {
    if (this.looks === undefined || messages.length > mostMessages) return undefined;
    let key = prompt ? 'prompt' : 'text';
    for (const { role, reasoning, extra } of messages) {
      if (reasoning !== undefined || extra !== undefined) return undefined;
      key += ` ${role}`;
    }
    let shape = this.shapes.get(key);
    if (shape === undefined) {
      if (this.shapes.has(key) || this.shapes.size >= mostShapes) return undefined;
      shape = this.learn(messages, prompt, this.looks);
      this.shapes.set(key, shape);
      if (shape === undefined) return undefined;
    }
    if (shape.solid && !messages.every(({ content }) => isSolid(content))) return undefined;
    return shape.parts.map((part) => (typeof part === 'string' ? part : (messages[part]?.content ?? '')));
  }

  private learn(messages: readonly Message[], prompt: boolean, looks: ReadonlyMap<unknown, Look>): Shape | undefined {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...globals, ...this.variables })) environment.set(name, value);
    environment.set(
      'messages',
      messages.map(({ role }, i) => ({ role, content: String.fromCodePoint(firstStandIn + i) })),
    );
    environment.set('add_generation_prompt', prompt);
    environment.set('tools', null);
    environment.set('documents', null);
    const watcher = new Watcher(environment, looks);
    let text: unknown;
    try {
      text = watcher.run(this.tree).value;
    } catch {
      // Looked at, or refused by the template, which then says so of the conversation itself.
      return undefined;
    }
    if (typeof text !== 'string') return undefined;
    const parts = text
      .split(standIns)
      .flatMap((part): Part[] =>
        standIn.test(part) ? [(part.codePointAt(0) ?? 0) - firstStandIn] : part.split(this.borders),
      )
      .filter((part) => part !== '');
    return { parts, solid: watcher.solid };
  }
}

function isSolid(text: string): boolean {
  return text !== '' && text.trim() === text;
}

function refuse(): never {
  throw new Error('not in a shape');
}

/** As `Template.render` has them. What calls one of the functions is rendered as it is. */
const globals: Readonly<Record<string, unknown>> = {
  false: false,
  true: true,
  none: null,
  raise_exception: refuse,
  range: refuse,
  strftime_now: refuse,
  True: true,
  False: false,
  None: null,
};

/**
 * How a node's value is looked at: `deep`, whatever is in it; `shallow`, a text itself, while of lists and mappings only their size or
 * keys; `solid`, likewise, but with the same outcome for all solid texts; `printed`, a text is passed on, and anything else is written
 * out, which escapes the texts in it.
 */
type Look = 'deep' | 'shallow' | 'solid' | 'printed';

class Watcher extends TemplateInterpreter {
  solid = false;

  constructor(
    environment: unknown,
    private readonly looks: ReadonlyMap<unknown, Look>,
  ) {
    super(environment);
  }

  override evaluate(node: unknown, environment: unknown): { readonly value: unknown } {
    const value = super.evaluate(node, environment);
    const look = this.looks.get(node);
    if (look === undefined) return value;
    const isText = typeof value.value === 'string';
    const seen = isText ? look !== 'printed' : look === 'deep' || look === 'printed';
    if (seen && holdsStandIn(value.value)) {
      if (look !== 'solid') refuse();
      this.solid = true;
    }
    return value;
  }
}

/** Whether a stand-in is in a value of the interpreter: a text, or a list or mapping of values. */
function holdsStandIn(value: unknown): boolean {
  if (typeof value === 'string') return standIn.test(value);
  const inner = value instanceof Map ? [...value.values()] : Array.isArray(value) ? value : [];
  return inner.some(
    (one: unknown) => typeof one === 'object' && one !== null && 'value' in one && holdsStandIn(one.value),
  );
}

/** How each node of a template is looked at; undefined where a template has parts that are not known here. */
function looksOf(tree: unknown): ReadonlyMap<unknown, Look> | undefined {
  const looks = new Map<unknown, Look>();
  const open: Node[] = [];
  const visit = (value: unknown, look?: Look): boolean => {
    if (value === undefined || value === null) return true;
    if (Array.isArray(value)) return value.every((one) => visit(one, look));
    if (!isNode(value)) return false;
    // What a method is called on is met twice.
    if (look !== undefined && looks.get(value) !== 'deep') looks.set(value, look);
    open.push(value);
    return true;
  };
  visit(tree);
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const children = childrenOf(node);
    if (children === undefined || !children.every(([child, look]) => visit(child, look))) return undefined;
  }
  return looks;
}

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** The parts of a node that the interpreter evaluates, and how it looks at their values. Undefined: a node not known here. */
function childrenOf(node: Node): readonly (readonly [unknown, Look?])[] | undefined {
  switch (node.type) {
    case 'Program':
      return [[node.body, 'printed']];
    case 'If':
      return [
        [node.test, 'solid'],
        [node.body, 'printed'],
        [node.alternate, 'printed'],
      ];
    case 'For':
      return [
        [node.iterable, 'shallow'],
        [node.body, 'printed'],
        [node.defaultBlock, 'printed'],
      ];
    case 'Set':
      return [
        [node.value],
        [node.body, 'printed'],
        [isNode(node.assignee) ? node.assignee.object : undefined, 'shallow'],
      ];
    case 'Ternary':
      return [[node.condition, 'solid'], [node.trueExpr], [node.falseExpr]];
    case 'SelectExpression':
      return [[node.test, 'solid'], [node.lhs]];
    case 'BinaryExpression':
      return operandsOf(node);
    case 'UnaryExpression':
      return [[node.argument, 'solid']];
    case 'FilterExpression':
      return filteredOf(node);
    case 'TestExpression':
      return [testsType(node.test) ? [node.operand] : [node.operand, 'deep']];
    case 'MemberExpression':
      return [[node.object, 'shallow'], node.computed === true ? [node.property, 'deep'] : [undefined]];
    case 'SliceExpression':
      return [[[node.start, node.stop, node.step].filter((part) => part !== undefined), 'deep']];
    case 'CallExpression':
      // Methods of mappings that look at their values (`dictsort`) are not among these; methods of texts look at the text.
      return [[calledOn(node.callee), 'deep'], [node.callee], [node.args, 'deep']];
    case 'KeywordArgumentExpression':
      return [[node.value, 'deep']];
    case 'ArrayLiteral':
    case 'TupleLiteral':
      return [[node.value]];
    case 'ObjectLiteral':
      if (!(node.value instanceof Map)) return undefined;
      return [[[...node.value.keys()], 'deep'], [[...node.value.values()]]];
    case 'Comment':
    case 'Break':
    case 'Continue':
    case 'Identifier':
    case 'IntegerLiteral':
    case 'FloatLiteral':
    case 'StringLiteral':
      return [];
    default:
      return undefined;
  }
}

function operandsOf({ operator, left, right }: Node): readonly (readonly [unknown, Look?])[] {
  switch (isValued(operator) ? operator.value : undefined) {
    case '+':
    case '~':
      return [
        [left, 'printed'],
        [right, 'printed'],
      ];
    case 'and':
    case 'or':
      return [[left, 'solid'], [right]];
    default:
      return [
        [left, 'deep'],
        [right, 'deep'],
      ];
  }
}

const wholeFilters: readonly unknown[] = ['first', 'last', 'length', 'list', 'reverse'];

function filteredOf({ operand, filter }: Node): readonly (readonly [unknown, Look?])[] {
  if (isNode(filter) && filter.type === 'Identifier') {
    if (filter.value === 'trim') return [[operand, 'solid']];
    if (wholeFilters.includes(filter.value)) return [[operand, 'shallow']];
    return [[operand, 'deep']];
  }
  return [
    [operand, 'deep'],
    [isNode(filter) ? filter.args : undefined, 'deep'],
  ];
}

const typeTests: readonly unknown[] = [
  'boolean',
  'callable',
  'defined',
  'iterable',
  'mapping',
  'none',
  'number',
  'string',
  'undefined',
];

function testsType(test: unknown): boolean {
  return isValued(test) && typeTests.includes(test.value);
}

const plainMethods: readonly unknown[] = ['get', 'items', 'keys', 'values'];

/** What a method is called on, where the method may look at all of it. */
function calledOn(callee: unknown): unknown {
  if (!isNode(callee) || callee.type !== 'MemberExpression') return undefined;
  const { object, property, computed } = callee;
  return computed !== true && isValued(property) && plainMethods.includes(property.value) ? undefined : object;
}

function isValued(part: unknown): part is { readonly value: unknown } {
  return typeof part === 'object' && part !== null && 'value' in part;
}
