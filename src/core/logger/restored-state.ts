/**
 * State of a logger when it starts: the metadata log's frames folded together, then what the scans of open zones
 * found.
 */
import { assert, unreachable } from '../../base/assert.ts';
import type { ShardId, ZoneId } from '../../base/ids.ts';
import type { CutRecords } from '../../codec/cut-records.ts';
import type { Writer } from '../../codec/log-format.ts';
import type { TailState, ZoneRef } from '../../codec/logger-protocol.ts';
import type { Frame, MetadataEntry, ZoneEntry } from './metadata-format.ts';

/** A zone that was there before this process. */
export interface RestoredZone extends ZoneRef {
  readonly deviceZone: number;
  readonly copyId: string;
  readonly finished: boolean;
  /** Sealed length of a finished zone, else the end of the intact prefix. */
  readonly length: number;
  readonly seen: number;
  readonly batches: number;
  readonly tail: TailState;
  readonly cut?: CutRecords | undefined;
}

export interface RestoredState {
  readonly fences: ReadonlyMap<ShardId, Writer>;
  readonly zoneFloors: ReadonlyMap<ShardId, ZoneId>;
  /** Ids up to these that are not held may have been held here, before metadata were damaged. */
  readonly lostTo: ReadonlyMap<ShardId, ZoneId>;
  readonly zones: readonly RestoredZone[];
  /** Device zones that are not to be used, though no zone lies in them. */
  readonly kept: ReadonlySet<number>;
}

export const emptyState: RestoredState = {
  fences: new Map(),
  zoneFloors: new Map(),
  lostTo: new Map(),
  zones: [],
  kept: new Set(),
};

/** State that the metadata log records, before any scan. */
export interface RecordedState {
  readonly fences: Map<ShardId, Writer>;
  readonly zoneFloors: Map<ShardId, ZoneId>;
  readonly lostTo: Map<ShardId, ZoneId>;
  readonly zones: readonly ZoneEntry[];
}

/** REQUIRES: the frames in the order of the log, the checkpoint first. */
export function foldFrames(frames: readonly Frame[]): RecordedState {
  const zones = new Map<string, ZoneEntry>();
  const state: Omit<RecordedState, 'zones'> = { fences: new Map(), zoneFloors: new Map(), lostTo: new Map() };
  for (const frame of frames) for (const entry of frame.entries) fold(entry, state, zones);
  return { ...state, zones: [...zones.values()] };
}

function fold(
  entry: MetadataEntry,
  { fences, zoneFloors, lostTo }: Omit<RecordedState, 'zones'>,
  zones: Map<string, ZoneEntry>,
): void {
  switch (entry.kind) {
    case 'fence':
      assert(entry.epoch >= (fences.get(entry.shard)?.epoch ?? 0), 'S4 a fence never falls');
      fences.set(entry.shard, { epoch: entry.epoch, instance: entry.instance });
      return;
    case 'zone-floor':
      assert(entry.zone >= (zoneFloors.get(entry.shard) ?? 0), 'S4 a zone floor never falls');
      zoneFloors.set(entry.shard, entry.zone);
      return;
    case 'lost':
      lostTo.set(entry.shard, entry.zone);
      return;
    case 'zone':
      zones.set(`${entry.shard}/${entry.zone}`, entry);
      return;
    case 'removed':
      zones.delete(`${entry.shard}/${entry.zone}`);
      return;
    default:
      unreachable(entry);
  }
}
