/** A data set that is written: it appears whole under its name, or not at all, and never over another file. */

import { constants } from 'node:fs';
import { copyFile, type FileHandle, link, open, rm } from 'node:fs/promises';
import { codeOf, LabError } from '../../core/errors.js';
import type { RawRecord } from '../read/values.js';

const bufferedBytes = 1 << 18;
const newline = Buffer.from('\n');

/** A good record as a line of JSONL: the line that it was read from, byte for byte, where it was one. */
export function lineOf(record: Extract<RawRecord, { value: unknown }>): Buffer {
  return record.source ?? Buffer.from(JSON.stringify(record.value));
}

export class NewFile {
  private parts: Buffer[] = [];
  private size = 0;

  private constructor(
    private readonly path: string,
    private readonly aside: string,
    private readonly file: FileHandle,
  ) {}

  /** @throws LabError where there is a file of that name, or none can be written */
  static async create(path: string): Promise<NewFile> {
    await requireFree(path);
    const aside = `${path}.${process.pid}.partial`;
    try {
      return new NewFile(path, aside, await open(aside, 'wx'));
    } catch (error) {
      throw notWritten(path, error);
    }
  }

  async writeLine(line: Buffer): Promise<void> {
    this.parts.push(line, newline);
    this.size += line.length + 1;
    if (this.size >= bufferedBytes) await this.flush();
  }

  /** @throws LabError where a file of that name came meanwhile */
  async finish(): Promise<void> {
    await this.flush();
    await this.file.sync();
    await this.file.close();
    try {
      await link(this.aside, this.path);
    } catch (error) {
      if (codeOf(error) === 'EEXIST') throw notWritten(this.path, error);
      // A file system without hard links.
      await copyFile(this.aside, this.path, constants.COPYFILE_EXCL).catch((why: unknown) => {
        throw notWritten(this.path, why);
      });
    }
    await rm(this.aside, { force: true });
  }

  /** Leaves nothing behind; after `finish` it does nothing. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined);
    await rm(this.aside, { force: true });
  }

  private async flush(): Promise<void> {
    const bytes = Buffer.concat(this.parts);
    this.parts = [];
    this.size = 0;
    for (let at = 0; at < bytes.length; ) at += (await this.file.write(bytes, at)).bytesWritten;
  }
}

async function requireFree(path: string): Promise<void> {
  const there = await open(path, 'r').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw notWritten(path, error);
  });
  await there?.close();
  if (there !== undefined) throw exists(path);
}

function exists(path: string): LabError {
  return new LabError('exists already; nothing is ever written over', {
    place: { file: path },
    advice: 'Give another name.',
  });
}

function notWritten(path: string, error: unknown): LabError {
  if (codeOf(error) === 'EEXIST') return exists(path);
  const advice = error instanceof Error ? error.message : String(error);
  return new LabError('cannot be written', { place: { file: path }, advice });
}
