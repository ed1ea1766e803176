/**
 * One leaf column of a row group, page by page. hyparquet decodes whole column chunks, which for the one-gigabyte row groups that some
 * writers make would take gigabytes; here its page decoder is driven so that only the pages of the rows asked for are in memory.
 *
 * Where records repeat (lists), a page may begin in the middle of a record (data pages of version 1). Reading that begins at such a
 * page gives the values of that record to a dummy, which is thrown away: the record itself is read from the page before.
 */

import type { FileHandle } from 'node:fs/promises';
import { parquetHeader, readPage } from 'hyparquet/src/column.js';
import { convert } from 'hyparquet/src/convert.js';
import { readOffsetIndex } from 'hyparquet/src/indexes.js';
import type { ColumnChunk, ColumnDecoder, ColumnMetaData, DecodedArray, PageHeader } from 'hyparquet/src/types.js';

const maxPageBytes = 512 * 1024 * 1024;
const maxPageValues = 1 << 24;
const maxHeaderBytes = 16 * 1024 * 1024;

interface PagePlace {
  readonly offset: number;
  /** Records begun in the pages before. */
  readonly row: number;
}

interface Page {
  readonly header: PageHeader;
  /** Offset of its data, and of the page after it. */
  readonly data: number;
  readonly next: number;
}

export class LeafColumn {
  private readonly start: number;
  private readonly end: number;
  private readonly repeated: boolean;
  /** Data pages met so far, from the first on. */
  private pages: PagePlace[] = [];
  private indexed = false;
  private dictionary: DecodedArray | undefined;
  private dictionaryRead = false;
  /** Decoded records `held[0]` = number `first`, up to where the page at `next` begins. */
  private held: unknown[] = [];
  private first = 0;
  private next: number;

  constructor(
    private readonly file: FileHandle,
    fileSize: number,
    private readonly decoder: ColumnDecoder,
    private readonly chunk: ColumnChunk,
    meta: ColumnMetaData,
  ) {
    const { dictionary_page_offset: dictionary, data_page_offset: data } = meta;
    this.start = Number(dictionary !== undefined && dictionary > 0n && dictionary < data ? dictionary : data);
    this.end = this.start + Number(meta.total_compressed_size);
    const inside =
      Number.isSafeInteger(this.start) && this.start >= 4 && this.end >= this.start && this.end <= fileSize;
    if (!inside) throw new Error(`the column ${decoder.pathInSchema.join('.')} is not all in the file`);
    this.repeated = decoder.schemaPath.some(({ element }) => element.repetition_type === 'REPEATED');
    this.next = this.start;
  }

  /** Records `from` to `from + count`, with values inside lists as nested arrays; fewer at the end. */
  async rows(from: number, count: number): Promise<unknown[]> {
    if (from < this.first || from > this.first + this.held.length) await this.seek(from);
    // One more record has to have begun, or the chunk to have ended, for the last one to be whole.
    const wanted = from + count + (this.repeated ? 1 : 0);
    while (this.first + this.held.length < wanted && this.next < this.end) {
      this.drop(from);
      await this.readNext(from);
    }
    this.drop(from);
    return this.held.slice(0, count).map(copy);
  }

  /** Forgets records before `from`, but for the last, which may go on. */
  private drop(from: number): void {
    const ready = Math.min(from - this.first, this.held.length - (this.repeated ? 1 : 0));
    if (ready <= 0) return;
    this.held.splice(0, ready);
    this.first += ready;
  }

