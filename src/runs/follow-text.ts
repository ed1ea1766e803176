/** Following a text file that grows: what it holds (its last part, where it is long), then what is appended. */

import { open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { codeOf } from '../core/errors.js';
import { FileWake } from './wake.js';

export interface TextPiece {
  readonly text: string;
  /** Whether that is all there is for now. */
  readonly caughtUp: boolean;
  /** The file was replaced by another, or emptied: what came before is void. */
  readonly restarted: boolean;
}

/** Bytes of a long file that are read from its end. */
const keptBytes = 1 << 20;
const chunkBytes = 64 * 1024;

export class TextFollower {
  private readonly wake: FileWake;
  private decoder = new StringDecoder('utf8');
  private offset: number | undefined;
  private inode = 0;
  private reading = false;
  private dirty = false;
  private closed = false;
  private missing = false;

  constructor(
    private readonly path: string,
    private readonly listener: (piece: TextPiece) => void,
    private readonly onError: (error: unknown) => void,
  ) {
    this.wake = new FileWake(path, () => void this.read());
    void this.read();
  }

  close(): void {
    this.closed = true;
    this.wake.close();
  }

  private async read(): Promise<void> {
    this.dirty = true;
    if (this.reading) return;
    this.reading = true;
    try {
      while (this.dirty && !this.closed) {
        this.dirty = false;
        await this.readNew();
      }
    } catch (error) {
      this.onError(error);
    } finally {
      this.reading = false;
    }
  }

  private async readNew(): Promise<void> {
    let file: Awaited<ReturnType<typeof open>>;
    try {
      file = await open(this.path, 'r');
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      if (!this.missing && this.offset === undefined) this.tell({ text: '', caughtUp: true, restarted: false });
      this.missing = true;
      return;
    }
    try {
      const { size, ino } = await file.stat();
      const restarted = this.offset !== undefined && (ino !== this.inode || size < this.offset);
      const first = this.offset === undefined;
      if (restarted || this.offset === undefined) {
        this.offset = Math.max(0, size - keptBytes);
        this.decoder = new StringDecoder('utf8');
      }
      this.inode = ino;
      if (restarted || (first && size === 0)) this.tell({ text: '', caughtUp: size === 0, restarted });
      const chunk = Buffer.allocUnsafe(chunkBytes);
      while (this.offset < size && !this.closed) {
        const { bytesRead } = await file.read(chunk, 0, Math.min(chunkBytes, size - this.offset), this.offset);
        if (bytesRead === 0) return;
        let text = this.decoder.write(chunk.subarray(0, bytesRead));
        // A long file is entered at a line's beginning.
        if (first && this.offset > 0 && this.offset === size - keptBytes) text = text.slice(text.indexOf('\n') + 1);
        this.offset += bytesRead;
        this.tell({ text, caughtUp: this.offset >= size, restarted: false });
      }
    } finally {
      await file.close();
    }
  }

  private tell(piece: TextPiece): void {
    if (!this.closed) this.listener(piece);
  }
}
