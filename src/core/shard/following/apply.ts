/**
 * Applies committed records to the index and the once-only table: the same function for owners, standbys and recovery,
 * so that they agree (S12, S14, S15).
 */
import { assert } from '../../../base/assert.ts';
import type { Millis, ShardId, Uuid, Version, ZoneId } from '../../../base/ids.ts';
import { clientId, lbaOf, version } from '../../../base/ids.ts';
import { limits } from '../../../base/limits.ts';
import type { DecodedRecord, RecordInput } from '../../../codec/log-format.ts';
import { asBuffer, readU64 } from '../../../base/bytes.ts';
import { decodeRecord, recordKind } from '../../../codec/log-format.ts';
import type { KeyIndex } from '../../index/key-index.ts';
import type { OnceTable } from '../../once/once-table.ts';
import type { LogPosition } from '../events.ts';

/** Index, once-only table and how far they have applied the log: what a snapshot holds. */
export interface ShardState {
  readonly cluster: Uuid;
  readonly shard: ShardId;
  readonly zoneSize: number;
  readonly index: KeyIndex;
  readonly once: OnceTable;
  position: LogPosition;
  /** The largest shard time in the log so far (S18). */
  shardTimeMs: Millis;
  /** Bytes of log applied since the process started: when to take the next snapshot. */
  appliedBytes: number;
}

/**
 * Moves the watermark to `end` of `zone`. It never goes back (S14). REQUIRES: `shardTimeMs` is not below the state's:
 * that of the batch that ends there, or the state's own where none does (S18).
 */
export function advance(state: ShardState, zone: ZoneId, end: number, shardTimeMs: Millis): void {
  assert(
    zone > state.position.zone || (zone === state.position.zone && end >= state.position.offset),
    'S14 the watermark only grows',
  );
  state.appliedBytes += zone === state.position.zone ? end - state.position.offset : end;
  state.position = { zone, offset: end };
  assert(shardTimeMs >= state.shardTimeMs, 'S18 shard time only grows along the log');
  state.shardTimeMs = shardTimeMs;
}

/**
 * Whether an owner could have written the record there: of what a peer says, unlike of what the log holds, that is not
 * sure. The record's fields are ranges of `bytes`.
 */
export function isApplicable(
  state: ShardState,
  zone: ZoneId,
  offset: number,
  bytes: Buffer,
  record: DecodedRecord,
): boolean {
  const { kind, client, keyStart, keyLength } = record;
  const address = lbaOf(zone, offset, state.zoneSize);
  if (!Number.isSafeInteger(address) || (record.version ?? 0) > address) return false;
  if (kind === recordKind.floor) return client === 0 && keyLength === 8 && isClient(readU64(bytes, keyStart));
  if (kind === recordKind.time) return client === 0;
  if (kind === recordKind.lost) return client === 0 && keyLength > 0 && record.version === undefined;
  return keyLength > 0 && (client === 0 || isNumbered(record, state.once.window));
}

function isClient(id: number): boolean {
  return id >= 1 && id <= limits.clientIdMax;
}

function isNumbered({ client, number, firstIncomplete }: DecodedRecord, window: number): boolean {
  const isInWindow = firstIncomplete >= 1 && number - firstIncomplete < window;
  return isClient(client) && isInWindow && number <= limits.requestNumberMax;
}

/** What the applier needs of a record, whether it was decoded from a log or is still the write that became it. */
export type CommittedRecord = Pick<
  RecordInput,
  'kind' | 'keyStart' | 'keyLength' | 'valueLength' | 'version' | 'expiresAt' | 'client' | 'number' | 'firstIncomplete'
>;

/**
 * Applies one committed record of `length` bytes that lies at `offset` of `zone`; its key is a range of `source`. Gives
 * its version. `reply`: what a repetition is answered from (S15); it is kept, so it shares no memory with `source`.
 */
export function applyRecord(
  state: ShardState,
  zone: ZoneId,
  offset: number,
  source: Uint8Array,
  record: CommittedRecord,
  length: number,
  reply: Uint8Array | undefined,
): Version {
  const { kind, keyStart, keyLength } = record;
  const address = lbaOf(zone, offset, state.zoneSize);
  const recordVersion = record.version ?? version(address);
  assert(recordVersion <= address, 'S12 a record lies where it was committed, or was moved from before there');
  if (kind === recordKind.put) {
    const { valueLength, expiresAt } = record;
    state.index.put(source, keyStart, keyLength, recordVersion, address, length, valueLength, expiresAt ?? 0);
  } else if (kind === recordKind.delete) {
    state.index.delete(source, keyStart, keyLength, recordVersion);
  } else if (kind === recordKind.lost) {
    state.index.lose(source, keyStart, keyLength, address, length);
  } else if (kind === recordKind.floor) {
    state.once.applyFloor(clientId(readU64(asBuffer(source), keyStart)));
  }
  if (record.client !== 0)
    state.once.complete(record.client, record.number, record.firstIncomplete, { kind, version: recordVersion, reply });
  return recordVersion;
}

/** Applies a record that was read from a log, or sent by its owner: its fields are ranges of `bytes`. */
export function applyDecoded(
  state: ShardState,
  zone: ZoneId,
  offset: number,
  bytes: Buffer,
  record: DecodedRecord,
): void {
  const { replyStart, replyLength } = record;
  const reply = replyLength === 0 ? undefined : Uint8Array.from(bytes.subarray(replyStart, replyStart + replyLength));
  applyRecord(state, zone, offset, bytes, record, record.length, reply);
}

/** Why bytes could not be applied. Nothing of the batch was. */
export interface NotApplied {
  readonly reason: string;
  readonly offset: number;
}

/**
 * Decodes `count` records one after another from `start` of `bytes`, which lies at `offset` of the zone; with `apply`
 * off only checks them. `headsOnly`: as in catch-up messages, the values are left out.
 */
export function eachRecord(
  bytes: Buffer,
  start: number,
  end: number,
  offset: number,
  seed: number,
  headsOnly: boolean,
  visit: (record: DecodedRecord, offset: number) => void,
): NotApplied | undefined {
  let at = start;
  let recordOffset = offset;
  while (at < end) {
    const result = decodeRecord(bytes, at, seed, recordOffset, headsOnly);
    if (result.kind !== 'record')
      return { reason: result.kind === 'damaged' ? result.reason : result.kind, offset: recordOffset };
    visit(result.record, recordOffset);
    at += headsOnly ? result.record.length - result.record.valueLength : result.record.length;
    recordOffset += result.record.length;
  }
  return undefined;
}
