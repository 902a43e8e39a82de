/**
 * The protocol between gateways and loggers (docs/protocol.md), over MessagePack-RPC: forms, refusals and the types
 * that all requests share. Writers and readers: logger-appends.ts (Append, AppendPiece, Confirm), logger-seals.ts
 * (Testify, Seal, Fill, Copy, Finish, Reset), logger-probes.ts (Probe), logger-reads.ts (Read), logger-reports.ts
 * (ReportZones, Ping, hello). `Append`, `AppendPiece`, `Confirm`, `Testify`, `Seal`, `Fill`, `Copy`, `Finish`, `Reset`
 * and `Probe` go to a logger's write port, `Read` and `ReportZones` to its read port; `Ping` and `hello` work on both.
 *
 *   writer = epoch, instance:str    two members: who writes a zone, or seals a shard
 *   known  = nil | [writer], [[zone, writer]*]    two members: the fence, the newest zones (S20)
 *
 *   Append      [logger:str, [[shard, zone, writer, offset, bytes:bin]*]]    -> [answer*]
 *               answer = [nil, lba] | [code:str, message:str, detail:int]
 *   AppendPiece [logger:str, shard, zone, writer, offset, bytes:bin, rest]   -> nil
 *   Confirm     [logger:str, number, [[shard, zone, writer]*]]               -> [number, [nil | code:str]*]
 *   Testify     [logger:str, shard]                                          -> [known]
 *   Seal        [logger:str, shard, zone, writer]
 *               -> [length, seen, doubtful:bool, tail:str, process:str, known, cut] or
 *                  [code:str, message:str, detail, known]
 *   Fill        [logger:str, shard, zone, writer, offset, bytes:bin]         -> length
 *   Copy        [logger:str, shard, zone, writer of the zone, writer that orders, sealed length, offset, bytes:bin,
 *               copy id that is replaced:str]                                -> [length, copy id:str]
 *   Finish      [logger:str, shard, zone, length]                            -> nil
 *   Reset       [logger:str, shard, zone, copy id:str]                       -> nil
 *   Probe       [logger:str, bytes]                                          -> nil
 *   Read        [logger:str, [[shard, zone, offset, length]*]]               -> [bytes:bin | code:str]*
 *   ReportZones [logger:str, shard|nil, [[shard, zone, length]*] to digest]  -> [map (see ZoneStatus)*]
 *   Ping        []                                                           -> map (see LoggerStatus)
 *   hello       [map: {} or a gateway's, codec/member-hello.ts]              -> map (see LoggerWelcome)
 * A request that is refused as a whole is answered by an error [code, message, detail]. Extra members of arrays and
 * unknown keys of maps are ignored, so that later versions can add some.
 *
 * Readers throw MessageFormatError when a message has another form; they never throw anything else, whatever the bytes.
 */
