import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunEvent } from '../../../src/core/events.js';
import { EventLog, EventReader, readEvents, tailEvents } from '../../../src/runs/event-log.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-events-'));
  path = join(folder, 'events.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const warning = (message: string) => ({ type: 'warning', kind: 'test', message }) as const;

async function write(...messages: string[]): Promise<void> {
  const log = await EventLog.open(path);
  for (const message of messages) log.append(warning(message));
  log.close();
}

const messages = (events: readonly RunEvent[]) =>
  events.map((event) => (event.type === 'warning' ? event.message : event.type));

describe('the event log', () => {
  it('numbers events on from where an earlier process stopped', async () => {
    await write('a', 'b');
    await write('c');
    const { events, lastSeq, skipped } = await readEvents(path);
    expect(events.map(({ seq }) => seq)).toEqual([0, 1, 2]);
    expect(messages(events)).toEqual(['a', 'b', 'c']);
    expect({ lastSeq, skipped }).toEqual({ lastSeq: 2, skipped: 0 });
  });

  it('survives a line torn at any byte: skipped, counted, and nothing after it lost', async () => {
    await write('one', 'zwölf');
    const whole = readFileSync(path);
    const firstLine = whole.indexOf(0x0a) + 1;
    for (let size = firstLine + 1; size < whole.length; size++) {
      writeFileSync(path, whole.subarray(0, size));
      await write('after');
      const { events, skipped } = await readEvents(path);
      // The whole object without its line end is still the event.
      const complete = size === whole.length - 1;
      expect(messages(events)).toEqual(complete ? ['one', 'zwölf', 'after'] : ['one', 'after']);
      expect(skipped).toBe(complete ? 0 : 1);
      expect(new Set(events.map(({ seq }) => seq)).size).toBe(events.length);
    }
  });

  it('counts a torn last line that nobody has written after', async () => {
    await write('one', 'two');
    truncateSync(path, readFileSync(path).length - 5);
    expect(await readEvents(path)).toMatchObject({ skipped: 1, lastSeq: 0 });
  });

  it('skips garbage and events of newer versions', async () => {
    await write('one');
    appendFileSync(path, 'garbage\n{"v":9,"seq":1,"type":"hologram"}\n\n');
    await write('two');
    expect(await readEvents(path)).toMatchObject({ skipped: 2 });
    expect(messages((await readEvents(path)).events)).toEqual(['one', 'two']);
  });

  it('is empty where there is no file', async () => {
    expect(await readEvents(path)).toEqual({ events: [], skipped: 0, lastSeq: -1 });
  });

  it('is read in pieces as it grows, a half line waiting for its rest', async () => {
    const reader = new EventReader(path);
    await write('one', 'two');
    const bytes = readFileSync(path);
    writeFileSync(path, '');
    const seen: string[] = [];
    for (let at = 0; at < bytes.length; at += 7) {
      appendFileSync(path, bytes.subarray(at, at + 7));
      seen.push(...messages(await reader.poll()));
    }
    expect(seen).toEqual(['one', 'two']);
    expect(reader.skipped).toBe(0);
  });

  it('is followed until the signal aborts', async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const events of tailEvents(path, stop.signal, 5)) seen.push(...messages(events));
    })();
    await write('a');
    await sleep(30);
    await write('b', 'c');
    while (seen.length < 3) await sleep(5);
    stop.abort();
    await following;
    expect(seen).toEqual(['a', 'b', 'c']);
  });
});
