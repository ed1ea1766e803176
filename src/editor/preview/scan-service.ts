/** The whole set read once for its figures, and searched meanwhile. The worker's role `scan`. */

import type { Example, RecordFormat } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import type { Figures, Filter, Mapping } from '../../core/view/preview.js';
import { formatInFile, RecordProblem, toExample } from '../../data/read/formats.js';
import { fileSize, type RawRecord, readRecords } from '../../data/read/records.js';
import { textTest } from './match.js';
import type { Ask, FoundEnd, FoundRows, Mask, ScanOptions } from './protocol.js';
import { save } from './save.js';
import { Scan } from './scan.js';
import {
  checkParts,
  Examiner,
  examineAll,
  examineOptions,
  fieldsOf,
  indexParts,
  type Layout,
  layoutFor,
  pause,
  Turn,
} from './source.js';
import type { Task } from './worker.js';

const tellMs = 250;
/** Smaller sets are looked at here: to start threads would take longer. */
const leastShared = 4 * 1024 * 1024;
const blockRows = 256;
/** Which only the end of the set shows. */
const lateProblems = ['exact-duplicate', 'near-duplicate', 'conflicting-answers', 'duplicate-keys', 'label-outlier'];

export class ScanService {
  private scan: Scan | undefined;
  private options: ScanOptions | undefined;
  private failure: unknown;
  /** Where the lines of the file begin, once it was gone through. */
  private marked: { readonly path: string; readonly found: Promise<Marks> } | undefined;

  constructor(private readonly recordLimitMs: number) {}

  async handle(ask: Exclude<Ask, { cancel: true }>, task: Task): Promise<unknown> {
    switch (ask.method) {
      case 'close':
        return null;
      case 'countLines': {
        // The file may have changed since.
        this.marked = undefined;
        return this.index(ask.argument);
      }
      case 'scan':
        return this.run(ask.argument.options, ask.argument.mask, task);
      case 'figures':
        return this.scan?.figures(ask.argument) ?? null;
      case 'find':
        return this.find(ask.argument.filter, ask.argument.mask, task);
      case 'save': {
        if (this.options === undefined) throw new LabError('the data set is not open');
        return save(this.options.path, ask.argument.rows, ask.argument.target, task);
      }
      default:
        throw new Error(`a scan cannot ${ask.method}`);
    }
  }

  private async run(options: ScanOptions, mask: Mask, task: Task): Promise<Figures> {
    this.options = options;
    this.failure = undefined;
    const size = await fileSize(options.path);
    const scan = new Scan(options, size);
    this.scan?.close();
    this.scan = scan;
    try {
      await scan.begin(task);
      await (size < leastShared
        ? this.scanHere(scan, options, mask, task)
        : this.scanShared(scan, options, mask, task));
      return scan.figures(mask);
    } catch (error) {
      if (this.scan === scan) this.failure = error;
      throw error;
    } finally {
      scan.end();
    }
  }

  /** In this thread, giving way between records. */
  private async scanHere(scan: Scan, options: ScanOptions, mask: Mask, task: Task): Promise<void> {
    const examiner = new Examiner(examineOptions(options), false);
    const layout = await layoutFor(options.path);
    const turn = new Turn();
    const teller = new Teller(scan, mask, task);
    for await (const record of readRecords(options.path)) {
      task.beat(record.place.index);
      examiner.add(record);
      const over = await turn.over();
      if (over) task.signal.throwIfAborted();
      if (!over && examiner.count < blockRows) continue;
      scan.add(examiner.take());
      teller.tell();
    }
    scan.add(examiner.take());
    const checked = layout === undefined ? undefined : await this.check(options.path, layout, task);
    if (checked !== undefined) scan.check(checked);
    scan.finish(checked?.duplicateKeys.rows ?? [], task);
  }

  /**
   * By threads of their own. The first records tell at once what the set is like; then every line of JSONL is checked, which is a matter
   * of a second for a gigabyte; then come tokens and what only other records show.
   */
  private async scanShared(scan: Scan, options: ScanOptions, mask: Mask, task: Task): Promise<void> {
    const layout = await layoutFor(options.path);
    const marked = layout === undefined ? undefined : await this.index(options.path);
    let checked: Awaited<ReturnType<typeof checkParts>> | undefined;
    let open = (): void => undefined;
    const after = new Promise<void>((resolve) => {
      open = resolve;
    });
    const environment = {
      beat: (row: number) => task.beat(row),
      signal: task.signal,
      stallMs: this.recordLimitMs,
      ...(layout === undefined ? {} : { after }),
    };
    const turn = new Turn();
    const teller = new Teller(scan, mask, task);
    const { blocks } = examineAll(examineOptions(options), marked?.marks, environment);
    for await (const block of blocks) {
      scan.add(block);
      task.beat(scan.table.count);
      await turn.over();
      if (layout === undefined || checked !== undefined) {
        teller.tell();
        continue;
      }
      task.event(scan.figures(mask));
      checked = await this.check(options.path, layout, task);
      scan.check(checked);
      task.event(scan.figures(mask));
      open();
    }
    scan.finish(checked?.duplicateKeys.rows ?? [], task);
  }

  private check(path: string, layout: Layout, task: Task) {
    return checkParts(path, layout, { signal: task.signal, onProgress: ({ row }) => task.beat(row) });
  }

