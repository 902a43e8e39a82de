/**
 * Reads of an owner and their confirmation (S7), as raft's read-only queue (etcd-io/raft, `read_only.go`):
 *
 *   add      a read was called
 *   send     at the end of the turn: all new reads are looked up, and one Confirm goes to all replicas of the open zone
 *   release  all replicas have answered that Confirm or a later one (a batch sent later counts, too): answer the reads
 *   again    the zone was changed: what still waits is confirmed by the replicas of the new one (S6)
 *
 * Numbers of confirmations and batches come from one counter, so that a commit confirms what was called before its
 * batch was sent. It owns the reads until they are released or failed. It does not own which replica said what (the
 * zone's writer does), nor the value's way from a replica (the shell does).
 * Walk: GET 2/5.
 */
import { assert } from '../../../base/assert.ts';
import type { Millis } from '../../../base/ids.ts';
import type { ShardState } from '../following/apply.ts';
import type { ShardEffect } from '../events.ts';
import { lookUp } from '../look-up.ts';
import type { Failure, ShardRead } from '../requests.ts';
import type { Confirmation, ZoneWriter } from './zone-writer.ts';

/** Reads of one turn. */
interface Group {
  /** Number of the confirmation, sent after the reads were called. */
  number: number;
  sentMs: Millis;
  readonly reads: readonly ShardRead[];
}

export class OwnerReads {
  readonly #state: ShardState;
  readonly #effects: ShardEffect[];
  readonly #queueRecordsMax: number;
  /** Reads called in this turn, or while the zone was changed. */
  #called: ShardRead[] = [];
  /** Reads whose confirmation is under way, oldest first. */
  #groups: Group[] = [];
  #number = 0;

  constructor(state: ShardState, effects: ShardEffect[], queueRecordsMax: number) {
    this.#queueRecordsMax = queueRecordsMax;
    this.#state = state;
    this.#effects = effects;
  }

  /** The next number of a confirmation or batch. */
  nextNumber(): number {
    return ++this.#number;
  }

  /** How many reads wait for the end of the turn. */
  get called(): number {
    return this.#called.length;
  }

  /** The confirmation that has waited longest. */
  get oldest(): Confirmation | undefined {
    return this.#groups[0];
  }

  /** False: too many wait, and the read was not taken. */
  add(read: ShardRead, nowMs: Millis): boolean {
    read.arrivedMs = nowMs;
    if (this.#called.length >= this.#queueRecordsMax) return false;
    this.#called.push(read);
    return true;
  }

  /** S7: what the index says now, which is committed, and a confirmation that is sent after all of them were called. */
  send(zone: ZoneWriter, nowMs: Millis): void {
    const reads = this.#called;
    if (reads.length === 0) return;
    this.#called = [];
    for (const read of reads) lookUp(this.#state, read, this.#effects);
    this.#groups.push({ number: this.#confirm(zone), sentMs: nowMs, reads });
  }

  /** S6: the replicas of the new zone confirm what still waits. */
  again(zone: ZoneWriter, nowMs: Millis): void {
    if (this.#groups.length === 0) return;
    const number = this.#confirm(zone);
    for (const group of this.#groups) {
      group.number = number;
      group.sentMs = nowMs;
    }
  }

  #confirm(zone: ZoneWriter): number {
    const number = this.nextNumber();
    const { zone: id, epoch, instance, replicas } = zone;
    this.#effects.push({ effect: 'confirm', zone: id, epoch, instance, number, loggers: replicas });
    return number;
  }

  /** S7: answers those that all replicas of the open zone have confirmed. */
  release(zone: ZoneWriter): void {
    if (this.#groups.length === 0) return;
    const confirmed = zone.confirmedByAll;
    while (this.#groups[0] !== undefined && this.#groups[0].number <= confirmed) {
      const { number, reads } = this.#groups[0];
      assert(zone.missing(0, number).length === 0, 'S7 a read waits for all replicas of the open zone');
      this.#groups.shift();
      for (const read of reads) this.#effects.push({ effect: 'release', read });
    }
  }

  /** Those that arrived before `beforeMs` fail. */
  refuseLate(beforeMs: number, failure: () => Failure): void {
    const isLate = (read: ShardRead): boolean => read.arrivedMs < beforeMs;
    const late = this.#groups.flatMap(({ reads }) => reads.filter(isLate));
    if (late.length > 0)
      this.#groups = this.#groups.map((group) => ({ ...group, reads: group.reads.filter((read) => !isLate(read)) }));
    const lateCalled = this.#called.filter(isLate);
    if (lateCalled.length > 0) this.#called = this.#called.filter((read) => !isLate(read));
    this.#fail([...late, ...lateCalled], failure);
  }

  /** All fail: their owner is none any more. */
  refuseAll(failure: () => Failure): void {
    const reads = [...this.#groups.flatMap((group) => group.reads), ...this.#called];
    this.#groups = [];
    this.#called = [];
    this.#fail(reads, failure);
  }

  #fail(reads: readonly ShardRead[], failure: () => Failure): void {
    for (const read of reads) this.#effects.push({ effect: 'fail-read', read, failure: failure() });
  }
}
