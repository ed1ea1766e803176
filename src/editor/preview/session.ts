/** One open preview: what its page asks, and the two workers that answer. No `vscode` here. */

import { dirname } from 'node:path';
import { LabError } from '../../core/errors.js';
import {
  type Figures,
  type FromPreview,
  firstPreviewState,
  type Mapping,
  type SetInfo,
  type ToPreview,
} from '../../core/view/preview.js';
import { findModel, maxPositionsOf } from '../../data/models.js';
import type { TemplateOptions } from '../../data/types.js';
import { PreviewClient } from './client.js';
import { messageOf } from './messages.js';
import { templateOptions } from './model-options.js';
import type { Mask, ModelFacts, Opened } from './protocol.js';
import { RowPages } from './row-pages.js';
import { Search } from './search.js';

export interface PreviewChoices {
  readonly models: SetInfo['models'];
  readonly model: string;
  readonly evaluations: SetInfo['evaluations'];
  readonly evaluation: string;
}

/** A chat template that replaces the model's own. */
export interface PickedTemplate {
  readonly name: string;
  readonly text: string;
}

export interface PreviewSetting {
  /** A file, or a folder of Arrow files. */
  readonly path: string;
  readonly name: string;
  readonly folder: string;
  /** The bundled worker. */
  readonly program: string;
  readonly mapping: Mapping;
  /** What can be chosen, and what is. Rows are shown before it is known. */
  readonly choices: Promise<PreviewChoices>;
  readonly canTrain: boolean;
  /** How long a record may take; 10 s where it is left out. */
  readonly recordLimitMs?: number;
  send(message: ToPreview): void;
  note(error: unknown): void;
}

const rowsMegabytes = 1024;
const scanMegabytes = 1024;
const standardLimitMs = 10_000;

export class PreviewSession {
  mapping: Mapping;
  private choices: PreviewChoices | undefined;
  private template: PickedTemplate | undefined;
  private readonly rows: PreviewClient;
  private readonly scan: PreviewClient;
  private readonly search: Search;
  private readonly pages: RowPages;
  private opened: Opened | undefined;
  private detected: string | undefined;
  private facts: ModelFacts | undefined;
  private maxPositions: number | undefined;
  private modelProblem: string | undefined;
  private options: TemplateOptions | undefined;
  private mask: Mask = { lossOn: firstPreviewState.lossOn, maxLength: firstPreviewState.maxLength };
  private count = 0;
  private complete = false;
  private scanning = new AbortController();
  private scanLosses = 0;
  private closed = false;
  /** It could not be read, which was told; there are no rows. */
  lost = false;

  constructor(private readonly setting: PreviewSetting) {
    this.mapping = setting.mapping;
    const recordLimitMs = setting.recordLimitMs ?? standardLimitMs;
    this.rows = new PreviewClient(setting.program, 'rows', rowsMegabytes, recordLimitMs, (error) => {
      this.failed(error);
      // The next rows have a worker of their own again.
      void this.reopen();
    });
    this.scan = new PreviewClient(setting.program, 'scan', scanMegabytes, recordLimitMs, (error, searching) => {
      if (!searching) this.failed(error);
      // What the scan hung on may have been the tokens; without them it is tried once more.
      if (!searching && this.scanLosses++ > 0) return;
      if (!searching) this.options = undefined;
      // A search that ran away is not begun again.
      void this.rescan(!searching);
    });
    this.search = new Search(this.scan, setting.send);
    this.pages = new RowPages(this.rows, this.search, this);
  }

  /** Rows that the page shows now; undefined: all. */
  get chosen(): Uint32Array | undefined {
    return this.search.rows;
  }

  /** Rows of the whole set; undefined while they are still counted. */
  get total(): number | undefined {
    return this.complete ? this.count : undefined;
  }

  get filtered(): boolean {
    return this.search.filtered;
  }

  close(): void {
    this.closed = true;
    this.search.stop();
    this.scanning.abort();
    void this.rows.close();
    void this.scan.close();
  }

