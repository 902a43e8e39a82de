/**
 * What happens to a shard and what it wants done: `step(event): effects`. The shard is a pure machine; its shell
 * (gateway/shards/shard-runner.ts) turns effects into messages and their answers into events.
 */
import type { Epoch, InstanceId, Millis, ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { clusterSettings, nodeSettings } from '../../base/settings.ts';
import type { CopyItem, CopyState, LoggerRefusalCode, ShardKnowledge } from '../../codec/logger-protocol.ts';
import type { SealResult } from '../../codec/logger-seals.ts';
import type { Compare, TransactionResult, Write } from '../../coordinator/coordinator.ts';
import type { Standings } from '../../coordinator/standings.ts';
import type { Owner, ShardMetadata } from './head/metadata.ts';
import type { ShardLimits } from './limits.ts';
import { shardLimits } from './limits.ts';
import type { Failure, OwnRecord, ShardRead, ShardWrite, WriteResult } from './requests.ts';

export type Lost = { readonly kind: 'lost' };
/** A copy is intact up to `length` (S19). */
export type Filled = { readonly kind: 'filled'; readonly length: number };
/** ... and bears a name. */
export type Copied = Filled & CopyState;
export type Refused = { readonly kind: 'refused'; readonly code: LoggerRefusalCode };

export type ShardEvent =
  /** Requests are their own events. */
  | ShardWrite
  | ShardRead
  /** All input that was ready has been handled: form a batch, send a confirmation. */
  | { readonly event: 'turn-ended'; readonly nowMs: Millis; readonly wallMs: Millis }
  /** Every 50 ms or so: deadlines, retries. */
  | { readonly event: 'tick'; readonly nowMs: Millis }
  /**
   * Take the shard over from the owner of epoch `over` (0: it has none); one of a later epoch is left alone. Ignored
   * when this process owns it or is about to. Who takes what when is decided in core/ownership.
   */
  | { readonly event: 'claim'; readonly nowMs: Millis; readonly over: number }
  /** Its owner in `epoch` is to give it to `to`, which stands by (S6). Ignored while its zone is being left. */
  | { readonly event: 'hand-over'; readonly to: Owner; readonly epoch: number }
  /** Its owner turned out to serve it: a take-over that has not claimed yet ends. */
  | { readonly event: 'withdraw' }
  /** The coordinator's content, asked for by `load` or seen by the watch. */
  | { readonly event: 'metadata'; readonly metadata: ShardMetadata; readonly loaded: boolean }
  | { readonly event: 'load-failed' }
  /** Once a second: standbys that missed something hear of it. */
  | { readonly event: 'announce' }
  | {
      readonly event: 'transacted';
      /** Absent: a change of the head. */
      readonly purpose?: HeadPurpose;
      readonly result: TransactionResult | { readonly kind: 'unknown' } | { readonly kind: 'not-applied' };
    }
  /** `process`: that of the logger which is connected. */
  | {
      readonly event: 'logger-up';
      readonly logger: Uuid;
      readonly process: InstanceId;
      readonly alignment: number;
    }
  | { readonly event: 'logger-down'; readonly logger: Uuid }
  /** Loggers that the coordinator lists, each under a number. */
  | { readonly event: 'members'; readonly loggers: ReadonlySet<Uuid> }
  /** What the operator has said of loggers. */
  | { readonly event: 'standings'; readonly standings: Standings }
  /** Answer to a probe; `ok`: its device takes writes and syncs. */
  | { readonly event: 'probed'; readonly logger: Uuid; readonly answer: { readonly kind: 'ok' } | Lost | Refused }
  | { readonly event: 'appended'; readonly logger: Uuid; readonly zone: ZoneId; readonly end: number }
  | { readonly event: 'append-failed'; readonly logger: Uuid; readonly zone: ZoneId; readonly reason: Lost | Refused }
  | { readonly event: 'confirmed'; readonly logger: Uuid; readonly zone: ZoneId; readonly number: number }
  | { readonly event: 'confirm-failed'; readonly logger: Uuid; readonly zone: ZoneId; readonly reason: Lost | Refused }
  /** Answer to `testify`. */
  | { readonly event: 'testified'; readonly logger: Uuid; readonly answer: ShardKnowledge | Lost }
  | {
      readonly event: 'sealed';
      readonly logger: Uuid;
      readonly zone: ZoneId;
      readonly epoch: Epoch;
      readonly answer: SealResult | Lost;
    }
  | {
      readonly event: 'filled';
      readonly logger: Uuid;
      readonly zone: ZoneId;
      readonly epoch: Epoch;
      readonly answer: Filled | Lost | Refused;
    }
  /** `length`: the intact length of the copy of a zone that ended. */
  | {
      readonly event: 'copied';
      readonly logger: Uuid;
      readonly zone: ZoneId;
      readonly answer: Copied | Lost | Refused;
    }
  /** A logger was found to hold less of a zone that ended than it is listed for (S10). */
  | { readonly event: 'copy-lacking'; readonly logger: Uuid; readonly zone: ZoneId }
  /** A read met damage in a logger's copy: a suspicion, which the owner examines. */
  | { readonly event: 'copy-suspect'; readonly logger: Uuid; readonly zone: ZoneId }
  /** `refused`: why there are no bytes, when the logger answered. */
  | {
      readonly event: 'log-read';
      readonly request: LogRead;
      readonly bytes: Uint8Array | undefined;
      readonly refused?: LoggerRefusalCode;
    }
  | CatchUp;

/**
 * What an owner tells the others of a committed batch (S14): record heads without values, one after another as they lie
 * in the log.
 */
export interface CatchUp {
  readonly event: 'catch-up';
  readonly epoch: Epoch;
  readonly instance: InstanceId;
  readonly zone: ZoneId;
  /** Place of the batch in the zone; `end` is the committed length with it. */
  readonly offset: number;
  readonly end: number;
  /** Where the first record lies. */
  readonly recordsStart: number;
  /**
   * Where the log was before this batch when it is the first of its zone (0, 0 at the log's start); zone -1: it is not
   * the first.
   */
  readonly previousZone: number;
  readonly previousLength: number;
  readonly shardTimeMs: Millis;
  readonly heads: Uint8Array;
}

/** What became of a transaction, as its answer has it. */
export type TransactionKind = Extract<ShardEvent, { event: 'transacted' }>['result']['kind'];

export type ReaderName = 'tail' | 'heal' | 'repair' | 'examine' | 'scrub';

export interface LogRead {
  readonly zone: ZoneId;
  readonly epoch: Epoch;
  readonly offset: number;
  readonly length: number;
  readonly logger: Uuid;
  /** Who reads: a take-over its tail, a follower what it missed, the others a zone that ended (upkeep.ts). */
  readonly reader: ReaderName;
  /** Numbers the requests of the reader, so that a late answer is known. */
  readonly number: number;
}

/** A batch that committed: index updated, its writes to be answered, the other gateways to be told. */
export interface Committed {
  readonly effect: 'committed';
  readonly zone: ZoneId;
  readonly epoch: Epoch;
  readonly instance: InstanceId;
  readonly offset: number;
  readonly end: number;
  readonly recordsStart: number;
  readonly recordCount: number;
  readonly bytes: Buffer;
  readonly shardTimeMs: Millis;
  readonly previousZone: number;
  readonly previousLength: number;
  readonly own: readonly OwnRecord[];
  readonly writes: readonly ShardWrite[];
  /** What to answer each of the writes, and its repetitions. */
  readonly results: readonly WriteResult[];
}

/** What a load or a transaction of a shard's head is for. */
export type HeadPurpose =
  | 'follow'
  | 'claim'
  | 'close'
  | 'zone-change'
  | 'hand-over'
  /** Who holds a zone that ended (S10). */
  | 'relist'
  /** To see that the coordinator answers. */
  | 'look';

export type ShardEffect =
  | {
      readonly effect: 'append';
      readonly zone: ZoneId;
      readonly epoch: Epoch;
      readonly instance: InstanceId;
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly loggers: readonly Uuid[];
    }
  | {
      readonly effect: 'confirm';
      readonly zone: ZoneId;
      readonly epoch: Epoch;
      readonly instance: InstanceId;
      readonly number: number;
      readonly loggers: readonly Uuid[];
    }
  | Committed
  /** Answers that have no record of their own in a batch: repetitions, failures. */
  | { readonly effect: 'answer-write'; readonly write: ShardWrite; readonly result: WriteResult }
  | { readonly effect: 'fail-read'; readonly read: ShardRead; readonly failure: Failure }
  /** The read was looked up: fetch its value (if it has one and wants it). */
  | { readonly effect: 'fetch'; readonly read: ShardRead }
  /** The read may be answered once its value is there. */
  | { readonly effect: 'release'; readonly read: ShardRead }
  /** Ask what they know of the shard, before it is claimed (S20). */
  | { readonly effect: 'testify'; readonly loggers: readonly Uuid[] }
  | {
      readonly effect: 'seal';
      readonly zone: ZoneId;
      readonly epoch: Epoch;
      readonly instance: InstanceId;
      readonly loggers: readonly Uuid[];
    }
  /** Complete a shorter copy of the zone that is being closed (S19). */
  | {
      readonly effect: 'fill';
      readonly zone: ZoneId;
      readonly epoch: Epoch;
      readonly instance: InstanceId;
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly logger: Uuid;
    }
  /** Complete the copy of a zone that ended (S10); no bytes: ask for its intact length. */
  | ({ readonly effect: 'copy'; readonly logger: Uuid } & Omit<CopyItem, 'shard'>)
  /** Ask whether it can take a zone again. */
  | { readonly effect: 'probe'; readonly logger: Uuid }
  | { readonly effect: 'finish'; readonly zone: ZoneId; readonly length: number; readonly loggers: readonly Uuid[] }
  | { readonly effect: 'load'; readonly purpose: HeadPurpose }
  | {
      readonly effect: 'transact';
      readonly purpose: HeadPurpose;
      readonly compares: readonly Compare[];
      readonly writes: readonly Write[];
    }
  /** Tell the other gateways how far the log is committed (S14). */
  | { readonly effect: 'announce'; readonly catchUp: CatchUp }
  | { readonly effect: 'read-log'; readonly request: LogRead }
  | { readonly effect: 'role'; readonly role: ShardRole }
  /** For the operator. */
  | {
      readonly effect: 'note';
      readonly level: 'info' | 'warn' | 'error';
      readonly text: string;
      readonly fields: Readonly<Record<string, string | number>>;
    };

/** `stopped`: its metadata went back (S20). */
export type ShardRole = 'follower' | 'taking' | 'owner' | 'stopped';

/** Position in a shard's log up to which the index has applied it: the watermark. Zone 0: nothing. */
export interface LogPosition {
  readonly zone: number;
  readonly offset: number;
}

export interface ShardSettings {
  readonly zoneSize: number;
  /** Wanted replicas of a zone, and how few will do. */
  readonly replicas: number;
  readonly minReplicas: number;
  /** A replica that owes an answer this long leaves the open zone; earlier when another has given it. */
  readonly loggerTimeoutMs: number;
  readonly loggerSlowMs: number;
  /** After the first sealing answer a take-over waits this long for the others. */
  readonly sealWaitMs: number;
  /** ... and this long for replicas that this process, which is starting, has not met yet (a cold start). */
  readonly coldSealWaitMs: number;
  /** A take-over without an answer that is first-hand waits this long for every replica; 0: for ever (S9). */
  readonly firstHandWaitMs: number;
  /** Shorter copies are completed within this time, or are left out of the zone's list (S19). */
  readonly fillWaitMs: number;
  /** A logger that has been away for this long does not count as holding a copy any more: another is made. */
  readonly repairDelayMs: number;
  /** Copies of a shard's zones are made no faster. */
  readonly repairBytesPerSecond: number;
  /** Copies of ended zones are read in turn no faster; 0: not at all. A round begins so long after the one before. */
  readonly scrubBytesPerSecond: number;
  readonly scrubEveryMs: number;
  /** An open zone with fewer replicas than wanted is changed when a logger has been back for this long. */
  readonly regrowDelayMs: number;
  /** Queued writes and waiting reads are refused after this long. */
  readonly requestTimeoutMs: number;
  readonly batchesInFlightMax: number;
  readonly batchBytesTarget: number;
  readonly limits: ShardLimits;
  /** Where the metadata is, for messages to the operator. */
  readonly metadataSource: string;
}

export const shardDefaults = {
  minReplicas: clusterSettings.minReplicas.default,
  loggerTimeoutMs: clusterSettings.loggerTimeoutMs.default,
  loggerSlowMs: clusterSettings.loggerSlowMs.default,
  sealWaitMs: nodeSettings['shard.sealWaitMs'].default,
  coldSealWaitMs: nodeSettings['shard.coldSealWaitMs'].default,
  firstHandWaitMs: clusterSettings.firstHandWaitMs.default,
  fillWaitMs: nodeSettings['shard.fillWaitMs'].default,
  repairDelayMs: clusterSettings.repairDelayMs.default,
  repairBytesPerSecond: clusterSettings.repairBytesPerSecond.default,
  scrubBytesPerSecond: clusterSettings.scrubBytesPerSecond.default,
  scrubEveryMs: clusterSettings.scrubEveryMs.default,
  regrowDelayMs: nodeSettings['shard.regrowDelayMs'].default,
  requestTimeoutMs: nodeSettings['shard.requestTimeoutMs'].default,
  batchesInFlightMax: nodeSettings['shard.batchesInFlightMax'].default,
  batchBytesTarget: nodeSettings['shard.batchBytesTarget'].default,
  limits: shardLimits,
  metadataSource: 'the coordinator',
} as const;

export interface ShardIdentity {
  readonly cluster: Uuid;
  readonly shard: ShardId;
}
