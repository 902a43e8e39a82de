/**
 * Guesses what the operating system has in its page cache: what was written or read here lately. Such ranges are read
 * synchronously (2 us, against 50 to 100 us for a hop to the thread pool); a wrong guess blocks the event loop for one
 * read of the disk. Two sets of chunks, a young and an old one, so that forgetting
 * costs nothing.
 */
const chunkBytes = 256 * 1024;
/** More than any zone has chunks. */
const chunksPerZone = 2 ** 20;

export class CacheGuess {
  readonly #chunksMax: number;
  #young = new Set<number>();
  #old = new Set<number>();

  /** `bytes`: how much the cache is taken to hold. */
  constructor(bytes: number) {
    this.#chunksMax = Math.max(1, Math.floor(bytes / chunkBytes / 2));
  }

  /** The range was written or read. */
  touch(deviceZone: number, offset: number, length: number): void {
    const last = chunkOf(deviceZone, offset + Math.max(0, length - 1));
    for (let chunk = chunkOf(deviceZone, offset); chunk <= last; chunk += 1) {
      if (this.#young.has(chunk)) continue;
      if (this.#young.size >= this.#chunksMax) this.#turn();
      this.#young.add(chunk);
    }
  }

  isCached(deviceZone: number, offset: number, length: number): boolean {
    const last = chunkOf(deviceZone, offset + Math.max(0, length - 1));
    for (let chunk = chunkOf(deviceZone, offset); chunk <= last; chunk += 1) {
      if (!this.#young.has(chunk) && !this.#old.has(chunk)) return false;
    }
    return true;
  }

  /** The zone was reset. */
  forget(deviceZone: number): void {
    const first = chunkOf(deviceZone, 0);
    for (const chunks of [this.#young, this.#old]) {
      for (const chunk of chunks) if (chunk >= first && chunk < first + chunksPerZone) chunks.delete(chunk);
    }
  }

  #turn(): void {
    this.#old = this.#young;
    this.#young = new Set();
  }
}

function chunkOf(deviceZone: number, offset: number): number {
  return deviceZone * chunksPerZone + Math.floor(offset / chunkBytes);
}
