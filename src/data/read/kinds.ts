/** What kind of file a data set is: by its first bytes where they tell, else by its name. */

import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { LabError } from '../../core/errors.js';

export type TextKind = 'jsonl' | 'json' | 'csv' | 'tsv';
export type SourceKind = TextKind | 'xlsx' | 'parquet' | 'arrow';
/** What has to be undone before the bytes are UTF-8 text. */
export type Packing = 'none' | 'gzip' | 'zstd' | 'utf-16le' | 'utf-16be';

export interface FileKind {
  readonly path: string;
  /** Text is `json` or `jsonl` only once its first character was seen; here it is `jsonl`. */
  readonly kind: SourceKind;
  readonly packing: Packing;
  /** Bytes on disk: of the file, or of a folder's files. */
  readonly size: number;
  /** The files of a folder in their order; else the file itself. */
  readonly files: readonly string[];
}

/** @throws LabError where there is no such file, or it is of a kind that is not read */
export async function fileKind(path: string): Promise<FileKind> {
  const status = await statOf(path);
  if (status.isDirectory()) return folderKind(path);
  if (!status.isFile()) throw new LabError('is not a file', { place: { file: path } });
  if (status.size === 0) throw new LabError('the data set is empty', { place: { file: path } });
  const whole = { path, size: status.size, files: [path] };
  const head = await readHead(path);
  const begins = (...bytes: number[]): boolean => bytes.every((byte, i) => head[i] === byte);
  const ascii = head.toString('latin1');
  if (ascii.startsWith('PAR1')) return { ...whole, kind: 'parquet', packing: 'none' };
  if (ascii.startsWith('ARROW1') || begins(0xff, 0xff, 0xff, 0xff)) return { ...whole, kind: 'arrow', packing: 'none' };
  if (begins(0x50, 0x4b, 3, 4)) return { ...whole, kind: 'xlsx', packing: 'none' };
  if (begins(0xd0, 0xcf, 0x11, 0xe0)) {
    throw new LabError('is a spreadsheet of the old XLS format, or an encrypted one', {
      place: { file: path },
      advice: 'Save it as XLSX without a password, or as CSV.',
    });
  }
  const packing: Packing = begins(0x1f, 0x8b) ? 'gzip' : begins(0x28, 0xb5, 0x2f, 0xfd) ? 'zstd' : utf16(head);
  const name = basename(path).toLowerCase();
  // Only text may be packed; the name without the packing's ending tells which.
  const inner = packing === 'none' ? name : name.replace(/\.(gz|gzip|zst|zstd)$/, '');
  if (packing !== 'gzip' && packing !== 'zstd' && /\.(parquet|arrow|xlsx|gz|gzip|zst|zstd)$/.test(name)) {
    throw new LabError(`is named ${name.slice(name.lastIndexOf('.'))} but does not begin like such a file`, {
      place: { file: path },
      advice: 'It may be cut off, or a pointer to a large file that was not fetched (git lfs pull).',
    });
  }
  const kind: TextKind = inner.endsWith('.csv') ? 'csv' : /\.(tsv|tab)$/.test(inner) ? 'tsv' : 'jsonl';
  return { ...whole, kind, packing };
}

/** By the byte order mark; without one by the zero bytes that ASCII characters have. */
function utf16(head: Buffer): 'none' | 'utf-16le' | 'utf-16be' {
  const [a, b, c, d] = head;
  if (head.length < 4) return 'none';
  if ((a === 0xff && b === 0xfe) || (a !== 0 && b === 0 && c !== 0 && d === 0)) return 'utf-16le';
  if ((a === 0xfe && b === 0xff) || (a === 0 && b !== 0 && c === 0 && d !== 0)) return 'utf-16be';
  return 'none';
}

/** A folder as `datasets.save_to_disk` writes it: `state.json` names the Arrow files in their order. */
async function folderKind(path: string): Promise<FileKind> {
  const names = await readdir(path);
  if (names.includes('dataset_dict.json')) {
    throw new LabError('holds several splits', {
      place: { file: path },
      advice: `Choose the folder of one: ${names.filter((name) => !name.includes('.')).join(', ')}.`,
    });
  }
  const listed = names.includes('state.json') ? await listedFiles(join(path, 'state.json')) : undefined;
  const chosen = listed ?? names.filter((name) => name.endsWith('.arrow')).sort();
  if (chosen.length === 0) {
    throw new LabError('is a folder without Arrow files', {
      place: { file: path },
      advice: 'Give a file, or a folder that datasets.save_to_disk wrote.',
    });
  }
  const files = chosen.map((name) => join(path, name));
  const sizes = await Promise.all(files.map(async (file) => (await statOf(file)).size));
  return { path, kind: 'arrow', packing: 'none', files, size: sizes.reduce((sum, size) => sum + size, 0) };
}

/** @throws LabError where state.json is not one, or names files outside its folder */
async function listedFiles(file: string): Promise<string[]> {
  let value: unknown;
  try {
    const handle = await open(file, 'r');
    try {
      if ((await handle.stat()).size > 16 * 1024 * 1024) throw new Error('is larger than 16 MB');
      value = JSON.parse(await handle.readFile('utf8'));
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LabError(`cannot be read: ${why}`, { place: { file }, cause });
  }
  const list = typeof value === 'object' && value !== null ? Reflect.get(value, '_data_files') : undefined;
  const names = Array.isArray(list)
    ? list.map((one: unknown) => (typeof one === 'object' && one !== null ? Reflect.get(one, 'filename') : undefined))
    : [];
  const good = names.filter((name): name is string => typeof name === 'string' && name === basename(name));
  if (good.length !== names.length || good.length === 0) {
    throw new LabError('names no Arrow files of its folder', { place: { file, field: '_data_files' } });
  }
  return good;
}

async function readHead(path: string): Promise<Buffer> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(8), 0, 8, 0);
    return buffer.subarray(0, bytesRead);
  } catch (cause) {
    throw cannotRead(path, cause);
  } finally {
    await handle?.close();
  }
}

async function statOf(path: string) {
  try {
    return await stat(path);
  } catch (cause) {
    throw new LabError('cannot be opened', {
      place: { file: path },
      advice: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

/** LabErrors as they are; whatever else a reader throws is what is wrong with the file. */
export function cannotRead(file: string, error: unknown): LabError {
  if (error instanceof LabError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new LabError(`cannot be read: ${why}`, { place: { file }, cause: error });
}
