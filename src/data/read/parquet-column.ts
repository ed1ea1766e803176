/**
 * One leaf column of a row group, page by page. hyparquet decodes whole column chunks, which for the one-gigabyte row groups that some
 * writers make would take gigabytes; here its page decoder is driven so that only the pages of the rows asked for are in memory.
 *
 * Of a page the levels are decoded whole, and values put together for the records asked for alone. Where records repeat (lists), a page
 * may begin in the middle of a record (data pages of version 1).
 *
 * Files are read without giving way: a page takes less time than to wait for another thread to read it.
 */

import { readSync } from 'node:fs';
import { assembleLists } from 'hyparquet/src/assemble.js';
import { parquetHeader, readPage } from 'hyparquet/src/column.js';
import { convert, convertWithDictionary } from 'hyparquet/src/convert.js';
import { readOffsetIndex } from 'hyparquet/src/indexes.js';
import { getMaxDefinitionLevel } from 'hyparquet/src/schema.js';
import type { ColumnChunk, ColumnDecoder, ColumnMetaData, DecodedArray, PageHeader } from 'hyparquet/src/types.js';
import { type DecodedPage, type DensePages, decodePage, type PagePlace } from './parquet-page.js';

const maxPageBytes = 512 * 1024 * 1024;
const maxPageValues = 1 << 24;
const maxHeaderBytes = 16 * 1024 * 1024;

interface Page {
  readonly header: PageHeader;
  /** Offset of its data, and of the page after it. */
  readonly data: number;
  readonly next: number;
}

/** Levels `from` to `to` of a page. */
interface Slice {
  readonly page: DecodedPage;
  readonly from: number;
  readonly to: number;
}

const heldPages = 2;

export class LeafColumn {
  private readonly start: number;
  private readonly end: number;
  private readonly repeated: boolean;
  private readonly maxDefinition: number;
  /** Data pages known, from the first on. */
  private places: PagePlace[] = [];
  /** Where the first page that is not known begins, and the records before it. */
  private ahead: PagePlace;
  private indexed = false;
  private dictionary: { readonly values: DecodedArray | undefined } | undefined;
  private held: DecodedPage[] = [];

  constructor(
    private readonly fd: number,
    fileSize: number,
    private readonly dense: DensePages,
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
    this.maxDefinition = getMaxDefinitionLevel(decoder.schemaPath);
    this.ahead = { offset: this.start, row: 0 };
  }

  /** Gives back what takes room. Where the pages are stays known. */
  release(): void {
    this.held = [];
    this.dictionary = undefined;
  }

  /** Records `from` to `from + count`, with values inside lists as nested arrays; fewer at the end. */
  rows(from: number, count: number): DecodedArray {
    if (!this.indexed) this.readIndex();
    while (this.ahead.row <= from && this.discover());
    let at = this.placeOf(from);
    const slices: Slice[] = [];
    let left = count;
    let record = from;
    while (left > 0 && at >= 0) {
      const page = this.page(at);
      if (page === undefined) break;
      const first = record - page.place.row;
      const take = Math.min(left, page.rows - first);
      if (take > 0) {
        slices.push({ page, from: levelOf(page, first), to: levelOf(page, first + take) });
        record += take;
        left -= take;
      }
      at++;
      // What the last record goes on with in the pages after.
      while (this.repeated && record === page.place.row + page.rows) {
        const more = this.page(at);
        const to = more === undefined ? 0 : levelOf(more, 0);
        if (more === undefined || to === 0) break;
        slices.push({ page: more, from: 0, to });
        if (more.rows > 0) break;
        at++;
      }
    }
    return this.assemble(slices);
  }

