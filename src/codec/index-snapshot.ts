/**
 * The format of index snapshots (docs/formats-index-snapshot.md): what a gateway keeps of a shard's index on its own
 * disk, and sends to a standby that has none. Little-endian throughout; on a big-endian machine snapshots are not used.
 *
 *   snapshot = header-chunk entries-chunk* keys-chunk* once-chunk* forgotten-chunk? end-chunk
 *   chunk    =
 *     0  checksum:u32   of bytes 4 .. end, seeded with the chunk's index (0, 1, ...) xor the header's checksum (but for
 *                       the header)
 *     4  length:u32     of the payload, at most 1 MiB
 *     8  kind:u8 "H" "E" "K" "O" "F" "Z"   9 zero:u24
 *    12  number:u32     of the segment; else 0
 *    16  payload
 *   header = magic:u32 "KVS1" format:u16 0:u16 shard:u32 zone size:u32 cluster:16 bytes watermark zone:u64
 *            watermark offset:u64 shard time:u64 floor:u64 seed low:u32 seed high:u32 entry segments:u32 0:u32
 *            80 bytes
 *   E      = entry*     (40 bytes each: core/index/index-entries.ts)
 *   K      = key*       (length:u16 bytes padding to 4: core/index/index-arena.ts)
 *   O      = client*, client = id:u64 first:u64 flags:u8 (1 partial) 0:u8 count:u16 result*
 *            result = number - first:u32 kind:u8 has-reply:u8 reply length:u16 version:u64 reply
 *   F      = range*, range = lowest id:u64 highest id:u64: forgotten ids above the floor; no chunk where there are none
 *   end    = chunk count:u32 (this one included)  total:u32 (checksum over all former chunks' checksums)
 *
 * Because the seed of every checksum holds the header's, a chunk of another snapshot, or a chunk at another place, is
 * damage.
 */
import { assert } from '../base/assert.ts';
import { checksum } from '../base/checksum.ts';
import type { Millis, ShardId, Uuid } from '../base/ids.ts';
import { clientId, millis, shardId, uuid, version } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { asBuffer, readU64, writeU64 } from '../base/bytes.ts';
import { recordKind } from './log-format.ts';
import type { RecordKind } from './log-format.ts';

export const snapshotFormat = 1;
export const chunkHeadBytes = 16;
export const chunkPayloadMax = 1024 * 1024;

export const chunkKind = { header: 0x48, entries: 0x45, keys: 0x4b, once: 0x4f, forgotten: 0x46, end: 0x5a } as const;
export type ChunkKind = (typeof chunkKind)[keyof typeof chunkKind];

const magic = 0x3153564b; // "KVS1"
const headerBytes = 80;
const endBytes = 8;
const clientHeadBytes = 20;
const resultHeadBytes = 16;
const rangeBytes = 16;
const partialFlag = 1;

export interface SnapshotHeader {
  readonly cluster: Uuid;
  readonly shard: ShardId;
  readonly zoneSize: number;
  /** The log's position from where replay begins. Zone 0: nothing was applied. */
  readonly watermark: { readonly zone: number; readonly offset: number };
  readonly shardTimeMs: Millis;
  /** Floor of the once-only table at the watermark (S15). */
  readonly floor: number;
  readonly seed: { readonly low: number; readonly high: number };
  readonly entrySegments: number;
}

/** Damage, or a format that this version does not know. `reason` is for the operator. */
export type SnapshotProblem =
  | { readonly kind: 'damaged'; readonly reason: string; readonly offset: number }
  | { readonly kind: 'newer-format'; readonly format: number };

export interface OnceResultState {
  readonly number: number;
  readonly kind: RecordKind;
  readonly version: number;
  readonly reply: Uint8Array | undefined;
}

/** Client ids from `low` to `high`, both included. */
export interface ClientIdRange {
  readonly low: number;
  readonly high: number;
}

export interface OnceState {
  readonly client: number;
  readonly first: number;
  readonly partial: boolean;
  readonly results: readonly OnceResultState[];
}

/** Whether this machine's typed arrays have the byte order of the format. */
export const hostIsLittleEndian: boolean = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

// --- chunks ----------------------------------------------------------------------------------------------------------

/** Makes chunks one after another and keeps their chain of checksums. */
export class ChunkEncoder {
  #index = 0;
  #headerChecksum = 0;
  #total = 0;

