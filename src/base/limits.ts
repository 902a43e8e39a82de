/**
 * Every limit of the product that nobody sets, and the relations between them; sizes are bytes. What can be set has its
 * default and its range in settings.ts, durations stand in times.ts.
 */
import { assert } from './assert.ts';
import { GIB, KIB, MIB } from './units.ts';

export const limits = {
  slotCount: 16_384,
  shardCountMax: 1_024,
  gatewayCountMax: 128,
  loggerCountMax: 128,
  /** Loggers that an operator has ever said something of. */
  standingsMax: 4_096,

  keyBytesMax: 1_024,
  valueBytesMax: 16 * MIB,
  /** What the owner keeps of a reply for repetitions (S15). */
  replyBytesMax: 64 * KIB,

  /** Zone offsets are u32 in the log format. */
  zoneBytesMin: 64 * KIB,
  zoneBytesMax: 2 * GIB,
  /** Unit of the checksum table of a batch header (S9): the largest sector size in use. */
  blockBytes: 4 * KIB,
  /** Written wholly or not at all by any medium. */
  sectorBytes: 512,
  alignmentBytesMax: 64 * KIB,

  batchRecordsMax: 16_384,
  batchesInFlightMax: 2,

  /** One MessagePack-RPC message. A value of the largest size, its key and the frame around it must fit. */
  frameBytesMax: 20 * MIB,
  /** Objects in one message, arrays' members included. */
  frameItemsMax: 1_000_000,
  /** Requests of one connection that wait for their answer. */
  requestsInFlightMax: 65_536,
  /** Bytes waiting to be taken by the other side before reading from a connection pauses. */
  outputBytesPause: 32 * MIB,
  /** ... and before the connection is closed: a peer that reads nothing costs this much and no more. */
  outputBytesMax: 128 * MIB,
  /** Values up to this size are small: they don't wait behind large ones. */
  smallValueBytes: 64 * KIB,
  /** Large values on their way to one connection, what it has not taken included, at which no other one begins. */
  readLargeBytesPerConnection: 12 * MIB,
  /** Values on their way to readers, of all connections. */
  readBytesUnderWayMax: 128 * MIB,
  /** What the first read that is forwarded for a connection is taken to fetch. */
  forwardedReadBytes: 256 * KIB,
  /** Times that a request is forwarded whose owner goes away, or is none any more. */
  forwardingsMax: 8,
  /** Writes of one connection that were forwarded and are not answered; one is always allowed. */
  forwardedBytesPerConnection: 32 * MIB,
  /** Requests a shard holds that are not yet committed: beyond it the answer is `overloaded`. */
  shardQueueRecordsMax: 100_000,
  shardQueueBytesMax: 256 * MIB,
  /** Requests that a gateway holds while their shard has no owner in reach. */
  requestsHeldMax: 10_000,
  requestsHeldBytesMax: 64 * MIB,
  /** Bytes queued towards one peer gateway for catch-up; what does not fit is dropped and healed from the log (S14). */
  catchupBytesMax: 64 * MIB,
  /** Catch-up is sent without waiting for more when it has so many bytes. */
  catchupBytesGathered: 256 * KIB,

  /** A client's window of request numbers: number - first incomplete number is below it (S15). */
  clientWindow: 4_096,
  /** Clients a shard remembers; the one that was silent longest is forgotten first (S15). */
  clientsRememberedMax: 10_000,
  /** Ranges of forgotten client ids that a shard keeps; beyond it the lowest join the floor (S15). */
  forgottenRangesMax: 1_024,
  clientIdsLeased: 1_000,
  /** Client ids and request numbers are u48, so that sums of them stay exact. */
  clientIdMax: 2 ** 48 - 1,
  requestNumberMax: 2 ** 48 - 1,

  /** Zones in one answer of a gateway. */
  zonesListedMax: 4_096,
  /** Zones of a shard that the answer to a seal tells of, the newest ones (S20). */
  knownZonesMax: 512,

  /** A metadata log is given up for a new checkpoint when it is longer, or longer than four of these. */
  metadataGrownBytes: 256 * KIB,
  /** The thread pool has four threads, one of which the sync takes. */
  coldReadsMax: 8,

  /** Items of one request to a logger. */
  appendItemsMax: 1_024,
  confirmItemsMax: 1_024,
  readItemsMax: 4_096,
  readBytesMax: 18 * MIB,
  /** Longest append that goes to a logger whole: a batch of the usual size, zone header included. */
  appendWholeBytesMax: MIB + 128 * KIB,
  /** Pieces of a longer one, and how many of them a gateway sends ahead of a logger's answers. */
  appendPieceBytes: 256 * KIB,
  appendPiecesInFlight: 12,
  /** Zones in one page of a logger's report. */
  reportZonesMax: 4_096,
  /** Free space that a logger that failed must have to be given a zone again; less where zones are smaller. */
  probeBytes: 32 * MIB,
  /** Log behind a taker's watermark that is kept between reading and applying it; a longer tail is read twice. */
  tailKeptBytesMax: 32 * MIB,
  /** Log that a follower or taker reads at once. */
  logChunkBytes: MIB,
  /** Committed log that a standby may lack which asks for its shard: it is read before the shard is served again. */
  handOverLagBytes: MIB,
  /** What a shorter copy may lack to be completed before a zone's length is recorded (S19), and the pieces of it. */
  fillBytesMax: 24 * MIB,
  fillPieceBytes: 8 * MIB,
  /** Copies of a shard's zones that are suspected of damage at once. */
  suspectCopiesMax: 1_024,
  /** Keys that a cut end of a zone is known to lose (S9), and the bytes of them; less where zones are small. */
  lostKeysMax: 4_096,
  lostKeyBytesMax: 128 * KIB,

  connectionsMax: 10_000,
  /** Descriptors that clients leave to the node itself: a quarter of all, within these bounds, at most half. */
  descriptorsReservedMin: 64,
  descriptorsReservedMax: 1_024,
  /** ... and those that members leave. */
  descriptorsKept: 24,
  /** Connections turned away that wait for their first request, to be told why. */
  refusalsWaitingMax: 8,
} as const;

