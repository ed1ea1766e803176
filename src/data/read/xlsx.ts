/**
 * The first sheet of an XLSX workbook: its first row that is not empty names the columns, each row after it is a record. Formulas
 * count by the values that were saved with them; none is ever computed.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { cannotRead } from './kinds.js';
import { cell as named } from './parse.js';
import { damaged } from './table.js';
import type { RawRecord } from './values.js';
import { XmlScanner } from './xml.js';
import { readEntry, type ZipEntry, zipEntries } from './zip.js';

const maxSharedText = 256 * 1024 * 1024;
const maxColumns = 16_384;

type Entries = ReadonlyMap<string, ZipEntry>;

interface Cell {
  readonly column: number;
  readonly value: unknown;
  readonly problem?: string;
}

interface SheetRow {
  readonly line: number;
  readonly cells: readonly Cell[];
}

/** What cells refer to. */
interface Book {
  readonly texts: readonly string[];
  /** For each cell format whether it shows a date. */
  readonly dates: readonly boolean[];
  readonly from1904: boolean;
}

export async function* readSheet(path: string): AsyncGenerator<RawRecord> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const entries = await zipEntries(file, path, size);
    const { sheet, from1904 } = await firstSheet(file, path, entries);
    const book: Book = {
      texts: await sharedTexts(file, path, entries),
      dates: await dateFormats(file, path, entries),
      from1904,
    };
    yield* records(sheetRows(readEntry(file, path, sheet), book), path, sheet.packed);
  } catch (error) {
    throw cannotRead(path, error);
  } finally {
    await file.close();
  }
}

async function* records(rows: AsyncGenerator<SheetRow>, file: string, bytes: number): AsyncGenerator<RawRecord> {
  let columns: ReadonlyMap<number, string> | undefined;
  let index = 0;
  for await (const row of rows) {
    const filled = row.cells.filter(({ value, problem }) => problem !== undefined || (value !== null && value !== ''));
    if (filled.length === 0) continue;
    if (columns === undefined) {
      columns = header(filled, file);
      continue;
    }
    const known = columns;
    const place = { file, index: index++, line: row.line };
    // How much of the file a record takes is known only at its end; only sums are used.
    const share = { place, bytes: Math.min(bytes, 64 * filled.length) };
    const lost = filled.find(({ column }) => !known.has(column));
    const problem =
      filled.find((cell) => cell.problem !== undefined)?.problem ??
      (lost === undefined ? undefined : `the cell ${cellName(lost.column, row.line)} stands under no column name`);
    if (problem !== undefined) {
      yield { ...share, problem };
      continue;
    }
    const values = new Map(filled.map(({ column, value }) => [column, value]));
    const fields = [...known].map(([column, name]): [string, unknown] => {
      const value = values.get(column) ?? null;
      return typeof value === 'string' ? named(name, value) : [name, value];
    });
    yield { ...share, value: Object.fromEntries(fields) };
  }
}

function header(cells: readonly Cell[], file: string): ReadonlyMap<number, string> {
  const columns = new Map(cells.map(({ column, value }) => [column, String(value).trim()]));
  const names = [...columns.values()];
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw damaged(file, `two columns are named ${JSON.stringify(twice.slice(0, 100))}`);
  return columns;
}

/** The first sheet that is not hidden. */
async function firstSheet(
  file: FileHandle,
  path: string,
  entries: Entries,
): Promise<{ sheet: ZipEntry; from1904: boolean }> {
  const links = new Map<string, string>();
  await scan(file, path, entries.get('xl/_rels/workbook.xml.rels'), (name, attribute) => {
    if (name === 'Relationship') links.set(attribute('Id') ?? '', attribute('Target') ?? '');
  });
  const sheets: { readonly id: string; readonly hidden: boolean }[] = [];
  let from1904 = false;
  await scan(file, path, entries.get('xl/workbook.xml'), (name, attribute) => {
    if (name === 'workbookPr') from1904 = ['1', 'true'].includes(attribute('date1904') ?? '');
    if (name === 'sheet')
      sheets.push({ id: attribute('r:id') ?? '', hidden: (attribute('state') ?? 'visible') !== 'visible' });
  });
  const target = links.get((sheets.find(({ hidden }) => !hidden) ?? sheets[0])?.id ?? '') ?? 'worksheets/sheet1.xml';
  const sheet = entries.get(target.startsWith('/') ? target.slice(1) : `xl/${target}`);
  if (sheet === undefined) throw damaged(path, 'it is no workbook, or its sheet is missing');
  return { sheet, from1904 };
}

async function scan(
  file: FileHandle,
  path: string,
  entry: ZipEntry | undefined,
  openTag: (name: string, attribute: (name: string) => string | undefined) => void,
): Promise<void> {
  if (entry === undefined) return;
  const scanner = new XmlScanner({ open: openTag, close: () => undefined, text: () => undefined });
  for await (const chunk of readEntry(file, path, entry)) scanner.push(chunk);
  scanner.end();
}

