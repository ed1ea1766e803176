/** Problems of open `*.sft.json` files on their lines, beside those that VS Code finds by the JSON Schema. */

import { dirname } from 'node:path';
import * as vscode from 'vscode';
import { checkConfigText } from './check.js';

const pauseMs = 300;

export function isConfig({ uri }: vscode.TextDocument): boolean {
  return uri.scheme === 'file' && uri.path.endsWith('.sft.json');
}

export class ConfigDiagnostics implements vscode.Disposable {
  private readonly collection = vscode.languages.createDiagnosticCollection('sft-lab');
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly owned: vscode.Disposable;

  constructor(private readonly output: vscode.LogOutputChannel) {
    const { workspace } = vscode;
    // A data set that appears or goes changes what is wrong with every config.
    const files = workspace.createFileSystemWatcher('**/*', false, true, false);
    const again = (): void => {
      for (const document of workspace.textDocuments) this.checkSoon(document);
    };
    this.owned = vscode.Disposable.from(
      this.collection,
      files,
      files.onDidCreate(again),
      files.onDidDelete(again),
      workspace.onDidOpenTextDocument((document) => this.checkSoon(document)),
      workspace.onDidChangeTextDocument(({ document }) => this.checkSoon(document)),
      workspace.onDidCloseTextDocument(({ uri }) => this.collection.delete(uri)),
    );
    again();
  }

  dispose(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.owned.dispose();
  }

  private checkSoon(document: vscode.TextDocument): void {
    if (!isConfig(document)) return;
    const key = document.uri.toString();
    clearTimeout(this.timers.get(key));
    this.timers.set(
      key,
      setTimeout(() => {
        this.timers.delete(key);
        this.check(document).catch((error) => this.output.error(String(error)));
      }, pauseMs),
    );
  }

  private async check(document: vscode.TextDocument): Promise<void> {
    const { version } = document;
    const findings = await checkConfigText(document.getText(), dirname(document.uri.fsPath));
    if (document.isClosed || document.version !== version) return;
    const diagnostics = findings.map(({ line, key, severity, message }) => {
      const level = severity === 'error' ? vscode.DiagnosticSeverity.Error : vscode.DiagnosticSeverity.Warning;
      const diagnostic = new vscode.Diagnostic(rangeOf(document, line - 1, key), message, level);
      diagnostic.source = 'SFT Lab';
      return diagnostic;
    });
    this.collection.set(document.uri, diagnostics);
  }
}

/** The key with its value as far as both stand on the line. */
function rangeOf(document: vscode.TextDocument, line: number, key: string | undefined): vscode.Range {
  const { text, firstNonWhitespaceCharacterIndex: first } = document.lineAt(Math.min(line, document.lineCount - 1));
  const at = key === undefined ? -1 : text.indexOf(JSON.stringify(key));
  return new vscode.Range(line, at === -1 ? first : at, line, text.replace(/[\s,{[]+$/, '').length);
}
