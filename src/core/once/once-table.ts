/**
 * Table of the numbered writes that a shard remembers, so that each is applied once (S15; RIFL, SOSP'15): per client
 * the first number that it may still repeat, and the results of the numbers from there on.
 *
 * It owns who is remembered, in which order, and who is forgotten when there are too many: floors and limits. It does
 * not own the results of one client (once-client.ts), nor the log: the owner logs the floor records that it asks for.
 *
 * Two kinds of state. What is *committed* comes from the log alone, by `complete` and `applyFloor` in log order, and is
 * the same at the owner, at standbys and after a replay. What is *in flight* is the owner's (`begin`, `abandon`) and is
 * never part of a snapshot.
 *
 * Forgetting. A floor record takes the client that it names out of the table and adds its id to those that are
 * forgotten (forgotten-ids.ts). A client that is not in the table is *forgotten* when its id is among these, and new
 * when not: nothing of it was ever committed here. A write that was begun before its client was forgotten may commit
 * after it; the client is then in the table again, but only what committed since is known: it is `partial`, and every
 * other number of it is forgotten. So whatever the order in which records of clients and floors reach the log, nothing
 * is applied twice; the price is an honest "unknown" where a client raced with the floor.
 *
 * Replay. Of a client's records only the union counts (the largest first number, the results at or above it), so that
 * applying any of them again changes nothing; a floor record that is applied again comes, in log order, before what
 * followed it.
 */
import { assert } from '../../base/assert.ts';
import type { ClientId, RequestNumber } from '../../base/ids.ts';
import { clientId } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { ClientIdRange } from '../../codec/index-snapshot.ts';
import { ForgottenIds } from './forgotten-ids.ts';
import type { KnownNumber, OnceEntry, OnceResult, OnceSums } from './once-client.ts';
import { ClientResults, ringSizeMin } from './once-client.ts';

/** Verdict on a write: what the owner is to do with it. */
export type OnceCheck<Token> =
  /** Never seen: apply it. */
  | { readonly kind: 'new' }
  /** A repetition: answer it like the first, when that is done. */
  | KnownNumber<Token>
  /** Below the client's first incomplete number: refuse. */
  | { readonly kind: 'superseded' }
  /** Nobody knows any more: refuse, outcome unknown. */
  | { readonly kind: 'forgotten' }
  /** Too far above the first incomplete number, or too many bytes of replies are kept: refuse, not applied. */
  | { readonly kind: 'window-exceeded' };

const fresh = { kind: 'new' } as const;
const superseded = { kind: 'superseded' } as const;
const forgotten = { kind: 'forgotten' } as const;
const windowExceeded = { kind: 'window-exceeded' } as const;

export interface OnceLimits {
  /** Bound of number - first incomplete number, exclusive. A power of two. */
  readonly window: number;
  readonly clientsMax: number;
  /** Bytes of memory for all clients together: above it the client silent for longest is forgotten, too. */
  readonly bytesMax: number;
  /** Bytes of replies kept for one client before its next writes are refused. */
  readonly replyBytesMax: number;
  /** Ranges of forgotten ids that are kept above the floor. Default: `limits.forgottenRangesMax`. */
  readonly forgottenRangesMax?: number;
}

/** A client costs 0.7 KB when it has at most 8 numbers open, and 100 KB with a full window of 4,096. */
export const onceLimits: OnceLimits = {
  window: limits.clientWindow,
  clientsMax: limits.clientsRememberedMax,
  bytesMax: 64 * 1024 * 1024,
  replyBytesMax: 1024 * 1024,
  forgottenRangesMax: limits.forgottenRangesMax,
};

/** One client in a snapshot: all its results or some; several of one client are merged. */
export interface OnceClientState {
  readonly client: ClientId;
  readonly first: number;
  readonly partial: boolean;
  readonly results: readonly OnceEntry[];
}

export class OnceTable<Token = unknown> {
  readonly #limits: OnceLimits;
  readonly #clients = new Map<number, ClientResults<Token>>();
  /** Clients with nothing committed: few, since each has a first write in flight. */
  readonly #uncommitted = new Set<ClientResults<Token>>();
  #oldest: ClientResults<Token> | undefined = undefined;
  #newest: ClientResults<Token> | undefined = undefined;
  readonly #forgotten: ForgottenIds;
  readonly #sums: OnceSums = { results: 0, bytes: 0 };
  /** Number and bytes of the clients that `overfull` named and that are still here. */
  #namedCount = 0;
  #namedBytes = 0;

