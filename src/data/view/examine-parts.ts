/** Looks at parts of a data set, one after another, as it is asked for them: in any thread. See `examine-all.ts`. */

import type { RecordFormat } from '../../core/data.js';
import { LabError } from '../../core/errors.js';
import { readRecords } from '../read/records.js';
import type { RawRecord } from '../read/values.js';
import { type ExamineOptions, Examiner } from './examine.js';
import type { FactBlock } from './facts.js';
import type { FieldNode } from './json-scan.js';
import { type Part, PartReader } from './parts.js';
import { Turn } from './turn.js';

/** The next part; without one the next block of the whole set. */
export interface ExamineAsk {
  readonly part: Part | undefined;
  readonly home: RecordFormat | undefined;
}

/** Undefined after the last block of a set without parts. */
export type ExaminedPart = { readonly block: FactBlock; readonly fields: FieldNode | undefined } | undefined;

const blockRows = 2000;
const blockBytes = 4 << 20;

export class PartExaminer {
  private readonly examiner: Examiner;
  private readonly reader: PartReader;
  private readonly turn = new Turn();
  private whole: AsyncGenerator<RawRecord> | undefined;
  private answering: Promise<ExaminedPart> | undefined;
  private stopped = false;

  /**
   * @param beat told of every row before it is looked at
   * @throws LabError where there is no such tokenizer or template
   */
  constructor(
    private readonly options: ExamineOptions,
    wantsFields: boolean,
    private readonly beat: (row: number) => void,
  ) {
    this.examiner = new Examiner(options, wantsFields);
    this.reader = new PartReader(options.path);
  }

  get maskSource(): 'generation' | 'turns' | 'separators' | undefined {
    return this.examiner.maskSource;
  }

  answer(ask: ExamineAsk): Promise<ExaminedPart> {
    this.answering = this.examine(ask);
    return this.answering;
  }

  /** What is asked then fails; what it has open is closed. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.answering?.catch(() => undefined);
    await this.whole?.return(undefined);
    await this.reader.close();
  }

  private async examine({ part, home }: ExamineAsk): Promise<ExaminedPart> {
    const { examiner } = this;
    examiner.home ??= home;
    if (part !== undefined) {
      for await (const record of this.reader.records(part)) await this.add(record);
      return { block: examiner.take(), fields: examiner.takeFields() };
    }
    this.whole ??= readRecords(this.options.path);
    for (let bytes = 0; bytes < blockBytes && examiner.count < blockRows; ) {
      const next = await this.whole.next();
      if (next.done === true) break;
      bytes += next.value.bytes;
      await this.add(next.value);
    }
    return examiner.count === 0 ? undefined : { block: examiner.take(), fields: examiner.takeFields() };
  }

  private async add(record: RawRecord): Promise<void> {
    this.beat(record.place.index);
    this.examiner.add(record);
    if ((await this.turn.over()) && this.stopped) throw new LabError('the data set is closed');
  }
}
