/**
 * The scrub: the owner of a shard reads every listed copy of its zones that ended, one after another, slowly, always,
 * so that damage is found while other copies are good. What it finds is a suspicion like any other: the examiner reads
 * the copy anew before it is believed (examiner.ts).
 *
 *   resting --time has come--> between copies <--good, suspected, out of reach--> reading
 *      ^                           |
 *      '------all had their turn---'
 *
 * Nothing else waits for it: it asks for a piece at a time, at a pace of its own, and for none while copies are made or
 * examined. Its place is not kept: another owner, or the same one started again, begins anew, at another zone.
 *
 * It owns when and what is read. It does not own the order (scrub-pass.ts), nor what becomes of a damaged copy.
 */
import type { Millis, ZoneId } from '../../../base/ids.ts';
import { times } from '../../../base/times.ts';
import type { LoggerRefusalCode } from '../../../codec/logger-protocol.ts';
import type { LogRead } from '../events.ts';
import { LogReader } from '../following/log-reader.ts';
import { isDamage } from './copier.ts';
import { CopyPace } from './copy-pace.ts';
import type { Examiner } from './examiner.ts';
import type { RepairParts } from './repairer.ts';
import type { ListedCopy } from './scrub-pass.ts';
import { ScrubPass } from './scrub-pass.ts';

export interface ScrubStatus {
  /** Rounds that this owner has ended. */
  readonly passes: number;
  /** When the last of them ended; undefined: none has. */
  readonly endedMs: Millis | undefined;
  /** Zone of the copy that is being read; undefined: none is. */
  readonly zone: ZoneId | undefined;
  /** Whether a round is under way; else the next two are of the last one. */
  readonly isUnderWay: boolean;
  /** Copies that had their turn, ... */
  readonly checked: number;
  /** ... of them those that could not be read, since their loggers were away or did not answer. */
  readonly unreached: number;
  /** Copies that are listed now. */
  readonly listed: number;
  /** Copies in which it met damage, in all its rounds. */
  readonly damaged: number;
}

export class Scrubber {
  readonly #parts: RepairParts;
  readonly #examiner: Examiner;
  readonly #pace: CopyPace;
  #pass: ScrubPass | undefined;
  #reading: { readonly copy: ListedCopy; readonly reader: LogReader } | undefined;
  /** When the next round may begin. */
  #beginMs: number;
  #passes = 0;
  #endedMs: Millis | undefined;
  #checked = 0;
  #unreached = 0;
  #damaged = 0;

  constructor(parts: RepairParts, examiner: Examiner, nowMs: Millis) {
    this.#parts = parts;
    this.#examiner = examiner;
    const { scrubBytesPerSecond, scrubEveryMs } = parts.settings;
    this.#pace = new CopyPace(scrubBytesPerSecond);
    this.#beginMs = nowMs + Math.min(times.scrubDelayMs, scrubEveryMs);
  }

  get status(): ScrubStatus {
    const { zones } = this.#parts.keeper.metadata;
    const listed = zones.reduce((sum, { length, replicas }) => sum + (length === 0 ? 0 : replicas.length), 0);
    const place = { zone: this.#reading?.copy.zone.zone, isUnderWay: this.#pass !== undefined, listed };
    const counts = { checked: this.#checked, unreached: this.#unreached, damaged: this.#damaged };
    return { passes: this.#passes, endedMs: this.#endedMs, ...place, ...counts };
  }

  /** `isBusy`: copies are being made or examined, which goes first. */
  tick(nowMs: Millis, isBusy: boolean): void {
    if (isBusy || this.#parts.settings.scrubBytesPerSecond === 0) return;
    if (this.#reading === undefined) this.#begin(nowMs);
    const reader = this.#reading?.reader;
    if (reader === undefined || !this.#pace.isDue(nowMs)) return;
    reader.goOn();
    this.#pace.took(reader.askedBytes, nowMs);
    if (reader.state === 'stuck') this.#notReached();
  }

  logRead(request: LogRead, bytes: Uint8Array | undefined, refused?: LoggerRefusalCode): void {
    const { copy, reader } = this.#reading ?? {};
    if (copy === undefined || reader === undefined) return;
    reader.answer(request, bytes, refused);
    if (reader.state === 'done') this.#reading = undefined;
    else if (reader.failed.size === 0) return;
    else if (isDamage(bytes, refused)) this.#found(copy);
    else this.#notReached();
  }

  #found({ zone, logger }: ListedCopy): void {
    this.#reading = undefined;
    this.#damaged += 1;
    const { identity, effects } = this.#parts;
    const fields = { shard: identity.shard, zone: zone.zone, logger };
    effects.push({ effect: 'note', level: 'warn', text: 'scrub met damage', fields });
    this.#examiner.suspect(logger, zone.zone);
  }

  #notReached(): void {
    this.#reading = undefined;
    this.#unreached += 1;
  }

  /** One copy has its turn, no more: a shard may have many that are out of reach. */
  #begin(nowMs: Millis): void {
    const { keeper, loggers, by } = this.#parts;
    const { zones } = keeper.metadata;
    if (this.#pass === undefined) {
      if (nowMs < this.#beginMs) return;
      this.#beginMs = nowMs + this.#parts.settings.scrubEveryMs;
      this.#pass = new ScrubPass(zones, by.epoch);
      this.#checked = 0;
      this.#unreached = 0;
    }
    const copy = this.#pass.next(zones);
    if (copy === undefined) return this.#end(nowMs);
    this.#checked += 1;
    if (loggers.isUp(copy.logger)) this.#read(copy);
    else this.#unreached += 1;
  }

  #read(copy: ListedCopy): void {
    const { loggers, identity, effects, settings } = this.#parts;
    const ignored = (): undefined => undefined;
    const { logChunkBytes } = settings.limits;
    const reader = new LogReader('scrub', identity, loggers, effects, ignored, ignored, logChunkBytes, true);
    const { zone, epoch, instance, length } = copy.zone;
    reader.start([{ zone, epoch, instance, from: 0, to: length, holders: [copy.logger] }]);
    this.#reading = { copy, reader };
  }

  #end(nowMs: Millis): void {
    this.#pass = undefined;
    this.#passes += 1;
    this.#endedMs = nowMs;
    if (this.#checked === 0) return;
    const { identity, effects } = this.#parts;
    const fields = { shard: identity.shard, copies: this.#checked, unreached: this.#unreached, damaged: this.#damaged };
    effects.push({ effect: 'note', level: 'info', text: 'copies scrubbed', fields });
  }
}
