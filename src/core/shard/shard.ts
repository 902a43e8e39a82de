/**
 * A shard in one gateway: follower, taker or owner of it, by turns. `step(event): effects`, in the order in which they
 * must happen.
 *
 *   follower --claim--> taking --close seen, tail applied--> owner --deposed--> follower
 *                         '----------lost----------> follower
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { Millis, ShardId, Uuid } from '../../base/ids.ts';
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
import type { OwnerStatus } from './serving/owner-parts.ts';
import { ShardOwner } from './serving/owner.ts';
import { WriteQueue } from './serving/write-queue.ts';
import type { RepairStatus } from './repairing/repairer.ts';
import { Repairer } from './repairing/repairer.ts';
import { regressionNote } from './taking/regression.ts';
import { Takeover } from './taking/takeover.ts';

const nothing: readonly ShardEffect[] = [];

export interface ShardStatus {
  readonly role: ShardRole;
  readonly step: string;
  readonly keys: number;
  readonly lag: number;
  readonly owner: OwnerStatus | undefined;
  readonly repair: RepairStatus | undefined;
}

export class Shard {
  readonly state: ShardState;
  readonly #self: Owner;
  readonly #settings: ShardSettings;
  readonly #loggers = new Loggers();
  /** Always the same array for the parts; handed out and emptied by `step`. */
  readonly #effects: ShardEffect[] = [];
  readonly #keeper: HeadKeeper;
  #queue: WriteQueue;
  /** Reads that arrived during a take-over. */
  #waitingReads: ShardRead[] = [];
  #follower: ShardFollower;
  #takeover: Takeover | undefined;
  #owner: ShardOwner | undefined;
  /** Works while this process owns the shard. */
  #repairer: Repairer | undefined;
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
    this.#queue = new WriteQueue(settings.limits);
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

  get status(): ShardStatus {
    const lag = this.#owner === undefined ? this.#follower.lag : 0;
    return {
      role: this.role,
      step: this.#takeover?.step ?? '',
      keys: this.state.index.size,
      lag,
      owner: this.#owner?.status,
      repair: this.#repairer?.status,
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
      case 'withdraw':
        return this.#takeover?.withdraw();
      case 'metadata':
        return this.#metadata(event.metadata, event.loaded);
      case 'load-failed':
        this.#keeper.loadEnded();
        this.#takeover?.loadFailed();
        this.#repairer?.loaded();
        return this.#owner?.loadFailed();
      case 'transacted':
        if (event.purpose === 'look') return this.#owner?.looked(event.result.kind);
        if (event.purpose === 'relist') return this.#repairer?.transacted();
        this.#takeover?.transacted();
        return this.#owner?.transacted(event.result.kind);
      case 'logger-up':
        this.#loggers.up(event.logger, event.process, event.alignment, this.#nowMs);
        return this.#takeover?.loggerUp();
      case 'logger-down':
        this.#loggers.down(event.logger, this.#nowMs);
        return this.#owner?.loggerDown(event.logger);
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
        return this.#repairer?.copied(event.logger, event.zone, event.answer);
      case 'copy-lacking':
        return this.#repairer?.lacking(event.logger, event.zone);
      case 'log-read':
        if (event.request.reader === 'repair') return this.#repairer?.logRead(event.request, event.bytes);
        if (event.request.reader === 'tail') return this.#takeover?.logRead(event.request, event.bytes);
        return this.#owner === undefined ? this.#follower.logRead(event.request, event.bytes) : undefined;
      case 'catch-up':
        // An owner hears nothing about its own log; a late word of an earlier owner is below its watermark.
        if (this.#owner !== undefined) return;
        this.#follower.catchUp(event);
        return this.#takeover?.caughtUp();
      default:
        return unreachable(event);
    }
  }

  // --- requests ------------------------------------------------------------------------------------------------------

  #write(write: ShardWrite): void {
    const refusal = this.#refusal();
    if (this.#owner !== undefined) {
      this.#owner.write(write);
    } else if (refusal !== undefined) {
      this.#effects.push({ effect: 'answer-write', write, result: refusal });
    } else if (!this.#queue.push(write, this.#nowMs)) {
      this.#effects.push({ effect: 'answer-write', write, result: this.#overloaded('writes') });
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
    } else if (this.#waitingReads.length >= this.#settings.limits.queueRecordsMax) {
      this.#effects.push({ effect: 'fail-read', read, failure: this.#overloaded('reads') });
    } else {
      read.arrivedMs = this.#nowMs;
      this.#waitingReads.push(read);
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

  #overloaded(what: string): Failure {
    const message = `too many ${what} wait for the take-over of the shard`;
    return { ...notOwner(this.state.shard), code: 'overloaded', message };
  }

  // --- roles ---------------------------------------------------------------------------------------------------------

  #claim(over: number): void {
    if (this.#owner !== undefined || this.#takeover !== undefined || this.#hasStopped) return;
    const { state } = this;
    const parts = { state, self: this.#self, settings: this.#settings, loggers: this.#loggers };
    const rest = { keeper: this.#keeper, effects: this.#effects };
    this.#takeover = new Takeover({ ...parts, ...rest }, over, this.#nowMs);
    this.#effects.push({ effect: 'role', role: 'taking' });
  }

  #metadata(metadata: ShardMetadata, loaded: boolean): void {
    if (loaded) this.#keeper.loadEnded();
    if (metadata.wentBack !== undefined) return this.#stop(metadata.wentBack);
    const isNews = this.#keeper.learn(metadata);
    if (this.#owner !== undefined) {
      if (loaded) this.#repairer?.loaded();
      if (isNews) this.#owner.metadata(loaded);
      return;
    }
    if (loaded) this.#takeover?.loaded();
    this.#takeover?.news();
    if (this.#takeover?.tail !== undefined) this.#follower.offer(this.#takeover.tail);
    this.#follower.metadata(metadata);
  }

  /** S20: the metadata went back under this process. What it knew of them is nobody's truth any more. */
  #stop(fact: string): void {
    if (this.#hasStopped) return;
    this.#hasStopped = true;
    const note = regressionNote(this.state.shard, this.#settings.metadataSource, fact);
    this.#effects.push({ effect: 'note', level: 'error', ...note });
    this.#owner?.depose('the metadata went back');
    this.#takeover = undefined;
    this.#failWaiting(this.#regressed());
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
      this.#repairer = undefined;
      this.#queue = new WriteQueue(this.#settings.limits);
      this.#follower = this.#newFollower();
      const role = this.#hasStopped ? 'stopped' : 'follower';
      this.#effects.push({ effect: 'role', role });
      this.#keeper.load('follow');
    } else if (this.#takeover?.step === 'lost') {
      this.#takeover = undefined;
      this.#failWaiting(notOwner(this.state.shard));
      this.#effects.push({ effect: 'role', role: 'follower' });
    } else if (this.#takeover?.step === 'stopped' && !this.#hasStopped) {
      this.#hasStopped = true;
      this.#failWaiting(this.#regressed());
      this.#effects.push({ effect: 'role', role: 'stopped' });
    } else if (this.#takeover?.step === 'done' && this.#follower.isCurrent) {
      this.#serve();
    }
  }

  /** The close was seen and the tail is applied. */
  #serve(): void {
    const { head } = this.#keeper;
    assert(head !== undefined, 'S8 a take-over ends with its own zone open');
    this.#takeover = undefined;
    this.#keeper.settle();
    const { state } = this;
    const parts = { state, self: this.#self, settings: this.#settings, loggers: this.#loggers };
    const rest = { keeper: this.#keeper, effects: this.#effects, queue: this.#queue };
    this.#owner = new ShardOwner({ ...parts, ...rest }, head, this.#nowMs);
    const by = { epoch: head.epoch, instance: this.#self.instance };
    this.#repairer = new Repairer({ ...parts, ...rest, identity: state, by }, this.#nowMs);
    this.#effects.push({ effect: 'role', role: 'owner' });
    const fields = { shard: state.shard, epoch: head.epoch, zone: head.openZone.zone, keys: state.index.size };
    this.#effects.push({ effect: 'note', level: 'info', text: 'serving', fields });
    const reads = this.#waitingReads;
    this.#waitingReads = [];
    for (const read of reads) this.#owner.read(read);
  }

  #failWaiting(failure: Failure): void {
    for (const write of this.#queue.removeAll(() => true))
      this.#effects.push({ effect: 'answer-write', write, result: failure });
    for (const read of this.#waitingReads.splice(0)) this.#effects.push({ effect: 'fail-read', read, failure });
  }

  #tick(nowMs: Millis): void {
    this.#nowMs = nowMs;
    if (this.#owner !== undefined) {
      this.#owner.tick(nowMs);
      return this.#repairer?.tick(nowMs);
    }
    this.#takeover?.tick(nowMs);
    this.#follower.tick(nowMs);
    const before = nowMs - this.#settings.requestTimeoutMs;
    const failure: Failure = {
      ...notOwner(this.state.shard),
      code: 'unavailable',
      message: `shard ${this.state.shard} is being taken over`,
    };
    for (const write of this.#queue.takeOlder(before))
      this.#effects.push({ effect: 'answer-write', write, result: failure });
    while (this.#waitingReads[0] !== undefined && this.#waitingReads[0].arrivedMs < before) {
      const read = this.#waitingReads.shift();
      if (read !== undefined) this.#effects.push({ effect: 'fail-read', read, failure });
    }
  }
}

function codeOf(reason: Lost | Refused): LoggerRefusalCode | 'lost' {
  return reason.kind === 'lost' ? reason.kind : reason.code;
}

function notOwner(shard: ShardId): Failure {
  return {
    kind: 'failed',
    code: 'not-owner',
    message: `this gateway does not own shard ${shard}`,
    outcome: 'not-applied',
  };
}
