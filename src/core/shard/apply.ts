/**
 * Applies committed records to the index and the once-only table: the same function for owners, standbys and recovery,
 * so that they agree (S12, S14, S15).
 */
import { assert } from '../../base/assert.ts';
import type { Millis, ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { clientId, lbaOf, millis, version } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { DecodedRecord } from '../../codec/log-format.ts';
import { decodeRecord, recordKind } from '../../codec/log-format.ts';
import type { KeyIndex } from '../index/key-index.ts';
import type { OnceTable } from '../once/once-table.ts';
import type { LogPosition } from './events.ts';

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

/** Moves the watermark. It never goes back (S14). */
export function advance(state: ShardState, zone: ZoneId, end: number, shardTimeMs: Millis): void {
  assert(
    zone > state.position.zone || (zone === state.position.zone && end >= state.position.offset),
    'S14 the watermark only grows',
  );
  state.appliedBytes += zone === state.position.zone ? end - state.position.offset : end;
  state.position = { zone, offset: end };
  if (shardTimeMs > state.shardTimeMs) state.shardTimeMs = millis(shardTimeMs);
}

/**
 * Whether an owner could have written the record there: of what a peer says, unlike of what the log holds, that is not
 * sure.
 */
export function isApplicable(state: ShardState, zone: ZoneId, offset: number, record: DecodedRecord): boolean {
  const { kind, client, number, firstIncomplete, keyLength } = record;
  const address = lbaOf(zone, offset, state.zoneSize);
  if (!Number.isSafeInteger(address) || (record.version ?? 0) > address) return false;
  if (kind === recordKind.floor) return client === 0 && keyLength === 8;
  if (kind === recordKind.time) return client === 0;
  if (client !== 0 && (firstIncomplete < 1 || number - firstIncomplete >= limits.clientWindow)) return false;
  return keyLength > 0;
}

/** Applies one record that lies at `offset` of `zone`; its fields are ranges of `bytes`. */
export function applyRecord(
  state: ShardState,
  zone: ZoneId,
  offset: number,
  bytes: Buffer,
  record: DecodedRecord,
): void {
  const address = lbaOf(zone, offset, state.zoneSize);
  const recordVersion = record.version ?? version(address);
  switch (record.kind) {
    case recordKind.put:
      state.index.put(
        bytes,
        record.keyStart,
        record.keyLength,
        recordVersion,
        address,
        record.length,
        record.valueLength,
        record.expiresAt ?? 0,
      );
      break;
    case recordKind.delete:
      state.index.delete(bytes, record.keyStart, record.keyLength, recordVersion);
      break;
    case recordKind.floor:
      state.once.applyFloor(clientId(bytes.readUIntLE(record.keyStart, 6)));
      break;
    case recordKind.refusal:
    case recordKind.time:
      break;
  }
  if (record.client !== 0) {
    const reply =
      record.replyLength === 0
        ? undefined
        : Uint8Array.from(bytes.subarray(record.replyStart, record.replyStart + record.replyLength));
    state.once.complete(record.client, record.number, record.firstIncomplete, {
      kind: record.kind,
      version: recordVersion,
      reply,
    });
  }
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
