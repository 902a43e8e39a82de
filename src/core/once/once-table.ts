/**
 * What a shard remembers of numbered writes, so that each is applied once (S15; RIFL, SOSP'15): per client the first
 * number that it may still repeat, and the results of the numbers from there on.
 *
 * Two kinds of state. What is *committed* comes from the log alone, by `complete` and `applyFloor` in log order, and is
 * the same at the owner, at standbys and after a replay. What is *in flight* is the owner's (`begin`, `abandon`) and is
 * never part of a snapshot.
 *
 * Forgetting. `floor` is the largest client id that a floor record named. A floor record takes the client that it names
 * out of the table. A client that is not in the table is new when its id is above the floor (an id below might have
 * been here before) and *forgotten* when not. A write that was begun before its client was forgotten may commit after
 * it; the client is then in the table again, but only what committed since is known: it is `partial`, and every other
 * number of it is forgotten. So whatever the order in which records of clients and floors reach the log, nothing is
 * applied twice; the price is an honest "unknown" where a client raced with the floor.
 *
 * Replay. Of a client's records only the union counts (the largest first number, the results at or above it), so that
 * applying any of them again changes nothing; a floor record that is applied again comes, in log order, before what
 * followed it.
 */
import { assert } from '../../base/assert.ts';
import type { ClientId, RequestNumber, Version } from '../../base/ids.ts';
import { clientId, version as toVersion } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { RecordKind } from '../../codec/log-format.ts';
import { recordKind } from '../../codec/log-format.ts';

/** What a numbered write came to, for its repetitions. */
export interface OnceResult {
  /** Of the record that carried it: put, delete or refusal. */
  readonly kind: RecordKind;
  /** Of the record. */
  readonly version: Version;
  readonly reply: Uint8Array | undefined;
}

/** `Token`: what the owner gave to `begin`. */
export type OnceCheck<Token> =
  /** Never seen: apply it. */
  | { readonly kind: 'new' }
  | { readonly kind: 'done'; readonly result: OnceResult }
  | { readonly kind: 'in-flight'; readonly token: Token }
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
  /** number - first incomplete number is below it. A power of two. */
  readonly window: number;
  readonly clientsMax: number;
  /** Of memory for all clients together: above it the client silent for longest is forgotten, too. */
  readonly bytesMax: number;
  /** Bytes of replies kept for one client before its next writes are refused. */
  readonly replyBytesMax: number;
}

/** A client costs 0.7 KB when it has at most 8 numbers open, and 100 KB with a full window of 4,096. */
export const onceLimits: OnceLimits = {
  window: limits.clientWindow,
  clientsMax: limits.clientsRememberedMax,
  bytesMax: 64 * 1024 * 1024,
  replyBytesMax: 1024 * 1024,
};

/** One result in a snapshot. */
export interface OnceEntry extends OnceResult {
  readonly number: number;
}

/** One client in a snapshot: all its results or some; several of one client are merged. */
export interface OnceClientState {
  readonly client: ClientId;
  readonly first: number;
  readonly partial: boolean;
  readonly results: readonly OnceEntry[];
}

const ringSizeMin = 8;
/** What memory is reckoned at: a client, and a slot of its ring with state, version, place for reply and token. */
const clientBytes = 500;
const slotBytes = 25;
const free = 0;
/** A state beside the kinds of records. */
const inFlight = 255;

class Client<Token> {
  readonly id: number;
  first = 1;
  partial = false;
  /** Something of it is committed; else it is here for what is in flight. */
  committed = false;
  /** `overfull` named it, when it took so many bytes; -1: it did not. */
  namedBytes = -1;
  resultCount = 0;
  inFlightCount = 0;
  replyBytes = 0;
  /** Ring by number modulo size; all numbers in it are in [first, first + size). */
  size = ringSizeMin;
  states = new Uint8Array(ringSizeMin);
  versions = new Float64Array(ringSizeMin);
  /** A reply, or the token of what is in flight. Sparse: most results have neither. */
  replies: (Uint8Array | undefined)[] = [];
  tokens: (Token | undefined)[] = [];
  /** In the order of the last committed record, oldest first. */
  older: Client<Token> | undefined = undefined;
  newer: Client<Token> | undefined = undefined;