  /** Who asks while it is done waits for the same. */
  private index(path: string): Promise<Marks> {
    if (this.marked?.path === path) return this.marked.found;
    const found = marksOf(path);
    const marked = { path, found };
    this.marked = marked;
    // The next one tries again.
    found.catch(() => {
      if (this.marked === marked) this.marked = undefined;
    });
    return found;
  }

  /** Rows that fit, told as they are found. */
  private async find(filter: Filter, mask: Mask, task: Task): Promise<FoundEnd> {
    const finder = new Finder(filter, mask, task);
    const facts =
      filter.minTokens !== null ||
      filter.maxTokens !== null ||
      filter.turns !== null ||
      filter.label !== null ||
      filter.problem !== null ||
      filter.sort !== 'file';
    const late = lateProblems.some((kind) => kind === filter.problem) || filter.sort !== 'file';
    if (filter.text === '') await this.findFacts(finder, late, task);
    else await this.findText(finder, filter, facts, late, task);
    finder.tell();
    const scan = this.scan;
    const sorted = filter.sort === 'file' || scan === undefined ? undefined : scan.sorted(finder.all(), filter.sort);
    return { sorted, searched: finder.searched };
  }

  private async findFacts(finder: Finder, late: boolean, task: Task): Promise<void> {
    const turn = new Turn();
    for (let row = 0; ; row++) {
      const scan = await this.scanned(row, late, task);
      if (row >= scan.table.count) return;
      if (scan.fits(row, finder.filter, finder.mask)) finder.found(row);
      finder.searched = row + 1;
      if (row % 1024 === 0) task.beat(row);
      if (await turn.over()) finder.tellNow();
    }
  }

  private async findText(finder: Finder, filter: Filter, facts: boolean, late: boolean, task: Task): Promise<void> {
    const test = textTest(filter);
    const { path, mapping } = await this.begun(task);
    const reader = new ExampleReader(mapping);
    const turn = new Turn();
    for await (const record of readRecords(path)) {
      const row = record.place.index;
      task.beat(row);
      const scan = facts ? await this.scanned(row, late, task) : undefined;
      if (scan === undefined || (row < scan.table.count && scan.fits(row, filter, finder.mask))) {
        if (!('problem' in record) && test(record.value, () => reader.read(record))) finder.found(row);
      }
      finder.searched = row + 1;
      if (await turn.over()) {
        task.signal.throwIfAborted();
        finder.tellNow();
      }
    }
  }

  /** A page that was kept may search before the set was opened. */
  private async begun(task: Task): Promise<ScanOptions> {
    while (this.options === undefined) {
      task.signal.throwIfAborted();
      await pause(20);
      task.beat(0);
    }
    return this.options;
  }

  /** Waits until the scan has come past the row, or to its end. */
  private async scanned(row: number, end: boolean, task: Task): Promise<Scan> {
    for (;;) {
      task.signal.throwIfAborted();
      const { scan } = this;
      if (scan !== undefined && (scan.done || (!end && row < scan.table.count))) return scan;
      if (this.failure !== undefined) {
        throw new LabError(
          'Only a part of the set was read. Read all of it to choose by length, turns, label or problem.',
        );
      }
      await pause(20);
      task.beat(row);
    }
  }
}

interface Marks {
  readonly marks: Float64Array;
  readonly rows: number;
}

async function marksOf(path: string): Promise<Marks> {
  const layout = await layoutFor(path);
  if (layout === undefined) throw new LabError('is no file of lines', { place: { file: path } });
  const { marks, records } = await indexParts(path, layout);
  return { marks, rows: records };
}

/** Rows found, told in parts. */
class Finder {
  searched = 0;
  private rows: number[] = [];
  private readonly parts: Uint32Array[] = [];
  private told = Date.now();
  private toldSearched = 0;

  constructor(
    readonly filter: Filter,
    readonly mask: Mask,
    private readonly task: Task,
  ) {}

  found(row: number): void {
    this.rows.push(row);
  }

  tellNow(): void {
    // The first ones at once.
    if (Date.now() - this.told > tellMs || (this.parts.length === 0 && this.rows.length > 20)) this.tell();
  }

  tell(): void {
    if (this.rows.length === 0 && this.searched === this.toldSearched) return;
    const rows = Uint32Array.from(this.rows);
    this.parts.push(rows);
    this.rows = [];
    this.told = Date.now();
    this.toldSearched = this.searched;
    this.task.event({ rows, searched: this.searched } satisfies FoundRows);
  }

  all(): Uint32Array {
    const all = new Uint32Array(this.parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of this.parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

class ExampleReader {
  private home: RecordFormat | undefined;

  constructor(private readonly mapping: Mapping) {}

  read(record: RawRecord): Example | undefined {
    if ('problem' in record) return undefined;
    const fields = fieldsOf(this.mapping);
    const format = this.mapping.format === 'auto' ? formatInFile(record.value, fields, this.home) : this.mapping.format;
    const made = toExample(record.value, format, fields, record.place);
    if (made instanceof RecordProblem) return undefined;
    this.home ??= made.format;
    return made.example;
  }
}

/** Tells the figures so far, now and then. */
class Teller {
  private told = Date.now();

  constructor(
    private readonly scan: Scan,
    private readonly mask: Mask,
    private readonly task: Task,
  ) {}

  tell(): void {
    if (Date.now() - this.told < tellMs) return;
    this.task.event(this.scan.figures(this.mask));
    this.told = Date.now();
  }
}
