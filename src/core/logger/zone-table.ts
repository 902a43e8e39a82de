/**
 * Table of what a logger holds: its zones by shard and id, each shard's fence and zone floor (S4), and the device zones
 * that are free. A shard's fence and zone floor outlive its zones.
 *
 * Kept here: fences and zone floors only rise (S4); a device zone holds one zone (S11). Whoever changes something that
 * a restart must find gets the entries that say so, for the metadata log.
 * Not here: what is refused (logger-machine.ts), and which of the zones' bytes are stable (sync-rounds.ts).
 */
import { assert } from '../../base/assert.ts';
import type { ShardId, Uuid, ZoneId } from '../../base/ids.ts';
import { zoneId } from '../../base/ids.ts';
import { limits } from '../../base/limits.ts';
import type { CutRecords } from '../../codec/cut-records.ts';
import type { Writer, ZonePlace } from '../../codec/log-format.ts';
import { zoneSeed } from '../../codec/log-format.ts';
import type { KnownZone, ShardKnowledge, TailState, ZoneRef, ZoneStatus } from '../../codec/logger-protocol.ts';
import type { MetadataEntry } from './metadata-format.ts';
import type { RestoredState, RestoredZone } from './restored-state.ts';

export interface ZoneTableOptions {
  readonly cluster: Uuid;
  /** Bytes. */
  readonly zoneSize: number;
  /** Device zones that hold data or may, the metadata zones not among them. */
  readonly deviceZones: readonly number[];
  /** Zones of a shard that takers are told of (S20). Default: `limits.knownZonesMax`. */
  readonly knownZonesMax?: number;
}

/**
 * An append that arrives in pieces: what of it lies behind the write pointer, which moves when all is written (S11).
 * Offsets are bytes from the start of the zone.
 */
export interface Unfinished {
  /** End of the pieces that were written. */
  readonly end: number;
  /** End of the last piece that is to come. */
  readonly total: number;
  readonly batches: number;
  /** Highest committed length in the headers of its batches. */
  readonly committed: number;
}

/** A zone that is held. */
export interface HeldZone extends ZoneRef {
  readonly deviceZone: number;
  /** Name of this copy (S10): 16 hexadecimal digits. */
  readonly copyId: string;
  /** Seed of its checksums, kept since every append needs it. */
  readonly seed: number;
  /** State of the bytes behind the intact prefix, as a restart's scan saw them. */
  readonly tail: TailState;
  /** Records that the scan found behind damage. */
  readonly cut: CutRecords | undefined;
  /** `restarted`: found open by this process; `filling`: by Fill, its end is not known; `copying`: it has ended. */
  state: 'open' | 'restarted' | 'filling' | 'copying' | 'finished';
  /** Write pointer; the sealed length once it is finished. */
  written: number;
  /** Append of which the last piece has not come. */
  unfinished: Unfinished | undefined;
  /** It was reset, and its id is retired: who waits for it is told so. */
  isDropped: boolean;
  /** End of what is stable. */
  stable: number;
  /** End of what the sync under way will have made stable; for sync-rounds.ts alone. */
  syncing: number;
  /** Highest committed length in a batch header (S9). */
  seen: number;
  batches: number;
}

/** Knowledge of a shard; zone floor 0: there is none. */
interface HeldShard {
  fence: Writer | undefined;
  zoneFloor: ZoneId | 0;
  /** Ids up to it that are not held may have been; 0: none. */
  lostTo: ZoneId | 0;
  /** Two lookups, since ids have up to 48 bits: no number can hold shard and zone, and a string would cost more. */
  readonly zones: Map<ZoneId, HeldZone>;
}

export class ZoneTable {
  readonly #options: ZoneTableOptions;
  readonly #shards = new Map<ShardId, HeldShard>();
  /** Device zones that may be used; the last one is next. */
  readonly #free: number[];
  #zoneCount = 0;

  constructor(options: ZoneTableOptions, restored: RestoredState) {
    this.#options = options;
    for (const [shard, fence] of restored.fences) this.#shard(shard).fence = fence;
    for (const [shard, zone] of restored.zoneFloors) this.#shard(shard).zoneFloor = zone;
    for (const [shard, zone] of restored.lostTo) this.#shard(shard).lostTo = zone;
    const used = new Set<number>(restored.kept);
    for (const zone of restored.zones) {
      assert(!used.has(zone.deviceZone), 'S11 two zones never lie in one device zone');
      used.add(zone.deviceZone);
      this.#add(restoredZone(zone, this.seedOf(zone)));
    }
    this.#free = options.deviceZones.filter((zone) => !used.has(zone)).reverse();
  }

