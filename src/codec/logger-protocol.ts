/**
 * What gateways and loggers say to each other (docs/protocol.md), over MessagePack-RPC. `Append`, `Seal`, `Confirm`, `Finish` and
 * `Reset` go to a logger's write port, `Read`, `ReportZones` and `Ping` to its read port; `Ping` works on both.
 *
 *   Append      [logger:str, [[shard, zone, epoch, offset, bytes:bin]*]]      -> [answer*], answer = [nil, lba] | [code:str, message:str, detail:int]
 *   Confirm     [logger:str, number, [[shard, zone, epoch]*]]                 -> [number, [nil | code:str]*]
 *   Seal        [logger:str, shard, zone, epoch]                              -> [length, seen, doubtful:bool, tail:str]
 *   Finish      [logger:str, shard, zone, length]                             -> nil
 *   Reset       [logger:str, shard, zone, generation:str]                     -> nil
 *   Read        [logger:str, [[shard, zone, offset, length]*]]                -> [bytes:bin | code:str]*
 *   ReportZones [logger:str, shard|nil, [[shard, zone, length]*] to digest]   -> map (see ZoneStatus)
 *   Ping        []                                                            -> map (see LoggerStatus)
 * A request that is refused as a whole is answered by an error [code, message, detail].
 */
import type { Epoch, InstanceId, Lba, ShardId, Uuid, ZoneId } from '../base/ids.ts';

/** Why a logger refuses. Nothing was changed by a refused request. */
export const loggerRefusals = {
  'wrong-logger': 'the request names another logger (S16)',
  fenced: 'a higher epoch has sealed this shard here (S4); detail: that epoch',
  'retired-zone': 'a zone with this id, or a later one, existed here before: ids are never used again (S4)',
  'other-epoch': 'the zone belongs to another epoch (S2)',
  'not-at-write-pointer': 'the offset is neither the write pointer nor an identical repetition below it (S11); detail: the write pointer',
  restarted: 'the zone was found open after a restart and takes no appends (S3)',
  sealed: 'the zone is sealed or finished',
  'unknown-zone': 'this logger holds no such zone',
  'other-copy': 'the order names another copy of the zone than the one held (S10)',
  'not-held': 'this logger does not hold the zone up to that length',
  misaligned: 'offset or length is not a multiple of the alignment',
  malformed: 'the bytes are not a zone header or a batch for this place',
  'zone-full': 'the zone ends before the append does',
  'device-full': 'no space is left on the device',
  'device-failed': 'a write or sync failed; this process answers for nothing new any more (S17)',
  'out-of-range': 'the range to read lies beyond what is held',
  'too-large': 'more items or bytes than a request may have',
} as const;
export type LoggerRefusalCode = keyof typeof loggerRefusals;

export interface LoggerRefusal {
  readonly kind: 'refused';
  readonly code: LoggerRefusalCode;
  readonly message: string;
  readonly detail: number;
}

/** The connection went down, or the deadline passed, before the answer came: the outcome is unknown. */
export interface LoggerLost {
  readonly kind: 'lost';
  readonly message: string;
}

export type LoggerAnswer<T> = { readonly kind: 'ok'; readonly value: T } | LoggerRefusal | LoggerLost;

export interface AppendItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly epoch: Epoch;
  /** 0 creates the zone: the bytes begin with a zone header. */
  readonly offset: number;
  /** Whole batches, one after another. Sent as one binary; must not change afterwards. */
  readonly bytes: Uint8Array;
}

/** The LBA of the append's first byte. */
export type AppendAnswer = { readonly kind: 'ok'; readonly value: Lba } | LoggerRefusal;

export interface ConfirmItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly epoch: Epoch;
}

/** What the end of a zone's bytes looks like to a scan (S9). `clean`: nothing follows. `torn`: an append that never became stable. */
export type TailState = 'clean' | 'torn' | 'damaged';

export interface SealAnswer {
  /** End of the intact prefix, a batch boundary; 0 when the zone was never seen. */
  readonly length: number;
  /** Highest committed length in any good batch header, also behind damage. */
  readonly seen: number;
  /** `tail` is damaged: bytes follow that are neither untouched nor a torn batch. */
  readonly doubtful: boolean;
  readonly tail: TailState;
}

export interface ReadItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly offset: number;
  readonly length: number;
}

export type ReadAnswer = { readonly kind: 'ok'; readonly value: Uint8Array } | { readonly kind: 'refused'; readonly code: LoggerRefusalCode };

/** A zone as a logger reports it. */
export interface ZoneStatus {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly epoch: Epoch;
  /** `restarted`: open, but found so after a restart, so it takes no appends. `sealed`: fenced by a take-over, its end not yet told. */
  readonly state: 'open' | 'restarted' | 'sealed' | 'finished';
  /** End of the intact prefix; of a finished zone its sealed length. */
  readonly length: number;
  readonly seen: number;
  readonly capacity: number;
  readonly occupied: number;
  /** Names this copy (S10): drawn when the zone was created here. */
  readonly generation: string;
  readonly batches: number;
  /** SHA-256 of bytes [0, length asked for), hexadecimal, when asked for. */
  readonly digest: string | undefined;
}

export interface LoggerStatus {
  readonly logger: Uuid;
  readonly instance: InstanceId;
  readonly cluster: Uuid;
  /** `failed`: S17. */
  readonly state: 'ready' | 'failed';
  readonly deviceCapacity: number;
  readonly deviceOccupied: number;
  readonly zones: number;
  readonly alignment: number;
}
