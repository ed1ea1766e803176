/** From a normalised example to tokens, groups and loss mask: the one way, for the trainer and for every preview. */

import { type Example, type Message, type PromptExample, TokenGroup, type TokenizedExample } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { hasLoss } from '../../core/mask.js';
import type { TemplateOptions } from '../types.js';
import { readObject } from './files.js';
import { type ChatTemplate, holdsMarks, modelTemplate, type Span } from './template.js';
import { ModelTokenizer } from './tokenizer.js';
import { assistantTurns, learnTurnShape, renderPrompt, type TurnShape } from './turns.js';

/** A text and the parts of it that are completions. */
interface Rendered {
  readonly text: string;
  readonly spans: readonly Span[];
}

export class ExampleTokenizer {
  readonly tokenizer: ModelTokenizer;
  readonly template: ChatTemplate | undefined;
  readonly stopTokens: readonly number[];
  private readonly shape: TurnShape = { end: '', rest: '', token: undefined, header: '' };
  private readonly prefix: readonly number[];

  constructor(private readonly options: TemplateOptions) {
    const directory = options.modelDirectory;
    this.tokenizer = new ModelTokenizer(directory);
    this.template = modelTemplate(directory, this.tokenizer, options.chatTemplate);
    this.prefix = this.tokenizer.prefix();
    const specials = new Set([...this.tokenizer.addedTokens, ...Object.values(this.tokenizer.specialTokens)]);
    if (this.template !== undefined) this.shape = learnTurnShape(this.template, specials);
    const texts = [this.tokenizer.eosToken, this.shape.token].filter((token) => token !== undefined);
    this.stopTokens = [
      ...new Set([...texts.flatMap((token) => this.tokenizer.id(token) ?? []), ...generationStops(directory)]),
    ];
  }

  get maskSource(): 'generation' | 'turns' | 'separators' {
    return this.template === undefined ? 'separators' : this.template.marksGeneration ? 'generation' : 'turns';
  }

  /** Special tokens that the tokenizer's config names or the template writes, and that the vocabulary does not have. */
  missingTokens(): string[] {
    const { bosToken, eosToken } = this.tokenizer;
    const names = new Set([eosToken, this.shape.token].filter((token) => token !== undefined));
    if (this.template !== undefined) {
      const user: Message = { role: 'user', content: 'a' };
      const answered = this.template.render([user, { role: 'assistant', content: 'b' }], { prompt: false });
      const rendered = this.template.render([user], { prompt: true }) + answered;
      if (bosToken !== undefined && rendered.includes(bosToken)) names.add(bosToken);
      for (const name of rendered.match(/<(\||\uff5c)[^<>\s]{1,40}\1>/g) ?? []) names.add(name);
    }
    return [...names].filter((name) => this.tokenizer.id(name) === undefined);
  }

  /** @param maxLength tokens kept; what is longer is cut off at its end */
  tokenize(example: Example, lossOn: 'completion' | 'all', maxLength: number): TokenizedExample {
    const { text, spans } = this.normalizedRendering(this.render(example));
    const { ids, ends } = this.tokenizer.encode(text);
    const borders = byteBorders(text, spans);
    // Without a template nothing has written the tokens that this model expects before a text.
    const lead = example.kind === 'text' || this.template === undefined ? this.prefix : [];
    const whole = lead.length + ids.length;
    const size = Math.min(whole, maxLength);
    const tokens = new Int32Array(size);
    const groups = new Uint8Array(size);
    const mask = new Uint8Array(size);
    let span = 0;
    let start = 0;
    for (let i = 0; i < size; i++) {
      const at = i - lead.length;
      let completion = false;
      if (at < 0) tokens[i] = lead[i] ?? 0;
      else {
        tokens[i] = ids[at] ?? 0;
        // A token belongs to a completion where it begins inside it, or begins before it and reaches into it.
        const end = ends[at] ?? 0;
        while (span < borders.length && start >= (borders[span]?.end ?? 0)) span++;
        const current = borders[span];
        completion = current !== undefined && (start >= current.start || end > current.start);
        start = end;
      }
      groups[i] = completion ? TokenGroup.completion : TokenGroup.prompt;
      mask[i] = hasLoss(i, completion, lossOn) ? 1 : 0;
    }
    return { place: example.place, tokens, groups, mask, truncated: whole - size };
  }

