/**
 * A set of configurations of the search: which calls have been placed (a bit each) and the state after them. Exact:
 * equal hashes are compared in full. Open addressing over two growing arrays, since millions of small objects would
 * cost more than the search.
 */
import { present } from '../../src/base/assert.ts';
import type { RegisterState } from './register.ts';

const stateNumbers = 3;
/** Entries to begin with: for most keys a few dozen are enough. */
const firstCapacity = 32;

export class Configurations {
  readonly #words: number;
  readonly #bytesMax: number;
  #count = 0;
  #slots = new Int32Array(2 * firstCapacity).fill(-1);
  #hashes = new Int32Array(firstCapacity);
  #bits: Int32Array;
  #states = new Float64Array(firstCapacity * stateNumbers);

  /** `bytesMax` bounds what the entries take. */
  constructor(words: number, bytesMax: number) {
    this.#words = words;
    this.#bytesMax = bytesMax;
    this.#bits = new Int32Array(firstCapacity * words);
  }

  get count(): number {
    return this.#count;
  }

  /** `full`: not added, the memory allowed is used up. `setHash` is a hash of `bits`. */
  add(bits: Int32Array, setHash: number, state: RegisterState): 'added' | 'known' | 'full' {
    const hash = mix(setHash, state);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let entry = this.#slots[slot] ?? -1; entry >= 0; entry = this.#slots[slot] ?? -1) {
      if (this.#hashes[entry] === hash && this.#equals(entry, bits, state)) return 'known';
      slot = (slot + 1) & mask;
    }
    if (this.#count === this.#hashes.length && !this.#grow()) return 'full';
    this.#slots[this.#slots.length === mask + 1 ? slot : this.#freeSlot(hash)] = this.#count;
    this.#hashes[this.#count] = hash;
    this.#bits.set(bits, this.#count * this.#words);
    this.#states.set([state.value, state.version, state.floor], this.#count * stateNumbers);
    this.#count++;
    return 'added';
  }

  #equals(entry: number, bits: Int32Array, state: RegisterState): boolean {
    const at = entry * stateNumbers;
    const states = this.#states;
    if (states[at] !== state.value || states[at + 1] !== state.version || states[at + 2] !== state.floor) return false;
    const start = entry * this.#words;
    for (let word = 0; word < this.#words; word++) if (this.#bits[start + word] !== bits[word]) return false;
    return true;
  }

  #freeSlot(hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (present(this.#slots[slot], 'slot') >= 0) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): boolean {
    const capacity = this.#hashes.length * 2;
    // Two slots, a hash, the bits and the state of each.
    if (capacity * (12 + 4 * this.#words + 8 * stateNumbers) > this.#bytesMax) return false;
    this.#hashes = copyInto(new Int32Array(capacity), this.#hashes);
    this.#bits = copyInto(new Int32Array(capacity * this.#words), this.#bits);
    this.#states = copyInto(new Float64Array(capacity * stateNumbers), this.#states);
    this.#slots = new Int32Array(capacity * 2).fill(-1);
    for (let entry = 0; entry < this.#count; entry++)
      this.#slots[this.#freeSlot(present(this.#hashes[entry], 'hash'))] = entry;
    return true;
  }
}

function copyInto<T extends Int32Array | Float64Array>(target: T, source: T): T {
  target.set(source);
  return target;
}

function mix(setHash: number, state: RegisterState): number {
  let hash = setHash ^ Math.imul(state.value, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) ^ Math.imul(state.version % 0x7fffffff, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 13), 0x27d4eb2f) ^ Math.imul(state.floor % 0x7fffffff, 0x165667b1);
  return hash ^ (hash >>> 16);
}
