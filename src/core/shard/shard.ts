/**
 * A shard in one gateway: follower, taker or owner of it, by turns. `step(event): effects`, in the order in which they
 * must happen.
 *
 *   follower --claim--> taking --close seen, tail applied--> owner --deposed--> follower
 *                         '----------lost----------> follower
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { Millis, Uuid } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { LoggerRefusalCode } from '../../codec/logger-protocol.ts';
import type { Lost, Refused, ShardEffect, ShardEvent, ShardRole, ShardSettings } from './events.ts';
import type { ShardState } from './following/apply.ts';
import { ShardFollower } from './following/follower.ts';
import { HeadKeeper } from './head/head-keeper.ts';
import type { Owner, ShardMetadata } from './head/metadata.ts';
import { failingOf } from './logger-fitness.ts';
import { Loggers } from './loggers.ts';
import { lookUp } from './look-up.ts';
import type { Failure, ShardRead, ShardWrite } from './requests.ts';
import type { OwnerStatus, Reign } from './serving/owner-parts.ts';
import { ShardOwner } from './serving/owner.ts';
import type { RepairStatus } from './repairing/repairer.ts';
import type { ScrubStatus } from './repairing/scrubber.ts';
import { Upkeep } from './repairing/upkeep.ts';
import { regressionNote } from './taking/regression.ts';
import type { TakeoverWait } from './taking/parts.ts';
import { Takeover } from './taking/takeover.ts';
import { notOwner, WaitingRequests } from './waiting.ts';

const nothing: readonly ShardEffect[] = [];

export interface ShardStatus {
  readonly role: ShardRole;
  readonly step: string;
  /** What its take-over waits for: copies of a zone (S9), or that a logger of it is connected; undefined: nothing. */
  readonly wait: TakeoverWait | undefined;
  readonly keys: number;
  readonly lag: number;
  readonly owner: OwnerStatus | undefined;
  readonly repair: RepairStatus | undefined;
  /** Listed copies that were read and are damaged. */
  readonly damagedCopies: number;
  readonly scrub: ScrubStatus | undefined;
}

/**
 * A shard in this process: which role it has, and which part hears of an event. It does not own what a role does
 * (following, taking, serving, repairing). Large because it is the one place that hands each event to its part.
 */
export class Shard {
  readonly state: ShardState;
  readonly #self: Owner;
  readonly #settings: ShardSettings;
  readonly #loggers = new Loggers();
  /** Always the same array for the parts; handed out and emptied by `step`. */
  readonly #effects: ShardEffect[] = [];
  readonly #keeper: HeadKeeper;
  readonly #waiting: WaitingRequests;
  #follower: ShardFollower;
  #takeover: Takeover | undefined;
  #owner: ShardOwner | undefined;
  /** Works while this process owns the shard. */
  #upkeep: Upkeep | undefined;
  /** Newest epoch that this process has had: none is held twice (S2). */
  #epochHeld = 0;
  /** S20: for ever, in this process. */
  #hasStopped = false;
  #nowMs: Millis;

  constructor(state: ShardState, self: Owner, settings: ShardSettings, nowMs: Millis) {
    const { batchesInFlightMax } = settings;
    assert(batchesInFlightMax >= 1 && batchesInFlightMax <= limits.batchesInFlightMax, 'batches in flight');
    this.state = state;
    this.#self = self;
    this.#settings = settings;
    this.#nowMs = nowMs;
    this.#waiting = new WaitingRequests(state.shard, settings, this.#effects);
    this.#keeper = new HeadKeeper(state.shard, this.#effects);
    this.#follower = this.#newFollower();
  }

  #newFollower(): ShardFollower {
    return new ShardFollower(this.state, this.#loggers, this.#effects, this.#settings.limits);
  }