  /** Opens the set, or opens it again: first rows first, then the model, then all that takes a look at everything. */
  async begin(): Promise<void> {
    const { path } = this.setting;
    try {
      this.opened = await this.rows.ask('open', { path, mapping: this.mapping });
      this.detected = this.opened.detected;
      this.count = this.opened.count;
      this.complete = this.opened.complete;
      this.lost = false;
      this.tell();
      this.tellCount();
      const indexed = this.index();
      this.choices ??= await this.setting.choices;
      await this.useModel();
      void this.rescan();
      await indexed;
    } catch (error) {
      this.failed(error);
      this.lost = true;
      this.count = 0;
      this.complete = true;
      this.tellCount();
    }
  }

  /** @returns true where the message was for the session */
  async receive(message: FromPreview): Promise<boolean> {
    switch (message.type) {
      case 'ready':
        // A page that was hidden is made anew; the session went on.
        if (this.opened === undefined) await this.begin();
        else await this.tellAll();
        return true;
      case 'reload':
        this.scanLosses = 0;
        await this.begin();
        return true;
      case 'show':
        this.search.wish(message.version, message.filter);
        await this.find();
        return true;
      case 'rows':
        await this.pages.wantRows(message);
        return true;
      case 'tokens':
        await this.pages.wantTokens(message);
        return true;
      case 'whole':
        await this.pages.sendWhole(message);
        return true;
      case 'mask':
        await this.setMask({ lossOn: message.lossOn, maxLength: message.maxLength });
        return true;
      case 'stop':
        if (message.what === 'search') this.search.stop();
        else this.scanning.abort();
        return true;
      case 'scan':
        await this.rescan();
        return true;
      default:
        return false;
    }
  }

  private async tellAll(): Promise<void> {
    this.tell();
    this.tellCount();
    const figures = await this.scan.ask('figures', this.mask);
    if (figures !== null) this.setting.send({ type: 'figures', figures });
  }

  async remap(mapping: Mapping): Promise<void> {
    this.mapping = mapping;
    const { detected } = await this.rows.ask('mapping', mapping);
    this.detected = detected;
    this.tell();
    await this.rescan();
  }

  async setModel(model: string, label?: string): Promise<void> {
    const { models, ...rest } = this.choices ?? (await this.setting.choices);
    const known = models.some(({ value }) => value === model);
    this.choices = { ...rest, models: known ? models : [...models, { value: model, label: label ?? model }], model };
    await this.useModel();
    await this.rescan();
  }

  async setTemplate(template: PickedTemplate | undefined): Promise<void> {
    this.template = template;
    await this.useModel();
    await this.rescan();
  }

  async setEvaluation(evaluation: string): Promise<void> {
    this.choices = { ...(this.choices ?? (await this.setting.choices)), evaluation };
    this.tell();
    await this.rescan();
  }

  record(row: number): Promise<string> {
    return this.rows.ask('record', row);
  }

  save(target: string, signal: AbortSignal): Promise<{ written: number; left: number }> {
    return this.scan.ask('save', { rows: this.chosen, target }, { signal });
  }

  /** After the rows worker was lost. */
  private async reopen(): Promise<void> {
    if (this.closed) return;
    try {
      this.opened = await this.rows.ask('open', { path: this.setting.path, mapping: this.mapping });
      await this.index();
      // What it hung on may have been the model.
      this.options = undefined;
      this.facts = undefined;
      this.modelProblem ??= 'Its tokenizer or template did not come to an end on a record.';
      this.tell();
    } catch (error) {
      this.setting.note(error);
    }
  }

  private async index(): Promise<void> {
    const { path } = this.setting;
    if (this.opened?.complete === true) return;
    if (this.opened?.lines === true) {
      const { marks, rows } = await this.scan.ask('countLines', path);
      await this.rows.ask('marks', { marks, rows });
      this.count = rows;
    } else {
      this.count = await this.rows.ask('index', null, {
        event: (count) => {
          this.count = Math.max(this.count, count);
          this.tellCount();
        },
      });
    }
    this.complete = true;
    this.tellCount();
  }

