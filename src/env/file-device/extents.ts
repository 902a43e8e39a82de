/**
 * Extents of a `file` device: which are used, which are free. A free extent is
 *
 *   fresh    beyond everything ever written: it reads as zeros and occupies nothing
 *   dirty    stale bytes of an older zone lie in it
 *   zeroing  zeros were written over it and wait for a sync
 *   clean    it is zeros, stable
 *   freed    its zone gave it back, and the entry that says so waits for a sync: until then a crash gives it back to
 *            that zone
 *
 *   zone --release--> freed --sync--> dirty --takeDirty--> zeroing --sync--> clean --take--> zone <--take-- fresh
 *
 * The reserve: ordinary zones leave `reserve` extents that occupy space already, so that a privileged zone can be
 * written on a full device and on a full file system.
 *
 * It owns numbers of extents and their states. It does not own their bytes, nor the entries of the map about them
 * (zone-space.ts).
 */
import { assert } from '../../base/assert.ts';

export type Taken = { readonly extent: number; readonly kind: 'clean' | 'fresh' | 'dirty' };

/** An extent that waits for a sync that begins after `turn`. */
interface Waiting {
  readonly extent: number;
  readonly turn: number;
}

export class Extents {
  readonly #count: number;
  readonly #reserve: number;
  #fresh: number;
  /** Lowest last. */
  #clean: number[] = [];
  #dirty: number[] = [];
  #zeroing: Waiting[] = [];
  #freed: Waiting[] = [];
  #used = 0;
  #turn = 0;

  /**
   * REQUIRES: `used` are the zones' extents, `clean` others that are zeros, stable, and `fresh` is the first extent
   * that was never written, beyond all of them.
   */
  constructor(count: number, reserve: number, fresh: number, used: ReadonlySet<number>, clean: ReadonlySet<number>) {
    this.#count = count;
    this.#reserve = reserve;
    this.#fresh = Math.min(fresh, count);
    this.#used = used.size;
    for (let extent = this.#fresh - 1; extent >= 0; extent -= 1) {
      if (!used.has(extent)) (clean.has(extent) ? this.#clean : this.#dirty).push(extent);
    }
  }

  get usedCount(): number {
    return this.#used;
  }

  get cleanCount(): number {
    return this.#clean.length;
  }

  get dirtyCount(): number {
    return this.#dirty.length;
  }

  get zeroingCount(): number {
    return this.#zeroing.length;
  }

  /** Free extents that ordinary zones can take, after a sync or two. */
  get freeCount(): number {
    return Math.max(0, this.#count - this.#used - this.#reserve);
  }

  /** Extents [0, this) occupy space of the file system or did. */
  get freshFrom(): number {
    return this.#fresh;
  }

  /**
   * An extent for a zone: a clean one, else a fresh one, else a dirty one (which the caller must zero before anything
   * else); undefined: full. A clean one is preferred so that the file stays small, a dirty one comes last because a
   * crash may then uncover an older zone's bytes beyond the zone's last stable byte (S9 calls that doubtful, which is
   * safe but may delay a take-over).
   */
  take(privileged: boolean): Taken | undefined {
    const spare = this.#clean.length + this.#dirty.length + this.#zeroing.length - this.#reserve;
    const materialized = privileged || spare > 0;
    let taken: Taken | undefined;
    const clean = materialized ? this.#clean.pop() : undefined;
    if (clean !== undefined) taken = { extent: clean, kind: 'clean' };
    else if (this.#fresh < this.#count) taken = { extent: this.#fresh++, kind: 'fresh' };
    else {
      const dirty = materialized ? (this.#dirty.pop() ?? this.#zeroing.pop()?.extent) : undefined;
      if (dirty !== undefined) taken = { extent: dirty, kind: 'dirty' };
    }
    if (taken !== undefined) this.#used += 1;
    return taken;
  }

  /** Takes back what `take` gave and nobody wrote to or recorded. */
  giveBack(taken: Taken): void {
    this.#used -= 1;
    if (taken.kind === 'clean') this.#clean.push(taken.extent);
    else if (taken.kind === 'fresh' && taken.extent === this.#fresh - 1) this.#fresh -= 1;
    else this.#dirty.push(taken.extent);
  }

  /** A zone no longer has these; the entry that says so has been written. */
  release(extents: readonly number[]): void {
    this.#used -= extents.length;
    assert(this.#used >= 0, 'an extent is released once');
    for (const extent of extents) this.#freed.push({ extent, turn: this.#turn });
  }

  /** A dirty extent that the caller overwrites with zeros now; undefined: none. */
  takeDirty(): number | undefined {
    const extent = this.#dirty.pop();
    if (extent !== undefined) this.#zeroing.push({ extent, turn: this.#turn });
    return extent;
  }

  /** A sync begins now: what was released and zeroed so far is stable when it returns. */
  mark(): number {
    const mark = this.#turn;
    this.#turn += 1;
    return mark;
  }

  /** The sync that began at `mark` has returned. */
  noteStable(mark: number): void {
    this.#dirty = lowestLast(this.#dirty, this.#freed, mark);
    this.#freed = this.#freed.filter((waiting) => waiting.turn > mark);
    this.#clean = lowestLast(this.#clean, this.#zeroing, mark);
    this.#zeroing = this.#zeroing.filter((waiting) => waiting.turn > mark);
  }
}

function lowestLast(list: number[], waiting: readonly Waiting[], mark: number): number[] {
  const news = waiting.filter((item) => item.turn <= mark).map((item) => item.extent);
  return news.length === 0 ? list : [...list, ...news].sort((left, right) => right - left);
}
