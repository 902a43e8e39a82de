/**
 * Events and effects of a logger's machine (logger-machine.ts): what it is told and what it wants done. `Ticket` is the
 * shell's: it says where an answer goes.
 */
import type { Lba, ShardId, ZoneId } from '../../base/ids.ts';
import type { Writer } from '../../codec/log-format.ts';
import type { AppendItem, CopyItem, CopyState, FillItem, LoggerRefusal, ZoneRef } from '../../codec/logger-protocol.ts';
import type { SealResult } from '../../codec/logger-seals.ts';
import type { MetadataEntry } from './metadata-format.ts';

export type MachineEvent<Ticket> =
  | { readonly kind: 'append'; readonly ticket: Ticket; readonly item: AppendItem }
  | { readonly kind: 'written'; readonly write: PendingWrite<Ticket> }
  /** Nothing was written: the device is full. */
  | { readonly kind: 'write-refused'; readonly write: PendingWrite<Ticket> }
  | { readonly kind: 'compared'; readonly comparison: Comparison<Ticket>; readonly same: boolean }
  /** `at`: the zone that should end, and the taker. */
  | { readonly kind: 'seal'; readonly ticket: Ticket; readonly at: ZoneRef }
  | { readonly kind: 'fill'; readonly ticket: Ticket; readonly item: FillItem }
  | { readonly kind: 'copy'; readonly ticket: Ticket; readonly item: CopyItem }
  /** The metadata names this owner: nobody of before it may append or be confirmed any more (S4). */
  | { readonly kind: 'owner-known'; readonly ticket: Ticket; readonly shard: ShardId; readonly owner: Writer }
  | {
      readonly kind: 'finish';
      readonly ticket: Ticket;
      readonly shard: ShardId;
      readonly zone: ZoneId;
      readonly length: number;
    }
  | {
      readonly kind: 'reset';
      readonly ticket: Ticket;
      readonly shard: ShardId;
      readonly zone: ZoneId;
      readonly copyId: string;
    }
  /** Whether a zone could be opened; `hasRoom`: the device has space for it. */
  | { readonly kind: 'probe'; readonly ticket: Ticket; readonly hasRoom: boolean }
  /** Everything that arrived in this turn of the event loop has been given. */
  | { readonly kind: 'turn-ended' }
  | { readonly kind: 'synced' }
  /** A write or sync failed, of data or metadata (S17). */
  | { readonly kind: 'device-failed' };

export type MachineEffect<Ticket> =
  /** Write now, then step with `written` or `write-refused` before anything else. */
  | { readonly kind: 'write'; readonly write: PendingWrite<Ticket> }
  /** Compare what the device holds with the bytes, then step with `compared` before anything else. */
  | { readonly kind: 'compare'; readonly comparison: Comparison<Ticket> }
  /** Write these entries, together, into the metadata log. */
  | { readonly kind: 'persist'; readonly entries: readonly MetadataEntry[] }
  /** `keptTo`: what lies behind it may be given back. */
  | { readonly kind: 'finish-zone'; readonly deviceZone: number; readonly length: number; readonly keptTo: number }
  | { readonly kind: 'reset-zone'; readonly deviceZone: number }
  /** What was written behind `to` is no part of anything: it reads as zeros again. */
  | { readonly kind: 'rewind-zone'; readonly deviceZone: number; readonly to: number }
  /** Begin a sync of the device; step with `synced` or `device-failed` when it has returned. */
  | { readonly kind: 'sync' }
  | { readonly kind: 'answer'; readonly ticket: Ticket; readonly answer: MachineAnswer };

export type MachineAnswer =
  | { readonly kind: 'appended'; readonly lba: Lba }
  | { readonly kind: 'sealed'; readonly answer: SealResult }
  /** `length`: the intact length with what was filled. */
  | { readonly kind: 'filled'; readonly length: number }
  /** A copy of a zone that ended, complete up to `length`. */
  | ({ readonly kind: 'copied' } & CopyState)
  | { readonly kind: 'done' }
  | LoggerRefusal;

export interface PendingWrite<Ticket> {
  readonly ticket: Ticket;
  /** Bytes of a Fill or a Copy have the form of an append of the zone's own writer. */
  readonly item: AppendItem;
  /** S19, S10: completes a copy, in a zone that takes no appends. */
  readonly fills: boolean;
  /** S10: orders a copy of a zone that ended. */
  readonly copies?: true;
  /** Copy id of the damaged copy that goes when this is written; '' or absent: none. */
  readonly replaces?: string;
  readonly deviceZone: number;
  readonly batches: number;
  readonly committed: number;
  /** It was refused for want of space and only frees some: it may take what is kept for that. */
  readonly urgent?: true;
}

export interface Comparison<Ticket> {
  readonly ticket: Ticket;
  readonly item: AppendItem;
  readonly fills: boolean;
  readonly copies?: true;
  readonly deviceZone: number;
}
