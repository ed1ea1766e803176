/** JSON as it is written, laid out in lines: numbers, escapes and keys that stand twice stay as they are, which parsing would change. */

/** @param json one valid value; else what comes out is as odd as what went in */
export function layOut(json: string): string {
  let out = '';
  let depth = 0;
  let at = 0;
  const line = (): string => `\n${'  '.repeat(depth)}`;
  while (at < json.length) {
    const char = json[at] ?? '';
    switch (char) {
      case ' ':
      case '\t':
      case '\r':
      case '\n':
        at++;
        break;
      case '"': {
        const end = endOfText(json, at + 1);
        out += json.slice(at, end);
        at = end;
        break;
      }
      case '{':
      case '[': {
        const next = skipBlanks(json, at + 1);
        if (json[next] === '}' || json[next] === ']') {
          out += char + (json[next] ?? '');
          at = next + 1;
          break;
        }
        depth++;
        out += char + line();
        at++;
        break;
      }
      case '}':
      case ']':
        depth = Math.max(0, depth - 1);
        out += line() + char;
        at++;
        break;
      case ',':
        out += char + line();
        at++;
        break;
      case ':':
        out += ': ';
        at++;
        break;
      default:
        out += char;
        at++;
    }
  }
  return out;
}

/** After the closing quote. */
function endOfText(json: string, from: number): number {
  for (let at = from; at < json.length; at++) {
    if (json[at] === '\\') at++;
    else if (json[at] === '"') return at + 1;
  }
  return json.length;
}

function skipBlanks(json: string, from: number): number {
  let at = from;
  while (at < json.length && /[ \t\r\n]/.test(json[at] ?? '')) at++;
  return at;
}