  constructor(bounds: OnceLimits = onceLimits) {
    assert(Number.isInteger(Math.log2(bounds.window)) && bounds.window >= ringSizeMin, 'the window is a power of two');
    this.#limits = bounds;
    this.#forgotten = new ForgottenIds(bounds.forgottenRangesMax ?? limits.forgottenRangesMax);
  }

  /** Bound of number - first incomplete number, exclusive. */
  get window(): number {
    return this.#limits.window;
  }

  /** All ids up to it that are not in the table are forgotten. */
  get floor(): number {
    return this.#forgotten.floor;
  }

  /** Ids above the floor that are forgotten, in order. */
  get forgottenRanges(): readonly ClientIdRange[] {
    return this.#forgotten.ranges;
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  get resultCount(): number {
    return this.#sums.results;
  }

  /** An estimate; above `bytesMax` only until floor records that `overfull` asks for are applied. */
  get memoryBytes(): number {
    return this.#sums.bytes;
  }

  /** Says what the owner is to do with a write. Changes nothing. REQUIRES: client is not 0. */
  check(client: ClientId, number: RequestNumber, firstIncomplete: RequestNumber): OnceCheck<Token> {
    if (number < firstIncomplete) return superseded;
    const known = this.#clients.get(client);
    if (known === undefined) {
      if (this.#forgotten.has(client)) return forgotten;
      return number - firstIncomplete < this.#limits.window ? fresh : windowExceeded;
    }
    if (number < known.first) return superseded;
    return known.find(number) ?? this.#checkUnknown(known, number, firstIncomplete);
  }

  /**
   * The owner is about to log a write: from now on a repetition is in flight. The numbers below `firstIncomplete` are
   * refused from now on: the client said that it will not ask for them again. REQUIRES: `check` said new. `token` is
   * not undefined.
   */
  begin(client: ClientId, number: RequestNumber, firstIncomplete: RequestNumber, token: Token): void {
    assert(token !== undefined && client !== 0, 'S15 a numbered write with a token');
    let known = this.#clients.get(client);
    if (known === undefined) {
      assert(!this.#forgotten.has(client), 'S15 a forgotten client begins nothing');
      known = this.#add(client);
      this.#uncommitted.add(known);
    }
    known.raise(firstIncomplete);
    this.#checkWindow(known, number);
    known.begin(number, token);
  }

  /** The owner gave up a write that is surely not in the log and never will be. No effect when it is not in flight. */
  abandon(client: ClientId, number: RequestNumber): void {
    const known = this.#clients.get(client);
    if (known?.abandon(number) === true) this.#leaveIfEmpty(known);
  }

  /** This process is no longer the owner: what is in flight is no longer its to know. */
  abandonAll(): void {
    for (const known of this.#clients.values()) {
      known.abandonAll();
      this.#unname(known);
      this.#leaveIfEmpty(known);
    }
  }

  /**
   * Applies a committed record of a numbered write. Applying it again, or after later ones of its client, changes
   * nothing.
   */
  complete(client: ClientId, number: RequestNumber, firstIncomplete: RequestNumber, result: OnceResult): void {
    assert(client !== 0 && number >= firstIncomplete, 'S15 a numbered record');
    const known = this.#committed(client);
    this.#touch(known);
    known.raise(firstIncomplete);
    if (number >= known.first) this.#complete(known, number, result);
  }

  /**
   * The client to forget next, when there are too many clients or results: the owner logs a floor record that names it.
   * Each is named once, until the record is applied or `abandonAll`. Clients with something in flight are passed over.
   */
  overfull(): ClientId | undefined {
    const { clientsMax, bytesMax } = this.#limits;
    if (this.#clients.size - this.#namedCount <= clientsMax && this.#sums.bytes - this.#namedBytes <= bytesMax)
      return undefined;
    for (let known = this.#oldest; known !== undefined; known = known.newer) {
      if (known.namedBytes !== -1 || known.inFlightCount > 0) continue;
      known.namedBytes = known.bytes;
      this.#namedBytes += known.namedBytes;
      this.#namedCount++;
      return clientId(known.id);
    }
    return undefined;
  }

  /** Applies a committed floor record, which names `client`. */
  applyFloor(client: ClientId): void {
    this.#forgotten.add(client);
    const known = this.#clients.get(client);
    if (known !== undefined) this.#forget(known);
    // At a standby these are not there, and are partial when their first record comes.
    for (const waiting of this.#uncommitted) if (this.#forgotten.has(waiting.id)) waiting.partial = true;
  }

  // --- snapshots -----------------------------------------------------------------------------------------------------

  /** Ids of all clients, the one silent for longest first. */
  clientIds(): ClientId[] {
    const ids: ClientId[] = [];
    for (let known = this.#oldest; known !== undefined; known = known.newer) ids.push(clientId(known.id));
    return ids;
  }

  /**
   * The committed results of a client with numbers from `from` on, in order, about `countMax` at most; undefined:
   * nothing committed.
   */
  stateOf(client: ClientId, from = 0, countMax = Number.POSITIVE_INFINITY): OnceClientState | undefined {
    const known = this.#clients.get(client);
    if (known === undefined || !known.committed) return undefined;
    return { client, first: known.first, partial: known.partial, results: known.results(from, countMax) };
  }

  /** Loads what `stateOf` gave, oldest client first. */
  restore(state: OnceClientState): void {
    const known = this.#committed(state.client);
    this.#touch(known);
    if (state.partial) known.partial = true;
    known.raise(state.first);
    for (const entry of state.results) if (entry.number >= known.first) this.#complete(known, entry.number, entry);
  }

  /**
   * Loads the forgotten ids of a snapshot, before its replay: they name no client. REQUIRES: after all `restore` of the
   * snapshot, once; ranges are in order and above the floor.
   */
  restoreFloor(floor: number, ranges: readonly ClientIdRange[] = []): void {
    this.#forgotten.restore(floor, ranges);
  }

  // --- parts ---------------------------------------------------------------------------------------------------------

  #checkUnknown(known: ClientResults<Token>, number: number, firstIncomplete: number): OnceCheck<Token> {
    if (known.partial) return forgotten;
    // Not from `known.first`: what raised it may never be logged, and standbys must let in whatever is let in here.
    return number - firstIncomplete < this.#limits.window && known.replyBytes <= this.#limits.replyBytesMax
      ? fresh
      : windowExceeded;
  }

  #add(client: ClientId): ClientResults<Token> {
    const known = new ClientResults<Token>(client, this.#sums);
    this.#clients.set(client, known);
    return known;
  }

  #unname(known: ClientResults<Token>): void {
    if (known.namedBytes === -1) return;
    this.#namedCount--;
    this.#namedBytes -= known.namedBytes;
    known.namedBytes = -1;
  }

  #committed(client: ClientId): ClientResults<Token> {
    let known = this.#clients.get(client);
    if (known === undefined) {
      known = this.#add(client);
      known.partial = this.#forgotten.has(client);
    }
    if (!known.committed) {
      known.committed = true;
      this.#uncommitted.delete(known);
    }
    return known;
  }

  #complete(known: ClientResults<Token>, number: number, result: OnceResult): void {
    this.#checkWindow(known, number);
    known.complete(number, result);
  }

  #checkWindow(known: ClientResults<Token>, number: number): void {
    assert(number - known.first < this.#limits.window, 'S15 the window is bounded');
  }

  #leaveIfEmpty(known: ClientResults<Token>): void {
    if (known.committed || known.inFlightCount > 0) return;
    this.#uncommitted.delete(known);
    this.#clients.delete(known.id);
    known.leave();
  }

  /** Drops what is committed; what is in flight goes on, partial. */
  #forget(known: ClientResults<Token>): void {
    known.forgetResults();
    this.#unname(known);
    if (known.committed) this.#unlink(known);
    known.committed = false;
    this.#uncommitted.add(known);
    this.#leaveIfEmpty(known);
  }

  /** Makes `known` the newest. */
  #touch(known: ClientResults<Token>): void {
    if (this.#newest === known) return;
    this.#unlink(known);
    known.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = known;
    else this.#newest.newer = known;
    this.#newest = known;
  }

  /** Takes `known` out of the order, if it is in it. */
  #unlink(known: ClientResults<Token>): void {
    if (known.older !== undefined) known.older.newer = known.newer;
    else if (this.#oldest === known) this.#oldest = known.newer;
    if (known.newer !== undefined) known.newer.older = known.older;
    else if (this.#newest === known) this.#newest = known.older;
    known.older = undefined;
    known.newer = undefined;
  }
}
