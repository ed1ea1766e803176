/**
 * Text of strangers (names, reasons, paths) in the editor's own messages: VS Code reads `[text](command:…)` in them as a link,
 * which it must not be.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters have no place in a message
const controls = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]+/g;

const longest = 600;

export function plainMessage(text: string): string {
  const plain = text.replace(controls, ' ').replaceAll('](', '] (');
  return plain.length <= longest ? plain : `${plain.slice(0, longest - 1)}…`;
}
