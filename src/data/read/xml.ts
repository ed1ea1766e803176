/** A scanner for the XML inside XLSX files: tags and texts, no DTD, no entities but XML's own five. */

import { StringDecoder } from 'node:string_decoder';

export interface XmlEvents {
  open(name: string, attributes: (name: string) => string | undefined): void;
  close(name: string): void;
  text(text: string): void;
}

/** Spreadsheet programs allow 32,767 characters in a cell; other writers more. */
const maxToken = 8 * 1024 * 1024;

export class XmlScanner {
  private readonly decoder = new StringDecoder('utf8');
  private held = '';
  /** Of a text whose end is not there yet: so much of it was searched. */
  private searched = 0;

  constructor(private readonly events: XmlEvents) {}

  /** @throws Error where the text is not XML as spreadsheets write it */
  push(chunk: Buffer): void {
    const text = this.held + this.decoder.write(chunk);
    let at = 0;
    while (at < text.length) {
      const open = text.indexOf('<', Math.max(at, this.searched));
      this.searched = 0;
      if (open !== at) {
        // A text is told of once its end is there, so that an entity is never cut.
        if (open < 0) {
          this.searched = text.length - at;
          break;
        }
        this.events.text(plainText(text.slice(at, open)));
        at = open;
        continue;
      }
      const next = this.tag(text, at);
      if (next === undefined) break;
      at = next;
    }
    this.held = text.slice(at);
    if (this.held.length > maxToken) throw new Error(`a text of its XML is longer than ${maxToken} characters`);
  }

  end(): void {
    if (this.held.trim() !== '') throw new Error('its XML ends in the middle');
  }

  /** @returns where the tag at `at` ends; undefined where its end is not there yet */
  private tag(text: string, at: number): number | undefined {
    if (text.startsWith('<!--', at)) return after(text, '-->', at + 4);
    if (text.startsWith('<![CDATA[', at)) {
      const end = after(text, ']]>', at + 9);
      if (end !== undefined) this.events.text(text.slice(at + 9, end - 3));
      return end;
    }
    if (text.startsWith('<?', at)) return after(text, '?>', at);
    if (text.length - at < 9 && '<![CDATA['.startsWith(text.slice(at))) return undefined;
    if (text[at + 1] === '!') throw new Error('its XML has a document type, which no spreadsheet has');
    let end = at + 1;
    for (let quoted = ''; ; end++) {
      const char = text[end];
      if (char === undefined) return undefined;
      if (quoted !== '') {
        if (char === quoted) quoted = '';
      } else if (char === '"' || char === "'") quoted = char;
      else if (char === '>') break;
    }
    if (text[at + 1] === '/') {
      this.events.close(local(text.slice(at + 2, end).trim()));
      return end + 1;
    }
    const empty = text[end - 1] === '/';
    const inside = text.slice(at + 1, empty ? end - 1 : end);
    const nameEnd = inside.search(/\s/);
    const name = local(nameEnd < 0 ? inside : inside.slice(0, nameEnd));
    this.events.open(name, (attribute) => attributeOf(inside, attribute));
    if (empty) this.events.close(name);
    return end + 1;
  }
}

function after(text: string, mark: string, from: number): number | undefined {
  const found = text.indexOf(mark, from);
  return found < 0 ? undefined : found + mark.length;
}

function local(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

function attributeOf(tag: string, name: string): string | undefined {
  for (const [, key, , double, single] of tag.matchAll(/\s([\w:.-]+)\s*=\s*("([^"]*)"|'([^']*)')/g)) {
    if (key === name) return plainText(double ?? single ?? '');
  }
  return undefined;
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function plainText(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(#x[0-9a-fA-F]{1,6}|#[0-9]{1,7}|amp|lt|gt|quot|apos);/g, (whole, code: string) => {
    if (!code.startsWith('#')) return named[code] ?? whole;
    const point = code[1] === 'x' ? Number.parseInt(code.slice(2), 16) : Number.parseInt(code.slice(1), 10);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
