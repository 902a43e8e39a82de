/**
 * Files that are only looked at: what is written stays in memory and is seen by later reads of the same file. So code
 * that repairs what it opens can be run on evidence without changing it.
 */
import { FilesError, type File, type Files, type FolderLock } from '../env/files.ts';

const pageBytes = 4_096;
/** Pages written to one file: what an opening rewrites, and no more. */
const pagesMax = 64 * 1024;

/** Folders stay as they are: `makeFolder` does nothing, `rename` and `remove` are refused. */
export function overlayFiles(files: Files): Files {
  const refuse = (what: string): Promise<never> =>
    Promise.reject(new FilesError('permission', `${what}: the files are only looked at`));
  return {
    open: async (path) => new OverlayFile(await files.open(path, { readOnly: true })),
    list: (folder) => files.list(folder),
    rename: (from) => refuse(`rename ${from}`),
    remove: (path) => refuse(`remove ${path}`),
    makeFolder: () => Promise.resolve(),
    freeBytes: (path) => files.freeBytes(path),
    lock: (folder): Promise<FolderLock> => files.lock(folder),
    watch: (...given) => files.watch(...given),
  };
}

class OverlayFile implements File {
  readonly #file: File;
  readonly #pages = new Map<number, Buffer>();
  #size: number;

  constructor(file: File) {
    this.#file = file;
    this.#size = file.size();
  }

  write(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const length = Math.min(pageBytes - (at % pageBytes), bytes.length - done);
      this.#page(Math.floor(at / pageBytes)).set(bytes.subarray(done, done + length), at % pageBytes);
      done += length;
    }
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  #page(number: number): Buffer {
    const known = this.#pages.get(number);
    if (known !== undefined) return known;
    if (this.#pages.size >= pagesMax)
      throw new FilesError('full', 'too much is written for a file that is only looked at');
    const page = Buffer.alloc(pageBytes);
    page.set(this.#file.readNow(number * pageBytes, pageBytes));
    this.#pages.set(number, page);
    return page;
  }

  readNow(offset: number, length: number): Uint8Array {
    return this.#merged(offset, length, this.#file.readNow(offset, length));
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#merged(offset, length, await this.#file.read(offset, length));
  }

  #merged(offset: number, length: number, found: Uint8Array): Uint8Array {
    const result = Buffer.alloc(Math.max(0, Math.min(length, this.#size - offset)));
    result.set(found.subarray(0, result.length));
    for (let page = Math.floor(offset / pageBytes); page * pageBytes < offset + result.length; page++) {
      const start = page * pageBytes - offset;
      const bytes = this.#pages.get(page)?.subarray(Math.max(0, -start), Math.max(0, result.length - start));
      if (bytes !== undefined) result.set(bytes, Math.max(0, start));
    }
    return result;
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  size(): number {
    return this.#size;
  }

  truncate(length: number): void {
    this.#size = length;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
