/**
 * Upkeep of the zones of a shard that ended, while this process owns it (S10): copies that lack are made, suspected
 * ones examined, all of them read in turn.
 *
 *   scrubber --suspicion--> examiner --damaged--> repairer --list, copy--> the head
 *
 * It owns which of them hears of an event, and that the scrub makes way for the others. It does not own what they do.
 */
import type { Millis, Uuid, ZoneId } from '../../../base/ids.ts';
import type { LoggerRefusalCode } from '../../../codec/logger-protocol.ts';
import type { Copied, LogRead, Lost, Refused } from '../events.ts';
import { Examiner } from './examiner.ts';
import type { RepairParts, RepairStatus } from './repairer.ts';
import { Repairer } from './repairer.ts';
import type { ScrubStatus } from './scrubber.ts';
import { Scrubber } from './scrubber.ts';

export class Upkeep {
  readonly #repairer: Repairer;
  readonly #examiner: Examiner;
  readonly #scrubber: Scrubber;

  constructor(parts: RepairParts, nowMs: Millis) {
    this.#repairer = new Repairer(parts, nowMs);
    this.#examiner = new Examiner(parts, this.#repairer);
    this.#scrubber = new Scrubber(parts, this.#examiner, nowMs);
  }

  get repair(): RepairStatus {
    return this.#repairer.status;
  }

  get scrub(): ScrubStatus {
    return this.#scrubber.status;
  }

  /** Copies that were read, are damaged and listed still. */
  get damagedCopies(): number {
    return this.#examiner.damaged;
  }

  tick(nowMs: Millis): void {
    this.#examiner.tick(nowMs);
    this.#repairer.tick(nowMs);
    this.#scrubber.tick(nowMs, this.#repairer.isCopying || this.#examiner.isReading);
  }

  copied(logger: Uuid, zone: ZoneId, answer: Copied | Lost | Refused): void {
    this.#repairer.copied(logger, zone, answer);
  }

  lacking(logger: Uuid, zone: ZoneId): void {
    this.#repairer.lacking(logger, zone);
  }

  suspect(logger: Uuid, zone: ZoneId): void {
    this.#examiner.suspect(logger, zone);
  }

  logRead(request: LogRead, bytes: Uint8Array | undefined, refused?: LoggerRefusalCode): void {
    if (request.reader === 'repair') this.#repairer.logRead(request, bytes, refused);
    if (request.reader === 'examine') this.#examiner.logRead(request, bytes, refused);
    if (request.reader === 'scrub') this.#scrubber.logRead(request, bytes, refused);
  }

  /** A listing was answered, or never will be. */
  transacted(): void {
    this.#repairer.transacted();
  }

  /** The head was read, or could not be. */
  loaded(): void {
    this.#repairer.loaded();
  }
}