  /** The example as a question to the model; undefined where its last message is not the assistant's. */
  prompt(example: Example): PromptExample | undefined {
    if (example.kind === 'text') return undefined;
    const last = example.messages.at(-1);
    if (last?.role !== 'assistant' || example.messages.length < 2) return undefined;
    const before = example.messages.slice(0, -1);
    return {
      place: example.place,
      prompt: Int32Array.from(this.encodePrompt(before, example.tools, last.content)),
      reference: last.content,
      promptText: before.findLast(({ role }) => role === 'user')?.content ?? '',
    };
  }

  /** @param answer what will be answered, where that is known */
  encodePrompt(messages: readonly Message[], tools?: unknown, answer = 'A'): readonly number[] {
    const normal = messages.map((message) => this.normalized(message));
    if (this.template !== undefined) {
      const text = renderPrompt(this.template, normal, tools, this.shape);
      return this.tokenizer.encode(this.tokenizer.normalize(text)).ids;
    }
    // Tokens that reach into the answer (the blank of a separator `Answer: ` belongs to its first word) are the model's to write.
    const { text } = this.plain(normal);
    const { ids, ends } = this.tokenizer.encode(text + this.tokenizer.normalize(answer === '' ? 'A' : answer));
    const size = Buffer.byteLength(text);
    return [...this.prefix, ...ids.filter((_, i) => (ends[i] ?? 0) <= size)];
  }

  private normalized(message: Message): Message {
    return { ...message, content: this.tokenizer.normalize(message.content) };
  }

  private render(example: Example): Rendered {
    if (example.kind === 'text') {
      const text = `${this.tokenizer.normalize(example.text)}${this.tokenizer.eosToken ?? ''}`;
      return { text, spans: [{ start: 0, end: text.length }] };
    }
    const messages = example.messages.map((message) => this.normalized(message));
    if (this.template === undefined) return this.plain(messages);
    if (!this.template.marksGeneration) return assistantTurns(this.template, messages, example.tools, this.shape);
    if (messages.some(({ content }) => holdsMarks(content))) {
      throw new LabError('the text holds the private characters U+F5F00 or U+F5F01, which mark completions here');
    }
    const { text, spans } = this.template.renderMarked(messages, example.tools);
    return { text, spans: spans.map((span) => this.withTurnEnd(text, span)) };
  }

  /** A block that leaves out the end-of-turn token right after it would teach the model never to stop. */
  private withTurnEnd(text: string, { start, end }: Span): Span {
    return this.shape.token !== undefined && text.startsWith(this.shape.token, end)
      ? { start, end: end + this.shape.token.length }
      : { start, end };
  }

  /** Without a chat template: prompts and completions with plain separators between them. */
  private plain(messages: readonly Message[]): Rendered {
    const { promptPrefix, instructionResponseSeparator } = this.options;
    const spans: Span[] = [];
    let text = '';
    for (const { role, content } of messages) {
      if (role === 'assistant') {
        const start = text.length;
        text += `${content}${this.tokenizer.eosToken ?? ''}`;
        spans.push({ start, end: text.length });
      } else if (role === 'user') {
        text += `${this.tokenizer.normalize(promptPrefix)}${content}${this.tokenizer.normalize(instructionResponseSeparator)}`;
      } else {
        text += `${content}\n\n`;
      }
    }
    return { text, spans };
  }

  /** Templates seldom write what is not normalised; where one does, the text is normalised part by part, so that spans still fit. */
  private normalizedRendering({ text, spans }: Rendered): Rendered {
    if (this.tokenizer.normalize(text) === text) return { text, spans };
    let out = '';
    let at = 0;
    const moved: Span[] = [];
    for (const { start, end } of spans) {
      out += this.tokenizer.normalize(text.slice(at, start));
      const from = out.length;
      out += this.tokenizer.normalize(text.slice(start, end));
      moved.push({ start: from, end: out.length });
      at = end;
    }
    return { text: out + this.tokenizer.normalize(text.slice(at)), spans: moved };
  }
}

/** Spans in characters to spans in UTF-8 bytes. */
function byteBorders(text: string, spans: readonly Span[]): Span[] {
  const borders: Span[] = [];
  let at = 0;
  let bytes = 0;
  for (const { start, end } of spans) {
    bytes += Buffer.byteLength(text.slice(at, start));
    const from = bytes;
    bytes += Buffer.byteLength(text.slice(start, end));
    borders.push({ start: from, end: bytes });
    at = end;
  }
  return borders;
}

/** `eos_token_id` of generation_config.json: a number or a list. */
function generationStops(directory: string): number[] {
  const value = readObject(directory, 'generation_config.json')?.eos_token_id;
  return [value].flat().filter((id): id is number => typeof id === 'number' && Number.isInteger(id) && id >= 0);
}
