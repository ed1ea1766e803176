/** What the extension asks of the preview's two workers: one serves rows at once, the other reads the whole set. */

import type { LossOn } from '../../core/mask.js';
import type { Figures, Filter, Mapping, PreviewRow, RowTokens, ViewKind } from '../../core/view/preview.js';
import type { Failure } from '../../data/protocol.js';
import type { TemplateOptions } from '../../data/types.js';

export interface Opened {
  readonly kind: string;
  readonly bytes: number;
  /** Names of the fields in the first records. */
  readonly fields: readonly string[];
  readonly detected: string | undefined;
  readonly count: number;
  readonly complete: boolean;
  /** Lines whose number only reading tells: the other worker counts them fastest. */
  readonly lines: boolean;
}

export interface ModelFacts {
  readonly maskSource: string;
  readonly missing: readonly string[];
}

export interface ScanOptions {
  readonly path: string;
  readonly mapping: Mapping;
  readonly model: TemplateOptions | undefined;
  readonly evaluation: readonly string[];
}

export interface Mask {
  readonly lossOn: LossOn;
  readonly maxLength: number;
}

/** Each method with what goes in, what comes out, and what is told on the way. */
export interface Methods {
  close: { in: null; out: null; event: never };
  open: { in: { path: string; mapping: Mapping }; out: Opened; event: never };
  mapping: { in: Mapping; out: { detected: string | undefined }; event: never };
  model: { in: TemplateOptions | undefined; out: ModelFacts | undefined; event: never };
  marks: { in: { marks: Float64Array; rows: number }; out: null; event: never };
  index: { in: null; out: number; event: number };
  rows: { in: { rows: Uint32Array; view: ViewKind; whole: boolean }; out: PreviewRow[]; event: never };
  tokens: { in: { rows: Uint32Array; whole: boolean }; out: (RowTokens | null)[]; event: never };
  record: { in: number; out: string; event: never };
  countLines: { in: string; out: { marks: Float64Array; rows: number }; event: never };
  scan: { in: { options: ScanOptions; mask: Mask }; out: Figures; event: Figures };
  figures: { in: Mask; out: Figures | null; event: never };
  find: { in: { filter: Filter; mask: Mask }; out: FoundEnd; event: FoundRows };
  save: { in: { rows: Uint32Array | undefined; target: string }; out: { written: number; left: number }; event: never };
}

export interface FoundRows {
  readonly rows: Uint32Array;
  /** Rows looked at so far. */
  readonly searched: number;
}

export interface FoundEnd {
  /** All rows in another order; undefined where they came in the file's. */
  readonly sorted: Uint32Array | undefined;
  readonly searched: number;
}

export type Method = keyof Methods;

export type Ask =
  | { readonly [M in Method]: { readonly id: number; readonly method: M; readonly argument: Methods[M]['in'] } }[Method]
  | { readonly id: number; readonly cancel: true };

export type Answer =
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly failure: Failure };

export interface PreviewWorkerData {
  readonly role: 'rows' | 'scan';
  /** How long a record may take. */
  readonly recordLimitMs: number;
  /** Int32: a heartbeat, the row worked on. */
  readonly progress: SharedArrayBuffer;
}