  get role(): ShardRole {
    if (this.#owner !== undefined) return 'owner';
    if (this.#hasStopped || this.#takeover?.step === 'stopped') return 'stopped';
    return this.#takeover === undefined ? 'follower' : 'taking';
  }

  /** Bytes of committed log that are known and not applied. */
  get lag(): number {
    return this.#owner === undefined ? this.#follower.lag : 0;
  }

  /** Undefined while this process does not own the shard. */
  get reign(): Reign | undefined {
    return this.#owner?.reign;
  }

  /** What its take-over waits for. */
  get wait(): TakeoverWait | undefined {
    return this.#takeover?.wait;
  }

  get status(): ShardStatus {
    return {
      role: this.role,
      step: this.#takeover?.step ?? '',
      wait: this.wait,
      keys: this.state.index.size,
      lag: this.lag,
      owner: this.#owner?.status,
      repair: this.#upkeep?.repair,
      damagedCopies: this.#upkeep?.damagedCopies ?? 0,
      scrub: this.#upkeep?.scrub,
    };
  }

  step(event: ShardEvent): readonly ShardEffect[] {
    this.#handle(event);
    this.#settle();
    return this.#effects.length === 0 ? nothing : this.#effects.splice(0);
  }

  #handle(event: ShardEvent): void {
    switch (event.event) {
      case 'write':
        return this.#write(event);
      case 'read':
        return this.#read(event);
      case 'turn-ended':
        this.#nowMs = event.nowMs;
        return this.#owner?.turnEnded(event.nowMs, event.wallMs);
      case 'tick':
        return this.#tick(event.nowMs);
      case 'announce':
        return this.#announce();
      case 'claim':
        this.#nowMs = event.nowMs;
        return this.#claim(event.over);
      case 'hand-over':
        return this.#owner?.handOver(event.to, event.epoch);
      case 'withdraw':
        return this.#takeover?.withdraw();
      case 'metadata':
        return this.#metadata(event.metadata, event.loaded);
      case 'load-failed':
        return this.#loadFailed();
      case 'transacted':
        return this.#transacted(event);
      case 'logger-up':
        this.#loggers.up(event.logger, event.process, event.alignment, this.#nowMs);
        return this.#takeover?.loggerUp();
      case 'logger-down':
        this.#loggers.down(event.logger, this.#nowMs);
        return this.#owner?.loggerDown(event.logger);
      case 'members':
        return this.#loggers.list(event.loggers);
      case 'standings':
        this.#loggers.learn(event.standings);
        return this.#takeover?.loggerUp();
      case 'probed':
        return this.#probed(event.logger, event.answer);
      case 'appended':
        return this.#owner?.appended(event.logger, event.zone, event.end);
      case 'confirmed':
        return this.#owner?.confirmed(event.logger, event.zone, event.number);
      case 'append-failed':
      case 'confirm-failed':
        return this.#owner?.replicaFailed(event.logger, event.zone, codeOf(event.reason));
      case 'testified':
        return this.#takeover?.testified(event.logger, event.answer);
      case 'sealed':
        return this.#takeover?.sealed(event.logger, event.zone, event.epoch, event.answer);
      case 'filled':
        return this.#takeover?.filled(event.logger, event.zone, event.epoch, event.answer);
      case 'copied':
        return this.#upkeep?.copied(event.logger, event.zone, event.answer);
      case 'copy-lacking':
        return this.#upkeep?.lacking(event.logger, event.zone);
      case 'copy-suspect':
        return this.#upkeep?.suspect(event.logger, event.zone);
      case 'log-read':
        return this.#logRead(event);
      case 'catch-up':
        // An owner hears nothing about its own log; a late word of an earlier owner is below its watermark.
        if (this.#owner !== undefined) return;
        this.#follower.catchUp(event);
        return this.#takeover?.caughtUp();
      default:
        return unreachable(event);
    }
  }

  #loadFailed(): void {
    this.#keeper.loadEnded();
    this.#takeover?.loadFailed();
    this.#upkeep?.loaded();
    this.#owner?.loadFailed();
  }

  #transacted({ purpose, result: { kind } }: Extract<ShardEvent, { event: 'transacted' }>): void {
    if (purpose === 'look') return this.#owner?.looked(kind);
    if (purpose === 'relist') return this.#upkeep?.transacted();
    this.#takeover?.transacted();
    this.#owner?.transacted(kind);
  }

