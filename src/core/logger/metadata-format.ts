/**
 * The logger's own metadata log (docs/formats.md): identity, which zone of which shard lies where, fences, zone floors.
 * It lies in the first two zones of the device, used alternately. All integers are little-endian.
 *
 *   metadata zone = checkpoint-frame change-frame*
 *   frame =
 *     0  magic:u32 "KVL1"
 *     4  checksum:u32          of bytes 8 .. end of the entries, seeded with the place
 *     8  format:u16  10 kind:u8 (1 checkpoint, 2 changes)  11 alignment-log2:u8
 *    12  entries length:u32    with the end mark
 *    16  total length:u32      with padding of zeros, a multiple of the alignment and of 64
 *    20  offset:u32            of this frame in its zone
 *    24  generation:u48        one more at each checkpoint, 1, 2, ...
 *    30  entry count:u32
 *    34  stable:u32            end of what was known to be stable in this zone when the frame was written
 *    38  device zone:u16
 *    40  cluster:16  56 logger:16  72 zone size:u32  76 header checksum:u32 of bytes 8 .. 76
 *    80  entries, end mark:u8 (255)
 *   entry =
 *     1:u8 fence       shard:u32 epoch:u48 instance:8 bytes   the highest epoch that sealed the shard here (S4)
 *     2:u8 zone-floor  shard:u32 zone:u48                     ids up to this one are never created again (S4)
 *     3:u8 zone        shard:u32 zone:u48 epoch:u48 device-zone:u32 copy-id:8 bytes state:u8 length:u32 batches:u32
 *                      instance:8 bytes
 *     4:u8 removed     shard:u32 zone:u48
 *     5:u8 lost        shard:u32 zone:u48                     ids up to this one that are not held may have been (S9)
 * state: 0 open (length and batches are 0: a scan finds them), 1 finished.
 *
 * Place: the seed is the CRC-32 of {logger, device zone, generation} xor the offset. A checkpoint holds the whole
 * state; the changes after it, applied in order, give the state now. A frame is valid when its checksum is and every
 * frame before it is.
 *
 * Torn or damaged: a medium writes a sector wholly or not at all, and no sector's part of a frame is zeros (an entry
 * begins in each, the last has the end mark). So a frame that is not valid though none of its sectors is missing was
 * whole once and may have been acknowledged: it is damaged. What a later valid frame of this generation calls `stable`
 * is damaged as well. Then a fence or a zone may be forgotten, and metadata-salvage.ts takes what is left. Everything
 * else that follows the last valid frame is torn: it was never stable.
 */
