/**
 * Results of one client's numbered writes (S15): a ring by number, from the first number that the client may
 * still repeat, of results and of writes in flight.
 *
 * It owns the ring and its counts, and grows it as far as it is asked to. It does not own who is remembered and in
 * which order, who is forgotten, how wide a window may be, nor what a write is answered with: that is the table's
 * (once-table.ts), and so are the members that it keeps here for its own order.
 */
import { assert } from '../../base/assert.ts';
import type { Version } from '../../base/ids.ts';
import { version as toVersion } from '../../base/ids.ts';
import type { RecordKind } from '../../codec/log-format.ts';
import { recordKind } from '../../codec/log-format.ts';

/** Result of a numbered write, for its repetitions. */
export interface OnceResult {
  /** Kind of the record that carried it: put, delete or refusal. */
  readonly kind: RecordKind;
  /** Version of that record. */
  readonly version: Version;
  readonly reply: Uint8Array | undefined;
}

/** One result in a snapshot. */
export interface OnceEntry extends OnceResult {
  readonly number: number;
}

/** `Token`: what the owner gave when it began the write. */
export type KnownNumber<Token> =
  | { readonly kind: 'done'; readonly result: OnceResult }
  | { readonly kind: 'in-flight'; readonly token: Token };

/** Sums over all clients of a table: each client keeps its part of them up to date. */
export interface OnceSums {
  results: number;
  /** Memory, an estimate. */
  bytes: number;
}

/** Slots of a ring at first; all rings have a power of two. */
export const ringSizeMin = 8;
/** Memory that a client is reckoned at, and a slot of its ring with state, version, place for reply and token. */
const clientBytes = 500;
const slotBytes = 25;
const free = 0;
/** State of a slot beside the kinds of records. */
const inFlight = 255;

export class ClientResults<Token> {
  readonly id: number;

  // Members that the table keeps here.
  partial = false;
  /** Something of the client is committed; else it is here for what is in flight. */
  committed = false;
  /** Bytes that it was reckoned at when it was named to be forgotten; -1: it was not. */
  namedBytes = -1;
  /** Neighbours in the order of the last committed record, oldest first. */
  older: ClientResults<Token> | undefined = undefined;
  newer: ClientResults<Token> | undefined = undefined;

  readonly #sums: OnceSums;
  #first = 1;
  #resultCount = 0;
  #inFlightCount = 0;
  #replyBytes = 0;
  /** Ring by number modulo size; all numbers in it are in [first, first + size). */
  #size = ringSizeMin;
  #states = new Uint8Array(ringSizeMin);
  #versions = new Float64Array(ringSizeMin);
  /** A reply, or the token of what is in flight. Sparse: most results have neither. */
  #replies: (Uint8Array | undefined)[] = [];
  #tokens: (Token | undefined)[] = [];

  constructor(id: number, sums: OnceSums) {
    this.id = id;
    this.#sums = sums;
    sums.bytes += this.bytes;
  }

  /** Smallest number that is still known: smaller ones are refused. */
  get first(): number {
    return this.#first;
  }

  get resultCount(): number {
    return this.#resultCount;
  }

  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  get replyBytes(): number {
    return this.#replyBytes;
  }

  /** Memory that all of it takes: an estimate. */
  get bytes(): number {
    return clientBytes + this.#size * slotBytes + this.#replyBytes;
  }

  /** Takes it out of the sums: nothing is known of the client any more. REQUIRES: no results; not used afterwards. */
  leave(): void {
    this.#sums.bytes -= this.bytes;
  }

