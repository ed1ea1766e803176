/** One preview: an open data set, what is shown of it, and what a person asks of it. Knows nothing of VS Code. */

import { formatError, LabError } from '../../core/errors.js';
import { formatBytes } from '../../core/units.js';
import type { FromPreview, PreviewOverview, PreviewToken, RecordMapping, ToPreview } from '../../core/view/preview.js';
import { visibleText } from '../../core/view/visible.js';
import { findModel } from '../../data/models.js';
import { binStart } from '../../data/view/histogram.js';
import {
  type Analysis,
  type OpenDataSet,
  openDataView,
  parseWhere,
  runJob,
  type Where,
} from '../../data/view/index.js';

export interface PreviewSetting {
  readonly path: string;
  readonly name: string;
  readonly models: readonly { readonly value: string; readonly label: string }[];
  readonly mapping: RecordMapping;
  readonly model: string;
}

export interface PreviewHost {
  show(message: ToPreview): void;
  keepMapping(mapping: RecordMapping): Promise<void>;
  note(error: unknown): void;
}

const sampledRecords = 1000;
const mostTokens = 20_000;
const shownProblems = 200;
const defaultMaxLength = 1024;

export class PreviewSession {
  private view: OpenDataSet | undefined;
  private mapping: RecordMapping;
  private model: string;
  private maxLength = defaultMaxLength;
  /** Rows chosen by the filter; undefined: all. */
  private rows: Uint32Array | undefined;
  private where: { readonly text: string; readonly where: Where } | undefined;
  private total = 0;
  private complete = false;
  private closed = false;
  /** Of the filter or the overview that is under way. */
  private work: AbortController | undefined;

  constructor(
    private readonly setting: PreviewSetting,
    private readonly host: PreviewHost,
  ) {
    this.mapping = setting.mapping;
    this.model = setting.model;
  }

  get condition(): string | undefined {
    return this.where?.text;
  }

  /** Called when the page is there, and again when it is there anew. */
  async begin(): Promise<void> {
    try {
      this.view ??= await openDataView(this.setting.path);
    } catch (error) {
      this.host.show({ type: 'failed', about: 'file', message: formatError(error) });
      return;
    }
    if (this.closed) {
      await this.view.close();
      return;
    }
    const { info } = this.view;
    this.host.show({
      type: 'opened',
      name: this.setting.name,
      kind: info.packing === 'none' ? info.kind : `${info.kind}, ${info.packing}`,
      size: formatBytes(info.size),
      mapping: this.mapping,
      detected: info.format ?? '',
      fieldNames: [...info.fieldNames],
      models: [...this.setting.models],
      model: this.model,
      maxLength: this.maxLength,
    });
    if (this.complete) this.count();
    else await this.index(this.view);
    await this.overview(sampledRecords);
  }

  async receive(message: FromPreview): Promise<void> {
    switch (message.type) {
      case 'ready':
        return this.begin();
      case 'rows':
        return this.sendRows(message.version, message.from, message.count);
      case 'tokens':
        return this.sendTokens(message.row);
      case 'mapping':
        this.mapping = message.mapping;
        await this.host.keepMapping(message.mapping);
        this.count();
        return this.overview(sampledRecords);
      case 'model':
        this.model = message.model;
        return;
      case 'maxLength':
        this.maxLength = message.maxLength;
        return;
      case 'filter':
        return this.filter(message.where, message.sort);
      case 'stop':
        this.work?.abort(new LabError('stopped'));
        return;
      case 'overview':
        return this.overview(undefined);
      case 'goTo':
        return this.goTo(message.row);
      case 'save':
      case 'fineTune':
        return;
    }
  }

