/** A model's chat template: messages to text, with the places of what the assistant says where the template marks them. */

import { Template } from '@huggingface/jinja';
import type { Message } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { isObject, readObject, readText } from './files.js';
import { pythonCalls, replaceCalls } from './python-calls.js';
import { ShapeRenderer } from './shapes.js';
import type { ModelTokenizer } from './tokenizer.js';

/** A part of a text: characters [start, end). */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface RenderOptions {
  /** Whether the rendering ends with the header of the assistant's next turn. */
  readonly prompt: boolean;
  readonly tools?: unknown;
}

const generationTag = /(^[ \t]*)?\{%(-?)\s*(end)?generation\s*(-?)%\}(\n)?/gm;
/** Characters that mark the borders of `{% generation %}` blocks; conversations that hold them are refused. */
const open = '\u{f5f00}';
const close = '\u{f5f01}';
/** For `split`: the marks themselves stay parts. */
const borders = /(\u{f5f00}|\u{f5f01})/u;
/** A rendering is a few times its messages; a template that writes without end is stopped here. */
const maxRenderedLength = 64 * 1024 * 1024;

export class ChatTemplate {
  /** Whether the template marks what the assistant says by `{% generation %}` blocks. */
  readonly marksGeneration: boolean;
  private readonly template: Template;
  private readonly calls = pythonCalls(new Date());
  private readonly shapes: ShapeRenderer;

  readonly source: string;

  constructor(
    text: string,
    private readonly variables: Readonly<Record<string, string>>,
  ) {
    // As Jinja reads it: a file may have been saved with line ends of Windows.
    const source = text.replace(/\r\n?/g, '\n');
    this.source = source;
    this.marksGeneration = source.search(generationTag) >= 0;
    // The tags vanish as block tags do under Hugging Face's settings (leading blanks and one line end go with them), and a mark that is
    // printed takes their place. The rendering is the one without marks; it is not made from the template without tags, because there
    // a `{%-` after a tag would take white space away from before it.
    const marked = source.replace(
      generationTag,
      (_all, _lead, left: string, end: string | undefined, right: string) => {
        return `{{${left} '${end === undefined ? open : close}' ${right}}}`;
      },
    );
    try {
      this.template = new Template(marked);
      replaceCalls(this.template.parsed);
    } catch (cause) {
      throw new LabError(`the chat template cannot be parsed: ${messageOf(cause)}`, { cause });
    }
    this.shapes = new ShapeRenderer(this.template.parsed, marked, { ...variables, ...this.calls }, borders);
  }

  /** @throws LabError where the template refuses the conversation */
  render(messages: readonly Message[], options: RenderOptions): string {
    const parts = this.run(messages, options);
    return (this.marksGeneration ? parts.filter((part) => part !== open && part !== close) : parts).join('');
  }

  /** The rendering and the spans inside `{% generation %}` blocks. */
  renderMarked(messages: readonly Message[], tools?: unknown): { text: string; spans: Span[] } {
    const spans: Span[] = [];
    let text = '';
    let from: number | undefined;
    for (const part of this.run(messages, { prompt: false, tools })) {
      if (part === open) from = text.length;
      else if (part === close) {
        if (from !== undefined && text.length > from) spans.push({ start: from, end: text.length });
        from = undefined;
      } else text += part;
    }
    return { text, spans };
  }

  /** The rendering, cut at the marks. */
  private run(messages: readonly Message[], options: RenderOptions): string[] {
    const plain = options.tools === undefined || options.tools === null;
    const parts =
      plain && !messages.some(({ content }) => holdsMarks(content)) && this.shapes.render(messages, options.prompt);
    if (parts) return limited(parts);
    let text: string;
    try {
      text = this.template.render({
        ...this.variables,
        messages: messages.map(forTemplate),
        add_generation_prompt: options.prompt,
        tools: options.tools ?? null,
        documents: null,
        ...this.calls,
      });
    } catch (cause) {
      throw new LabError(`the chat template refuses the conversation: ${messageOf(cause)}`, { cause });
    }
    return limited(text.split(borders));
  }
}

function limited(parts: string[]): string[] {
  if (parts.reduce((sum, { length }) => sum + length, 0) <= maxRenderedLength) return parts;
  throw new LabError(`the chat template renders more than ${maxRenderedLength} characters`);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Reasoning goes under both names that templates read, as in transformers. */
function forTemplate({ role, content, reasoning, extra }: Message): Record<string, unknown> {
  const thoughts = reasoning === undefined ? {} : { reasoning_content: reasoning, thinking: reasoning };
  return { ...extra, role, content, ...thoughts };
}

/** Whether a text holds the characters that mark generation blocks. */
export function holdsMarks(text: string): boolean {
  return text.includes(open) || text.includes(close);
}

/** The model's own template: `chat_template.jinja`, else `chat_template` of tokenizer_config.json (of several, `default`). */
export function modelTemplate(
  directory: string,
  tokenizer: ModelTokenizer,
  override: string | undefined,
): ChatTemplate | undefined {
  const source = override ?? readText(directory, 'chat_template.jinja') ?? configTemplate(directory);
  return source === undefined ? undefined : new ChatTemplate(source, tokenizer.specialTokens);
}

function configTemplate(directory: string): string | undefined {
  const template = readObject(directory, 'tokenizer_config.json')?.chat_template;
  if (typeof template === 'string') return template;
  if (!Array.isArray(template)) return undefined;
  const named = template.filter(isObject);
  const chosen = named.find(({ name }) => name === 'default') ?? named[0];
  return typeof chosen?.template === 'string' ? chosen.template : undefined;
}