  /** Goes to the page that the record `from` begins in, as far as pages are known. */
  private async seek(from: number): Promise<void> {
    if (!this.indexed) await this.readIndex();
    let low = 0;
    let high = this.pages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.pages[middle]?.row ?? 0) <= from) low = middle + 1;
      else high = middle;
    }
    const page = this.pages[low - 1];
    const ahead = this.first + this.held.length;
    // Going on from here is shorter when the page is not known yet.
    if (low === this.pages.length && from >= this.first && page !== undefined && ahead >= page.row) return;
    if (page === undefined) {
      this.next = this.start;
      this.first = 0;
      this.held = [];
      return;
    }
    this.next = page.offset;
    this.first = page.row;
    this.held = [];
    if (this.repeated && page.row > 0) {
      this.first--;
      this.held.push(nested(this.decoder.schemaPath.length));
    }
  }

  /** Where all pages begin, from the index that newer writers put beside the footer. */
  private async readIndex(): Promise<void> {
    this.indexed = true;
    const { offset_index_offset: offset, offset_index_length: length } = this.chunk;
    if (offset === undefined || length === undefined || length <= 0 || length > maxHeaderBytes) return;
    const bytes = await this.bytes(Number(offset), length);
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
    let places: PagePlace[];
    try {
      places = readOffsetIndex(reader).page_locations.map((place) => ({
        offset: Number(place.offset),
        row: Number(place.first_row_index),
      }));
    } catch {
      return; // the pages are found without it
    }
    const good = places.every(
      ({ offset: at, row }, i) =>
        at >= this.start && at < this.end && row >= 0 && (i === 0 ? row === 0 : row >= (places[i - 1]?.row ?? 0)),
    );
    if (good && places.length > 0) this.pages = places;
  }

  /** Decodes the next page; one that ends before the record `from` is only passed by. */
  private async readNext(from: number): Promise<void> {
    const page = await this.header(this.next);
    const { header } = page;
    if (header.type === 'DICTIONARY_PAGE') {
      if (!this.dictionaryRead)
        this.dictionary = convert(this.decode(await this.pageBytes(page), header, undefined), this.decoder);
      this.dictionaryRead = true;
      this.next = page.next;
      return;
    }
    const values = header.data_page_header?.num_values ?? header.data_page_header_v2?.num_values ?? 0;
    const row = this.first + this.held.length;
    const known = this.pages.at(-1);
    if (known === undefined || known.offset < this.next) this.pages.push({ offset: this.next, row });
    const rows = this.repeated ? header.data_page_header_v2?.num_rows : values;
    if (rows !== undefined && row + rows <= from && (!this.repeated || this.held.length === 0)) {
      this.first = row + rows;
      this.held = [];
      this.next = page.next;
      return;
    }
    if (values > 0) {
      if (!this.dictionaryRead && this.start < this.next) await this.readDictionary();
      const bytes = await this.pageBytes(page);
      if (this.repeated) this.decode(bytes, header, this.held);
      else for (const value of Array.from(this.decode(bytes, header, undefined))) this.held.push(value);
    }
    this.next = page.next;
  }

  private async readDictionary(): Promise<void> {
    this.dictionaryRead = true;
    const page = await this.header(this.start);
    if (page.header.type !== 'DICTIONARY_PAGE') return;
    this.dictionary = convert(this.decode(await this.pageBytes(page), page.header, undefined), this.decoder);
  }

  private decode(bytes: Uint8Array, header: PageHeader, held: DecodedArray | undefined): DecodedArray {
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
    return readPage(reader, header, this.decoder, this.dictionary, held, 0).data ?? [];
  }

  private async header(offset: number): Promise<Page> {
    for (let size = 1 << 12; ; size <<= 4) {
      const bytes = await this.bytes(offset, Math.min(size, this.end - offset));
      const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
      let header: PageHeader;
      try {
        header = parquetHeader(reader);
      } catch (error) {
        if (size >= maxHeaderBytes || size >= this.end - offset) throw error;
        continue;
      }
      const { compressed_page_size: packed, uncompressed_page_size: unpacked } = header;
      const data = offset + reader.offset;
      const counts = [
        header.data_page_header?.num_values,
        header.data_page_header_v2?.num_values,
        header.data_page_header_v2?.num_nulls,
        header.dictionary_page_header?.num_values,
      ];
      const sizes = [packed, unpacked].every((one) => Number.isInteger(one) && one >= 0 && one <= maxPageBytes);
      const values = counts.every((one) => one === undefined || (one >= 0 && one <= maxPageValues));
      if (!sizes || !values || data + packed > this.end)
        throw new Error(`the page at byte ${offset} claims impossible sizes`);
      return { header, data, next: data + packed };
    }
  }

  private pageBytes({ header, data }: Page): Promise<Uint8Array> {
    return this.bytes(data, header.compressed_page_size);
  }

  private async bytes(offset: number, size: number): Promise<Uint8Array> {
    const buffer = Buffer.from(new ArrayBuffer(Math.max(0, size)));
    let read = 0;
    while (read < buffer.length) {
      const { bytesRead } = await this.file.read(buffer, read, buffer.length - read, offset + read);
      if (bytesRead === 0) throw new Error('the file ends too early');
      read += bytesRead;
    }
    return buffer;
  }
}

/** Lists within lists, for the values of a record whose beginning is not read. */
function nested(levels: number): unknown[] {
  let list: unknown[] = [];
  for (let i = 0; i < levels; i++) list = [list];
  return list;
}

/** hyparquet puts structs together in place; what is held may be asked for again. */
function copy(value: unknown): unknown {
  return Array.isArray(value) ? value.map(copy) : value;
}