  /** Writes what the filter chooses to a file that is not there yet. @returns records written */
  async save(output: string): Promise<number> {
    const where: Where = this.where?.where ?? { kind: 'all' };
    return this.whileBusy('Saving…', async (signal, onProgress) => {
      const data = await this.analysisOptions();
      const { rows, unwritten } = await runJob('filter', { data, where, output }, { signal, onProgress });
      return rows.length - unwritten;
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    this.work?.abort(new LabError('the preview is closed'));
    await this.view?.close();
  }

  private async index(view: OpenDataSet): Promise<void> {
    const first = view.info.records ?? (await view.rows(0, 100)).length;
    this.total = first;
    this.complete = view.info.records !== undefined;
    this.count();
    if (this.complete) return;
    try {
      this.total = await view.index();
      this.complete = true;
      this.count();
    } catch (error) {
      this.fail('file', error);
    }
  }

  private count(): void {
    this.host.show({
      type: 'count',
      count: this.rows?.length ?? this.total,
      complete: this.complete,
      filter: this.where?.text ?? null,
      total: this.total,
    });
  }

  private async sendRows(version: number, from: number, count: number): Promise<void> {
    const { rows } = this;
    const wanted =
      rows === undefined
        ? Array.from({ length: Math.max(0, Math.min(count, this.total - from)) }, (_, i) => from + i)
        : [...rows.subarray(from, from + count)];
    if (wanted.length === 0 || this.view === undefined) return;
    try {
      const shown = await this.view.shown({ rows: wanted, ...this.mapping });
      this.host.show({ type: 'rows', version, from, rows: shown });
    } catch (error) {
      this.fail('file', error);
    }
  }

  private async sendTokens(row: number): Promise<void> {
    if (this.view === undefined) return;
    try {
      const model = await this.template();
      if (model === undefined) throw new LabError('no model is chosen', { advice: 'Choose one at the top.' });
      const [made] = await this.view.tokens({ from: row, count: 1, model, ...this.mapping });
      if (made === undefined || 'problem' in made) {
        this.host.show({ type: 'tokens', row, tokens: [], more: 0, problem: made?.problem ?? 'there is no such row' });
        return;
      }
      const { tokens, ends, bytes, groups, special } = made;
      const shown: PreviewToken[] = Array.from(tokens.subarray(0, mostTokens), (id, i) => {
        const piece = Buffer.from(bytes.subarray(i === 0 ? 0 : ends[i - 1], ends[i]));
        return {
          id,
          text: piece.toString('utf8'),
          bytes: piece.toString('hex'),
          completion: groups[i] === 2,
          special: special[i] === 1,
        };
      });
      this.host.show({ type: 'tokens', row, tokens: shown, more: tokens.length - shown.length });
    } catch (error) {
      this.host.show({ type: 'tokens', row, tokens: [], more: 0, problem: formatError(error) });
    }
  }

  private async filter(text: string, sort: '' | 'length' | '-length'): Promise<void> {
    try {
      const where: Where = text.trim() === '' ? { kind: 'all' } : parseWhere(text);
      if (where.kind === 'all' && sort === '') {
        this.work?.abort(new LabError('stopped'));
        this.rows = undefined;
        this.where = undefined;
        this.count();
        return;
      }
      const { rows } = await this.whileBusy('Filtering…', async (signal, onProgress) => {
        const data = await this.analysisOptions(/\btokens\b|truncated|problem/.test(text));
        return runJob('filter', { data, where, ...(sort === '' ? {} : { sort }) }, { signal, onProgress });
      });
      this.rows = rows;
      this.where = { text: text.trim() === '' ? `sorted by ${sort}` : text, where };
      this.count();
    } catch (error) {
      this.fail('filter', error);
    }
  }

  private goTo(row: number): void {
    const position = this.rows === undefined ? row : this.rows.indexOf(row);
    if (position >= 0 && position < (this.rows?.length ?? this.total)) this.host.show({ type: 'jump', position });
    else
      this.fail(
        'filter',
        new LabError(
          this.rows === undefined ? `there is no row ${row + 1}` : `row ${row + 1} is not among the rows shown`,
        ),
      );
  }

  private async overview(limit: number | undefined): Promise<void> {
    try {
      const analysis = await this.whileBusy(
        limit === undefined ? 'Looking at all records…' : 'Looking at the first records…',
        async (signal, onProgress) => {
          const data = await this.analysisOptions();
          return runJob('analyse', { ...data, ...(limit === undefined ? {} : { limit }) }, { signal, onProgress });
        },
      );
      this.host.show({ type: 'overview', overview: overviewOf(analysis) });
    } catch (error) {
      this.fail('overview', error);
    }
  }

  /** One piece of work at a time: a new one stops the last. */
  private async whileBusy<T>(
    what: string,
    work: (signal: AbortSignal, onProgress: (progress: { row: number }) => void) => Promise<T>,
  ): Promise<T> {
    this.work?.abort(new LabError('stopped'));
    const own = new AbortController();
    this.work = own;
    this.host.show({ type: 'busy', what });
    try {
      return await work(own.signal, ({ row }) => {
        if (this.work === own) this.host.show({ type: 'busy', what: `${what} row ${row + 1}` });
      });
    } finally {
      if (this.work === own) {
        this.work = undefined;
        this.host.show({ type: 'busy', what: null });
      }
    }
  }

  private async analysisOptions(withTokens = true) {
    const model = withTokens ? await this.template() : undefined;
    return {
      path: this.setting.path,
      ...this.mapping,
      evaluation: [],
      ...(model === undefined ? {} : { model: { ...model, maxLength: this.maxLength, lossOn: 'completion' as const } }),
    };
  }

  private async template() {
    if (this.model === '') return undefined;
    const modelDirectory = await findModel(this.model, this.setting.path);
    return { modelDirectory, promptPrefix: '', instructionResponseSeparator: '\n\n' };
  }

  private fail(about: 'file' | 'filter' | 'overview', error: unknown): void {
    if (this.closed || (error instanceof LabError && error.message === 'stopped')) return;
    if (!(error instanceof LabError)) this.host.note(error);
    this.host.show({ type: 'failed', about, message: visibleText(formatError(error)) });
  }
}

function overviewOf(analysis: Analysis): PreviewOverview {
  const { records, usable, sampled, turns, formats, tokens, labels, problems } = analysis;
  const bins = tokens?.bins ?? analysis.bins;
  const names = Object.entries(formats).map(([format, count]) => (count === usable ? format : `${format} ${count}`));
  return {
    records,
    usable,
    sampled,
    turns,
    formats: names.join(', '),
    tokens:
      tokens === undefined
        ? null
        : {
            tokens: tokens.tokens,
            lossTokens: tokens.lossTokens,
            truncatedRecords: tokens.truncatedRecords,
            maxLength: tokens.maxLength,
          },
    bins: [...bins].flatMap((count, bin) =>
      count === 0 ? [] : [{ from: binStart(bin), to: Math.max(binStart(bin), binStart(bin + 1) - 1), count }],
    ),
    labels: [...(labels ?? [])],
    problems: problems.map(({ kind, count, rows }) => ({
      kind,
      count,
      rows: rows.slice(0, shownProblems).map(({ row, message }) => ({ row, message })),
    })),
  };
}
