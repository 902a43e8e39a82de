/**
 * Callbacks that wait for answers: request ids handed out in order, each with a place in a ring. Not a `Map`: one whose
 * entries come and go is rebuilt every few hundred requests, and V8 lets each table that was given up point to the one
 * after it. Once one of them has grown old, the garbage of all later ones survives the collections of the young: half
 * of a busy client's memory, and a third of its processor time.
 */
import { assert } from '../base/assert.ts';

/** Ids are u32. */
export const idCount = 2 ** 32;
const ringSizeMin = 16;

export class WaitingAnswers<Waiting> {
  count = 0;
  #nextId = 1;
  /** Ids in use, each at `id & mask`; at most half of the places are taken. */
  #ids = new Uint32Array(ringSizeMin);
  #waiting: (Waiting | undefined)[] = new Array<Waiting | undefined>(ringSizeMin).fill(undefined);
  #mask = ringSizeMin - 1;

  /** An id that nobody waits for, for `add`. */
  takeId(): number {
    if (this.count * 2 > this.#mask) this.#grow();
    // At most as many steps as wait, and one as a rule: answers come about in the order of the requests.
    while (this.#waiting[this.#nextId & this.#mask] !== undefined) this.#nextId = (this.#nextId + 1) % idCount;
    const id = this.#nextId;
    this.#nextId = (id + 1) % idCount;
    return id;
  }

  /** REQUIRES: the id is the one taken last. */
  add(id: number, waiting: Waiting): void {
    const place = id & this.#mask;
    assert(this.#waiting[place] === undefined, 'a place is free that was taken last');
    this.#ids[place] = id;
    this.#waiting[place] = waiting;
    this.count++;
  }

  /** Gives who waits for this answer; nobody does after it. */
  remove(id: number): Waiting | undefined {
    const place = id & this.#mask;
    const waiting = this.#waiting[place];
    if (waiting === undefined || this.#ids[place] !== id) return undefined;
    this.#waiting[place] = undefined;
    this.count--;
    return waiting;
  }

  /** Removes all; in the order of their requests. */
  removeAll(): Waiting[] {
    const ageOf = (id: number): number => (this.#nextId - id + idCount) % idCount;
    const ids = [...this.#ids]
      .filter((_, place) => this.#waiting[place] !== undefined)
      .sort((a, b) => ageOf(b) - ageOf(a));
    return ids.flatMap((id) => this.remove(id) ?? []);
  }

  /** Ids that have places of their own in a ring have them in one of twice its size. */
  #grow(): void {
    const ids = this.#ids;
    const waiting = this.#waiting;
    const size = 2 * waiting.length;
    this.#mask = size - 1;
    this.#ids = new Uint32Array(size);
    this.#waiting = new Array<Waiting | undefined>(size).fill(undefined);
    this.count = 0;
    for (const [place, one] of waiting.entries()) if (one !== undefined) this.add(ids[place] ?? 0, one);
  }
}
