/**
 * One file of a simulated disk: what reads show (the cache), what would survive a crash (stable), and the operations in
 * between. Pages are 4 KiB; absent ones are zeros and occupy nothing.
 *
 * What a crash leaves, as on a real machine: the page cache writes pages back whenever it likes, in any order, and the
 * medium writes sectors of 512 bytes wholly or not at all. So each sector (or, as the dice fall, each page) holds what
 * the cache held there at some moment since the last sync.
 *
 * It owns one file's bytes, in the cache and stable. It does not own faults that fail calls, space, nor time
 * (files.ts).
 */
import type { Random } from '../random.ts';
import { below } from '../random.ts';

export const pageBytes = 4096;
export const sectorBytes = 512;

type Operation =
  | { readonly kind: 'write'; readonly number: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly number: number; readonly length: number };

type Write = Operation & { readonly kind: 'write' };

/** Shared by all pages that were written as zeros, as most are; never changed. */
const zeroPage = new Uint8Array(pageBytes);
const zeros = Buffer.alloc(1024 * 1024);

export class FileImage {
  #stable = new Map<number, Uint8Array>();
  /** Pages that differ from `#stable`, or may. */
  #cache = new Map<number, Uint8Array>();
  #stableSize = 0;
  #size = 0;
  #operations: Operation[] = [];
  #number = 0;
  /** Pages may lie beyond the end: the file was made shorter. */
  #wasTruncated = false;
  /** Pages whose unsynced bytes a failed sync has thrown away: reads show them, a crash does not leave them. */
  #lost = new Set<number>();

  get size(): number {
    return this.#size;
  }

  /** Number of the last operation: what a sync that begins now covers. */
  get mark(): number {
    return this.#number;
  }

