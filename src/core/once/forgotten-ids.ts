/**
 * Client ids that a shard has forgotten (S15): all up to a floor, and some ranges above it.
 *
 *   ids    1 ........ floor    floor+1 ...   [low..high]  ...  [low..high]  ...
 *          forgotten           as known      forgotten         forgotten
 *
 * Ids are leased in blocks, so the order in which clients come is not the order of their ids, and one large id must not
 * pass sentence on all that are smaller. The floor therefore rises in order, from the lowest range, and only when there
 * are more ranges than are kept: then some id that never was here counts as forgotten, which is safe (an honest
 * "unknown"), while the reverse is not.
 *
 * What it holds is a function of the ids added, in their order: equal at the owner, at standbys and after a replay from
 * a snapshot. Adding an id again changes nothing.
 */
import { assert } from '../../base/assert.ts';
import type { ClientIdRange } from '../../codec/index-snapshot.ts';

export class ForgottenIds {
  readonly #rangesMax: number;
  #floor = 0;
  /** Above the floor, in order, with at least one id between neighbours. */
  #ranges: ClientIdRange[] = [];

  /** `rangesMax`: 0 or more. */
  constructor(rangesMax: number) {
    this.#rangesMax = rangesMax;
  }

  /** All ids up to it are forgotten. */
  get floor(): number {
    return this.#floor;
  }

  get ranges(): readonly ClientIdRange[] {
    return this.#ranges;
  }

  has(id: number): boolean {
    if (id <= this.#floor) return true;
    const range = this.#ranges[this.#place(id)];
    return range !== undefined && range.low <= id;
  }

  add(id: number): void {
    if (this.has(id)) return;
    const at = this.#place(id);
    const [before, after] = [this.#ranges[at - 1], this.#ranges[at]];
    const joinsBefore = before !== undefined && before.high === id - 1;
    const joinsAfter = after !== undefined && after.low === id + 1;
    const joined = { low: joinsBefore ? before.low : id, high: joinsAfter ? after.high : id };
    this.#ranges.splice(joinsBefore ? at - 1 : at, Number(joinsBefore) + Number(joinsAfter), joined);
    this.#raise();
  }

  /** Takes over what a snapshot holds. REQUIRES: nothing was added yet; ranges are in order and above the floor. */
  restore(floor: number, ranges: readonly ClientIdRange[]): void {
    assert(this.#floor === 0 && this.#ranges.length === 0, 'S15 a snapshot comes first');
    this.#floor = floor;
    this.#ranges = [...ranges];
    this.#raise();
  }

  /** Index of the first range that ends at `id` or above it. */
  #place(id: number): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle]?.high ?? 0) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** A range that touches the floor joins it; so does the lowest one while there are too many. */
  #raise(): void {
    for (let lowest = this.#ranges[0]; lowest !== undefined; lowest = this.#ranges[0]) {
      if (lowest.low > this.#floor + 1 && this.#ranges.length <= this.#rangesMax) return;
      this.#floor = lowest.high;
      this.#ranges.shift();
    }
  }
}
