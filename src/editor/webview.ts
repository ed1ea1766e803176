/** What all webviews of the extension share on the editor's side: options, page, and messages checked as they arrive. */

import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import type * as z from 'zod';
import { webviewPage } from './html.js';

/** Scripts on; files from the bundled webviews alone. */
export function webviewOptions(extensionUri: vscode.Uri): vscode.WebviewOptions {
  return { enableScripts: true, enableForms: false, localResourceRoots: [bundles(extensionUri)] };
}

/** The icon of a view's tab, which takes no colour from the theme. */
export function viewIcon(extensionUri: vscode.Uri): { light: vscode.Uri; dark: vscode.Uri } {
  const icon = (theme: string): vscode.Uri =>
    vscode.Uri.joinPath(extensionUri, 'media', 'icons', `sft-lab-${theme}.svg`);
  return { light: icon('light'), dark: icon('dark') };
}

/** Shows `webview/<view>/main.ts`, as bundled, in a webview. Its root element is `#root`. */
export function showView(webview: vscode.Webview, extensionUri: vscode.Uri, view: string, title: string): void {
  const resource = (file: string): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(bundles(extensionUri), file)).toString();
  webview.options = webviewOptions(extensionUri);
  webview.html = webviewPage({
    cspSource: webview.cspSource,
    nonce: randomBytes(16).toString('base64url'),
    script: resource(`${view}.js`),
    style: resource(`${view}.css`),
    title,
    language: vscode.env.language,
  });
}

/** Calls the listener with messages that fit the schema; others are no message of ours and are dropped, with a note. */
export function onViewMessage<T>(
  webview: vscode.Webview,
  schema: z.ZodType<T>,
  listener: (message: T) => void,
  note: (text: string) => void,
): vscode.Disposable {
  return webview.onDidReceiveMessage((value: unknown) => {
    const parsed = schema.safeParse(value);
    if (parsed.success) listener(parsed.data);
    else note(`A view sent what is no message: ${parsed.error.issues[0]?.message ?? 'unknown shape'}`);
  });
}

function bundles(extensionUri: vscode.Uri): vscode.Uri {
  return vscode.Uri.joinPath(extensionUri, 'dist', 'webview');
}