  constructor(id: number) {
    this.id = id;
  }
}

export class OnceTable<Token = unknown> {
  readonly #limits: OnceLimits;
  readonly #clients = new Map<number, Client<Token>>();
  /** Clients with nothing committed: few, since each has a first write in flight. */
  readonly #uncommitted = new Set<Client<Token>>();
  #oldest: Client<Token> | undefined = undefined;
  #newest: Client<Token> | undefined = undefined;
  #floor = 0;
  #resultCount = 0;
  #memoryBytes = 0;
  /** Of the clients that `overfull` named and that are still here. */
  #namedCount = 0;
  #namedBytes = 0;

  constructor(bounds: OnceLimits = onceLimits) {
    assert(Number.isInteger(Math.log2(bounds.window)) && bounds.window >= ringSizeMin, 'the window is a power of two');
    this.#limits = bounds;
  }

  get floor(): number {
    return this.#floor;
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  get resultCount(): number {
    return this.#resultCount;
  }

  /** An estimate; above `bytesMax` only until floor records that `overfull` asks for are applied. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** What the owner is to do with a write. Changes nothing. REQUIRES: client is not 0. */
  check(client: ClientId, number: RequestNumber, firstIncomplete: RequestNumber): OnceCheck<Token> {
    if (number < firstIncomplete) return superseded;
    const known = this.#clients.get(client);
    if (known === undefined) {
      if (client <= this.#floor) return forgotten;
      return number - firstIncomplete < this.#limits.window ? fresh : windowExceeded;
    }
    if (number < known.first) return superseded;
    const slot = number - known.first < known.size ? number % known.size : -1;
    const state = slot === -1 ? free : (known.states[slot] ?? free);
    if (state === free) return this.#checkUnknown(known, number, firstIncomplete);
    if (state !== inFlight) return { kind: 'done', result: resultAt(known, slot) };
    const token = known.tokens[slot];
    assert(token !== undefined, 'what is in flight has a token');
    return { kind: 'in-flight', token };
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
      assert(client > this.#floor, 'S15 a forgotten client begins nothing');
      known = this.#add(client);
      this.#uncommitted.add(known);
    }
    this.#raise(known, firstIncomplete);
    const slot = this.#slotFor(known, number);
    assert(known.states[slot] === free, 'S15 a number is begun once');
    known.states[slot] = inFlight;
    known.tokens[slot] = token;
    known.inFlightCount++;
  }

  /** The owner gave up a write that is surely not in the log and never will be. No effect when it is not in flight. */
  abandon(client: ClientId, number: RequestNumber): void {
    const known = this.#clients.get(client);
    if (known === undefined || number < known.first || number - known.first >= known.size) return;
    const slot = number % known.size;
    if (known.states[slot] !== inFlight) return;
    this.#clear(known, slot);
    this.#leaveIfEmpty(known);
  }

  /** This process is no longer the owner: what is in flight is no longer its to know. */
  abandonAll(): void {
    for (const known of this.#clients.values()) {
      if (known.inFlightCount > 0)
        for (let slot = 0; slot < known.size; slot++) if (known.states[slot] === inFlight) this.#clear(known, slot);
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
    this.#raise(known, firstIncomplete);
    if (number >= known.first) this.#store(known, number, result);
  }

  /**
   * The client to forget next, when there are too many clients or results: the owner logs a floor record that names it.
   * Each is named once, until the record is applied or `abandonAll`. Clients with something in flight are passed over.
   */
  overfull(): ClientId | undefined {
    const { clientsMax, bytesMax } = this.#limits;
    if (this.#clients.size - this.#namedCount <= clientsMax && this.#memoryBytes - this.#namedBytes <= bytesMax)
      return undefined;
    for (let known = this.#oldest; known !== undefined; known = known.newer) {
      if (known.namedBytes !== -1 || known.inFlightCount > 0) continue;
      known.namedBytes = bytesOf(known);
      this.#namedBytes += known.namedBytes;
      this.#namedCount++;
      return clientId(known.id);
    }
    return undefined;
  }

  /** Applies a committed floor record. */
  applyFloor(floor: ClientId): void {
    if (floor > this.#floor) this.#floor = floor;
    const known = this.#clients.get(floor);
    if (known !== undefined) this.#forget(known);
    // At a standby these are not there, and are partial when their first record comes.
    for (const waiting of this.#uncommitted) if (waiting.id <= floor) waiting.partial = true;
  }

  // --- snapshots
  // ------------------------------------------------------------------------------------------------------------

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
    const results: OnceEntry[] = [];
    for (
      let number = Math.max(from, known.first);
      number < known.first + known.size && results.length < countMax;
      number++
    ) {
      const slot = number % known.size;
      const state = known.states[slot];
      if (state !== free && state !== inFlight) results.push({ number, ...resultAt(known, slot) });
    }
    return { client, first: known.first, partial: known.partial, results };
  }

  /** Loads what `stateOf` gave, oldest client first. */
  restore(state: OnceClientState): void {
    const known = this.#committed(state.client);
    this.#touch(known);
    if (state.partial) known.partial = true;
    this.#raise(known, state.first);
    for (const entry of state.results) if (entry.number >= known.first) this.#store(known, entry.number, entry);
  }

  /**
   * Loads the floor of a snapshot, before its replay: it names no client. REQUIRES: after all `restore` of the
   * snapshot.
   */
  restoreFloor(floor: number): void {
    assert(floor >= this.#floor, 'S15 the floor only rises');
    this.#floor = floor;
  }

  // --- parts
  // ----------------------------------------------------------------------------------------------------------------

  #checkUnknown(known: Client<Token>, number: number, firstIncomplete: number): OnceCheck<Token> {
    if (known.partial) return forgotten;
    // Not from `known.first`: what raised it may never be logged, and standbys must let in whatever is let in here.
    return number - firstIncomplete < this.#limits.window && known.replyBytes <= this.#limits.replyBytesMax
      ? fresh
      : windowExceeded;
  }

  #add(client: ClientId): Client<Token> {
    const known = new Client<Token>(client);
    this.#clients.set(client, known);
    this.#memoryBytes += bytesOf(known);
    return known;
  }

  #unname(known: Client<Token>): void {
    if (known.namedBytes === -1) return;
    this.#namedCount--;
    this.#namedBytes -= known.namedBytes;
    known.namedBytes = -1;
  }

  #committed(client: ClientId): Client<Token> {
    let known = this.#clients.get(client);
    if (known === undefined) {
      known = this.#add(client);
      known.partial = client <= this.#floor;
    }
    if (!known.committed) {
      known.committed = true;
      this.#uncommitted.delete(known);
    }
    return known;
  }

  #raise(known: Client<Token>, first: number): void {
    if (first <= known.first) return;
    if (known.resultCount + known.inFlightCount > 0) {
      const end = Math.min(first, known.first + known.size);
      for (let number = known.first; number < end; number++) this.#clear(known, number % known.size);
    }
    known.first = first;
  }

  /** The slot of a number in the window, which the ring grows to hold. */
  #slotFor(known: Client<Token>, number: number): number {
    assert(number - known.first < this.#limits.window, 'S15 the window is bounded');
    if (number - known.first >= known.size) {
      this.#memoryBytes -= bytesOf(known);
      grow(known, number);
      this.#memoryBytes += bytesOf(known);
    }
    return number % known.size;
  }

  #store(known: Client<Token>, number: number, result: OnceResult): void {
    assert(result.kind !== recordKind.floor && result.kind !== recordKind.time, 'S15 results are of writes');
    const slot = this.#slotFor(known, number);
    const state = known.states[slot];
    if (state === inFlight) this.#clear(known, slot);
    else if (state !== free) return;
    known.states[slot] = result.kind;
    known.versions[slot] = result.version;
    if (result.reply !== undefined) {
      known.replies[slot] = result.reply;
      known.replyBytes += result.reply.length;
      this.#memoryBytes += result.reply.length;
    }
    known.resultCount++;
    this.#resultCount++;
  }