  /** A chunk in memory of its own. */
  encode(kind: ChunkKind, number: number, payload: Uint8Array): Uint8Array {
    assert(payload.length <= chunkPayloadMax, 'a chunk is bounded');
    assert((kind === chunkKind.header) === (this.#index === 0), 'the header comes first, once');
    const chunk = Buffer.allocUnsafeSlow(chunkHeadBytes + payload.length);
    chunk.writeUInt32LE(payload.length, 4);
    chunk.writeUInt32LE(kind, 8);
    chunk.writeUInt32LE(number, 12);
    chunk.set(payload, chunkHeadBytes);
    const sum = checksum(chunk.subarray(4), chunkSeed(this.#index, this.#headerChecksum));
    chunk.writeUInt32LE(sum, 0);
    if (this.#index === 0) this.#headerChecksum = sum;
    this.#total = checksum(chunk.subarray(0, 4), this.#total);
    this.#index++;
    return chunk;
  }

  /** The last chunk. */
  end(): Uint8Array {
    const payload = Buffer.alloc(endBytes);
    payload.writeUInt32LE(this.#index + 1, 0);
    payload.writeUInt32LE(this.#total, 4);
    return this.encode(chunkKind.end, 0, payload);
  }
}

export interface ChunkHead {
  readonly checksum: number;
  readonly length: number;
  readonly kind: ChunkKind;
  readonly number: number;
}

/** Reads what precedes a payload. REQUIRES: 16 bytes. */
export function decodeChunkHead(input: Uint8Array): ChunkHead | string {
  const bytes = asBuffer(input);
  const length = bytes.readUInt32LE(4);
  const kind = chunkKindOf(bytes.readUInt32LE(8));
  if (length > chunkPayloadMax) return 'chunk: impossible length';
  if (kind === undefined) return 'chunk: unknown kind';
  return { checksum: bytes.readUInt32LE(0), length, kind, number: bytes.readUInt32LE(12) };
}

/** Checks chunks one after another. */
export class ChunkChecker {
  #index = 0;
  #headerChecksum = 0;
  #total = 0;

  /** Chunks checked so far. */
  get index(): number {
    return this.#index;
  }

  /** Says what is wrong with the chunk; undefined: nothing. `head`: its first 16 bytes. */
  check(head: Uint8Array, decoded: ChunkHead, payload: Uint8Array): string | undefined {
    if ((decoded.kind === chunkKind.header) !== (this.#index === 0)) return 'chunk: the header is not the first';
    const seed = chunkSeed(this.#index, this.#headerChecksum);
    if (checksum(payload, checksum(head.subarray(4), seed)) !== decoded.checksum) return 'chunk: wrong checksum';
    if (decoded.kind === chunkKind.end && !this.#endAgrees(asBuffer(payload)))
      return 'end: other chunks than were written';
    if (this.#index === 0) this.#headerChecksum = decoded.checksum;
    this.#total = checksum(head.subarray(0, 4), this.#total);
    this.#index++;
    return undefined;
  }

  #endAgrees(payload: Buffer): boolean {
    return (
      payload.length === endBytes &&
      payload.readUInt32LE(0) === this.#index + 1 &&
      payload.readUInt32LE(4) === this.#total
    );
  }
}

function chunkSeed(index: number, headerChecksum: number): number {
  return (index ^ headerChecksum) >>> 0;
}

function chunkKindOf(value: number): ChunkKind | undefined {
  return Object.values(chunkKind).find((kind) => kind === value);
}

// --- header ----------------------------------------------------------------------------------------------------------

export function encodeSnapshotHeader(header: SnapshotHeader): Uint8Array {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt16LE(snapshotFormat, 4);
  bytes.writeUInt32LE(header.shard, 8);
  bytes.writeUInt32LE(header.zoneSize, 12);
  bytes.write(header.cluster, 16, 'hex');
  writeU64(bytes, header.watermark.zone, 32);
  writeU64(bytes, header.watermark.offset, 40);
  writeU64(bytes, header.shardTimeMs, 48);
  writeU64(bytes, header.floor, 56);
  bytes.writeUInt32LE(header.seed.low, 64);
  bytes.writeUInt32LE(header.seed.high, 68);
  bytes.writeUInt32LE(header.entrySegments, 72);
  return bytes;
}

/** REQUIRES: the chunk's checksum was checked. */
export function decodeSnapshotHeader(payload: Uint8Array): SnapshotHeader | SnapshotProblem {
  const bytes = asBuffer(payload);
  const damaged = (reason: string): SnapshotProblem => ({ kind: 'damaged', reason, offset: chunkHeadBytes });
  if (bytes.length < 8 || bytes.readUInt32LE(0) !== magic) return damaged('header: wrong magic');
  const format = bytes.readUInt16LE(4);
  if (format > snapshotFormat) return { kind: 'newer-format', format };
  if (bytes.length !== headerBytes) return damaged('header: wrong length');
  const zone = readU64(bytes, 32);
  const offset = readU64(bytes, 40);
  const time = readU64(bytes, 48);
  const floor = readU64(bytes, 56);
  if (Number.isNaN(zone + offset + time + floor)) return damaged('header: a number out of range');
  return {
    cluster: uuid(bytes.toString('hex', 16, 32)),
    shard: shardId(bytes.readUInt32LE(8)),
    zoneSize: bytes.readUInt32LE(12),
    watermark: { zone, offset },
    shardTimeMs: millis(time),
    floor,
    seed: { low: bytes.readUInt32LE(64), high: bytes.readUInt32LE(68) },
    entrySegments: bytes.readUInt32LE(72),
  };
}

// --- once-only table -------------------------------------------------------------------------------------------------

/** Bytes of a client without its results. */
export const onceClientBytes = clientHeadBytes;

export function onceResultBytes(reply: Uint8Array | undefined): number {
  return resultHeadBytes + (reply?.length ?? 0);
}

/** Appends one client at `at`; gives the end. REQUIRES: room, at most 65,535 results. */
export function encodeOnceClient(out: Buffer, start: number, state: OnceState): number {
  assert(state.results.length <= 0xffff, 'the count of results fits its field');
  writeU64(out, state.client, start);
  writeU64(out, state.first, start + 8);
  out.writeUInt16LE(state.partial ? partialFlag : 0, start + 16);
  out.writeUInt16LE(state.results.length, start + 18);
  let at = start + clientHeadBytes;
  for (const result of state.results) {
    out.writeUInt32LE(result.number - state.first, at);
    out[at + 4] = result.kind;
    out[at + 5] = result.reply === undefined ? 0 : 1;
    out.writeUInt16LE(result.reply?.length ?? 0, at + 6);
    writeU64(out, result.version, at + 8);
    at += resultHeadBytes;
    if (result.reply === undefined) continue;
    out.set(result.reply, at);
    at += result.reply.length;
  }
  return at;
}

/** The clients of a once-chunk, or what is wrong with it. `window`: results are below first + window. */
export function decodeOnceClients(payload: Uint8Array, window: number): readonly OnceState[] | string {
  const bytes = asBuffer(payload);
  const clients: OnceState[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + clientHeadBytes > bytes.length) return 'once: a client is cut off';
    const client = readU64(bytes, at);
    const first = readU64(bytes, at + 8);
    const flags = bytes.readUInt16LE(at + 16);
    if (Number.isNaN(client + first) || client === 0 || flags > partialFlag) return 'once: impossible client';
    const results: OnceResultState[] = [];
    const count = bytes.readUInt16LE(at + 18);
    at += clientHeadBytes;
    for (let index = 0; index < count; index++) {
      const result = decodeResult(bytes, at, first, window);
      if (typeof result === 'string') return result;
      results.push(result);
      at += onceResultBytes(result.reply);
    }
    clients.push({ client: clientId(client), first, partial: flags === partialFlag, results });
  }
  return clients;
}

function decodeResult(bytes: Buffer, at: number, first: number, window: number): OnceResultState | string {
  if (at + resultHeadBytes > bytes.length) return 'once: a result is cut off';
  const ahead = bytes.readUInt32LE(at);
  const kind = resultKindOf(bytes[at + 4] ?? 0);
  const hasReply = bytes[at + 5] ?? 0;
  const length = bytes.readUInt16LE(at + 6);
  const ofRecord = readU64(bytes, at + 8);
  const end = at + resultHeadBytes + length;
  if (ahead >= window || kind === undefined || hasReply > 1 || (hasReply === 0 && length > 0) || Number.isNaN(ofRecord))
    return 'once: impossible result';
  if (end > bytes.length || length > limits.replyBytesMax) return 'once: a reply is cut off';
  const reply = hasReply === 0 ? undefined : Uint8Array.from(bytes.subarray(at + resultHeadBytes, end));
  return { number: first + ahead, kind, version: version(ofRecord), reply };
}

function resultKindOf(value: number): RecordKind | undefined {
  return [recordKind.put, recordKind.delete, recordKind.refusal].find((kind) => kind === value);
}

export function encodeForgotten(ranges: readonly ClientIdRange[]): Uint8Array {
  const bytes = Buffer.alloc(ranges.length * rangeBytes);
  for (const [index, { low, high }] of ranges.entries()) {
    writeU64(bytes, low, index * rangeBytes);
    writeU64(bytes, high, index * rangeBytes + 8);
  }
  return bytes;
}

/** The ranges of a forgotten-chunk, all above `floor` and in order, or what is wrong with it. */
export function decodeForgotten(payload: Uint8Array, floor: number): readonly ClientIdRange[] | string {
  const bytes = asBuffer(payload);
  if (bytes.length % rangeBytes !== 0) return 'forgotten: a range is cut off';
  const ranges: ClientIdRange[] = [];
  let last = floor;
  for (let at = 0; at < bytes.length; at += rangeBytes) {
    const low = readU64(bytes, at);
    const high = readU64(bytes, at + 8);
    // Also false for what is no number.
    if (!(low > last && high >= low)) return 'forgotten: ranges out of order';
    ranges.push({ low, high });
    last = high;
  }
  return ranges;
}
