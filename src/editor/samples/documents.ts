/**
 * Answers as read-only documents, for the editor's own diff. What a document is stands in its address, so that a diff that is open when the
 * window is reloaded is filled again from the run's log.
 */

import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import * as z from 'zod';
import { placeKey } from '../../core/data.js';
import { RunSamples } from '../../core/view/samples-book.js';
import { readEvents } from '../../runs/event-log.js';
import type { SampleText } from './session.js';

const scheme = 'sft-lab-sample';
/** Documents whose text is kept; older ones are read from the log. */
const mostKept = 100;

const addressSchema = z.object({
  run: z.string(),
  set: z.string(),
  file: z.string(),
  index: z.number(),
  /** Null: the reference. */
  step: z.number().nullable(),
});
type Address = z.infer<typeof addressSchema>;

export class SampleDocuments implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly texts = new Map<string, string>();
  private readonly registered = vscode.workspace.registerTextDocumentContentProvider(scheme, this);

  dispose(): void {
    this.registered.dispose();
  }

  /** Shows two texts side by side. `labels`: what the runs are called. */
  async diff(before: SampleText, after: SampleText, labels: (run: string) => string): Promise<void> {
    const name = (one: SampleText): string =>
      one.step === null ? 'reference' : `${before.run === after.run ? '' : `${labels(one.run)} `}step ${one.step}`;
    const record = `record ${after.place.index + 1}`;
    const run = before.run === after.run ? `${labels(after.run)}, ` : '';
    await vscode.commands.executeCommand(
      'vscode.diff',
      this.put(before),
      this.put(after),
      `${run}${record}: ${name(before)} ↔ ${name(after)}`,
      { preview: true },
    );
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    return this.texts.get(uri.query) ?? (await read(uri.query));
  }

  private put({ run, set, place, step, text }: SampleText): vscode.Uri {
    const address: Address = { run, set, file: place.file, index: place.index, step };
    const query = JSON.stringify(address);
    this.texts.delete(query);
    this.texts.set(query, text);
    for (const oldest of this.texts.keys()) {
      if (this.texts.size <= mostKept) break;
      this.texts.delete(oldest);
    }
    const name = `${basename(run)} ${step === null ? 'reference' : `step ${step}`}.txt`;
    return vscode.Uri.from({ scheme, path: `/${name}`, query });
  }
}

async function read(query: string): Promise<string> {
  const gone = 'This text is not in the log of its run. Open it again from the samples view.\n';
  const address = addressSchema.safeParse(parsed(query));
  if (!address.success) return gone;
  const { run, set, step, ...place } = address.data;
  const samples = new RunSamples();
  samples.add((await readEvents(join(run, 'events.jsonl'))).events);
  const book = samples.sets.get(set);
  const row = book?.row(placeKey(place));
  if (book === undefined || row === undefined) return gone;
  return (step === null ? book.text(row)?.reference : book.at(step)?.answer(row)) ?? gone;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