  #clear(known: Client<Token>, slot: number): void {
    const state = known.states[slot];
    if (state === free) return;
    known.states[slot] = free;
    if (state === inFlight) {
      known.tokens[slot] = undefined;
      known.inFlightCount--;
      return;
    }
    known.resultCount--;
    this.#resultCount--;
    const reply = known.replies[slot];
    if (reply === undefined) return;
    known.replyBytes -= reply.length;
    this.#memoryBytes -= reply.length;
    known.replies[slot] = undefined;
  }

  #leaveIfEmpty(known: Client<Token>): void {
    if (known.committed || known.inFlightCount > 0) return;
    this.#uncommitted.delete(known);
    this.#clients.delete(known.id);
    this.#memoryBytes -= bytesOf(known);
  }

  /** Drops what is committed; what is in flight goes on, partial. */
  #forget(known: Client<Token>): void {
    for (let slot = 0; slot < known.size; slot++) if (known.states[slot] !== inFlight) this.#clear(known, slot);
    this.#unname(known);
    if (known.committed) this.#unlink(known);
    known.committed = false;
    this.#uncommitted.add(known);
    this.#leaveIfEmpty(known);
  }

  /** Makes `known` the newest. */
  #touch(known: Client<Token>): void {
    if (this.#newest === known) return;
    this.#unlink(known);
    known.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = known;
    else this.#newest.newer = known;
    this.#newest = known;
  }

  /** Takes `known` out of the order, if it is in it. */
  #unlink(known: Client<Token>): void {
    if (known.older !== undefined) known.older.newer = known.newer;
    else if (this.#oldest === known) this.#oldest = known.newer;
    if (known.newer !== undefined) known.newer.older = known.older;
    else if (this.#newest === known) this.#newest = known.older;
    known.older = undefined;
    known.newer = undefined;
  }
}