  private async useModel(): Promise<void> {
    this.options = undefined;
    this.facts = undefined;
    this.maxPositions = undefined;
    this.modelProblem = undefined;
    try {
      const model = this.choices?.model ?? '';
      if (model !== '') {
        const folder = await findModel(model, dirname(this.setting.path));
        const options = templateOptions(folder, this.template?.text);
        this.facts = await this.rows.ask('model', options);
        this.maxPositions = await maxPositionsOf(folder).catch(() => undefined);
        this.options = options;
        const missing = this.facts?.missing ?? [];
        if (missing.length > 0) this.modelProblem = `The tokenizer has no ${missing.join(', ')}.`;
      } else await this.rows.ask('model', undefined);
    } catch (error) {
      this.modelProblem = messageOf(error);
    }
    this.tell();
  }

  /** Reads all again: another mapping, model or evaluation set. */
  private async rescan(search = true): Promise<void> {
    if (this.closed) return;
    this.scanning.abort();
    const controller = new AbortController();
    this.scanning = controller;
    const { path } = this.setting;
    const chosen = this.choices?.evaluation ?? '';
    const evaluation = chosen === '' ? [] : [chosen];
    const options = { path, mapping: this.mapping, model: this.options, evaluation };
    const show = (figures: Figures): void => {
      if (controller !== this.scanning) return;
      this.setting.send({ type: 'figures', figures });
    };
    try {
      const work = this.scan.ask('scan', { options, mask: this.mask }, { signal: controller.signal, event: show });
      if (this.filtered && search) void this.find();
      const figures = await work;
      show(figures);
      // The mask may have changed meanwhile.
      await this.setMask(this.mask);
    } catch (error) {
      if (controller.signal.aborted) return;
      this.failed(error);
      // What it hung on may have been the tokens; without them it is tried once more.
      if (this.options === undefined || this.scanLosses++ > 0) return;
      this.options = undefined;
      void this.rescan();
    }
  }

  private async setMask(mask: Mask): Promise<void> {
    this.mask = mask;
    const figures = await this.scan.ask('figures', mask);
    if (figures !== null) this.setting.send({ type: 'figures', figures });
  }

  private async find(): Promise<void> {
    if (!(await this.search.start(this.mask))) this.tellCount();
  }

  private tellCount(): void {
    if (this.filtered) return;
    const { count, complete } = this;
    this.setting.send({ type: 'rowCount', version: this.search.version, count, complete, searched: null });
  }

  private tell(): void {
    const { opened, setting, facts, choices } = this;
    if (opened === undefined) return;
    this.setting.send({
      type: 'set',
      set: {
        name: setting.name,
        folder: setting.folder,
        kind: opened.kind,
        bytes: opened.bytes,
        fields: [...opened.fields],
        mapping: this.mapping,
        ...(this.detected === undefined ? {} : { detected: this.detected }),
        models: choices?.models ?? [],
        model: choices?.model ?? '',
        template: this.template?.name ?? '',
        ...(this.modelProblem === undefined ? {} : { modelProblem: this.modelProblem }),
        ...(facts === undefined ? {} : { maskSource: facts.maskSource }),
        ...(this.maxPositions === undefined ? {} : { maxPositions: this.maxPositions }),
        evaluations: choices?.evaluations ?? [],
        evaluation: choices?.evaluation ?? '',
        canTrain: setting.canTrain,
        canSave: true,
      },
    });
  }

  send(message: ToPreview): void {
    this.setting.send(message);
  }

  failed(error: unknown): void {
    if (this.closed) return;
    if (!(error instanceof LabError)) this.setting.note(error);
    const advice = error instanceof LabError ? error.advice : undefined;
    this.setting.send({
      type: 'failed',
      message: messageOf(error),
      ...(advice === undefined ? {} : { advice }),
    });
  }
}
