/**
 * Extents of a `file` device: which are used, which are free. A free extent is
 *
 *   fresh    beyond everything ever written: it reads as zeros and occupies nothing
 *   dirty    stale bytes of an older zone lie in it
 *   hollow   its zone gave it back for want of space: it need not occupy anything, and some stale bytes may lie in it
 *   zeroing  zeros were written over it and wait for a sync
 *   clean    it is zeros, stable
 *   freed    its zone gave it back, and the entry that says so waits for a sync: until then a crash gives it back to
 *            that zone
 *
 *   zone --release--> freed --sync--> dirty --takeForStock--> zeroing --sync--> clean --take--> zone <--take-- fresh
 *
 * The reserve: ordinary writes leave `reserve` extents that occupy space already, and urgent ones leave half of them
 * and those that are kept for privileged zones alone, so that such a zone can be written on a full device and on a full
 * file system.
 *
 * It owns numbers of extents and their states. It does not own their bytes, nor the entries of the map about them
 * (zone-space.ts).
 */
import { assert } from '../../base/assert.ts';

export type Taken = { readonly extent: number; readonly kind: 'clean' | 'fresh' | 'dirty' | 'hollow' };

/** Right of a write to the reserve: none, half of it, or all. */
export type Claim = 'ordinary' | 'urgent' | 'privileged';

/** Syncs for which space is looked for in the file before the file system is asked again. */
const scarceSyncs = 64;

export interface ExtentSizes {
  readonly extentCount: number;
  /** Extents that ordinary writes leave, those for privileged zones among them. */
  readonly reserveExtents: number;
  readonly privilegedExtents: number;
}

/** An extent that waits for a sync that begins after `turn`. */
interface Waiting {
  readonly extent: number;
  readonly turn: number;
  readonly hollow?: boolean;
}

export class Extents {
  readonly #count: number;
  readonly #reserve: number;
  readonly #privileged: number;
  #fresh: number;
  /** Lowest last. */
  #clean: number[] = [];
  #dirty: number[] = [];
  #hollow: number[] = [];
  #zeroing: Waiting[] = [];
  #freed: Waiting[] = [];
  #used = 0;
  #turn = 0;
  /** The file system was full so lately that extents which occupy space come first. */
  #scarce = 0;

