/** A model's chat template: messages to text, with the places of what the assistant says where the template marks them. */

import { Template } from '@huggingface/jinja';
import type { Message } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { isObject, readObject, readText } from './files.js';
import type { ModelTokenizer } from './tokenizer.js';

/** A part of a text: characters [start, end). */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const generationTag = /(^[ \t]*)?\{%(-?)\s*(end)?generation\s*(-?)%\}(\n)?/gm;
/** Characters that mark the borders of `{% generation %}` blocks; texts that hold them are refused by `render`'s caller. */
const open = '\u{f5f00}';
const close = '\u{f5f01}';
/** A rendering is a few times its messages; a template that writes without end is stopped here. */
const maxRenderedLength = 64 * 1024 * 1024;

export class ChatTemplate {
  /** Whether the template marks what the assistant says by `{% generation %}` blocks. */
  readonly marksGeneration: boolean;
  private readonly plain: Template;
  private readonly marked: Template;

  constructor(
    readonly source: string,
    private readonly variables: Readonly<Record<string, string>>,
  ) {
    this.marksGeneration = source.search(generationTag) >= 0;
    this.plain = compile(source);
    // The tags vanish as block tags do under Hugging Face's settings (leading blanks and one line end go with them), and a mark takes
    // their place, so the text without the marks is the plain rendering.
    this.marked = !this.marksGeneration
      ? this.plain
      : compile(
          source.replace(generationTag, (_all, _lead, left: string, end: string | undefined, right: string) => {
            return `{{${left} '${end === undefined ? open : close}' ${right}}}`;
          }),
        );
  }

  render(messages: readonly Message[], options: { prompt: boolean; tools?: unknown }): string {
    return this.run(this.plain, messages, options);
  }

  /** The rendering and the spans inside `{% generation %}` blocks. */
  renderMarked(messages: readonly Message[], tools?: unknown): { text: string; spans: Span[] } {
    const marked = this.run(this.marked, messages, { prompt: false, tools });
    const spans: Span[] = [];
    let text = '';
    let from: number | undefined;
    for (const part of marked.split(/(\u{f5f00}|\u{f5f01})/u)) {
      if (part === open) from = text.length;
      else if (part === close) {
        if (from !== undefined && text.length > from) spans.push({ start: from, end: text.length });
        from = undefined;
      } else text += part;
    }
    return { text, spans };
  }

  private run(template: Template, messages: readonly Message[], options: { prompt: boolean; tools?: unknown }): string {
    let text: string;
    try {
      text = template.render({
        ...this.variables,
        messages: messages.map(forTemplate),
        add_generation_prompt: options.prompt,
        tools: options.tools ?? null,
        documents: null,
      });
    } catch (cause) {
      throw new LabError(
        `the chat template refuses the conversation: ${cause instanceof Error ? cause.message : String(cause)}`,
        {
          cause,
        },
      );
    }
    if (text.length > maxRenderedLength)
      throw new LabError('the chat template renders more than 64 million characters');
    return text;
  }
}

function compile(source: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    throw new LabError(
      `the chat template cannot be parsed: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

function forTemplate({ role, content, reasoning, extra }: Message): Record<string, unknown> {
  return { ...extra, role, content, ...(reasoning === undefined ? {} : { reasoning_content: reasoning }) };
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
