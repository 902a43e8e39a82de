/**
 * Gives the zones of a shard back the copies that they lack, while this process owns it: one copy after another, listed
 * when it is proven (S10).
 *
 *   looking --a zone lacks a copy--> copying (copier.ts) --proven--> listing --seen in the zone's entry--> looking
 *
 * A holder that was found to lack what it is listed for leaves the list first, and is then a target like any other. One
 * that is to leave goes when others hold what it does (departures.ts).
 * Nothing here is urgent: a change of the open zone takes the head's transaction over (head-keeper.ts), and the listing
 * is tried again.
 *
 * It owns which copy is under way and the lists. It does not own the open zone (zone-change.ts), nor orders to delete.
 */
import type { Millis, Uuid, ZoneId } from '../../../base/ids.ts';
import { times } from '../../../base/times.ts';
import type { Writer } from '../../../codec/log-format.ts';
import type { LoggerRefusalCode } from '../../../codec/logger-protocol.ts';
import type { Copied, LogRead, Lost, Refused, ShardEffect, ShardIdentity, ShardSettings } from '../events.ts';
import { relisted } from '../head/head-edits.ts';
import type { HeadKeeper } from '../head/head-keeper.ts';
import type { SealedZone } from '../head/metadata.ts';
import type { Loggers } from '../loggers.ts';
import { Copier } from './copier.ts';
import type { Departure } from './departures.ts';
import { nextDeparture, withoutDeparted } from './departures.ts';
import { CopyPace } from './copy-pace.ts';
import type { CopyTask, Presence } from './missing.ts';
import { lackingCopies, nextCopy } from './missing.ts';

export interface RepairParts {
  readonly identity: ShardIdentity;
  readonly settings: ShardSettings;
  readonly loggers: Loggers;
  readonly keeper: HeadKeeper;
  readonly effects: ShardEffect[];
  /** Owner that orders copies: this process, in its epoch. */
  readonly by: Writer;
}

export interface RepairStatus {
  /** Copies that zones lack. */
  readonly lacking: number;
  /** Copy under way. */
  readonly zone: ZoneId | undefined;
  readonly target: Uuid | undefined;
  /** Bytes that it holds, of how many. */
  readonly end: number;
  readonly length: number;
}

/** Holder that lacks what it is listed for. */
interface Lacking {
  readonly zone: ZoneId;
  readonly logger: Uuid;
}

const nameOf = ({ zone, target }: CopyTask): string => `${zone.zone}/${target}`;

export class Repairer {
  readonly #parts: RepairParts;
  readonly #pace: CopyPace;
  #copier: Copier | undefined;
  #lacking: Lacking[] = [];
  /** Until when a copy is not tried again, by zone and target. */
  readonly #refused = new Map<string, number>();
  #copiesLacking = 0;
  #departure: Departure | undefined;
  #lookAtMs = 0;
  #nowMs: Millis;

  constructor(parts: RepairParts, nowMs: Millis) {
    this.#parts = parts;
    this.#pace = new CopyPace(parts.settings.repairBytesPerSecond);
    this.#nowMs = nowMs;
  }