  /**
   * REQUIRES: `used` are the zones' extents, `clean` others that are zeros, stable, and `fresh` is the first extent
   * that was never written, beyond all of them.
   */
  constructor(sizes: ExtentSizes, fresh: number, used: ReadonlySet<number>, clean: ReadonlySet<number>) {
    const { extentCount: count, reserveExtents, privilegedExtents } = sizes;
    this.#count = count;
    this.#reserve = reserveExtents;
    this.#privileged = privilegedExtents;
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
   * An extent for a zone: a clean one, else a fresh one, else a dirty or hollow one (which the caller must zero before
   * anything else); undefined: full. While the file system has no space a dirty one comes before a fresh one. A clean
   * one is preferred so that the file stays small, a dirty one comes last because a
   * crash may then uncover an older zone's bytes beyond the zone's last stable byte (S9 calls that doubtful, which is
   * safe but may delay a take-over).
   */
  take(claim: Claim): Taken | undefined {
    const materialized = this.hasMaterialized(claim);
    const clean = materialized ? this.#clean.pop() : undefined;
    const taken: Taken | undefined =
      clean !== undefined ? { extent: clean, kind: 'clean' } : this.#takeUnclean(materialized);
    if (taken !== undefined) this.#used += 1;
    return taken;
  }

  #takeUnclean(materialized: boolean): Taken | undefined {
    const hasFresh = this.#fresh < this.#count;
    if (!hasFresh || this.isScarce) {
      const dirty = materialized ? (this.#dirty.pop() ?? this.#zeroing.pop()?.extent) : undefined;
      if (dirty !== undefined) return { extent: dirty, kind: 'dirty' };
    }
    if (hasFresh) return { extent: this.#fresh++, kind: 'fresh' };
    const hollow = this.#hollow.pop();
    return hollow === undefined ? undefined : { extent: hollow, kind: 'hollow' };
  }

  /** Whether a free extent that occupies space already may be taken. */
  hasMaterialized(claim: Claim): boolean {
    const free = this.#clean.length + this.#dirty.length + this.#zeroing.length;
    const urgent = this.#privileged + Math.ceil((this.#reserve - this.#privileged) / 2);
    const kept = { ordinary: this.#reserve, urgent, privileged: 0 };
    return free > kept[claim];
  }

  /** Fewer free extents occupy space than are to be kept. */
  get isReserveShort(): boolean {
    return this.#clean.length + this.#dirty.length + this.#zeroing.length < this.#reserve;
  }

  /** Whether the file system was found full lately. */
  get isScarce(): boolean {
    return this.#scarce > 0;
  }

  /** The file system is full. */
  noteFull(): void {
    this.#scarce = scarceSyncs;
  }

  /** Takes back what `take` gave and nobody wrote to or recorded. */
  giveBack(taken: Taken): void {
    this.#used -= 1;
    if (taken.kind === 'clean') this.#clean.push(taken.extent);
    else if (taken.kind === 'fresh' && taken.extent === this.#fresh - 1) this.#fresh -= 1;
    else if (taken.kind === 'hollow' || taken.kind === 'fresh') this.#hollow.push(taken.extent);
    else this.#dirty.push(taken.extent);
  }

  /**
   * A zone no longer has these; the entry that says so has been written. `hollow`: they need not occupy space.
   */
  release(extents: readonly number[], hollow: boolean): void {
    this.#used -= extents.length;
    assert(this.#used >= 0, 'an extent is released once');
    for (const extent of extents) this.#freed.push({ extent, turn: this.#turn, hollow });
  }

  /**
   * An extent that the caller overwrites with zeros now: a dirty one, or another one where the reserve has become too
   * small; undefined: none.
   */
  takeForStock(): Taken | undefined {
    const dirty = this.#dirty.pop();
    if (dirty !== undefined) return { extent: dirty, kind: 'dirty' };
    if (!this.isReserveShort) return undefined;
    const hollow = this.#hollow.pop();
    if (hollow !== undefined) return { extent: hollow, kind: 'hollow' };
    return this.#fresh < this.#count ? { extent: this.#fresh++, kind: 'fresh' } : undefined;
  }

  /** What `takeForStock` gave is zeros now, or (`done` is false) the file system had no space for them. */
  stocked(taken: Taken, done: boolean): void {
    if (done) {
      this.#zeroing.push({ extent: taken.extent, turn: this.#turn });
      return;
    }
    this.#used += 1;
    this.giveBack(taken);
  }

  /** A sync begins now: what was released and zeroed so far is stable when it returns. */
  mark(): number {
    const mark = this.#turn;
    this.#turn += 1;
    if (this.#scarce > 0) this.#scarce -= 1;
    return mark;
  }

  /** The sync that began at `mark` has returned. */
  noteStable(mark: number): void {
    const dirty = this.#freed.filter((waiting) => waiting.hollow !== true);
    this.#dirty = lowestLast(this.#dirty, dirty, mark);
    this.#hollow = lowestLast(
      this.#hollow,
      this.#freed.filter((waiting) => waiting.hollow === true),
      mark,
    );
    this.#freed = this.#freed.filter((waiting) => waiting.turn > mark);
    this.#clean = lowestLast(this.#clean, this.#zeroing, mark);
    this.#zeroing = this.#zeroing.filter((waiting) => waiting.turn > mark);
  }
}

function lowestLast(list: number[], waiting: readonly Waiting[], mark: number): number[] {
  const news = waiting.filter((item) => item.turn <= mark).map((item) => item.extent);
  return news.length === 0 ? list : [...list, ...news].sort((left, right) => right - left);
}