  get zoneCount(): number {
    return this.#zoneCount;
  }

  // --- zones ---------------------------------------------------------------------------------------------------------

  find(shard: ShardId, zone: ZoneId): HeldZone | undefined {
    return this.#shards.get(shard)?.zones.get(zone);
  }

  /** Seed of the checksums of a zone's bytes (S16). */
  seedOf(at: ZoneRef): number {
    return zoneSeed(this.placeOf(at));
  }

  placeOf({ shard, zone, epoch, instance }: ZoneRef): ZonePlace {
    return { cluster: this.#options.cluster, shard, zone, epoch, instance };
  }

  /** Number of zones that can still be created. */
  get zonesLeft(): number {
    return this.#free.length;
  }

  /** Device zone in which the next zone will be created; undefined: none is free. */
  get nextDeviceZone(): number | undefined {
    return this.#free.at(-1);
  }

  /** REQUIRES: no zone of this shard and id is held, and its id is above the zone floor, but for a copy of it. */
  create(at: ZoneRef, deviceZone: number, copyId: string): HeldZone {
    assert(this.nextDeviceZone === deviceZone, 'a zone is created in the device zone that was chosen for it');
    this.#free.pop();
    const zone = newZone(at, deviceZone, copyId, this.seedOf(at));
    this.#add(zone);
    return zone;
  }

  /** Forgets the zone; its device zone is not free before `release`. REQUIRES: the zone is held. */
  remove(held: HeldZone): void {
    const removed = this.#shards.get(held.shard)?.zones.delete(held.zone);
    assert(removed === true, 'a zone that is removed is held');
    held.isDropped = true;
    this.#zoneCount -= 1;
  }

  /** Gives back device zones whose resets are stable. */
  release(deviceZones: readonly number[]): void {
    this.#free.push(...deviceZones);
  }

  // --- fences and zone floors ----------------------------------------------------------------------------------------

  /** Whether `writer` is refused in the shard's zones, seen or unseen (S4). */
  isFenced(shard: ShardId, writer: Writer): boolean {
    const fence = this.fenceOf(shard);
    if (fence === undefined || fence.epoch < writer.epoch) return false;
    return fence.epoch > writer.epoch || fence.instance !== writer.instance;
  }

  /** Owner of the highest epoch that sealed the shard here; undefined: none did. */
  fenceOf(shard: ShardId): Writer | undefined {
    return this.#shards.get(shard)?.fence;
  }

  /**
   * Raises the shard's fence to `writer` at least, and gives the entry that says so, if it rose. Who held an epoch
   * first keeps it.
   */
  raiseFence(shard: ShardId, { epoch, instance }: Writer): MetadataEntry[] {
    const held = this.#shard(shard);
    if (held.fence !== undefined && epoch <= held.fence.epoch) return [];
    held.fence = { epoch, instance };
    return [{ kind: 'fence', shard, epoch, instance }];
  }

  /** The highest id that is never created again; 0: none. */
  zoneFloorOf(shard: ShardId): number {
    return this.#shards.get(shard)?.zoneFloor ?? 0;
  }

  /** Whether a zone that is not held may have been, before metadata were damaged: nothing is said of it (S9). */
  mayBeLost(shard: ShardId, id: ZoneId): boolean {
    return id <= (this.#shards.get(shard)?.lostTo ?? 0);
  }

  /** Raises the shard's zone floor to `id` at least (S4), and gives the entry that says so, if it rose. */
  retire(shard: ShardId, id: number): MetadataEntry[] {
    const held = this.#shard(shard);
    if (id <= held.zoneFloor) return [];
    const zone = zoneId(id);
    held.zoneFloor = zone;
    return [{ kind: 'zone-floor', shard, zone }];
  }

  // --- as others see it ----------------------------------------------------------------------------------------------

  /** Zones of `shard`, or all, by shard and id. `occupied`: bytes of the medium that a device zone has. */
  report(shard: ShardId | undefined, occupied: (deviceZone: number) => number): ZoneStatus[] {
    const zones: HeldZone[] = [];
    for (const [id, held] of this.#shards) if (shard === undefined || id === shard) zones.push(...held.zones.values());
    zones.sort((a, b) => a.shard - b.shard || a.zone - b.zone);
    return zones.map((zone) => ({
      shard: zone.shard,
      zone: zone.zone,
      epoch: zone.epoch,
      instance: zone.instance,
      state: this.#stateOf(zone),
      length: zone.stable,
      seen: zone.seen,
      capacity: this.#options.zoneSize,
      occupied: occupied(zone.deviceZone),
      copyId: zone.copyId,
      batches: zone.batches,
      digest: undefined,
    }));
  }

  /** What a taker is told of the shard (S20). */
  knowledgeOf(shard: ShardId): ShardKnowledge {
    const zones = [...(this.#shards.get(shard)?.zones.values() ?? [])].sort((a, b) => b.zone - a.zone);
    const fence = this.fenceOf(shard);
    const newest = zones.slice(0, this.#options.knownZonesMax ?? limits.knownZonesMax);
    return { fence, zones: newest.map(({ zone, epoch, instance }): KnownZone => ({ zone, epoch, instance })) };
  }

  #stateOf(zone: HeldZone): ZoneStatus['state'] {
    if (zone.state === 'finished' || zone.state === 'copying') return zone.state;
    if (this.isFenced(zone.shard, zone)) return 'fenced';
    return zone.state === 'filling' ? 'copying' : zone.state;
  }

  /** Everything that a restart must find, for a checkpoint of the metadata log. */
  snapshot(): MetadataEntry[] {
    const entries: MetadataEntry[] = [];
    for (const [shard, { fence, zoneFloor, lostTo, zones }] of this.#shards) {
      if (fence !== undefined) entries.push({ kind: 'fence', shard, ...fence });
      if (zoneFloor !== 0) entries.push({ kind: 'zone-floor', shard, zone: zoneFloor });
      if (lostTo !== 0) entries.push({ kind: 'lost', shard, zone: lostTo });
      for (const zone of zones.values()) entries.push(entryOf(zone));
    }
    return entries;
  }

  // --- parts ---------------------------------------------------------------------------------------------------------

  #shard(shard: ShardId): HeldShard {
    let held = this.#shards.get(shard);
    if (held === undefined) {
      held = { fence: undefined, zoneFloor: 0, lostTo: 0, zones: new Map() };
      this.#shards.set(shard, held);
    }
    return held;
  }

  #add(zone: HeldZone): void {
    const { zones } = this.#shard(zone.shard);
    assert(!zones.has(zone.zone), 'S2 a zone id is used once');
    zones.set(zone.zone, zone);
    this.#zoneCount += 1;
  }
}

/** Entry of a zone in the metadata log: the length of an open one is found by a scan. */
export function entryOf(zone: HeldZone): MetadataEntry {
  const finished = zone.state === 'finished';
  return {
    kind: 'zone',
    shard: zone.shard,
    zone: zone.zone,
    epoch: zone.epoch,
    instance: zone.instance,
    deviceZone: zone.deviceZone,
    copyId: zone.copyId,
    state: finished ? 'finished' : 'open',
    length: finished ? zone.written : 0,
    batches: finished ? zone.batches : 0,
  };
}

function newZone(at: ZoneRef, deviceZone: number, copyId: string, seed: number): HeldZone {
  return {
    shard: at.shard,
    zone: at.zone,
    epoch: at.epoch,
    instance: at.instance,
    deviceZone,
    copyId,
    seed,
    tail: 'clean',
    cut: undefined,
    state: 'open',
    written: 0,
    unfinished: undefined,
    isDropped: false,
    stable: 0,
    syncing: 0,
    seen: 0,
    batches: 0,
  };
}

function restoredZone(zone: RestoredZone, seed: number): HeldZone {
  return {
    shard: zone.shard,
    zone: zone.zone,
    epoch: zone.epoch,
    instance: zone.instance,
    deviceZone: zone.deviceZone,
    copyId: zone.copyId,
    seed,
    tail: zone.tail,
    cut: zone.cut,
    state: zone.finished ? 'finished' : 'restarted',
    written: zone.length,
    unfinished: undefined,
    isDropped: false,
    stable: zone.length,
    syncing: zone.length,
    seen: zone.seen,
    batches: zone.batches,
  };
}
