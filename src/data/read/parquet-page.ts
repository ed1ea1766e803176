/**
 * A data page decoded: its levels whole, its values as they are stored. hyparquet does it, but for pages of numbers of a dictionary:
 * those hold the most levels (a page of roles those of fifty thousand conversations) and go into arrays of bytes right away.
 */

import { decompressPage, readDataPage, readDataPageV2 } from 'hyparquet/src/datapage.js';
import { readRleBitPackedHybrid } from 'hyparquet/src/encoding.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel } from 'hyparquet/src/schema.js';
import type { ColumnDecoder, DecodedArray, Encoding, PageHeader } from 'hyparquet/src/types.js';

export interface PagePlace {
  readonly offset: number;
  /** Records begun in the pages before. */
  readonly row: number;
}

/** One byte each where that is enough, as it nearly always is. */
type Levels = Uint8Array | Uint32Array;

interface Parts {
  /** Empty where nothing repeats, and where nothing is missing. */
  readonly repetition: Levels;
  readonly definition: Levels;
  readonly values: DecodedArray;
}

export interface DecodedPage extends Parts {
  readonly place: PagePlace;
  readonly encoding: Encoding;
  readonly levels: number;
  /** Records that begin in it, and at which level each one does; undefined where level and record are the same. */
  readonly rows: number;
  readonly starts: Int32Array | undefined;
  /** Bytes of memory, about. */
  readonly size: number;
}

/** A page with no more bytes than this to a level is dense. */
const denseBytes = 16;
/** What a value of bytes takes beside them. */
const objectBytes = 112;

/** Pages of a file that take long to decode and little room, for they hold many levels in few bytes: those used last. */
export class DensePages {
  private readonly pages = new Map<number, DecodedPage>();
  private bytes = 0;

  constructor(private readonly mostBytes: number) {}

  get(offset: number): DecodedPage | undefined {
    const page = this.pages.get(offset);
    if (page === undefined) return undefined;
    this.pages.delete(offset);
    this.pages.set(offset, page);
    return page;
  }

  put(page: DecodedPage): void {
    if (page.size > Math.min(this.mostBytes, denseBytes * page.levels) || this.pages.has(page.place.offset)) return;
    this.pages.set(page.place.offset, page);
    this.bytes += page.size;
    for (const [offset, { size }] of this.pages) {
      if (this.bytes <= this.mostBytes) return;
      this.pages.delete(offset);
      this.bytes -= size;
    }
  }
}

/** @throws Error where the page is damaged, or is none of data */
export function decodePage(
  place: PagePlace,
  header: PageHeader,
  bytes: Uint8Array,
  decoder: ColumnDecoder,
): DecodedPage {
  const about = header.data_page_header ?? header.data_page_header_v2;
  if (about === undefined) throw new Error(`the page at byte ${place.offset} is none of data`);
  const { num_values: levels, encoding } = about;
  const numbers = encoding.endsWith('_DICTIONARY') && decoder.type !== 'BOOLEAN';
  const parts = numbers ? readNumbers(header, bytes, decoder) : readValues(header, bytes, decoder);
  const { repetition, definition, values } = parts;
  const starts = repetition.length === 0 ? undefined : startsOf(repetition);
  const valueBytes = ArrayBuffer.isView(values)
    ? values.byteLength
    : header.uncompressed_page_size + objectBytes * values.length;
  const size = valueBytes + repetition.byteLength + definition.byteLength + (starts?.byteLength ?? 0);
  return { place, encoding, levels, rows: starts?.length ?? levels, starts, size, ...parts };
}

function readValues(header: PageHeader, bytes: Uint8Array, decoder: ColumnDecoder): Parts {
  const one = header.data_page_header;
  const { repetitionLevels, definitionLevels, dataPage } =
    one === undefined
      ? readDataPageV2(bytes, header, decoder)
      : readDataPage(unpacked(header, bytes, decoder), one, decoder);
  const most = getMaxDefinitionLevel(decoder.schemaPath);
  const complete = definitionLevels === undefined || definitionLevels.every((level) => level === most);
  return {
    repetition: levelsOf(getMaxRepetitionLevel(decoder.schemaPath), repetitionLevels),
    definition: levelsOf(most, complete ? [] : definitionLevels),
    values: dataPage,
  };
}

function readNumbers(header: PageHeader, bytes: Uint8Array, decoder: ColumnDecoder): Parts {
  const most = getMaxDefinitionLevel(decoder.schemaPath);
  const mostRepeated = decoder.schemaPath.length > 1 ? getMaxRepetitionLevel(decoder.schemaPath) : 0;
  const two = header.data_page_header_v2;
  const count = (header.data_page_header ?? two)?.num_values ?? 0;
  const repetition = levelsOf(mostRepeated, mostRepeated > 0 ? count : 0);
  const definition = levelsOf(most, most > 0 ? count : 0);
  if (two === undefined) {
    const page = unpacked(header, bytes, decoder);
    const reader = readerOf(page);
    if (mostRepeated > 0) readRleBitPackedHybrid(reader, widthOf(mostRepeated), repetition);
    if (most > 0) readRleBitPackedHybrid(reader, widthOf(most), definition);
    let there = count;
    for (const level of definition) if (level !== most) there--;
    const values = numbersOf(page.subarray(reader.offset), there);
    return { repetition, definition: there === count ? new Uint8Array() : definition, values };
  }
  const reader = readerOf(bytes);
  const { repetition_levels_byte_length: repeated, definition_levels_byte_length: defined, num_nulls: nulls } = two;
  if (mostRepeated > 0) readRleBitPackedHybrid(reader, widthOf(mostRepeated), repetition, repeated);
  reader.offset = repeated;
  if (most > 0 && nulls > 0) readRleBitPackedHybrid(reader, widthOf(most), definition, defined);
  const packed = bytes.subarray(repeated + defined);
  const size = header.uncompressed_page_size - repeated - defined;
  const { codec, compressors } = decoder;
  const page = two.is_compressed === false ? packed : decompressPage(packed, size, codec, compressors);
  return { repetition, definition: nulls > 0 ? definition : new Uint8Array(), values: numbersOf(page, count - nulls) };
}

/** After a byte that tells their width. */
function numbersOf(bytes: Uint8Array, count: number): Uint8Array | Uint32Array {
  const width = bytes[0] ?? 0;
  const numbers = width > 8 ? new Uint32Array(count) : new Uint8Array(count);
  if (width > 0) readRleBitPackedHybrid(readerOf(bytes.subarray(1)), width, numbers, bytes.length - 1);
  return numbers;
}

function unpacked(header: PageHeader, bytes: Uint8Array, { codec, compressors }: ColumnDecoder): Uint8Array {
  return decompressPage(bytes, header.uncompressed_page_size, codec, compressors);
}

function readerOf(bytes: Uint8Array): { view: DataView; offset: number } {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
}

function widthOf(most: number): number {
  return 32 - Math.clz32(most);
}

function levelsOf(most: number, from: number | readonly number[]): Levels {
  const Kind = most > 255 ? Uint32Array : Uint8Array;
  return typeof from === 'number' ? new Kind(from) : Kind.from(from);
}

function startsOf(repetition: Levels): Int32Array {
  const starts = new Int32Array(repetition.length);
  let count = 0;
  for (let i = 0; i < repetition.length; i++) if (repetition[i] === 0) starts[count++] = i;
  return starts.slice(0, count);
}