import type { Epoch, InstanceId, Lba, ShardId, Uuid, ZoneId } from '../base/ids.ts';
import { epoch as toEpoch, isInstanceId, shardId, zoneId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { CutRecords } from './cut-records.ts';
import type { Writer } from './log-format.ts';
import { malformed, natural } from './message-parts.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

/** Reasons for which a logger refuses. Nothing was changed by a refused request. */
export const loggerRefusals = {
  'wrong-logger': 'the request names another logger (S16)',
  'wrong-cluster': 'a gateway of another cluster, or of another protocol version, says hello (S16)',
  fenced: 'a later owner has sealed this shard here (S4); detail: its epoch',
  unsealed: 'the taker that fills has not sealed this shard here (S19)',
  'retired-zone': 'a zone with this id, or a later one, existed here before: ids are never used again (S4)',
  'other-epoch': 'the zone belongs to another epoch (S2)',
  'not-at-write-pointer':
    'the offset is neither the write pointer nor an identical repetition below it (S11); detail: the write pointer',
  restarted: 'the zone was found open after a restart and takes no appends (S3)',
  sealed: 'the zone is closed at a length',
  'unknown-zone': 'this logger holds no such zone',
  'zone-lost':
    'this logger may have held the zone: its metadata were damaged, and nobody can name what lies on its device (S9)',
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

/** Zone of a shard, and who writes it. */
export interface ZoneRef extends Writer {
  readonly shard: ShardId;
  readonly zone: ZoneId;
}

export interface AppendItem extends ZoneRef {
  /** 0 creates the zone: the bytes begin with a zone header. */
  readonly offset: number;
  /**
   * Whole batches, one after another, or a piece of such an append. Sent as one binary; must not change afterwards.
   */
  readonly bytes: Uint8Array;
  /**
   * Bytes of the append that are still to come behind these (`AppendPiece`); absent: none. The first piece has the
   * whole header of its last batch. An answer to any but the last says that the piece is stable, and no more.
   */
  readonly rest?: number;
}

/** The LBA of the append's first byte. */
export type AppendAnswer = { readonly kind: 'ok'; readonly value: Lba } | LoggerRefusal;

export type ConfirmItem = ZoneRef;

/**
 * State of the bytes behind a zone's intact prefix, as a scan finds them (S9). `clean`: nothing follows. `torn`: an
 * append that never became stable.
 */
export type TailState = 'clean' | 'torn' | 'damaged';

/** What a logger knows of a shard, against which a taker holds the metadata (S20). */
export interface ShardKnowledge {
  /** In an answer to a seal that of before; undefined: there was none. */
  readonly fence: Writer | undefined;
  /** Zones that are held, the newest first, at most `limits.knownZonesMax`. */
  readonly zones: readonly KnownZone[];
}

export interface KnownZone extends Writer {
  readonly zone: ZoneId;
}

export interface SealAnswer {
  /** End of the intact prefix, a batch boundary; 0 when the zone was never seen. */
  readonly length: number;
  /** Highest committed length in any good batch header, also behind damage. */
  readonly seen: number;
  /** `tail` is damaged (bytes follow that are neither untouched nor a torn batch), or `seen` lies beyond `length`. */
  readonly doubtful: boolean;
  readonly tail: TailState;
  /** Process of the logger that answers: first-hand if the zone was opened with it (S9). */
  readonly process: InstanceId;
  readonly known: ShardKnowledge;
  /** Records behind the length, when the tail is damaged; those of later shorter lengths are not among them. */
  readonly cut?: CutRecords | undefined;
}

/** Whole batches that complete a shorter copy of a zone, verbatim (S19). */
export interface FillItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  /** Taker that has sealed the shard here. */
  readonly by: Writer;
  /** Intact length of the copy. */
  readonly offset: number;
  /** At offset 0 they begin with the zone header. */
  readonly bytes: Uint8Array;
}

/** Whole batches that complete a copy of a zone that ended, verbatim: repair (S10). */
export interface CopyItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  /** Who wrote the zone. */
  readonly writer: Writer;
  /** Owner of the shard that orders the copy. */
  readonly by: Writer;
  /** Sealed length of the zone. */
  readonly length: number;
  /** Intact length of the copy. */
  readonly offset: number;
  /** At offset 0 they begin with the zone header; none: asks for the intact length. */
  readonly bytes: Uint8Array;
  /** Copy id of a damaged copy, in whose place these bytes begin another, at offset 0; '': none. */
  readonly replaces: string;
}

/** Copy of a zone that ended, as its logger answers a `Copy`. */
export interface CopyState {
  readonly length: number;
  /** '': none is held. */
  readonly copyId: string;
}

export interface ReadItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly offset: number;
  readonly length: number;
}

export type ReadAnswer =
  | { readonly kind: 'ok'; readonly value: Uint8Array }
  | { readonly kind: 'refused'; readonly code: LoggerRefusalCode };

export const zoneStates = ['open', 'restarted', 'fenced', 'copying', 'finished'] as const;

/** A zone as a logger reports it. */
export interface ZoneStatus extends ZoneRef {
  /**
   * `restarted`: open, but found so after a restart, so it takes no appends. `fenced`: a higher epoch has sealed the
   * shard here (S4); its end is not known until `Finish` tells it. `copying`: completed from another copy, it takes no
   * appends.
   */
  readonly state: (typeof zoneStates)[number];
  /** End of the intact prefix; of a finished zone its sealed length. */
  readonly length: number;
  readonly seen: number;
  readonly capacity: number;
  readonly occupied: number;
  /** Names this copy (S10): drawn when the zone was created here. */
  readonly copyId: string;
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
  /** No space for another zone, or none was left for the newest write. */
  readonly full: boolean;
  readonly zones: number;
  readonly alignment: number;
}