  #logRead({ request, bytes, refused }: Extract<ShardEvent, { event: 'log-read' }>): void {
    if (request.reader === 'tail') return this.#takeover?.logRead(request, bytes);
    if (request.reader !== 'heal') return this.#upkeep?.logRead(request, bytes, refused);
    return this.#owner === undefined ? this.#follower.logRead(request, bytes) : undefined;
  }

  // --- requests ------------------------------------------------------------------------------------------------------

  #write(write: ShardWrite): void {
    const refusal = this.#refusal();
    if (this.#owner !== undefined) {
      this.#owner.write(write);
    } else if (refusal !== undefined) {
      this.#effects.push({ effect: 'answer-write', write, result: refusal });
    } else {
      this.#waiting.write(write, this.#nowMs);
    }
  }

  #read(read: ShardRead): void {
    const refusal = this.#refusal();
    if (read.stale) {
      // From this standby's index, as it is.
      lookUp(this.state, read, this.#effects);
      this.#effects.push({ effect: 'release', read });
    } else if (this.#owner !== undefined) {
      this.#owner.read(read);
    } else if (refusal !== undefined) {
      this.#effects.push({ effect: 'fail-read', read, failure: refusal });
    } else {
      this.#waiting.read(read, this.#nowMs);
    }
  }

  /** Why nothing can be asked of the shard here, apart from stale reads. */
  #refusal(): Failure | undefined {
    if (this.#hasStopped) return this.#regressed();
    return this.#takeover === undefined ? notOwner(this.state.shard) : undefined;
  }

  #regressed(): Failure {
    const { metadataSource } = this.#settings;
    const message = `the metadata of shard ${this.state.shard} in ${metadataSource} went back; the log says what is known`;
    return { kind: 'failed', code: 'metadata-regressed', message, outcome: 'not-applied' };
  }

  // --- roles ---------------------------------------------------------------------------------------------------------

  /** `isGiven`: its owner handed it over, in epoch `over`. */
  #claim(over: number, isGiven = false): void {
    if (this.#owner !== undefined || this.#takeover !== undefined || this.#hasStopped) return;
    const { state } = this;
    const parts = { state, self: this.#self, settings: this.#settings, loggers: this.#loggers };
    const rest = { keeper: this.#keeper, effects: this.#effects };
    this.#takeover = new Takeover({ ...parts, ...rest }, over, this.#nowMs, isGiven);
    this.#effects.push({ effect: 'role', role: 'taking' });
  }

  /** An epoch of this process' own that it neither claimed nor has had: the shard was handed over to it. */
  #receive({ head }: ShardMetadata): void {
    if (head?.owner.instance !== this.#self.instance || head.epoch <= this.#epochHeld) return;
    if (this.#takeover !== undefined || head.openZone.epoch !== head.epoch) return;
    this.#claim(head.epoch, true);
  }

  #metadata(metadata: ShardMetadata, loaded: boolean): void {
    if (loaded) this.#keeper.loadEnded();
    if (metadata.wentBack !== undefined) return this.#stop(metadata.wentBack);
    const isNews = this.#keeper.learn(metadata);
    if (this.#owner !== undefined) {
      if (loaded) this.#upkeep?.loaded();
      if (isNews) this.#owner.metadata(loaded);
      return;
    }
    if (loaded) this.#takeover?.loaded();
    this.#takeover?.news();
    if (this.#takeover?.tail !== undefined) this.#follower.offer(this.#takeover.tail);
    this.#follower.metadata(metadata);
    this.#receive(metadata);
  }

  /** S20: the metadata went back under this process. What it knew of them is nobody's truth any more. */
  #stop(fact: string): void {
    if (this.#hasStopped) return;
    this.#hasStopped = true;
    const note = regressionNote(this.state.shard, this.#settings.metadataSource, fact);
    this.#effects.push({ effect: 'note', level: 'error', ...note });
    this.#owner?.depose('the metadata went back');
    this.#takeover = undefined;
    this.#waiting.refuseAll(this.#regressed());
    if (this.#owner === undefined) this.#effects.push({ effect: 'role', role: 'stopped' });
  }

  #probed(logger: Uuid, answer: { readonly kind: 'ok' } | Lost | Refused): void {
    const how = answer.kind === 'ok' ? undefined : failingOf(codeOf(answer));
    this.#loggers.probed(logger, how, this.#nowMs);
  }

  #announce(): void {
    const catchUp = this.#owner?.announcement();
    if (catchUp !== undefined) this.#effects.push({ effect: 'announce', catchUp });
  }

  /** Changes of role that follow from what happened inside the parts. */
  #settle(): void {
    if (this.#owner?.isDeposed === true) {
      this.#owner = undefined;
      this.#upkeep = undefined;
      this.#waiting.forget();
      this.#follower = this.#newFollower();
      const role = this.#hasStopped ? 'stopped' : 'follower';
      this.#effects.push({ effect: 'role', role });
      this.#keeper.load('follow');
    } else if (this.#takeover?.step === 'lost') {
      this.#takeover = undefined;
      this.#waiting.refuseAll(notOwner(this.state.shard));
      this.#effects.push({ effect: 'role', role: 'follower' });
    } else if (this.#takeover?.step === 'stopped' && !this.#hasStopped) {
      this.#hasStopped = true;
      this.#waiting.refuseAll(this.#regressed());
      this.#effects.push({ effect: 'role', role: 'stopped' });
    } else if (this.#takeover?.step === 'done' && this.#follower.isCurrent) {
      this.#serve();
    }
  }

  /** The close was seen and the tail is applied. */
  #serve(): void {
    const { head } = this.#keeper;
    assert(head !== undefined, 'S8 a take-over ends with its own zone open');
    assert(this.#keeper.isOwnedBy(this.#self, head.epoch), 'S2 a process serves in its own epoch');
    assert(head.epoch > this.#epochHeld, 'S2 a process holds an epoch once');
    this.#epochHeld = head.epoch;
    this.#takeover = undefined;
    this.#keeper.settle();
    const { state } = this;
    const parts = { state, self: this.#self, settings: this.#settings, loggers: this.#loggers };
    const rest = { keeper: this.#keeper, effects: this.#effects, queue: this.#waiting.queue };
    this.#owner = new ShardOwner({ ...parts, ...rest }, head, this.#nowMs);
    const by = { epoch: head.epoch, instance: this.#self.instance };
    this.#upkeep = new Upkeep({ ...parts, ...rest, identity: state, by }, this.#nowMs);
    this.#effects.push({ effect: 'role', role: 'owner' });
    const fields = { shard: state.shard, epoch: head.epoch, zone: head.openZone.zone, keys: state.index.size };
    this.#effects.push({ effect: 'note', level: 'info', text: 'serving', fields });
    for (const read of this.#waiting.takeReads()) this.#owner.read(read);
  }

  #tick(nowMs: Millis): void {
    this.#nowMs = nowMs;
    if (this.#owner !== undefined) {
      this.#owner.tick(nowMs);
      return this.#upkeep?.tick(nowMs);
    }
    this.#takeover?.tick(nowMs);
    this.#follower.tick(nowMs);
    this.#waiting.refuseLate(nowMs);
  }
}

function codeOf(reason: Lost | Refused): LoggerRefusalCode | 'lost' {
  return reason.kind === 'lost' ? reason.kind : reason.code;
}