function bytesOf<Token>(known: Client<Token>): number {
  return clientBytes + known.size * slotBytes + known.replyBytes;
}

function resultAt<Token>(known: Client<Token>, slot: number): OnceResult {
  return {
    kind: kindOf(known.states[slot] ?? 0),
    version: toVersion(known.versions[slot] ?? 0),
    reply: known.replies[slot],
  };
}

function kindOf(state: number): RecordKind {
  if (state === recordKind.put) return recordKind.put;
  if (state === recordKind.delete) return recordKind.delete;
  assert(state === recordKind.refusal, 'S15 results are of writes');
  return recordKind.refusal;
}

/** Makes the ring large enough for `number`. */
function grow<Token>(known: Client<Token>, number: number): void {
  let size = known.size;
  while (number - known.first >= size) size *= 2;
  const states = new Uint8Array(size);
  const versions = new Float64Array(size);
  const replies: (Uint8Array | undefined)[] = [];
  const tokens: (Token | undefined)[] = [];
  for (let at = known.first; at < known.first + known.size; at++) {
    const from = at % known.size;
    const to = at % size;
    states[to] = known.states[from] ?? 0;
    versions[to] = known.versions[from] ?? 0;
    if (known.replies[from] !== undefined) replies[to] = known.replies[from];
    if (known.tokens[from] !== undefined) tokens[to] = known.tokens[from];
  }
  known.size = size;
  known.states = states;
  known.versions = versions;
  known.replies = replies;
  known.tokens = tokens;
}
