/**
 * Watches every change of the shards' metadata in the coordinator, the truth and not what anybody was told: one owner
 * per epoch, one epoch per zone, numbers that only grow, sealed zones of which only the holders change (S1, S2, S8,
 * S10). While a shard's metadata is an older one, nothing changes it: who would claim is told before (S20).
 */
import type { Uuid } from '../../src/base/ids.ts';
import { noStandings, parseStandings, standingsKey } from '../../src/coordinator/standings.ts';
import type { Change, Coordinator } from '../../src/coordinator/coordinator.ts';
import type { Head, SealedZone } from '../../src/core/shard/head/metadata.ts';
import { decodeHead, decodeSealedZone } from '../../src/core/shard/head/metadata.ts';
import type { Reversals } from '../reversals.ts';
import { Violation } from './violation.ts';

interface ShardRecord {
  head: Head | undefined;
  readonly zones: Map<number, SealedZone>;
  readonly owners: Map<number, string>;
  readonly zoneEpochs: Map<number, number>;
}

/** Part of a transaction that concerns one shard. */
interface Part {
  readonly isOlder: boolean;
  head: Head | undefined;
  readonly sealed: SealedZone[];
}

export class MetadataWatch {
  readonly #shards = new Map<number, ShardRecord>();
  readonly #reversals: Reversals;
  readonly #wantedReplicas: number;
  #standings = noStandings;
  readonly #onViolation: (violation: Violation) => void;
  readonly #onChange: (shard: number, head: Head, sealed: readonly SealedZone[]) => void;

  constructor(
    coordinator: Coordinator,
    { reversals, wantedReplicas }: { readonly reversals: Reversals; readonly wantedReplicas: number },
    onViolation: (violation: Violation) => void,
    onChange: (shard: number, head: Head, sealed: readonly SealedZone[]) => void,
  ) {
    this.#reversals = reversals;
    this.#wantedReplicas = wantedReplicas;
    this.#onViolation = onViolation;
    this.#onChange = onChange;
    coordinator.watch(standingsKey, 0, (changes) => {
      for (const change of changes)
        if (change.key === standingsKey && change.value !== undefined)
          this.#standings = parseStandings({ ...change, value: change.value });
    });
    coordinator.watch('shard/', 0, (changes) => {
      try {
        this.#changed(changes);
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        this.#onViolation(error);
      }
    });
  }

  get shards(): readonly number[] {
    return [...this.#shards.keys()].sort((a, b) => a - b);
  }

  head(shard: number): Head | undefined {
    return this.#shards.get(shard)?.head;
  }

  /** Loggers that drain, or are lost. */
  get leaving(): ReadonlySet<Uuid> {
    return new Set([...this.#standings.draining, ...this.#standings.lost]);
  }

  /** S10: who is to leave goes when as many others as wanted are listed. */
  #checkDeparted(where: string, known: SealedZone, { zone, replicas }: SealedZone): void {
    const { leaving } = this;
    const departed = known.replicas.filter((logger) => leaving.has(logger) && !replicas.includes(logger));
    const isEarly = departed.some((logger) => !this.#reversals.unsound.has(logger));
    must(
      !isEarly || replicas.length >= this.#wantedReplicas,
      `S10 ${where}: ${departed.join()} left the list of zone ${zone} when ${replicas.length} others were on it`,
    );
  }

  /** Zones by id. */
  zones(shard: number): readonly SealedZone[] {
    return [...(this.#shards.get(shard)?.zones.values() ?? [])].sort((a, b) => a.zone - b.zone);
  }

  /** Changes of one call may be of several transactions; the revision tells them apart. */
  #changed(changes: readonly Change[]): void {
    for (let start = 0; start < changes.length; ) {
      const revision = changes[start]?.revision;
      let end = start;
      while (changes[end]?.revision === revision && end < changes.length) end += 1;
      this.#transaction(changes.slice(start, end));
      start = end;
    }
  }

  #transaction(changes: readonly Change[]): void {
    const byShard = new Map<number, Part>();
    for (const change of changes) {
      const match = /^shard\/(\d+)\/(head|zone\/(\d+))$/.exec(change.key);
      const shard = Number(match?.[1]);
      const kind = this.#reversals.kindOf(shard, change.revision);
      if (kind === 'exchanged') continue;
      const { key, value } = change;
      must(
        match !== null && value !== undefined,
        `S1 ${key} is ${value === undefined ? 'deleted' : 'nothing that is known'}`,
      );
      let part = byShard.get(shard);
      if (part === undefined) byShard.set(shard, (part = { isOlder: kind === 'older', head: undefined, sealed: [] }));
      if (match[2] === 'head') part.head = decodeHead(value);
      else part.sealed.push(decodeSealedZone(value));
    }
    for (const [shard, part] of byShard) this.#judge(shard, part);
  }

  #judge(shard: number, { isOlder, head, sealed }: Part): void {
    must(head !== undefined, `S1 a transaction on shard ${shard} did not rewrite the head`);
    must(!isOlder, `S20 shard ${shard}: ${describe(head)} was written, though the metadata went back`);
    this.#check(shard, head, sealed);
    this.#onChange(shard, head, sealed);
  }

  #check(shard: number, head: Head, sealed: readonly SealedZone[]): void {
    let record = this.#shards.get(shard);
    if (record === undefined)
      this.#shards.set(
        shard,
        (record = { head: undefined, zones: new Map(), owners: new Map(), zoneEpochs: new Map() }),
      );
    const before = record.head;
    const where = `shard ${shard}`;
    must(
      head.change === (before?.change ?? 0) + 1,
      `S1 ${where}: change ${head.change} follows ${before?.change ?? 0}`,
    );
    const owner = `${head.owner.node}/${head.owner.instance}`;
    const known = record.owners.get(head.epoch) ?? owner;
    must(known === owner, `S2 ${where}: epoch ${head.epoch} has two owners, ${known} and ${owner}`);
    record.owners.set(head.epoch, owner);
    must(
      head.epoch === (before?.epoch ?? 1) || (head.epoch === head.change && head.epoch > (before?.epoch ?? 0)),
      `S2 ${where}: epoch ${head.epoch} follows ${before?.epoch}`,
    );
    this.#checkZones(where, record, before, head, sealed);
    record.head = head;
  }

