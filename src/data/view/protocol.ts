/** What passes between the worker of an open data set and the thread that asks. */

import type { RecordFormat, RecordPlace } from '../../core/data.js';
import type { Failure } from '../protocol.js';
import type { Packing, SourceKind } from '../read/kinds.js';
import type { RawRecord } from '../read/records.js';
import type { FieldMapping, TemplateOptions } from '../types.js';

export interface ViewOpened {
  readonly kind: SourceKind;
  readonly packing: Packing;
  /** Bytes on disk. */
  readonly size: number;
  /** Known at once for tables; for text once it is indexed. */
  readonly records: number | undefined;
  /** Where and how workers mark the lines of plain JSONL. */
  /** Format of the first record that has one, and the fields of its object. */
  readonly format: RecordFormat | undefined;
  readonly fieldNames: readonly string[];
  readonly segments: { readonly start: number; readonly spacing: number } | undefined;
}

export interface TokenRequest {
  readonly from: number;
  readonly count: number;
  readonly model: TemplateOptions;
  readonly format: RecordFormat | 'auto';
  readonly fields?: FieldMapping;
}

/** All tokens of a record, not truncated; `TokenGroup` and whether it is an added (special) token for each, and where its bytes end. */
export type TokenRow =
  | {
      readonly place: RecordPlace;
      readonly tokens: Int32Array;
      readonly groups: Uint8Array;
      readonly special: Uint8Array;
      readonly ends: Uint32Array;
      readonly bytes: Uint8Array;
    }
  | { readonly place: RecordPlace; readonly problem: string };

export interface ViewMethods {
  open: { readonly in: null; readonly out: ViewOpened };
  rows: { readonly in: { readonly from: number; readonly count: number }; readonly out: RawRecord[] };
  marks: { readonly in: { readonly marks: Float64Array; readonly rows: number }; readonly out: null };
  index: { readonly in: null; readonly out: number };
  tokens: { readonly in: TokenRequest; readonly out: TokenRow[] };
  close: { readonly in: null; readonly out: null };
}

export type ViewMethod = keyof ViewMethods;
export type ViewRequest = {
  [M in ViewMethod]: { readonly id: number; readonly method: M; readonly argument: ViewMethods[M]['in'] };
}[ViewMethod];

export type ViewReply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly failure: Failure };
