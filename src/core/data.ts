/** The vocabulary of data: what a record becomes on its way to tokens. No I/O here. */

/** A message of a conversation, after normalisation from whatever format the record had. */
export interface Message {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  /** A reasoning trace kept apart from the answer, where the record has one (`reasoning_content` or `thinking`). */
  readonly reasoning?: string;
  /** Tool calls and other keys that chat templates read are passed through untouched. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

export type RecordFormat = 'alpaca' | 'sharegpt' | 'messages' | 'custom' | 'text';

/** Where a record stands: `index` counts records of the file from 0, `line` counts lines from 1 (JSON arrays too). */
export interface RecordPlace {
  readonly file: string;
  readonly index: number;
  readonly line: number;
}

/** One string for a record, whatever its line. */
export function placeKey({ file, index }: Pick<RecordPlace, 'file' | 'index'>): string {
  return `${index}\n${file}`;
}

/**
 * A normalised record. `text` records (raw text, for pre-training) have no messages.
 * In Alpaca and custom records the messages are: system (optional), user, assistant.
 */
export type Example =
  | {
      readonly kind: 'chat';
      readonly place: RecordPlace;
      readonly messages: readonly Message[];
      readonly tools?: unknown;
    }
  | { readonly kind: 'text'; readonly place: RecordPlace; readonly text: string };

/** What a token belongs to; the numbers are the engine's `groups` (0: a position that predicts nothing). */
export const TokenGroup = { none: 0, prompt: 1, completion: 2 } as const;

/** An example as it will be trained on. All arrays have one entry per token kept. */
export interface TokenizedExample {
  readonly place: RecordPlace;
  readonly tokens: Int32Array;
  /** `TokenGroup.prompt` or `TokenGroup.completion` for each token, whatever is trained on. */
  readonly groups: Uint8Array;
  /** 1 where the token is trained on (it counts as a target), else 0. The first token of a sequence never counts. */
  readonly mask: Uint8Array;
  /** Tokens cut off by `max_length`. */
  readonly truncated: number;
}

/** An example to be answered by the model: the prompt's tokens up to and including the generation prompt. */
export interface PromptExample {
  readonly place: RecordPlace;
  readonly prompt: Int32Array;
  /** The last assistant message, as in the record: the answer that verifiers compare with. */
  readonly reference: string;
  /** The prompt as a person reads it: the last user message. */
  readonly promptText: string;
}