  /** The last page that begins with no more than so many records before it. */
  private placeOf(row: number): number {
    let low = 0;
    let high = this.places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.places[middle]?.row ?? 0) <= row) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  private assemble(slices: readonly Slice[]): DecodedArray {
    const repetition: number[] = [];
    const definition: number[] = [];
    const missing = slices.some(({ page }) => page.definition.length > 0);
    const parts: DecodedArray[] = [];
    for (const { page, from, to } of slices) {
      if (page.repetition.length > 0) for (let i = from; i < to; i++) repetition.push(page.repetition[i] ?? 0);
      else if (this.repeated) for (let i = from; i < to; i++) repetition.push(0);
      if (missing) for (let i = from; i < to; i++) definition.push(page.definition[i] ?? this.maxDefinition);
      const first = this.valuesBefore(page, from);
      const values = page.values.slice(first, first + this.valuesWithin(page, from, to));
      if (!page.encoding.endsWith('_DICTIONARY')) parts.push(convert(values, this.decoder));
      // Numbers of values become values in the same array, which is none of numbers then.
      else parts.push(convertWithDictionary(Array.from(values), this.valuesByNumber(), page.encoding, this.decoder));
    }
    const values = parts.length === 1 && parts[0] !== undefined ? parts[0] : parts.flatMap((part) => Array.from(part));
    return assembleLists([], definition, repetition, values, this.decoder.schemaPath);
  }

  private valuesBefore(page: DecodedPage, level: number): number {
    return this.valuesWithin(page, 0, level);
  }

  private valuesWithin({ definition }: DecodedPage, from: number, to: number): number {
    if (definition.length === 0) return to - from;
    let count = 0;
    for (let i = from; i < to; i++) if (definition[i] === this.maxDefinition) count++;
    return count;
  }

  /** Finds the next page that is not known; false at the end. */
  private discover(): boolean {
    const { offset, row } = this.ahead;
    if (offset >= this.end) return false;
    const { header, next } = this.header(offset);
    if (header.type === 'DICTIONARY_PAGE') {
      this.ahead = { offset: next, row };
      return true;
    }
    const place = { offset, row };
    const values = header.data_page_header?.num_values;
    const told = header.data_page_header_v2?.num_rows ?? (this.repeated ? undefined : values);
    const rows = told ?? this.decode(place).rows;
    this.places.push(place);
    this.ahead = { offset: next, row: row + rows };
    return true;
  }

  /** A page by its number, decoded; undefined after the last. */
  private page(number: number): DecodedPage | undefined {
    while (number >= this.places.length && this.discover());
    const place = this.places[number];
    return place === undefined ? undefined : this.decode(place);
  }

  private decode(place: PagePlace): DecodedPage {
    const known = this.held.find((page) => page.place.offset === place.offset) ?? this.dense.get(place.offset);
    if (known !== undefined) return known;
    const found = this.header(place.offset);
    const page = decodePage(place, found.header, this.pageBytes(found), this.decoder);
    this.held = [...this.held.slice(1 - heldPages), page];
    this.dense.put(page);
    return page;
  }

  /** The dictionary of the column, where it has one before its first page. */
  private valuesByNumber(): DecodedArray | undefined {
    this.dictionary ??= { values: this.readDictionary() };
    return this.dictionary.values;
  }

  private readDictionary(): DecodedArray | undefined {
    const page = this.header(this.start);
    if (page.header.type !== 'DICTIONARY_PAGE') return undefined;
    const bytes = this.pageBytes(page);
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
    const values = readPage(reader, page.header, this.decoder, undefined, undefined, 0).data ?? [];
    return convert(values, this.decoder);
  }

  /** Where all pages begin, from the index that newer writers put beside the footer. */
  private readIndex(): void {
    this.indexed = true;
    const { offset_index_offset: offset, offset_index_length: length } = this.chunk;
    if (offset === undefined || length === undefined || length <= 0 || length > maxHeaderBytes) return;
    const bytes = this.bytes(Number(offset), length);
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
    if (!good || places.length === 0) return;
    this.places = places;
    // Of how many records the last page has only its header tells, and nobody asks.
    this.ahead = { offset: this.end, row: Number.MAX_SAFE_INTEGER };
  }

  private header(offset: number): Page {
    for (let size = 1 << 12; ; size <<= 4) {
      const bytes = this.bytes(offset, Math.min(size, this.end - offset));
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

  private pageBytes({ header, data }: Page): Uint8Array {
    return this.bytes(data, header.compressed_page_size);
  }

  private bytes(offset: number, size: number): Uint8Array {
    const buffer = Buffer.from(new ArrayBuffer(Math.max(0, size)));
    for (let at = 0; at < buffer.length; ) {
      const read = readSync(this.fd, buffer, at, buffer.length - at, offset + at);
      if (read === 0) throw new Error('the file ends too early');
      at += read;
    }
    return buffer;
  }
}

/** The level at which a page's record begins: of the record after the last, the end. */
function levelOf({ starts, rows, levels }: DecodedPage, record: number): number {
  if (record >= rows) return levels;
  return starts === undefined ? record : (starts[record] ?? levels);
}