  /** Pages that occupy space. */
  get pageCount(): number {
    let count = this.#stable.size;
    for (const page of this.#cache.keys()) if (!this.#stable.has(page)) count += 1;
    return count;
  }

  /** Pages of [offset, offset + length) that occupy no space yet. */
  absentPages(offset: number, length: number): number {
    let count = 0;
    for (let page = Math.floor(offset / pageBytes); page * pageBytes < offset + length; page += 1) {
      if (!this.#cache.has(page) && !this.#stable.has(page)) count += 1;
    }
    return count;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.#size - offset)));
    eachPage(offset, bytes.length, (page, within, count, done) => {
      const found = this.#cache.get(page) ?? this.#stable.get(page);
      if (found !== undefined) bytes.set(found.subarray(within, within + count), done);
    });
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#number += 1;
    const areZeros =
      bytes[0] === 0 && bytes.length <= zeros.length && Buffer.compare(bytes, zeros.subarray(0, bytes.length)) === 0;
    // A copy: `slice` of a Buffer would be a view of what the caller may change.
    const kept = areZeros ? zeros.subarray(0, bytes.length) : new Uint8Array(bytes);
    this.#operations.push({ kind: 'write', number: this.#number, offset, bytes: kept });
    for (let done = 0; done < kept.length; ) {
      const page = Math.floor((offset + done) / pageBytes);
      const within = offset + done - page * pageBytes;
      const count = Math.min(pageBytes - within, kept.length - done);
      if (count < pageBytes) this.#cachedPage(page).set(kept.subarray(done, done + count), within);
      else this.#cache.set(page, areZeros ? zeroPage : kept.slice(done, done + count));
      done += count;
    }
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  truncate(length: number): void {
    this.#number += 1;
    this.#wasTruncated = true;
    this.#operations.push({ kind: 'truncate', number: this.#number, length });
    for (const page of new Set([...this.#cache.keys(), ...this.#stable.keys()])) {
      if ((page + 1) * pageBytes > length) this.#cachedPage(page).fill(0, Math.max(0, length - page * pageBytes));
    }
    this.#size = length;
  }

  /** A sync that began at `mark` succeeded. */
  settle(mark: number): void {
    const covered = this.#takeCovered(mark);
    const waiting = this.#touched(this.#operations);
    const touched = this.#touched(covered);
    for (const operation of covered) {
      // A page that no later operation touches is stable as the cache holds it: it is taken as it is.
      if (operation.kind === 'truncate') this.#apply(operation);
      else this.#applyBytes(operation.offset, operation.bytes, waiting);
    }
    for (const page of touched) this.#settlePage(page, waiting.has(page));
    if (this.#wasTruncated && this.#operations.every((operation) => operation.kind === 'write')) {
      this.#dropPagesBeyond(this.#size);
      this.#wasTruncated = false;
    }
  }

  #takeCovered(mark: number): readonly Operation[] {
    const count = this.#operations.findIndex((operation) => operation.number > mark);
    return this.#operations.splice(0, count === -1 ? this.#operations.length : count);
  }

  #settlePage(page: number, isWaiting: boolean): void {
    const cached = this.#cache.get(page);
    // A lost page that was written again is written back as a whole.
    const wasLost = this.#lost.delete(page);
    if (cached === undefined || (isWaiting && !wasLost)) return;
    this.#stable.set(page, isWaiting ? cached.slice() : cached);
    if (!isWaiting) this.#cache.delete(page);
  }

  /** A sync that began at `mark` failed: as on Linux, what it covered is never written, though reads show it. */
  lose(mark: number): void {
    for (const page of this.#touched(this.#takeCovered(mark))) this.#lost.add(page);
  }

  /** The machine lost power: unsynced operations are kept, dropped or torn, in any combination that `random` likes. */
  crash(random: Random): void {
    const writes: Write[] = [];
    // How much survives differs from crash to crash: nothing, everything, or anything between.
    const keepOf8 = below(random, 9);
    for (const operation of this.#operations) {
      if (operation.kind === 'write') writes.push(operation);
      else {
        // A journal keeps the order of changes of a file's length: what follows a lost one is lost.
        if (below(random, 2) === 0) break;
        this.#tear(writes.splice(0), random, keepOf8);
        this.#apply(operation);
      }
    }
    this.#tear(writes, random, keepOf8);
    this.#operations = [];
    this.#lost.clear();
    this.#cache.clear();
    this.#size = this.#stableSize;
    this.#dropPagesBeyond(this.#size);
  }

  /** Copy of what is stable, as a file of its own. */
  stableCopy(): FileImage {
    const copy = new FileImage();
    for (const [page, bytes] of this.#stable) copy.#stable.set(page, bytes === zeroPage ? bytes : bytes.slice());
    copy.#stableSize = this.#stableSize;
    copy.#size = this.#stableSize;
    return copy;
  }

  /** Flips the bits of `mask` at `offset`, on the medium and in the cache. */
  rot(offset: number, mask: number): void {
    const within = offset % pageBytes;
    for (const pages of [this.#stable, this.#cache]) {
      const number = Math.floor(offset / pageBytes);
      const page = pages.get(number);
      if (page === undefined) continue;
      const rotten = page.slice();
      rotten[within] = (page[within] ?? 0) ^ mask;
      pages.set(number, rotten);
    }
  }

  /** Offsets, multiples of `unit`, at which reads show `bytes`, which are not all zeros, within one page. */
  placesOf(bytes: Uint8Array, unit: number): number[] {
    const found: number[] = [];
    for (const number of new Set([...this.#stable.keys(), ...this.#cache.keys()])) {
      const page = this.#cache.get(number) ?? this.#stable.get(number) ?? zeroPage;
      if (page === zeroPage) continue;
      const searched = Buffer.from(page.buffer, page.byteOffset, page.length);
      for (let at = searched.indexOf(bytes); at !== -1; at = searched.indexOf(bytes, at + 1))
        if (at % unit === 0) found.push(number * pageBytes + at);
    }
    return found.sort((a, b) => a - b);
  }

  /** An offset within a page that occupies space; undefined: there is none. */
  someOffset(random: Random): number | undefined {
    const pages = [...this.#stable.keys()];
    const page = pages[pages.length === 0 ? 0 : below(random, pages.length)];
    return page === undefined ? undefined : page * pageBytes + below(random, pageBytes);
  }

  #cachedPage(page: number): Uint8Array {
    const found = this.#cache.get(page);
    if (found !== undefined && found !== zeroPage) return found;
    const made = (found ?? this.#stable.get(page) ?? zeroPage).slice();
    this.#cache.set(page, made);
    return made;
  }

  #apply(operation: Operation): void {
    if (operation.kind === 'write') {
      this.#applyBytes(operation.offset, operation.bytes);
      return;
    }
    this.#stableSize = operation.length;
    for (const [page, bytes] of this.#stable) {
      if ((page + 1) * pageBytes > operation.length) bytes.fill(0, Math.max(0, operation.length - page * pageBytes));
    }
  }

  /** `only`: to these pages. */
  #applyBytes(offset: number, bytes: Uint8Array, only?: ReadonlySet<number>): void {
    this.#stableSize = Math.max(this.#stableSize, offset + bytes.length);
    if (only?.size === 0) return;
    eachPage(offset, bytes.length, (page, within, count, done) => {
      if (only?.has(page) === false) return;
      let found = this.#stable.get(page);
      if (found === undefined || found === zeroPage) {
        found = new Uint8Array(pageBytes);
        this.#stable.set(page, found);
      }
      found.set(bytes.subarray(done, done + count), within);
    });
  }

  #touched(operations: readonly Operation[]): Set<number> {
    const pages = new Set<number>();
    for (const operation of operations) {
      if (operation.kind === 'write') eachPage(operation.offset, operation.bytes.length, (page) => pages.add(page));
      else for (const page of this.#cache.keys()) if ((page + 1) * pageBytes > operation.length) pages.add(page);
    }
    return pages;
  }

  #dropPagesBeyond(size: number): void {
    for (const pages of [this.#stable, this.#cache]) {
      for (const page of pages.keys()) if (page * pageBytes >= size) pages.delete(page);
    }
  }

  #tear(writes: readonly Write[], random: Random, keepOf8: number): void {
    // Some media write whole pages or none, some sectors, some this and that.
    const sectorsOf4 = [0, 2, 4][below(random, 3)] ?? 4;
    const byPage = new Map<number, Write[]>();
    for (const write of writes) {
      eachPage(write.offset, write.bytes.length, (page) => {
        const list = byPage.get(page);
        if (list === undefined) byPage.set(page, [write]);
        else list.push(write);
      });
    }
    for (const [page, list] of byPage) {
      const moment = (): number => (below(random, 8) < keepOf8 ? list.length : below(random, list.length + 1));
      const pageMoment = moment();
      const bySector = below(random, 4) < sectorsOf4;
      for (let start = page * pageBytes; start < (page + 1) * pageBytes; start += sectorBytes) {
        const kept = list.slice(0, bySector ? moment() : pageMoment);
        for (const write of kept) this.#applyPart(write, start, start + sectorBytes);
      }
    }
  }

  #applyPart(write: Write, from: number, to: number): void {
    const start = Math.max(from, write.offset);
    const end = Math.min(to, write.offset + write.bytes.length);
    if (start < end) this.#applyBytes(start, write.bytes.subarray(start - write.offset, end - write.offset));
  }
}

/** Calls `visit(page, offset within it, count, bytes done before)` for each page of [offset, offset + length). */
function eachPage(
  offset: number,
  length: number,
  visit: (page: number, within: number, count: number, done: number) => void,
): void {
  for (let done = 0; done < length; ) {
    const page = Math.floor((offset + done) / pageBytes);
    const within = offset + done - page * pageBytes;
    const count = Math.min(pageBytes - within, length - done);
    visit(page, within, count, done);
    done += count;
  }
}
