/**
 * Text from a model or a data set, made safe to look at: characters that nobody sees, that turn the direction of the text
 * around or that drive a terminal are shown by name.
 */

export interface VisiblePart {
  readonly text: string;
  /** A stand-in for a character that would not be seen. */
  readonly hidden: boolean;
}

/*
 * Controls but tab and newline; soft hyphen; Arabic letter mark; Hangul fillers; zero-width characters; line and paragraph
 * separators; bidirectional embeddings, overrides and isolates; invisible operators; byte order mark; interlinear
 * annotations; tags; lone surrogates.
 */
const unseen =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu;

/** Names of U+0000 to U+001F (ISO 6429), in words: many fonts lack the pictures of Unicode. */
const controls =
  'NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US'.split(
    ' ',
  );

const names: Readonly<Record<number, string>> = {
  127: 'DEL',
  173: 'SHY',
  8203: 'ZWSP',
  8204: 'ZWNJ',
  8205: 'ZWJ',
  8206: 'LRM',
  8207: 'RLM',
  8234: 'LRE',
  8235: 'RLE',
  8236: 'PDF',
  8237: 'LRO',
  8238: 'RLO',
  8294: 'LRI',
  8295: 'RLI',
  8296: 'FSI',
  8297: 'PDI',
  65279: 'BOM',
};

export function visibleParts(text: string): VisiblePart[] {
  const parts: VisiblePart[] = [];
  let end = 0;
  for (const match of text.matchAll(unseen)) {
    // Joiners inside emoji and scripts that need them are part of what is seen.
    if ((match[0] === '\u200d' || match[0] === '\u200c') && joins(text, match.index)) continue;
    if (match.index > end) parts.push({ text: text.slice(end, match.index), hidden: false });
    parts.push({ text: nameOf(match[0]), hidden: true });
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), hidden: false });
  return parts;
}

/** The same as one string, for titles and labels. */
export function visibleText(text: string): string {
  return visibleParts(text)
    .map((part) => part.text)
    .join('');
}

function joins(text: string, at: number): boolean {
  const joined =
    /[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Bengali}]|\ufe0f/u;
  const before = [...text.slice(Math.max(0, at - 2), at)].at(-1);
  return before !== undefined && joined.test(before) && at + 1 < text.length;
}

function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return controls[code] ?? names[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}
