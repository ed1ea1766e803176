import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EventStream } from '../../../src/cli/event-stream.js';
import { formatEvent, type RunEvent } from '../../../src/core/events.js';
import { MessageFilter, type TerminalMessage } from '../../../src/core/terminal-messages.js';
import { trainBody } from '../../bench/make-runs.js';

const event = (seq: number): RunEvent => formatEvent(trainBody(seq + 1), seq, new Date(0)).event;

let sent: TerminalMessage[];
let stream: EventStream;
beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  const filter = new MessageFilter();
  stream = new EventStream((text) => sent.push(...filter.push(text).messages));
});
afterEach(() => vi.useRealTimers());

const shown = (): string[] =>
  sent.map((message) => (message.type === 'event' ? `event ${message.event.seq}` : JSON.stringify(message)));

describe('events told to the editor', () => {
  it('come whole and at once while they come slowly', () => {
    for (let seq = 0; seq < 3; seq++) {
      stream.tell(event(seq));
      expect(shown().at(-1)).toBe(`event ${seq}`);
      vi.advanceTimersByTime(300);
    }
    expect(sent).toHaveLength(3);
  });

  it('are announced together when they come fast, four times a second at most, the last one too', () => {
    for (let seq = 0; seq < 10_000; seq++) {
      stream.tell(event(seq));
      if (seq % 10 === 9) vi.advanceTimersByTime(1);
    }
    vi.advanceTimersByTime(300);
    expect(sent.length).toBeLessThanOrEqual(6);
    expect(shown()[0]).toBe('event 0');
    expect(shown().at(-1)).toBe('{"type":"logged","seq":9999}');
  });

  it('leave nothing unsaid at the end', () => {
    stream.tell(event(0));
    stream.tell(event(1));
    expect(sent).toHaveLength(1);
    stream.flush();
    expect(shown()).toEqual(['event 0', '{"type":"logged","seq":1}']);
    stream.flush();
    vi.advanceTimersByTime(1000);
    expect(sent).toHaveLength(2);
  });
});
