/** Reads that were looked up and wait for their confirmation (S7), in groups of one turn, oldest first. */
import type { Millis } from '../../base/ids.ts';
import type { ShardRead } from './requests.ts';

export interface ReadGroup {
  /** Of the confirmation, sent after the reads were called. */
  number: number;
  sentMs: Millis;
  readonly reads: readonly ShardRead[];
}

export class ReadGroups {
  #groups: ReadGroup[] = [];

  get oldest(): ReadGroup | undefined {
    return this.#groups[0];
  }

  add(group: ReadGroup): void {
    this.#groups.push(group);
  }

  /** Those that a confirmation up to `number` covers. */
  takeConfirmed(number: number): ShardRead[] {
    const confirmed: ShardRead[] = [];
    while (this.#groups[0] !== undefined && this.#groups[0].number <= number)
      confirmed.push(...(this.#groups.shift()?.reads ?? []));
    return confirmed;
  }

  /** S6: all are confirmed again, by the new zone's replicas. */
  confirmAgain(number: number, nowMs: Millis): void {
    for (const group of this.#groups) {
      group.number = number;
      group.sentMs = nowMs;
    }
  }

  /** Those that arrived before `beforeMs`. */
  takeOlder(beforeMs: number): ShardRead[] {
    const late = this.#groups.flatMap(({ reads }) => reads.filter((read) => read.arrivedMs < beforeMs));
    if (late.length > 0)
      this.#groups = this.#groups.map((group) => ({
        ...group,
        reads: group.reads.filter((read) => read.arrivedMs >= beforeMs),
      }));
    return late;
  }

  takeAll(): ShardRead[] {
    return this.#groups.splice(0).flatMap(({ reads }) => reads);
  }
}