// --- methods ---------------------------------------------------------------------------------------------------------

export const loggerMethods = {
  append: 'Append',
  appendPiece: 'AppendPiece',
  confirm: 'Confirm',
  testify: 'Testify',
  seal: 'Seal',
  fill: 'Fill',
  copy: 'Copy',
  finish: 'Finish',
  reset: 'Reset',
  probe: 'Probe',
  read: 'Read',
  reportZones: 'ReportZones',
  ping: 'Ping',
  hello: 'hello',
} as const;

export const loggerProtocolVersion = 1;

export interface LoggerWelcome {
  readonly cluster: Uuid;
  readonly logger: Uuid;
  readonly instance: InstanceId;
  readonly protocol: number;
}

/** Asks for the SHA-256 of bytes [0, length) of a zone. */
export interface DigestItem {
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly length: number;
}

export interface ReportRequest {
  readonly logger: string;
  /** Only this shard's zones; undefined: all. */
  readonly shard: ShardId | undefined;
  readonly digests: readonly DigestItem[];
  /** Zones up to this one, by shard and id, were reported before. */
  readonly after: ZonePosition | undefined;
}

/** Place of a zone in a report, which goes by shard and id. */
export interface ZonePosition {
  readonly shard: ShardId;
  readonly zone: ZoneId;
}

// --- primitives ------------------------------------------------------------------------------------------------------

const u48Max = 2 ** 48 - 1;
export const readShard = (reader: MessageReader): ShardId =>
  shardId(natural(reader, 0, limits.shardCountMax - 1, 'shard'));
export const readZone = (reader: MessageReader): ZoneId => zoneId(natural(reader, 1, u48Max, 'zone id'));
export const readEpoch = (reader: MessageReader): Epoch => toEpoch(natural(reader, 1, u48Max, 'epoch'));
export function writeWriter(out: MessageWriter, { epoch, instance }: Writer): void {
  out.integer(epoch);
  out.text(instance);
}

/** Two members of an array. */
export function readWriter(reader: MessageReader): Writer {
  return { epoch: readEpoch(reader), instance: readInstance(reader) };
}

export function readInstance(reader: MessageReader): InstanceId {
  const text = reader.text();
  return isInstanceId(text) ? text : malformed(reader, `'${text.slice(0, 32)}' is no instance`);
}

export const readBytesCount = (reader: MessageReader, what: string): number =>
  natural(reader, 0, limits.zoneBytesMax, what);

export function readCode(reader: MessageReader, code: string): LoggerRefusalCode {
  if (isRefusalCode(code)) return code;
  return malformed(reader, `unknown refusal '${code}'`);
}

export function isRefusalCode(code: string): code is LoggerRefusalCode {
  return Object.hasOwn(loggerRefusals, code);
}

export function refusal(code: LoggerRefusalCode, message: string, detail = 0): LoggerRefusal {
  return { kind: 'refused', code, message, detail };
}

/** The error object of a request that is refused as a whole. */
export function writeRefusal(out: MessageWriter, refused: LoggerRefusal): void {
  out.array(3);
  out.text(refused.code);
  out.text(refused.message);
  out.integer(refused.detail);
}

/** An error that isn't in our form, or has a code we don't know, leaves the outcome open: `lost`. */
export function readRefusal(error: MessageReader): LoggerRefusal | LoggerLost {
  const value = error.value();
  if (!Array.isArray(value)) return { kind: 'lost', message: `the logger answered with an error: ${String(value)}` };
  const [code, message, detail] = value as readonly unknown[];
  if (typeof code !== 'string' || !isRefusalCode(code))
    return { kind: 'lost', message: `the logger refused for an unknown reason: ${String(code)}` };
  return refusal(code, typeof message === 'string' ? message : '', typeof detail === 'number' ? detail : 0);
}
