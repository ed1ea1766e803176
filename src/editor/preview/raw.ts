/**
 * Data sets in the text editor: their problems in the Problems panel, *Preview · Fine-tune…* above the first line, and what a record
 * becomes (tokens, what is trained on) when the pointer rests on it. Only for JSONL files that are data sets.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as vscode from 'vscode';
import { formatError } from '../../core/errors.js';
import { visibleText } from '../../core/view/visible.js';
import { findModel, maxPositionsOf } from '../../data/models.js';
import { type OpenDataSet, openDataView, runJob } from '../../data/view/index.js';
import type { Services } from '../services.js';
import { chosenModel, sisterOf } from './defaults.js';
import { readMapping } from './mappings.js';
import { templateOptions } from './model-options.js';
import { describeTokens, lineProblems, linesOfRows, looksLikeDataSet } from './raw-lines.js';

const files: vscode.DocumentSelector = [{ scheme: 'file', pattern: '**/*.{jsonl,ndjson}' }];
const waitMilliseconds = 800;
/** Longer texts are looked at when they are saved. */
const mostUnsaved = 5_000_000;
const mostTokens = 1024;
const severities = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  information: vscode.DiagnosticSeverity.Information,
};

export class RawEditors implements vscode.Disposable, vscode.CodeLensProvider, vscode.HoverProvider {
  private readonly diagnostics = vscode.languages.createDiagnosticCollection('sft-lab-data');
  private readonly waiting = new Map<string, NodeJS.Timeout>();
  private readonly working = new Map<string, AbortController>();
  private readonly owned: vscode.Disposable;
  /** The data set that was hovered last. */
  private hovered: { readonly key: string; readonly view: Promise<OpenDataSet> } | undefined;

