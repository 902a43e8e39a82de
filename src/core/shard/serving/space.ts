/**
 * Want of space at the replicas of an open zone. A replica that refuses a batch for want of space has written nothing
 * of it, nor of those behind it. So when all replicas have refused all that is in flight, none of it exists anywhere:
 * it is withdrawn, its puts are refused as not applied, and the zone stays open; reads never notice.
 *
 *   in flight --refused by all--> withdrawn        --refused by some--> the zone is left
 *
 * It owns who refused how much of what is in flight, and until when puts and deletes are refused at once. It does not
 * own the batches (zone-writer.ts), nor what becomes of the zone (owner.ts).
 */
import type { Millis, Uuid } from '../../../base/ids.ts';
import { times } from '../../../base/times.ts';
import type { LoggerRefusalCode } from '../../../codec/logger-protocol.ts';
import type { WriteOperation } from '../requests.ts';
import type { ZoneWriter } from './zone-writer.ts';

/** What the replicas say of all that is in flight: `open`, some have not answered; nobody refused; some did; all. */
export type SpaceVerdict = 'open' | 'enough' | 'uneven' | 'none';

export class Space {
  /** Batches in flight that each replica of the open zone refused. */
  #refusals = new Map<Uuid, number>();
  #putsUntilMs = 0;
  #deletesUntilMs = 0;

  /** Whether a refusal of an append means that nothing of it was written for want of space. */
  isRefusal(logger: Uuid, reason: LoggerRefusalCode | 'lost'): boolean {
    if (reason === 'device-full') return true;
    // A batch behind one that was refused does not lie at the write pointer, or its zone was not even created.
    return this.#refusals.has(logger) && (reason === 'not-at-write-pointer' || reason === 'unknown-zone');
  }

  /** The replica refused the next batch in flight. */
  refused(logger: Uuid): void {
    this.#refusals.set(logger, (this.#refusals.get(logger) ?? 0) + 1);
  }

  /** No new batch is sent while one in flight was refused. */
  get isRefusing(): boolean {
    return this.#refusals.size > 0;
  }

  verdict(zone: ZoneWriter): SpaceVerdict {
    if (this.#refusals.size === 0) return 'enough';
    const count = zone.inFlight.length;
    const refusals = zone.replicas.map((logger) => this.#refusals.get(logger) ?? 0);
    const answers = zone.replicas.map((logger, at) => zone.acknowledgedOf(logger) + (refusals[at] ?? 0));
    if (answers.some((answered) => answered < count)) return 'open';
    return refusals.every((refused) => refused === count) ? 'none' : 'uneven';
  }

  /** The batches are withdrawn, or the zone is another one. */
  forget(): void {
    this.#refusals = new Map();
  }

  /** There was no space for `operation` now: it is refused for a while. No space for deletes is none for puts. */
  noneFor(operation: WriteOperation, nowMs: Millis): void {
    this.#putsUntilMs = nowMs + times.diskFullRetryMs;
    if (operation === 'delete') this.#deletesUntilMs = this.#putsUntilMs;
  }

  isFullFor(operation: WriteOperation, nowMs: Millis): boolean {
    return nowMs < (operation === 'put' ? this.#putsUntilMs : this.#deletesUntilMs);
  }
}
