/** Small text files through the injected file system. */
import { KvError } from '../base/errors.ts';
import { FilesError, type Files } from '../env/files.ts';

const textBytesMax = 1024 * 1024;

/** Undefined when there is no such file. @throws KvError `config-invalid` when it is too large or can't be read */
export async function readText(files: Files, path: string): Promise<string | undefined> {
  try {
    const file = await files.open(path, { readOnly: true });
    try {
      if (file.size() > textBytesMax)
        throw new KvError('config-invalid', `${path}: found ${file.size()} bytes; allowed: at most ${textBytesMax}`);
      return Buffer.from(await file.read(0, file.size())).toString('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof FilesError && error.code === 'not-found') return undefined;
    if (error instanceof FilesError) throw new KvError('config-invalid', `${path}: cannot be read: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Replaces the file: a reader sees the old or the new text, whole. */
export async function writeText(files: Files, path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  await files.remove(fresh);
  const file = await files.open(fresh, { create: true });
  try {
    file.write(0, Buffer.from(text, 'utf8'));
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(fresh, path);
}
