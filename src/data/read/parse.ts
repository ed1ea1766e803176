/** The bytes of one record to its value, or to what is wrong with it. */

import { isAscii } from 'node:buffer';
import { findJsonError } from './json-error.js';
import { notJson, type Piece } from './split.js';
import { maxDepth } from './values.js';

export type Parsed = { readonly value: unknown } | { readonly problem: string };

const quote = 0x22;
const backslash = 0x5c;
const decoder = new TextDecoder('utf-8', { fatal: true });

function decode(piece: Piece): string | undefined {
  if (isAscii(piece.bytes)) return piece.bytes.toString('latin1');
  try {
    return decoder.decode(piece.bytes);
  } catch {
    return undefined;
  }
}

const notUtf8 = { problem: 'the text is not valid UTF-8' };

export function parseJson(piece: Piece): Parsed {
  if (piece.problem !== undefined) return { problem: piece.problem };
  const text = decode(piece);
  if (text === undefined) return notUtf8;
  if (tooDeep(text)) return { problem: `the record is nested more than ${maxDepth} levels deep` };
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    const found = findJsonError(text);
    if (found === undefined) return { problem: `the text is not valid JSON: ${String(error)}` };
    const before = text.slice(0, found.offset).trimStart();
    const lineStart = before.lastIndexOf('\n') + 1;
    const line = piece.line + before.split('\n').length - 1;
    const inLine = Array.from(before.slice(lineStart)).length;
    // In a line of JSONL the blanks before the record count too; in an array the column of its first character is known.
    const indent = text.length - text.trimStart().length;
    const column = lineStart > 0 ? inLine + 1 : inLine + piece.column + (piece.fromLineStart === true ? indent : 0);
    return { problem: notJson(line, column, found.expected) };
  }
}

function tooDeep(text: string): boolean {
  // Few brackets are never deep; to find them is faster than to look at each character.
  if (atMost(text, '{', maxDepth / 2) && atMost(text, '[', maxDepth / 2)) return false;
  let depth = 0;
  let inText = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inText) {
      if (code === backslash) i++;
      else if (code === quote) inText = false;
    } else if (code === quote) inText = true;
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > maxDepth) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
}

/** Whether a character stands in a text so often at most. */
function atMost(text: string, character: string, most: number): boolean {
  let count = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1))
    if (++count > most) return false;
  return true;
}

/** Columns whose cells hold JSON, since a table has no lists. */
const jsonColumns = new Set(['messages', 'conversations', 'conversation', 'tools']);

/** A record of CSV as an object of texts by the columns' names. */
export function parseCsv(piece: Piece, separator: string, columns: readonly string[]): Parsed {
  if (piece.problem !== undefined) return { problem: piece.problem };
  const text = decode(piece);
  if (text === undefined) return notUtf8;
  const fields = csvFields(text, separator);
  if (typeof fields === 'string') return { problem: fields };
  if (fields.length !== columns.length) {
    return { problem: `the record has ${fields.length} fields, the header ${columns.length}` };
  }
  return { value: Object.fromEntries(fields.map((field, i) => cell(columns[i] ?? '', field))) };
}

/** A named cell of a table of texts; where the column is one of lists, the list that its text is the JSON of. */
export function cell(name: string, field: string): [string, unknown] {
  if (!jsonColumns.has(name) || !/^\s*[[{]/.test(field) || tooDeep(field)) return [name, field];
  try {
    return [name, JSON.parse(field)];
  } catch {
    return [name, field];
  }
}

/** The names in a header; unnamed columns are numbered. Two of one name have to be told apart by a person. */
export function csvColumns(piece: Piece, separator: string): string[] | { readonly problem: string } {
  if (piece.problem !== undefined) return { problem: piece.problem };
  const text = decode(piece);
  if (text === undefined) return notUtf8;
  const fields = csvFields(text, separator);
  if (typeof fields === 'string') return { problem: fields };
  const names = fields.map((field, i) => (field.trim() === '' ? `column ${i + 1}` : field.trim()));
  const twice = names.find((name, i) => names.indexOf(name) < i);
  return twice === undefined ? names : { problem: `two columns are named ${JSON.stringify(twice.slice(0, 100))}` };
}

function csvFields(line: string, separator: string): string[] | string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = '';
      let from = at + 1;
      for (;;) {
        const end = text.indexOf('"', from);
        if (end < 0) return 'a quoted field has no closing "';
        field += text.slice(from, end);
        if (text[end + 1] !== '"') {
          at = end + 1;
          break;
        }
        field += '"';
        from = end + 2;
      }
      if (at < text.length && text[at] !== separator)
        return `expected the end of the field after the closing ", not ${JSON.stringify(text[at])}`;
      fields.push(field);
    } else {
      const end = text.indexOf(separator, at);
      fields.push(end < 0 ? text.slice(at) : text.slice(at, end));
      at = end < 0 ? text.length : end;
    }
    if (at >= text.length) return fields;
    at++;
  }
}
