/**
 * One leaf column of a row group, page by page. hyparquet decodes whole column chunks, which for the one-gigabyte row groups that some
 * writers make would take gigabytes; here its page decoder is driven so that only the pages of the rows asked for are in memory.
 *
 * Of a page the levels are decoded whole, and values put together for the records asked for alone: a page of roles may hold those of
 * fifty thousand conversations. Such pages take long to decode and little room, so they are kept (`DensePages`). Where records repeat
 * (lists), a page may begin in the middle of a record (data pages of version 1).
 *
 * Files are read without giving way: a page takes less time than to wait for another thread to read it.
 */

import { readSync } from 'node:fs';
import { assembleLists } from 'hyparquet/src/assemble.js';
import { parquetHeader, readPage } from 'hyparquet/src/column.js';
import { convert, convertWithDictionary } from 'hyparquet/src/convert.js';
import { decompressPage, readDataPage, readDataPageV2 } from 'hyparquet/src/datapage.js';
import { readOffsetIndex } from 'hyparquet/src/indexes.js';
import { getMaxDefinitionLevel } from 'hyparquet/src/schema.js';
import type {
  ColumnChunk,
  ColumnDecoder,
  ColumnMetaData,
  DecodedArray,
  Encoding,
  PageHeader,
} from 'hyparquet/src/types.js';

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

/** A page with its levels, and its values as they are stored. */
interface DecodedPage {
  readonly place: PagePlace;
  readonly encoding: Encoding;
  /** Empty where nothing repeats, and where nothing is missing. */
  readonly repetition: Levels;
  readonly definition: Levels;
  readonly values: DecodedArray;
  readonly levels: number;
  /** Records that begin in it, and at which level each one does; undefined where level and record are the same. */
  readonly rows: number;
  readonly starts: Int32Array | undefined;
  /** Bytes of memory, about. */
  readonly size: number;
}

/** Levels `from` to `to` of a page. */
interface Slice {
  readonly page: DecodedPage;
  readonly from: number;
  readonly to: number;
}

/** One byte each where that is enough, as it nearly always is. */
type Levels = Uint8Array | Uint16Array;

const heldPages = 2;
const keptBytes = 16 * 1024 * 1024;
/** A page with no more bytes than this to a level is dense. */
const denseBytes = 16;
/** What a value of bytes takes beside them. */
const objectBytes = 112;

/** Decoded pages of a file that hold many levels in few bytes, those used last. */
export class DensePages {
  private readonly pages = new Map<number, DecodedPage>();
  private bytes = 0;

  get(offset: number): DecodedPage | undefined {
    const page = this.pages.get(offset);
    if (page === undefined) return undefined;
    this.pages.delete(offset);
    this.pages.set(offset, page);
    return page;
  }

  put(page: DecodedPage): void {
    if (page.size > Math.min(keptBytes, denseBytes * page.levels) || this.pages.has(page.place.offset)) return;
    this.pages.set(page.place.offset, page);
    this.bytes += page.size;
    for (const [offset, { size }] of this.pages) {
      if (this.bytes <= keptBytes) return;
      this.pages.delete(offset);
      this.bytes -= size;
    }
  }
}

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
    const { header } = found;
    const bytes = this.pageBytes(found);
    const one = header.data_page_header;
    const two = header.data_page_header_v2;
    let decoded: ReturnType<typeof readDataPage>;
    if (one !== undefined) {
      const { codec, compressors } = this.decoder;
      decoded = readDataPage(
        decompressPage(bytes, header.uncompressed_page_size, codec, compressors),
        one,
        this.decoder,
      );
    } else if (two !== undefined) decoded = readDataPageV2(bytes, header, this.decoder);
    else throw new Error(`the page at byte ${place.offset} is none of data`);
    const { repetitionLevels, definitionLevels = [], dataPage } = decoded;
    const levels = (one ?? two)?.num_values ?? 0;
    const encoding = (one ?? two)?.encoding ?? 'PLAIN';
    const repetition = compact(repetitionLevels);
    const complete = definitionLevels.every((level) => level === this.maxDefinition);
    const definition = compact(complete ? [] : definitionLevels);
    const numbers = encoding.endsWith('_DICTIONARY') ? compactNumbers(dataPage) : undefined;
    const values = numbers ?? dataPage;
    const starts = repetition.length === 0 ? undefined : startsOf(repetition, levels);
    const valueBytes = ArrayBuffer.isView(values)
      ? values.byteLength
      : header.uncompressed_page_size + objectBytes * values.length;
    const page: DecodedPage = {
      place,
      encoding,
      repetition,
      definition,
      values,
      levels,
      rows: starts?.length ?? levels,
      starts,
      size: valueBytes + repetition.byteLength + definition.byteLength + (starts?.byteLength ?? 0),
    };
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

function compact(levels: readonly number[]): Levels {
  for (const level of levels) if (level > 255) return Uint16Array.from(levels);
  return Uint8Array.from(levels);
}

/** Numbers of values in a dictionary, in as few bytes as they need. */
function compactNumbers(numbers: DecodedArray): DecodedArray {
  if (!Array.isArray(numbers)) return numbers;
  let most = 0;
  for (const number of numbers) if (number > most) most = number;
  return most > 255 ? Uint32Array.from(numbers) : Uint8Array.from(numbers);
}

function startsOf(repetition: Levels, levels: number): Int32Array {
  const starts = new Int32Array(levels);
  let count = 0;
  for (let i = 0; i < levels; i++) if (!repetition[i]) starts[count++] = i;
  return starts.slice(0, count);
}
