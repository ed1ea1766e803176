/** The worker of a data set that is open: its rows, and the tokens of those that are looked at. */

import type { MessagePort } from 'node:worker_threads';
import type { RecordFormat } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { failureOf } from '../failure.js';
import { detectFormat, formatInFile, RecordProblem, toExample } from '../read/formats.js';
import type { RawRecord } from '../read/records.js';
import { ExampleTokenizer } from '../text/examples.js';
import type { TokenRequest, TokenRow, ViewOpened, ViewReply, ViewRequest } from './protocol.js';
import { openRows, type Rows, spacingFor } from './rows.js';

const headRecords = 20;

export interface ViewData {
  readonly view: string;
}

export function serveView(port: MessagePort, { view }: ViewData): void {
  const worker = new ViewWorker(view);
  port.on('message', (request: ViewRequest) => {
    // The index is made while rows are read: all other requests are answered in their order.
    void worker.handle(request).then(
      (value) => port.postMessage({ id: request.id, ok: true, value } satisfies ViewReply),
      (error: unknown) =>
        port.postMessage({ id: request.id, ok: false, failure: failureOf(error) } satisfies ViewReply),
    );
  });
}

class ViewWorker {
  private rows: Rows | undefined;
  private tokenizer: { readonly key: string; readonly made: ExampleTokenizer } | undefined;
  private home: RecordFormat | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly path: string) {}

  handle(request: ViewRequest): Promise<unknown> {
    if (request.method === 'index')
      return this.opened()
        .index(() => undefined)
        .then(() => this.opened().count);
    const work = this.last.then(() => this.answer(request));
    this.last = work.catch(() => undefined);
    return work;
  }

  private async answer(request: Exclude<ViewRequest, { method: 'index' }>): Promise<unknown> {
    switch (request.method) {
      case 'open':
        return this.open();
      case 'rows':
        return this.opened().read(request.argument.from, request.argument.count);
      case 'marks':
        this.opened().setMarks(request.argument.marks, request.argument.rows);
        return null;
      case 'tokens':
        return this.tokens(request.argument);
      case 'close':
        await this.rows?.close();
        return null;
    }
  }

  private async open(): Promise<ViewOpened> {
    this.rows = await openRows(this.path);
    const { kind, layout, count, complete } = this.rows;
    const segments =
      layout?.kind === 'jsonl' && kind.packing === 'none'
        ? { start: layout.start, spacing: spacingFor(kind.size) }
        : undefined;
    const first = await this.rows.read(0, 1);
    const head = await this.rows.read(0, headRecords);
    const record = head.find((one) => 'value' in one && detectFormat(one.value, undefined) !== undefined) ?? first[0];
    const value = record !== undefined && 'value' in record ? record.value : undefined;
    this.home = detectFormat(value, undefined);
    if (first.length === 0) throw new LabError('the data set has no records', { place: { file: this.path } });
    return {
      kind: layout?.kind === 'json' ? 'json' : kind.kind,
      packing: kind.packing,
      size: kind.size,
      records: complete ? count : undefined,
      format: this.home,
      fieldNames: typeof value === 'object' && value !== null ? Object.keys(value).slice(0, 200) : [],
      segments,
    };
  }

  private async tokens({ from, count, model, format, fields }: TokenRequest): Promise<TokenRow[]> {
    const key = JSON.stringify(model);
    if (this.tokenizer?.key !== key) this.tokenizer = { key, made: new ExampleTokenizer(model) };
    const tokenizer = this.tokenizer.made;
    const records = await this.opened().read(from, count);
    return records.map((record) => tokenRow(record, tokenizer, format, fields));
  }

  private opened(): Rows {
    if (this.rows === undefined) throw new LabError('the data set is not open');
    return this.rows;
  }
}

/** All tokens of a record: whoever shows them cuts at max_length, and takes the mask from the groups. */
function tokenRow(
  record: RawRecord,
  tokenizer: ExampleTokenizer,
  format: TokenRequest['format'],
  fields: TokenRequest['fields'],
): TokenRow {
  const { place } = record;
  if ('problem' in record) return { place, problem: record.problem };
  const actual = format === 'auto' ? formatInFile(record.value, fields, undefined) : format;
  const made = toExample(record.value, actual, fields, place);
  if (made instanceof RecordProblem) {
    return { place, problem: made.field === undefined ? made.message : `${made.field}: ${made.message}` };
  }
  try {
    const { tokens, groups } = tokenizer.tokenize(made.example, 'completion', Number.MAX_SAFE_INTEGER);
    const pieces = Array.from(tokens, (id) => tokenizer.tokenizer.piece(id));
    const ends = new Uint32Array(pieces.length);
    let end = 0;
    for (const [i, piece] of pieces.entries()) {
      end += piece.length;
      ends[i] = end;
    }
    const special = Uint8Array.from(tokens, (id) => (tokenizer.tokenizer.isAdded(id) ? 1 : 0));
    return { place, tokens, groups, special, ends, bytes: Uint8Array.from(Buffer.concat(pieces)) };
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    return { place, problem: error.message };
  }
}
