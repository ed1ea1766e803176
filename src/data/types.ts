/** What the trainer and the editor ask of a data set. The work behind it runs in a worker that can be stopped. */

import type { Example, PromptExample, RecordFormat, RecordPlace, TokenizedExample } from '../core/data.js';

/** Names of the fields of a `custom` record. */
export interface FieldMapping {
  readonly prompt?: string;
  readonly completion?: string;
  readonly system?: string;
  /** For formats whose list of messages stands under another key. */
  readonly messages?: string;
}

export interface DataSource {
  /** Absolute path of a file. */
  readonly path: string;
  readonly format: RecordFormat | 'auto';
  readonly fields?: FieldMapping;
}

export interface TemplateOptions {
  /** Model folder that holds `tokenizer.json`, `tokenizer_config.json`, perhaps `chat_template.jinja` and `generation_config.json`. */
  readonly modelDirectory: string;
  /** A Jinja template (its text) that replaces the model's own. */
  readonly chatTemplate?: string;
  /** Used when there is no template: text before the prompt, between prompt and completion. */
  readonly promptPrefix: string;
  readonly instructionResponseSeparator: string;
}

export interface TrainingDataOptions extends TemplateOptions {
  readonly train: readonly DataSource[];
  /** Evaluation sets by name; empty with `testSize` > 0: split off from `train` as the set `eval`. */
  readonly evaluation: Readonly<Record<string, readonly DataSource[]>>;
  /** Below 1 a fraction, from 1 on a number of records; 0: none. Equal prompts always fall on one side. */
  readonly testSize: number;
  readonly lossOn: 'completion' | 'all';
  readonly maxLength: number;
  readonly onBadRecord: 'stop' | 'skip';
  /** `auto`: on for files above 64 MB. Then tokens are made as training goes and shuffling happens in a buffer. */
  readonly streaming: boolean | 'auto';
  readonly shuffle: boolean;
  readonly shuffleBufferSize: number;
  readonly seed: number;
  /** 0: all. The first N after the seeded shuffle of the train side. */
  readonly maxTrainSamples: number;
  readonly maxEvalSamples: number;
  /** Seconds that one record, a template or a tokenizer may take before the work is stopped; 20 where it is left out. */
  readonly secondsPerRecord?: number;
}

export interface Problem {
  readonly kind:
    | 'bad-record'
    | 'no-loss-token'
    | 'untrained-stop-token'
    | 'eval-overlap'
    | 'truncated'
    | 'mixed-formats'
    | 'template';
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** How many records. */
  readonly count: number;
  /** The first ten. */
  readonly places: readonly { readonly place: RecordPlace; readonly field?: string; readonly message: string }[];
}

export interface SetReport {
  readonly records: number;
  /** False while only an estimate is known (streaming). */
  readonly exact: boolean;
  readonly tokens: number;
  readonly lossTokens: number;
  readonly truncatedRecords: number;
  readonly truncatedTokens: number;
  readonly skippedRecords: number;
  readonly formats: Readonly<Partial<Record<RecordFormat, number>>>;
}

export interface DataReport {
  readonly train: SetReport;
  readonly evaluation: Readonly<Record<string, SetReport>>;
  readonly problems: readonly Problem[];
  /** What the mask was derived from: `generation` blocks of the template, its rendered turns, or separators. */
  readonly maskSource: 'generation' | 'turns' | 'separators' | 'text';
}

export interface EvaluationSet {
  readonly name: string;
  /** Teacher-forced examples, in file order. */
  readonly examples: readonly TokenizedExample[];
  /** The same records as prompts to be answered (chat records whose last message is the assistant's). */
  readonly prompts: readonly PromptExample[];
  /** The distinct answers, most frequent first, where this is label-type data (few, short, repeated answers); else undefined. */
  readonly labels: readonly string[] | undefined;
}

/** What a batch takes of a model's memory. */
export interface BatchSize {
  readonly tokens: number;
  /** Tokens of its longest sequence. */
  readonly longest: number;
  /** Positions with a loss. */
  readonly trained: number;
}

export interface TrainingData {
  readonly report: DataReport;
  /** Tokens that end a turn or a text: generation stops at them. */
  readonly stopTokens: Int32Array;
  readonly evaluation: readonly EvaluationSet[];
  /**
   * The next `count` training examples in the seeded order (a new shuffle each epoch), fewer at the end of an epoch, none after
   * it was reached until `seek` begins the next. Rejects with the place of a bad record when `onBadRecord` is `stop`.
   */
  next(count: number, signal?: AbortSignal): Promise<TokenizedExample[]>;
  /** Goes to the example `index` of epoch `epoch` (from 0): the start of an epoch, or where a resumed run continues. */
  seek(epoch: number, index: number): Promise<void>;
  /**
   * The most of everything in any `count` examples that `next` will give together in that many epochs; a bound while the data is not
   * known as a whole (streaming).
   */
  largest(count: number, epochs: number): Promise<BatchSize>;
  decode(tokens: Int32Array): Promise<string>;
  /** The text that each token stands for; of a character made by several tokens the last has it, the others are empty. */
  pieces(tokens: Int32Array): Promise<string[]>;
  encodePrompts(texts: readonly string[]): Promise<PromptExample[]>;
  close(): Promise<void>;
}

export type { Example, PromptExample, TokenizedExample };