import { assert } from '../../base/assert.ts';
import { aligned, asBuffer, isZero } from '../../base/bytes.ts';
import { checksum } from '../../base/checksum.ts';
import type { InstanceId, ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { epoch as toEpoch, instanceId, shardId, uuid, zoneId } from '../../base/ids.ts';
import type { Writer } from '../../codec/log-format.ts';
import type { ZoneRef } from '../../codec/logger-protocol.ts';

export const metadataFormatVersion = 1;
export const frameHeaderBytes = 80;
/** Frames begin at multiples of this, so that looking for one behind damage is cheap. */
export const frameUnitBytes = 64;
/** Least that a medium writes wholly or not at all. */
const sectorBytes = 512;
const headerCheckedTo = 76;
const endMark = 255;
/** The device zones of the metadata log. */
export const metadataZones = [0, 1] as const;

const frameMagic = 0x314c564b; // "KVL1"
const frameKinds = { checkpoint: 1, changes: 2 } as const;

export type MetadataEntry =
  | FenceEntry
  | { readonly kind: 'zone-floor'; readonly shard: ShardId; readonly zone: ZoneId }
  | ZoneEntry
  | { readonly kind: 'removed'; readonly shard: ShardId; readonly zone: ZoneId }
  | { readonly kind: 'lost'; readonly shard: ShardId; readonly zone: ZoneId };

export interface FenceEntry extends Writer {
  readonly kind: 'fence';
  readonly shard: ShardId;
}

export interface ZoneEntry extends ZoneRef {
  readonly kind: 'zone';
  readonly deviceZone: number;
  /** 16 hexadecimal digits: names this copy (S10). */
  readonly copyId: string;
  readonly state: 'open' | 'finished';
  readonly length: number;
  readonly batches: number;
}

/** Statements of every frame of a metadata zone about itself. */
export interface FrameHeader {
  readonly kind: 'checkpoint' | 'changes';
  readonly cluster: Uuid;
  readonly logger: Uuid;
  readonly zoneSize: number;
  readonly alignment: number;
  readonly deviceZone: number;
  readonly generation: number;
  readonly offset: number;
  readonly stable: number;
}

export interface Frame extends FrameHeader {
  readonly entries: readonly MetadataEntry[];
  readonly totalLength: number;
}

/** Length of each kind of entry. */
export const entryBytes = { fence: 19, 'zone-floor': 11, zone: 46, removed: 11, lost: 11 } as const;
const entryCodes = { fence: 1, 'zone-floor': 2, zone: 3, removed: 4, lost: 5 } as const;

/** Length of a frame of these entries, padded to a multiple of `alignment`, a power of two. */
export function frameLength(entries: readonly MetadataEntry[], alignment: number): number {
  let length = frameHeaderBytes + 1;
  for (const entry of entries) length += entryBytes[entry.kind];
  return aligned(length, Math.max(alignment, frameUnitBytes));
}

/** `unit`: the frame is padded to a multiple of it, bytes. REQUIRES: it and the alignment are powers of two. */
export function encodeFrame(
  header: FrameHeader,
  entries: readonly MetadataEntry[],
  unit: number = header.alignment,
): Buffer {
  const bytes = Buffer.alloc(frameLength(entries, Math.max(unit, header.alignment)));
  let at = frameHeaderBytes;
  for (const entry of entries) at = encodeEntry(bytes, at, entry);
  at = bytes.writeUInt8(endMark, at);
  bytes.writeUInt32LE(frameMagic, 0);
  bytes.writeUInt16LE(metadataFormatVersion, 8);
  bytes.writeUInt8(frameKinds[header.kind], 10);
  bytes.writeUInt8(Math.log2(header.alignment), 11);
  bytes.writeUInt32LE(at - frameHeaderBytes, 12);
  bytes.writeUInt32LE(bytes.length, 16);
  bytes.writeUInt32LE(header.offset, 20);
  bytes.writeUIntLE(header.generation, 24, 6);
  bytes.writeUInt32LE(entries.length, 30);
  bytes.writeUInt32LE(header.stable, 34);
  bytes.writeUInt16LE(header.deviceZone, 38);
  bytes.write(header.cluster, 40, 'hex');
  bytes.write(header.logger, 56, 'hex');
  bytes.writeUInt32LE(header.zoneSize, 72);
  bytes.writeUInt32LE(checksum(bytes.subarray(8, headerCheckedTo)), headerCheckedTo);
  bytes.writeUInt32LE(checksum(bytes.subarray(8, at), frameSeed(header)), 4);
  return bytes;
}

function frameSeed(place: Pick<FrameHeader, 'logger' | 'deviceZone' | 'generation' | 'offset'>): number {
  const seed = checksum(Buffer.from(`${place.logger}/${place.deviceZone}/${place.generation}`, 'latin1'));
  return (seed ^ place.offset) >>> 0;
}

function encodeEntry(bytes: Buffer, start: number, entry: MetadataEntry): number {
  bytes.writeUInt8(entryCodes[entry.kind], start);
  bytes.writeUInt32LE(entry.shard, start + 1);
  bytes.writeUIntLE(entry.kind === 'fence' ? entry.epoch : entry.zone, start + 5, 6);
  if (entry.kind === 'fence') bytes.write(entry.instance, start + 11, 'hex');
  if (entry.kind === 'zone') {
    assert(/^[0-9a-f]{16}$/.test(entry.copyId), 'S10 a copy id has 16 hexadecimal digits');
    bytes.writeUIntLE(entry.epoch, start + 11, 6);
    bytes.writeUInt32LE(entry.deviceZone, start + 17);
    bytes.write(entry.copyId, start + 21, 'hex');
    bytes.writeUInt8(entry.state === 'finished' ? 1 : 0, start + 29);
    bytes.writeUInt32LE(entry.length, start + 30);
    bytes.writeUInt32LE(entry.batches, start + 34);
    bytes.write(entry.instance, start + 38, 'hex');
  }
  return start + entryBytes[entry.kind];
}

export type FrameResult =
  | { readonly kind: 'frame'; readonly frame: Frame }
  | { readonly kind: 'none' }
  | { readonly kind: 'newer-format'; readonly format: number };

/** Reads the frame at `offset` of a metadata zone's bytes; `none` when nothing valid for this place is there. */
export function decodeFrame(zoneBytes: Uint8Array, offset: number, deviceZone: number): FrameResult {
  const bytes = asBuffer(zoneBytes).subarray(offset);
  const none: FrameResult = { kind: 'none' };
  if (bytes.length < frameHeaderBytes || bytes.readUInt32LE(0) !== frameMagic) return none;
  const end = frameHeaderBytes + bytes.readUInt32LE(12);
  const totalLength = bytes.readUInt32LE(16);
  if (end <= frameHeaderBytes || end > totalLength || totalLength > bytes.length || totalLength % frameUnitBytes !== 0)
    return none;
  const logger = uuid(bytes.toString('hex', 56, 72));
  const generation = bytes.readUIntLE(24, 6);
  if (bytes.readUInt32LE(20) !== offset || bytes.readUInt16LE(38) !== deviceZone) return none;
  if (checksum(bytes.subarray(8, end), frameSeed({ logger, deviceZone, generation, offset })) !== bytes.readUInt32LE(4))
    return none;
  // After the checksum, so that a flipped bit does not pass for a newer format.
  const format = bytes.readUInt16LE(8);
  if (format > metadataFormatVersion) return { kind: 'newer-format', format };
  const entries = decodeEntries(bytes.subarray(frameHeaderBytes, end - 1), bytes.readUInt32LE(30));
  const kind = bytes.readUInt8(10);
  if (entries === undefined || (kind !== frameKinds.checkpoint && kind !== frameKinds.changes)) return none;
  return {
    kind: 'frame',
    frame: {
      kind: kind === frameKinds.checkpoint ? 'checkpoint' : 'changes',
      cluster: uuid(bytes.toString('hex', 40, 56)),
      logger,
      generation,
      offset,
      deviceZone,
      totalLength,
      entries,
      alignment: 2 ** bytes.readUInt8(11),
      stable: bytes.readUInt32LE(34),
      zoneSize: bytes.readUInt32LE(72),
    },
  };
}

/**
 * Undefined when they are not `count` entries: impossible behind a good checksum but for a bug, which must not become a
 * wrong state.
 */
function decodeEntries(bytes: Buffer, count: number): MetadataEntry[] | undefined {
  const entries: MetadataEntry[] = [];
  let at = 0;
  for (let left = count; left > 0; left -= 1) {
    const code = at < bytes.length ? bytes.readUInt8(at) : 0;
    const length = lengthOf(code);
    if (code < entryCodes.fence || code > entryCodes.lost || at + length > bytes.length) return undefined;
    const entry = decodeEntry(bytes, at, code);
    if (entry === undefined) return undefined;
    entries.push(entry);
    at += length;
  }
  return at === bytes.length ? entries : undefined;
}

function lengthOf(code: number): number {
  if (code === entryCodes.zone) return entryBytes.zone;
  return code === entryCodes.fence ? entryBytes.fence : entryBytes.removed;
}

function decodeEntry(bytes: Buffer, start: number, code: number): MetadataEntry | undefined {
  const shard = shardId(bytes.readUInt32LE(start + 1));
  const number = bytes.readUIntLE(start + 5, 6);
  if (number === 0) return undefined;
  if (code === entryCodes.fence)
    return { kind: 'fence', shard, epoch: toEpoch(number), instance: readInstance(bytes, start + 11) };
  if (code === entryCodes['zone-floor']) return { kind: 'zone-floor', shard, zone: zoneId(number) };
  if (code === entryCodes.removed) return { kind: 'removed', shard, zone: zoneId(number) };
  if (code === entryCodes.lost) return { kind: 'lost', shard, zone: zoneId(number) };
  const epoch = bytes.readUIntLE(start + 11, 6);
  if (epoch === 0) return undefined;
  return {
    kind: 'zone',
    shard,
    zone: zoneId(number),
    epoch: toEpoch(epoch),
    deviceZone: bytes.readUInt32LE(start + 17),
    copyId: bytes.toString('hex', start + 21, start + 29),
    state: bytes.readUInt8(start + 29) === 1 ? 'finished' : 'open',
    length: bytes.readUInt32LE(start + 30),
    batches: bytes.readUInt32LE(start + 34),
    instance: readInstance(bytes, start + 38),
  };
}

function readInstance(bytes: Buffer, start: number): InstanceId {
  return instanceId(bytes.toString('hex', start, start + 8));
}

// --- reading a metadata zone -----------------------------------------------------------------------------------------

export type MetadataZoneResult =
  /** `frames` begins with the checkpoint. `end` is where the next frame would be. */
  | { readonly kind: 'state'; readonly generation: number; readonly frames: readonly Frame[]; readonly end: number }
  /** No valid checkpoint at the start. */
  | { readonly kind: 'none' }
  | { readonly kind: 'newer-format'; readonly format: number }
  /** Bytes of `generation` that had been acknowledged are damaged, at `offset`. */
  | { readonly kind: 'damaged'; readonly offset: number; readonly generation: number };

/** Reads what a metadata zone holds. `bytes`: from the zone's start to the end of what it may hold. */
export function readMetadataZone(bytes: Uint8Array, deviceZone: number): MetadataZoneResult {
  const first = decodeFrame(bytes, 0, deviceZone);
  if (first.kind === 'newer-format') return first;
  if (first.kind === 'none' || first.frame.kind !== 'checkpoint') {
    const proof = laterFrame(bytes, 0, deviceZone)?.generation ?? damagedGeneration(asBuffer(bytes), 0, deviceZone);
    return proof === undefined ? { kind: 'none' } : { kind: 'damaged', offset: 0, generation: proof };
  }
  const { generation } = first.frame;
  const frames = [first.frame];
  let at = first.frame.totalLength;
  for (;;) {
    const next = decodeFrame(bytes, at, deviceZone);
    if (next.kind === 'newer-format') return next;
    if (next.kind === 'none' || next.frame.kind !== 'changes' || next.frame.generation !== generation) break;
    frames.push(next.frame);
    at += next.frame.totalLength;
  }
  const isDamaged = (damagedGeneration(asBuffer(bytes), at, deviceZone) ?? 0) >= generation;
  if (isDamaged || laterFrame(bytes, at, deviceZone, generation) !== undefined)
    return { kind: 'damaged', offset: at, generation };
  return { kind: 'state', generation, frames, end: at };
}

/**
 * Generation of the frame at `at`, which is not valid, if it was whole once; undefined: it was not, or it is an older
 * place's. What has no good header may be of any generation.
 */
function damagedGeneration(bytes: Buffer, at: number, deviceZone: number): number | undefined {
  const end = at + frameHeaderBytes;
  if (end > bytes.length || isSectorMissing(bytes, at, end)) return undefined;
  const head = bytes.subarray(at, end);
  const isGood = checksum(head.subarray(8, headerCheckedTo)) === head.readUInt32LE(headerCheckedTo);
  if (!isGood || head.readUInt32LE(0) !== frameMagic) return Number.MAX_SAFE_INTEGER;
  const isHere = head.readUInt32LE(20) === at && head.readUInt16LE(38) === deviceZone;
  const bodyEnd = end + head.readUInt32LE(12);
  if (!isHere || bodyEnd > bytes.length || isSectorMissing(bytes, at, bodyEnd)) return undefined;
  return head.readUIntLE(24, 6);
}

/** Whether the part of [from, to) that lies in one of its sectors is zeros: it was never written. */
function isSectorMissing(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; ) {
    const end = Math.min(to, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
    if (isZero(bytes.subarray(at, end))) return true;
    at = end;
  }
  return false;
}

/** A valid frame behind `from` (of `generation` if given) that proves that the byte at `from` was once stable. */
function laterFrame(bytes: Uint8Array, from: number, deviceZone: number, generation?: number): Frame | undefined {
  for (let at = aligned(from + 1, frameUnitBytes); at + frameHeaderBytes <= bytes.length; at += frameUnitBytes) {
    const result = decodeFrame(bytes, at, deviceZone);
    if (result.kind !== 'frame' || (generation !== undefined && result.frame.generation !== generation)) continue;
    if (result.frame.stable > from) return result.frame;
  }
  return undefined;
}