  get status(): RepairStatus {
    const task = this.#copier?.task;
    const copy = { zone: task?.zone.zone, target: task?.target, end: this.#copier?.end ?? 0 };
    return { lacking: this.#copiesLacking, ...copy, length: task?.zone.length ?? 0 };
  }

  get isCopying(): boolean {
    return this.#copier !== undefined;
  }

  tick(nowMs: Millis): void {
    this.#nowMs = nowMs;
    if (nowMs >= this.#lookAtMs) this.#look();
    this.#copier?.tick(nowMs);
    this.#settle();
  }

  copied(logger: Uuid, zone: ZoneId, answer: Copied | Lost | Refused): void {
    const task = this.#copier?.task;
    if (task?.target === logger && task.zone.zone === zone) this.#copier?.copied(answer);
    this.#settle();
  }

  logRead(request: LogRead, bytes: Uint8Array | undefined, refused?: LoggerRefusalCode): void {
    this.#copier?.logRead(request, bytes, refused);
    this.#settle();
  }

  /** Reports found a logger that holds less of a zone than it is listed for. */
  lacking(logger: Uuid, zone: ZoneId): void {
    if (!this.#lacking.some((one) => one.logger === logger && one.zone === zone)) this.#lacking.push({ logger, zone });
    this.#settle();
  }

  // --- the head ------------------------------------------------------------------------------------------------------

  /** The listing was answered, or never will be. */
  transacted(): void {
    if (this.#isListing) this.#parts.keeper.transacted();
  }

  /** The head was read, or could not be: what became of the listing the entries say, and another may be proposed. */
  loaded(): void {
    const { keeper } = this.#parts;
    if (this.#isListing && keeper.loaded()) keeper.settle();
  }

  get #isListing(): boolean {
    return this.#parts.keeper.purpose === 'relist';
  }

  #list(zone: SealedZone, replicas: readonly Uuid[]): void {
    const { keeper } = this.#parts;
    const { head } = keeper;
    if (head !== undefined) keeper.propose('relist', relisted(head, zone, replicas));
  }

  // --- what is next --------------------------------------------------------------------------------------------------

  #look(): void {
    const { identity, keeper, settings } = this.#parts;
    this.#lookAtMs = this.#nowMs + times.repairLookMs;
    const { zones } = keeper.metadata;
    const loggers = this.#presence();
    this.#copiesLacking = lackingCopies(zones, settings.replicas, loggers);
    this.#departure = nextDeparture(zones, settings.replicas, loggers);
    if (this.#copier !== undefined || this.#copiesLacking === 0) return;
    const isRefused = (task: CopyTask): boolean => (this.#refused.get(nameOf(task)) ?? 0) > this.#nowMs;
    const task = nextCopy(identity.shard, zones, settings.replicas, loggers, isRefused);
    if (task !== undefined) this.#copier = new Copier(task, { ...this.#parts, pace: this.#pace });
  }

  #presence(): Presence {
    const { loggers, settings } = this.#parts;
    const { repairDelayMs, regrowDelayMs } = settings;
    const nowMs = this.#nowMs;
    return {
      isUp: (logger) => loggers.isUp(logger),
      isExpected: (logger) => loggers.isExpected(logger, nowMs, repairDelayMs),
      isLeaving: (logger) => loggers.isLeaving(logger),
      usable: loggers.usable(nowMs, regrowDelayMs),
    };
  }

  #settle(): void {
    this.#settleCopy();
    const { keeper } = this.#parts;
    const [lacking] = this.#lacking;
    if (keeper.purpose !== undefined) return;
    if (lacking === undefined) return this.#depart();
    const zone = keeper.sealedZone(lacking.zone);
    const others = zone?.replicas.filter((logger) => logger !== lacking.logger) ?? [];
    const isListed = zone !== undefined && others.length < zone.replicas.length;
    // The last holder stays: nobody else would be asked for what it still has.
    if (isListed && others.length > 0) this.#list(zone, others);
    else this.#lacking.shift();
  }

  /** Takes a logger off a list that it is to leave; where it is off, the next is looked for at once. */
  #depart(): void {
    const { keeper, settings } = this.#parts;
    const departure = this.#departure;
    if (departure === undefined) return;
    const zone = keeper.sealedZone(departure.zone);
    const others = zone && withoutDeparted(zone, departure, settings.replicas, this.#presence());
    if (zone !== undefined && others !== undefined) return this.#list(zone, others);
    this.#departure = undefined;
    this.#lookAtMs = this.#nowMs;
  }

  #settleCopy(): void {
    const copier = this.#copier;
    if (copier === undefined) return;
    const { zone: id, length } = copier.task.zone;
    const { keeper, identity, effects } = this.#parts;
    const { target } = copier.task;
    const fields = { shard: identity.shard, zone: id, logger: target, bytes: length };
    const zone = keeper.sealedZone(id);
    if (zone === undefined) {
      this.#copier = undefined;
    } else if (zone.replicas.includes(target)) {
      this.#copier = undefined;
      this.#lookAtMs = this.#nowMs;
      effects.push({ effect: 'finish', zone: id, length, loggers: [target] });
      effects.push({ effect: 'note', level: 'info', text: 'zone copied', fields });
    } else if (copier.step === 'failed') {
      this.#copier = undefined;
      this.#refused.set(nameOf(copier.task), this.#nowMs + times.repairAgainMs);
      const { reason } = copier;
      effects.push({ effect: 'note', level: 'warn', text: 'zone not copied', fields: { ...fields, reason } });
    } else if (copier.step === 'proven' && keeper.purpose === undefined) {
      this.#list(zone, [...zone.replicas, target]);
    }
  }
}
