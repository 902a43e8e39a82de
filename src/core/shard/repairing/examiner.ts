/**
 * Copies of zones that ended in which a read met damage: the owner reads each through before it believes it, so that
 * nobody's word takes an intact copy off a list (S10). A damaged one leaves the list while another is listed, and is
 * repaired like any that a zone lacks (repairer.ts).
 *
 *   suspected --zone has ended--> reading --all good--> dismissed
 *                                    '--damaged--> damaged --listed no more--> forgotten
 *
 * It owns which copies are suspected, and the reading. It does not own the lists, nor the copying (repairer.ts).
 */
import type { Millis, Uuid, ZoneId } from '../../../base/ids.ts';
import { limits } from '../../../base/limits.ts';
import { times } from '../../../base/times.ts';
import type { LoggerRefusalCode } from '../../../codec/logger-protocol.ts';
import type { LogRead } from '../events.ts';
import { LogReader } from '../following/log-reader.ts';
import { isDamage } from './copier.ts';
import { CopyPace } from './copy-pace.ts';
import type { Repairer, RepairParts } from './repairer.ts';

/** Copy of a zone, open still or ended. */
interface Suspect {
  readonly zone: ZoneId;
  readonly logger: Uuid;
  isDamaged: boolean;
  /** When it is looked at next. */
  atMs: number;
}

export class Examiner {
  readonly #parts: RepairParts;
  readonly #repairer: Repairer;
  readonly #pace: CopyPace;
  readonly #suspects = new Map<string, Suspect>();
  #reading: { readonly suspect: Suspect; readonly reader: LogReader } | undefined;

  constructor(parts: RepairParts, repairer: Repairer) {
    this.#parts = parts;
    this.#repairer = repairer;
    this.#pace = new CopyPace(parts.settings.repairBytesPerSecond);
  }

  /** Copies that were read, are damaged and listed still: for a moment, or since no other is listed. */
  get damaged(): number {
    return [...this.#suspects.values()].filter(({ isDamaged }) => isDamaged).length;
  }

  get isReading(): boolean {
    return this.#reading !== undefined;
  }

  /** Somebody met damage. What is not listed, or beyond the limit, is not noted: a later read will meet it again. */
  suspect(logger: Uuid, zone: ZoneId): void {
    const name = `${zone}/${logger}`;
    if (!this.#isListed(zone, logger)) return;
    if (this.#suspects.has(name) || this.#suspects.size >= limits.suspectCopiesMax) return;
    this.#suspects.set(name, { zone, logger, isDamaged: false, atMs: 0 });
  }

  tick(nowMs: Millis): void {
    for (const [name, { zone, logger }] of this.#suspects)
      if (!this.#isListed(zone, logger)) this.#suspects.delete(name);
    if (this.#reading === undefined) this.#begin(nowMs);
    const reader = this.#reading?.reader;
    if (reader === undefined || !this.#pace.isDue(nowMs)) return;
    reader.goOn();
    this.#pace.took(reader.askedBytes, nowMs);
    // It is away: who knows what it holds.
    if (reader.state === 'stuck') this.#reading = undefined;
  }

  logRead(request: LogRead, bytes: Uint8Array | undefined, refused?: LoggerRefusalCode): void {
    const { suspect, reader } = this.#reading ?? {};
    if (suspect === undefined || reader === undefined) return;
    reader.answer(request, bytes, refused);
    if (reader.state !== 'done' && reader.failed.size === 0) return;
    this.#reading = undefined;
    if (reader.state === 'done') this.#suspects.delete(`${suspect.zone}/${suspect.logger}`);
    else if (isDamage(bytes, refused)) this.#found(suspect, reader.position);
  }

  /** One of an open zone waits for the zone's end. */
  #isListed(zone: ZoneId, logger: Uuid): boolean {
    const { keeper } = this.#parts;
    const open = keeper.head?.openZone;
    const listed = zone === open?.zone ? open : keeper.sealedZone(zone);
    return listed?.replicas.includes(logger) === true;
  }

  #begin(nowMs: Millis): void {
    const { keeper, loggers, identity, effects, settings } = this.#parts;
    for (const suspect of this.#suspects.values()) {
      const { zone, logger, isDamaged, atMs } = suspect;
      const sealed = keeper.sealedZone(zone);
      if (sealed === undefined || nowMs < atMs || !loggers.isUp(logger)) continue;
      suspect.atMs = nowMs + times.repairAgainMs;
      // The only listed copy: it leaves the list when there is another.
      if (isDamaged) {
        this.#repairer.lacking(logger, zone);
        continue;
      }
      const { logChunkBytes } = settings.limits;
      const ignored = (): undefined => undefined;
      const reader = new LogReader('examine', identity, loggers, effects, ignored, ignored, logChunkBytes, true);
      const { epoch, instance, length } = sealed;
      reader.start([{ zone, epoch, instance, from: 0, to: length, holders: [logger] }]);
      this.#reading = { suspect, reader };
      return;
    }
  }

  #found(suspect: Suspect, offset: number): void {
    suspect.isDamaged = true;
    const { identity, effects } = this.#parts;
    const { zone, logger } = suspect;
    const fields = { shard: identity.shard, zone, logger, offset };
    effects.push({ effect: 'note', level: 'error', text: 'copy damaged', fields });
    this.#repairer.lacking(logger, zone);
  }
}