  /** Undefined: never seen, or no more. REQUIRES: `number` is not below `first`. */
  find(number: number): KnownNumber<Token> | undefined {
    const slot = number - this.#first < this.#size ? number % this.#size : -1;
    const state = slot === -1 ? free : (this.#states[slot] ?? free);
    if (state === free) return undefined;
    if (state !== inFlight) return { kind: 'done', result: this.#resultAt(slot) };
    const token = this.#tokens[slot];
    assert(token !== undefined, 'what is in flight has a token');
    return { kind: 'in-flight', token };
  }

  /** Forgets the numbers below `first`. */
  raise(first: number): void {
    if (first <= this.#first) return;
    if (this.#resultCount + this.#inFlightCount > 0) {
      const end = Math.min(first, this.#first + this.#size);
      for (let number = this.#first; number < end; number++) this.#clear(number % this.#size);
    }
    this.#first = first;
  }

  /** REQUIRES: `number` is not below `first` and not known. */
  begin(number: number, token: Token): void {
    const slot = this.#slotFor(number);
    assert(this.#states[slot] === free, 'S15 a number is begun once');
    this.#states[slot] = inFlight;
    this.#tokens[slot] = token;
    this.#inFlightCount++;
  }

  /** Forgets a number that is in flight; false when it is not. */
  abandon(number: number): boolean {
    if (number < this.#first || number - this.#first >= this.#size) return false;
    const slot = number % this.#size;
    if (this.#states[slot] !== inFlight) return false;
    this.#clear(slot);
    return true;
  }

  abandonAll(): void {
    if (this.#inFlightCount === 0) return;
    for (let slot = 0; slot < this.#size; slot++) if (this.#states[slot] === inFlight) this.#clear(slot);
  }

  /** The first result of a number stays. REQUIRES: `number` is not below `first`. */
  complete(number: number, result: OnceResult): void {
    assert(result.kind !== recordKind.floor && result.kind !== recordKind.time, 'S15 results are of writes');
    const slot = this.#slotFor(number);
    const state = this.#states[slot];
    if (state === inFlight) this.#clear(slot);
    else if (state !== free) return;
    this.#states[slot] = result.kind;
    this.#versions[slot] = result.version;
    if (result.reply !== undefined) {
      this.#replies[slot] = result.reply;
      this.#replyBytes += result.reply.length;
      this.#sums.bytes += result.reply.length;
    }
    this.#resultCount++;
    this.#sums.results++;
  }

  /** Forgets all results; what is in flight goes on. */
  forgetResults(): void {
    for (let slot = 0; slot < this.#size; slot++) if (this.#states[slot] !== inFlight) this.#clear(slot);
  }

  /** Results of numbers from `from` on, in order, `countMax` at most. */
  results(from: number, countMax: number): OnceEntry[] {
    const entries: OnceEntry[] = [];
    const end = this.#first + this.#size;
    for (let number = Math.max(from, this.#first); number < end && entries.length < countMax; number++) {
      const slot = number % this.#size;
      const state = this.#states[slot];
      if (state !== free && state !== inFlight) entries.push({ number, ...this.#resultAt(slot) });
    }
    return entries;
  }

  // --- the ring ------------------------------------------------------------------------------------------------------

  /** Slot of a number, which the ring grows to hold. */
  #slotFor(number: number): number {
    if (number - this.#first >= this.#size) this.#grow(number);
    return number % this.#size;
  }

  #resultAt(slot: number): OnceResult {
    return {
      kind: kindOf(this.#states[slot] ?? 0),
      version: toVersion(this.#versions[slot] ?? 0),
      reply: this.#replies[slot],
    };
  }

  #clear(slot: number): void {
    const state = this.#states[slot];
    if (state === free) return;
    this.#states[slot] = free;
    if (state === inFlight) {
      this.#tokens[slot] = undefined;
      this.#inFlightCount--;
      return;
    }
    this.#resultCount--;
    this.#sums.results--;
    const reply = this.#replies[slot];
    if (reply === undefined) return;
    this.#replyBytes -= reply.length;
    this.#sums.bytes -= reply.length;
    this.#replies[slot] = undefined;
  }

  #grow(number: number): void {
    let size = this.#size;
    while (number - this.#first >= size) size *= 2;
    const states = new Uint8Array(size);
    const versions = new Float64Array(size);
    const replies: (Uint8Array | undefined)[] = [];
    const tokens: (Token | undefined)[] = [];
    for (let at = this.#first; at < this.#first + this.#size; at++) {
      const from = at % this.#size;
      const to = at % size;
      states[to] = this.#states[from] ?? 0;
      versions[to] = this.#versions[from] ?? 0;
      if (this.#replies[from] !== undefined) replies[to] = this.#replies[from];
      if (this.#tokens[from] !== undefined) tokens[to] = this.#tokens[from];
    }
    this.#sums.bytes += (size - this.#size) * slotBytes;
    this.#size = size;
    this.#states = states;
    this.#versions = versions;
    this.#replies = replies;
    this.#tokens = tokens;
  }
}

function kindOf(state: number): RecordKind {
  if (state === recordKind.put) return recordKind.put;
  if (state === recordKind.delete) return recordKind.delete;
  assert(state === recordKind.refusal, 'S15 results are of writes');
  return recordKind.refusal;
}