  constructor(
    private readonly services: Services,
    private readonly context: vscode.ExtensionContext,
  ) {
    const look = (document: vscode.TextDocument, wait: number): void => this.lookSoon(document, wait);
    this.owned = vscode.Disposable.from(
      this.diagnostics,
      vscode.workspace.onDidOpenTextDocument((document) => look(document, 0)),
      vscode.workspace.onDidSaveTextDocument((document) => look(document, 0)),
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length > 0) look(document, waitMilliseconds);
      }),
      vscode.workspace.onDidCloseTextDocument((document) => this.forget(document.uri)),
      vscode.languages.registerCodeLensProvider(files, this),
      vscode.languages.registerHoverProvider(files, this),
    );
    for (const document of vscode.workspace.textDocuments) look(document, 0);
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    if (!isDataSet(document)) return [];
    const top = new vscode.Range(0, 0, 0, 0);
    const lens = (title: string, command: string): vscode.CodeLens =>
      new vscode.CodeLens(top, { title, command, arguments: [document.uri] });
    return [lens('$(open-preview) Preview', 'sft-lab.preview'), lens('$(beaker) Fine-tune…', 'sft-lab.fineTune')];
  }

  async provideHover(document: vscode.TextDocument, { line }: vscode.Position): Promise<vscode.Hover | undefined> {
    // What stands on disk is what would be trained on.
    if (document.isDirty || !isDataSet(document)) return undefined;
    const rows = rowLines(document, line + 1);
    if (rows.at(-1) !== line) return undefined;
    const row = rows.length - 1;
    try {
      const view = await this.open(document);
      const { name, maxLength, lossOn: _, ...model } = await this.model(document.uri);
      const [made] = await view.tokens({ from: row, count: 1, model, ...(await mappingOf(document.uri)) });
      if (made === undefined || 'problem' in made) return undefined;
      const { counts, trained } = describeTokens(made, maxLength);
      const text = new vscode.MarkdownString();
      text.appendText(`${counts} (as ${name} reads it)`);
      if (trained !== '') text.appendCodeblock(visibleText(trained), 'plaintext');
      return new vscode.Hover(text, document.lineAt(line).range);
    } catch (error) {
      this.services.output.warn(formatError(error));
      return undefined;
    }
  }

  dispose(): void {
    for (const timer of this.waiting.values()) clearTimeout(timer);
    for (const work of this.working.values()) work.abort();
    this.closeHovered();
    this.owned.dispose();
  }

  private lookSoon(document: vscode.TextDocument, wait: number): void {
    if (vscode.languages.match(files, document) === 0) return;
    const key = document.uri.toString();
    clearTimeout(this.waiting.get(key));
    this.working.get(key)?.abort();
    this.waiting.set(
      key,
      setTimeout(() => {
        this.waiting.delete(key);
        void this.look(document);
      }, wait),
    );
  }

  private async look(document: vscode.TextDocument): Promise<void> {
    const { uri } = document;
    if (!isDataSet(document)) {
      this.diagnostics.delete(uri);
      return;
    }
    const text = document.isDirty ? document.getText() : undefined;
    if (text !== undefined && text.length > mostUnsaved) return;
    const stop = new AbortController();
    this.working.set(uri.toString(), stop);
    const folder = text === undefined ? undefined : await mkdtemp(join(tmpdir(), 'sft-lab-raw-'));
    try {
      let path = uri.fsPath;
      if (folder !== undefined && text !== undefined) {
        path = join(folder, 'unsaved.jsonl');
        await writeFile(path, text, { mode: 0o600 });
      }
      const options = {
        path,
        evaluation: await sisterOf(uri.fsPath),
        ...(await mappingOf(uri)),
        ...(await this.model(uri).then(
          ({ name: _, ...model }) => ({ model }),
          () => ({}),
        )),
      };
      const analysis = await runJob('analyse', options, { signal: stop.signal });
      if (stop.signal.aborted) return;
      const rows = rowLines(document, document.lineCount);
      const placeOf = (line: number) => new vscode.Location(uri, document.lineAt(line).range);
      this.diagnostics.set(
        uri,
        lineProblems(analysis)
          .filter(({ line }) => line < document.lineCount)
          .map(({ line, severity, kind, message, other }) => {
            const made = new vscode.Diagnostic(document.lineAt(line).range, visibleText(message), severities[severity]);
            made.source = 'SFT Lab';
            made.code = kind;
            const earlier = other === undefined ? undefined : rows[other];
            if (other !== undefined && earlier !== undefined) {
              made.relatedInformation = [new vscode.DiagnosticRelatedInformation(placeOf(earlier), `row ${other + 1}`)];
            }
            return made;
          }),
      );
    } catch (error) {
      if (!stop.signal.aborted) this.services.output.warn(formatError(error));
    } finally {
      if (this.working.get(uri.toString()) === stop) this.working.delete(uri.toString());
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    }
  }

  /** As a run of the model that the preview was last seen with would read the data. */
  private async model(uri: vscode.Uri) {
    const name = chosenModel(this.context);
    const folder = await findModel(name, dirname(uri.fsPath));
    const positions = await maxPositionsOf(folder).catch(() => undefined);
    const maxLength = Math.min(mostTokens, positions ?? mostTokens);
    return { ...templateOptions(folder, undefined), maxLength, lossOn: 'completion' as const, name };
  }

  private open(document: vscode.TextDocument): Promise<OpenDataSet> {
    const key = `${document.uri.toString()} ${document.version}`;
    if (this.hovered?.key !== key) {
      this.closeHovered();
      this.hovered = { key, view: openDataView(document.uri.fsPath) };
    }
    return this.hovered.view;
  }

  private forget(uri: vscode.Uri): void {
    this.diagnostics.delete(uri);
    const key = uri.toString();
    clearTimeout(this.waiting.get(key));
    this.waiting.delete(key);
    this.working.get(key)?.abort();
    if (this.hovered?.key.startsWith(`${key} `) === true) this.closeHovered();
  }

  private closeHovered(): void {
    this.hovered?.view.then(
      (view) => view.close(),
      () => undefined,
    );
    this.hovered = undefined;
  }
}

/** Of the first `count` lines. */
function rowLines(document: vscode.TextDocument, count: number): number[] {
  return linesOfRows(count, (line) => document.lineAt(line).text);
}

function isDataSet(document: vscode.TextDocument): boolean {
  const lines = function* (): Generator<string> {
    for (let line = 0; line < Math.min(document.lineCount, 200); line++) yield document.lineAt(line).text;
  };
  return looksLikeDataSet(lines());
}

async function mappingOf(uri: vscode.Uri) {
  return readMapping(vscode.workspace.getWorkspaceFolder(uri)?.uri.fsPath, uri.fsPath);
}