assert(limits.valueBytesMax + limits.keyBytesMax + 64 * KIB < limits.frameBytesMax, 'a value fits a frame');
assert(limits.readBytesMax + 64 * KIB < limits.frameBytesMax, 'the answer of a read fits a frame');
assert(limits.valueBytesMax + limits.keyBytesMax + 64 * KIB < limits.readBytesMax, 'a record fits a read');
assert(limits.valueBytesMax + limits.keyBytesMax + 64 * KIB < limits.fillBytesMax, 'a record fits what is filled');
assert(
  limits.appendPieceBytes % limits.alignmentBytesMax === 0 && limits.alignmentBytesMax % limits.blockBytes === 0,
  'a piece of an append is aligned',
);
assert(
  limits.alignmentBytesMax + 4 * (limits.valueBytesMax / limits.blockBytes) + 2 * limits.blockBytes <
    limits.appendPieceBytes,
  'the headers of zone and batch fit the first piece of an append',
);
assert(limits.appendPieceBytes < limits.appendWholeBytesMax, 'what is cut has several pieces');
assert(limits.fillPieceBytes < limits.frameBytesMax, 'a piece of a Fill fits a frame');
assert(limits.smallValueBytes < limits.readLargeBytesPerConnection, 'several small values are under way at once');
assert(
  limits.readLargeBytesPerConnection + limits.valueBytesMax < limits.outputBytesPause,
  'large values leave room for small ones',
);
assert(limits.outputBytesPause < limits.outputBytesMax, 'pausing comes before closing');
assert(limits.frameBytesMax < limits.outputBytesPause, 'one frame never closes a connection');
