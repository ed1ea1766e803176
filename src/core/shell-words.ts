/** Words for a command line that a person may paste. */

import { sep } from 'node:path';

/** As one word of a POSIX shell; on Windows, of PowerShell and the command prompt. */
export function quoted(word: string): string {
  if (sep === '\\') return /^[\w@+=:,.\\/-]+$/.test(word) ? word : `"${word.replaceAll('"', String.raw`\"`)}"`;
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
