/**
 * Rounds of syncs: which sync covers what (S3). A round is one sync of the device: what was written, reset or recorded
 * before it began is stable when it has returned, and who waited for that is answered. What comes meanwhile is for the
 * next round.
 *
 *   waiting, freed, `written` of dirty zones  --begin-->  covered, freeing, `syncing`
 *                                             --end---->  answered, free, `stable`
 *
 * Kept here: one round at a time; nothing is covered by a round that had begun before it was written.
 * Not here: what the answers say (answers.ts), the sync itself (the shell's), the zones (zone-table.ts) but for their
 * `stable` and `syncing`.
 */
import { assert } from '../../base/assert.ts';
import type { HeldZone } from './zone-table.ts';

export interface EndedRound<Waiter> {
  /** Waiters that the round covered, in the order in which they came. */
  readonly answered: readonly Waiter[];
  /** Device zones whose resets are stable now. */
  readonly free: readonly number[];
}

export class SyncRounds<Waiter> {
  /** Zones with bytes that are not stable. */
  readonly #dirty = new Set<HeldZone>();
  /** Whether anything was written or changed since the last round began. */
  #unsynced = false;
  #underWay = false;
  #waiting: Waiter[] = [];
  #covered: Waiter[] = [];
  /** Device zones that were reset: since the round began, and before. */
  #freed: number[] = [];
  #freeing: number[] = [];

  /** Whether everything is stable. */
  get isQuiet(): boolean {
    return !this.#unsynced && !this.#underWay;
  }

  /** Something was recorded that must become stable. */
  changed(): void {
    this.#unsynced = true;
  }

  /** Bytes were written into the zone. */
  wrote(zone: HeldZone): void {
    this.#unsynced = true;
    this.#dirty.add(zone);
  }

  /** The zone was finished or reset: no more of its bytes become stable. */
  closed(zone: HeldZone): void {
    this.#dirty.delete(zone);
  }

  /** The device zone was reset: it is free when that is stable. */
  freed(deviceZone: number): void {
    this.#unsynced = true;
    this.#freed.push(deviceZone);
  }

  /** Whoever waits is answered by the end of the next round that begins. */
  wait(waiter: Waiter): void {
    this.#unsynced = true;
    this.#waiting.push(waiter);
  }

  /** Begins a round: true when a sync is to begin now. */
  begin(): boolean {
    if (this.#underWay || !this.#unsynced) return false;
    this.#underWay = true;
    this.#unsynced = false;
    this.#covered = this.#waiting;
    this.#waiting = [];
    this.#freeing = this.#freed;
    this.#freed = [];
    for (const zone of this.#dirty) zone.syncing = zone.written;
    return true;
  }

  /** The sync has returned. */
  end(): EndedRound<Waiter> {
    assert(this.#underWay, 'S3 a sync that returned had begun');
    this.#underWay = false;
    for (const zone of this.#dirty) {
      zone.stable = Math.max(zone.stable, Math.min(zone.syncing, zone.written));
      if (zone.stable === zone.written) this.#dirty.delete(zone);
    }
    const ended = { answered: this.#covered, free: this.#freeing };
    this.#covered = [];
    this.#freeing = [];
    return ended;
  }

  /** No sync will ever make anything stable again (S17): gives all who wait. */
  fail(): readonly Waiter[] {
    const waiters = [...this.#covered, ...this.#waiting];
    this.#covered = [];
    this.#waiting = [];
    return waiters;
  }
}
