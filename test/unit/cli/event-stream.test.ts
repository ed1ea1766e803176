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
      vi.advanceTimersByTime(600);
    }
    expect(sent).toHaveLength(3);
  });

  it('are announced together when they come fast, twice a second at most', () => {
    for (let seq = 0; seq <= 20_000; seq++) {
      stream.tell(event(seq));
      if (seq % 10 === 9) vi.advanceTimersByTime(1);
    }
    expect(shown()[0]).toBe('event 0');
    expect(shown().slice(1)).toEqual([5000, 10_000, 15_000, 20_000].map((seq) => `{"type":"logged","seq":${seq}}`));
  });

  it('leave nothing unsaid at the end', () => {
    stream.tell(event(0));
    stream.tell(event(1));
    expect(sent).toHaveLength(1);
    stream.flush();
    expect(shown()).toEqual(['event 0', '{"type":"logged","seq":1}']);
    stream.flush();
    expect(sent).toHaveLength(2);
  });
});