async function sharedTexts(file: FileHandle, path: string, entries: Entries): Promise<string[]> {
  const entry = entries.get('xl/sharedStrings.xml');
  const texts: string[] = [];
  if (entry === undefined) return texts;
  let text = '';
  let taking = false;
  // Phonetic guides (rPh) stand beside the text that they are for.
  let guide = false;
  let total = 0;
  const scanner = new XmlScanner({
    open: (name) => {
      if (name === 'si') text = '';
      else if (name === 'rPh') guide = true;
      taking = name === 't' && !guide;
    },
    close: (name) => {
      taking = false;
      if (name === 'rPh') guide = false;
      if (name !== 'si') return;
      total += text.length + 16;
      if (total > maxSharedText) throw new Error(`its texts take more than ${maxSharedText} bytes`);
      texts.push(plain(text));
    },
    text: (part) => {
      if (taking) text += part;
    },
  });
  for await (const chunk of readEntry(file, path, entry)) scanner.push(chunk);
  scanner.end();
  return texts;
}

async function dateFormats(file: FileHandle, path: string, entries: Entries): Promise<boolean[]> {
  const custom = new Map<number, string>();
  const formats: boolean[] = [];
  let inCells = false;
  await scan(file, path, entries.get('xl/styles.xml'), (name, attribute) => {
    if (name === 'numFmt') custom.set(Number(attribute('numFmtId')), attribute('formatCode') ?? '');
    else if (name === 'cellXfs') inCells = true;
    else if (name === 'cellStyles' || name === 'dxfs') inCells = false;
    else if (name === 'xf' && inCells) formats.push(isDate(Number(attribute('numFmtId')), custom));
  });
  return formats;
}

/** Formats 14 to 22 and 45 to 47 are dates and times (ECMA-376, 18.8.30). */
function isDate(format: number, custom: ReadonlyMap<number, string>): boolean {
  if ((format >= 14 && format <= 22) || (format >= 45 && format <= 47)) return true;
  const code = custom.get(format)?.replace(/"[^"]*"|\[[^\]]*\]|\\./g, '');
  return code !== undefined && /[dmyhs]/i.test(code);
}

async function* sheetRows(chunks: AsyncGenerator<Buffer>, book: Book): AsyncGenerator<SheetRow> {
  let ready: SheetRow[] = [];
  let line = 0;
  let cells: Cell[] = [];
  let column = -1;
  let type = 'n';
  let style = 0;
  let text = '';
  let formula = false;
  let taking = false;
  const scanner = new XmlScanner({
    open: (name, attribute) => {
      taking = name === 'v' || name === 't';
      if (name === 'row') {
        const number = Number(attribute('r') ?? line + 1);
        line = Number.isSafeInteger(number) && number > 0 ? number : line + 1;
        cells = [];
        column = -1;
      } else if (name === 'c') {
        const reference = columnOf(attribute('r'));
        column = reference ?? column + 1;
        if (column >= maxColumns) throw new Error(`row ${line} has more than ${maxColumns} columns`);
        type = attribute('t') ?? 'n';
        style = Number(attribute('s') ?? 0);
        text = '';
        formula = false;
      } else if (name === 'f') formula = true;
    },
    close: (name) => {
      taking = false;
      if (name === 'c') cells.push({ column, ...cellValue(text, type, style, formula, book, cellName(column, line)) });
      else if (name === 'row') ready.push({ line, cells });
    },
    text: (part) => {
      if (taking) text += part;
    },
  });
  for await (const chunk of chunks) {
    scanner.push(chunk);
    yield* ready;
    ready = [];
  }
  scanner.end();
}

function cellValue(
  text: string,
  type: string,
  style: number,
  formula: boolean,
  book: Book,
  name: string,
): { value: unknown; problem?: string } {
  if (formula && text === '' && type !== 'str') {
    return {
      value: null,
      problem: `the cell ${name} holds a formula without a saved value: open and save the file in a spreadsheet program`,
    };
  }
  switch (type) {
    case 's': {
      const value = book.texts[Number(text)];
      return value === undefined
        ? { value: null, problem: `the cell ${name} refers to a text that is not there` }
        : { value };
    }
    case 'str':
    case 'inlineStr':
      return { value: plain(text) };
    case 'b':
      return { value: text === '1' };
    case 'e':
      return { value: null, problem: `the cell ${name} holds the error ${text.slice(0, 20)}` };
    case 'd':
      return { value: text };
    default: {
      if (text === '') return { value: null };
      const number = Number(text);
      if (!Number.isFinite(number)) return { value: null, problem: `the cell ${name} holds no number` };
      return { value: book.dates[style] === true ? dateOf(number, book.from1904) : number };
    }
  }
}

/** Days since the end of 1899 (or of 1903) as ISO 8601. */
function dateOf(days: number, from1904: boolean): unknown {
  const start = from1904 ? Date.UTC(1904, 0, 1) : Date.UTC(1899, 11, 30);
  const date = new Date(Math.round((start + days * 86_400_000) / 1000) * 1000);
  return Number.isNaN(date.getTime()) ? days : date.toISOString();
}

/** Characters that XML cannot hold are written as `_x0007_`. */
function plain(text: string): string {
  if (!text.includes('_x')) return text;
  return text.replace(/_x([0-9A-Fa-f]{4})_/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** `BC7` is column 54, counted from 0. */
function columnOf(reference: string | undefined): number | undefined {
  const letters = reference === undefined ? undefined : /^[A-Z]{1,3}/.exec(reference)?.[0];
  if (letters === undefined) return undefined;
  let column = 0;
  for (const letter of letters) column = column * 26 + letter.charCodeAt(0) - 64;
  return column - 1;
}

function cellName(column: number, line: number): string {
  let letters = '';
  for (let rest = column + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    letters = String.fromCharCode(65 + ((rest - 1) % 26)) + letters;
  }
  return `${letters}${line}`;
}
