/** Small text files through the injected file system. */
import { isUtf8 } from 'node:buffer';
import { KvError } from '../base/errors.ts';
import { asKvError } from '../env/as-kv-error.ts';
import { FilesError, type File, type Files } from '../env/files.ts';

const textBytesMax = 1024 * 1024;

/**
 * Character that Node puts in the place of bytes that are no UTF-8, where it has decoded already (arguments, a
 * terminal): texts that differ in such bytes look the same.
 */
export const notDecoded = '\ufffd';

/**
 * Undefined when there is no such file. @throws KvError `permission-denied`; `config-invalid` when it is too large, no
 * UTF-8, or can't be read for another reason
 */
export async function readText(files: Files, path: string): Promise<string | undefined> {
  try {
    const file = await files.open(path, { readOnly: true });
    try {
      if (file.size() > textBytesMax)
        throw new KvError('config-invalid', `${path}: found ${file.size()} bytes; allowed: at most ${textBytesMax}`);
      const bytes = Buffer.from(await file.read(0, file.size()));
      if (!isUtf8(bytes)) throw new KvError('config-invalid', `${path}: found bytes that are no UTF-8; allowed: UTF-8`);
      return bytes.toString('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof FilesError && error.code === 'not-found') return undefined;
    if (error instanceof FilesError && error.code !== 'permission')
      throw new KvError('config-invalid', `${path}: cannot be read: ${error.message}`, { cause: error });
    throw asKvError(error, path) ?? error;
  }
}

/** Replaces the file: a reader sees the old or the new text, whole. @throws FilesError; the old text stays then */
export async function writeText(files: Files, path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  try {
    await files.remove(fresh);
    await writeFresh(files, fresh, text);
    await files.rename(fresh, path);
  } catch (error) {
    await files.remove(fresh).catch(() => undefined);
    throw error;
  }
}

async function writeFresh(files: Files, path: string, text: string): Promise<void> {
  const file = await files.open(path, { create: true });
  try {
    file.write(0, Buffer.from(text, 'utf8'));
    await file.sync();
  } finally {
    await file.close();
  }
}

const chunkBytes = 1024 * 1024;

export interface Chunks {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Bytes of the whole file. */
  readonly size: number;
  /** Bytes handed out so far. */
  readonly position: () => number;
}

/**
 * A file from its start to its end, piece by piece; closed when the iteration ends. @throws KvError `config-not-found`
 */
export async function openChunks(files: Files, path: string): Promise<Chunks> {
  const file = await openForReading(files, path);
  const size = file.size();
  let position = 0;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      while (position < size) {
        const chunk = await file.read(position, chunkBytes);
        if (chunk.length === 0) return;
        position += chunk.length;
        yield chunk;
      }
    } finally {
      await file.close();
    }
  }
  return { chunks: chunks(), size, position: () => position };
}

async function openForReading(files: Files, path: string): Promise<File> {
  try {
    return await files.open(path, { readOnly: true });
  } catch (error) {
    if (error instanceof FilesError && error.code === 'not-found')
      throw new KvError('config-not-found', `${path}: there is no such file`, { cause: error });
    throw error;
  }
}
