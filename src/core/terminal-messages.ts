/**
 * What the trainer tells its launcher through the terminal: OSC escape sequences in its output, which terminals do not show.
 * They are the fast way; whoever misses them reads the same in the run's folder.
 *
 * One message: ESC ] 7117 ; JSON BEL, the JSON in ASCII, so that no byte of it ends the sequence.
 */

import * as z from 'zod';
import { runEventSchema } from './events.js';

const start = '\u001b]7117;';
const end = '\u0007';
/** Longer events are only announced; the log has them. */
const longestEvent = 8192;
/** What is longer is no message of ours. */
const longestMessage = 64 * 1024;

const messageSchema = z.discriminatedUnion('type', [
  /** The run whose events follow. */
  z.object({ type: z.literal('run'), folder: z.string(), pid: z.number().int() }),
  z.object({ type: z.literal('event'), event: runEventSchema }),
  /** An event too long to be sent stands in the log. */
  z.object({ type: z.literal('logged'), seq: z.number().int() }),
]);
export type TerminalMessage = z.infer<typeof messageSchema>;

/** The escape sequence of a message. */
export function formatMessage(message: TerminalMessage): string {
  const json = JSON.stringify(message);
  if (message.type === 'event' && json.length > longestEvent) {
    return formatMessage({ type: 'logged', seq: message.event.seq });
  }
  const ascii = json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return `${start}${ascii}${end}`;
}

/** Takes messages out of a stream of terminal output, however it is cut into pieces. */
export class MessageFilter {
  private rest = '';

  /** The text to show, and the messages that were in it. Malformed ones are dropped. */
  push(piece: string): { text: string; messages: TerminalMessage[] } {
    let input = this.rest + piece;
    this.rest = '';
    let text = '';
    const messages: TerminalMessage[] = [];
    for (;;) {
      const at = input.indexOf(start);
      if (at === -1) break;
      const stop = input.indexOf(end, at);
      if (stop === -1) {
        text += input.slice(0, at);
        // Without an end in reach it is not ours: shown as it came.
        if (input.length - at > longestMessage) text += input.slice(at);
        else this.rest = input.slice(at);
        return { text, messages };
      }
      text += input.slice(0, at);
      const message = parseMessage(input.slice(at + start.length, stop));
      if (message !== undefined) messages.push(message);
      input = input.slice(stop + end.length);
    }
    const cut = beginningAtEnd(input);
    this.rest = input.slice(input.length - cut);
    return { text: text + input.slice(0, input.length - cut), messages };
  }
}

/** How many characters at the end of a text may be the beginning of a message. */
function beginningAtEnd(text: string): number {
  for (let length = Math.min(start.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(start.slice(0, length))) return length;
  }
  return 0;
}

function parseMessage(json: string): TerminalMessage | undefined {
  try {
    const parsed = messageSchema.safeParse(JSON.parse(json));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
