/** Writes `media/examples/*.jsonl`; the same bytes each time. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeArithmetic } from './arithmetic/index.js';
import { makeTickets } from './tickets/index.js';

/** File name → text of each committed example file. */
export function exampleFiles(): Readonly<Record<string, string>> {
  const tickets = makeTickets();
  const arithmetic = makeArithmetic();
  return {
    'tickets.train.jsonl': jsonLines(tickets.train),
    'tickets.eval.jsonl': jsonLines(tickets.heldOut),
    'arithmetic.train.jsonl': jsonLines(arithmetic.train),
    'arithmetic.eval.jsonl': jsonLines(arithmetic.heldOut),
  };
}

export async function writeExamples(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const [name, text] of Object.entries(exampleFiles())) await writeFile(join(directory, name), text);
}

export const jsonLines = (records: readonly unknown[]): string =>
  records.map((each) => `${JSON.stringify(each)}\n`).join('');