  #checkZones(
    where: string,
    record: ShardRecord,
    before: Head | undefined,
    head: Head,
    sealed: readonly SealedZone[],
  ): void {
    const open = head.openZone;
    must(open.replicas.length > 0, `S5 ${where}: zone ${open.zone} has no replica`);
    must(new Set(open.replicas).size === open.replicas.length, `S5 ${where}: zone ${open.zone} names a replica twice`);
    must(
      head.nextZone > open.zone,
      `S2 ${where}: the next zone ${head.nextZone} is not above the open one ${open.zone}`,
    );
    const zoneEpoch = record.zoneEpochs.get(open.zone) ?? open.epoch;
    must(zoneEpoch === open.epoch, `S2 ${where}: zone ${open.zone} has two epochs, ${zoneEpoch} and ${open.epoch}`);
    record.zoneEpochs.set(open.zone, open.epoch);
    const old = before?.openZone;
    if (old !== undefined && old.zone !== open.zone) {
      must(open.zone >= (before?.nextZone ?? 0), `S2 ${where}: zone ${open.zone} was used before`);
      must(
        open.epoch === head.epoch,
        `S2 ${where}: a new zone ${open.zone} of epoch ${open.epoch} in epoch ${head.epoch}`,
      );
    } else if (old !== undefined) {
      must(
        old.epoch === open.epoch && old.replicas.join() === open.replicas.join(),
        `S2 ${where}: zone ${open.zone} changed while open`,
      );
    }
    for (const zone of sealed) {
      const known = record.zones.get(zone.zone);
      if (known !== undefined) {
        checkRelisted(where, known, zone, old?.zone === open.zone);
        this.#checkDeparted(where, known, zone);
        record.zones.set(zone.zone, zone);
        continue;
      }
      must(
        old?.zone === zone.zone && open.zone !== zone.zone,
        `S8 ${where}: zone ${zone.zone} is sealed but was not the open one`,
      );
      must(
        zone.epoch === old.epoch && (zone.length > 0 || zone.doubt === 'cut') && zone.replicas.length > 0,
        `S10 ${where}: zone ${zone.zone} is sealed as ${JSON.stringify(zone)}`,
      );
      must(
        zone.replicas.every((logger) => old.replicas.includes(logger)),
        `S10 ${where}: zone ${zone.zone} lists loggers that never held it`,
      );
      record.zones.set(zone.zone, zone);
    }
  }
}

function describe({ epoch, owner, openZone }: Head): string {
  return `epoch ${epoch} of gateway ${owner.gateway} with zone ${openZone.zone} open`;
}

/** Who holds a zone that ended may change, and nothing else of it. */
function checkRelisted(where: string, known: SealedZone, zone: SealedZone, isAlone: boolean): void {
  const list = ({ replicas: _, former: __, ...rest }: SealedZone): string => JSON.stringify(rest);
  must(list(known) === list(zone), `S10 ${where}: zone ${zone.zone} is sealed twice`);
  must(isAlone, `S1 ${where}: zone ${zone.zone} is listed anew by a change of the open zone`);
  const names = [...zone.replicas, ...zone.former];
  must(zone.replicas.length > 0, `S10 ${where}: nobody holds zone ${zone.zone}`);
  must(new Set(names).size === names.length, `S10 ${where}: zone ${zone.zone} names a logger twice`);
  const isKept = [...known.replicas, ...known.former].every((logger) => names.includes(logger));
  must(isKept, `S10 ${where}: zone ${zone.zone} forgets a holder`);
}

function must(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Violation(message);
}
