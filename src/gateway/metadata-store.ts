/**
 * What the coordinator holds about shards and members, as this gateway last saw it: kept up to date by a watch. A watch
 * that was lost (it fell too far behind) is followed by another, after everything was read anew.
 */
import type { ShardId, Uuid } from '../base/ids.ts';
import { shardId } from '../base/ids.ts';
import type { ShardMap } from '../codec/client-protocol.ts';
import type { Log } from '../base/log.ts';
import { times } from '../base/times.ts';
import type { Change, Coordinator, Entry, Revision, Watch } from '../coordinator/coordinator.ts';
import { CoordinatorError } from '../coordinator/coordinator.ts';
import { clientIdsKey, leasedEnd } from '../coordinator/client-ids.ts';
import type { GatewayMember, LoggerMember, Numbered } from '../coordinator/members.ts';
import type { Standings } from '../coordinator/standings.ts';
import { noStandings, parseStandings, standingsKey } from '../coordinator/standings.ts';
import { gatewayPrefix, loggerPrefix, parseMemberGateway, parseMemberLogger } from '../coordinator/members.ts';
import type { Clock, Timer } from '../env/clock.ts';
import type { Head, SealedZone, ShardMetadata } from '../core/shard/head/metadata.ts';
import { decodeHead, decodeSealedZone, headKey, shardPrefix, zoneKey } from '../core/shard/head/metadata.ts';

export interface MetadataListener {
  onShard(shard: ShardId): void;
  onMembers(): void;
}

interface ShardRecord {
  head: Head | undefined;
  headRevision: number;
  readonly zones: Map<number, SealedZone>;
  /** See ShardMetadata; for ever in this process. */
  wentBack: string | undefined;
  /** Made anew after each change. */
  view: ShardMetadata | undefined;
}

export class MetadataStore {
  readonly #coordinator: Coordinator;
  readonly #world: { readonly clock: Clock; readonly log: Log };
  readonly #shards: readonly ShardRecord[];
  readonly #gateways = new Map<number, Numbered<GatewayMember>>();
  readonly #loggers = new Map<number, Numbered<LoggerMember>>();
  /** The coordinator's, up to which the watch has told: gateways' maps can be compared by it, also after a restart. */
  #mapRevision = 0;
  #map: ShardMap | undefined;
  #clientIdsEnd = 0;
  #standings = noStandings;
  #watch: Watch | undefined;
  #retry: Timer | undefined;
  #closed = false;

  constructor(coordinator: Coordinator, shardCount: number, world: { readonly clock: Clock; readonly log: Log }) {
    this.#coordinator = coordinator;
    this.#world = world;
    this.#shards = Array.from({ length: shardCount }, () => ({
      head: undefined,
      headRevision: 0,
      zones: new Map<number, SealedZone>(),
      wentBack: undefined,
      view: undefined,
    }));
  }

  /** Reads everything, then watches. @throws CoordinatorError, KvError `data-damaged` */
  async open(listener: MetadataListener): Promise<void> {
    const { entries, revision } = await this.#coordinator.list('');
    for (const entry of entries) this.#set(entry.key, entry.value, entry.revision);
    this.#mapRevision = revision;
    this.#follow(revision, listener);
  }

  #follow(revision: Revision, listener: MetadataListener): void {
    const onChanges = (changes: readonly Change[]): void => this.#changed(changes, listener);
    this.#watch = this.#coordinator.watch('', revision, onChanges, () => this.#renew(listener));
  }

  /** Nothing is known of what happened since: everything is read, everybody is told, and the next watch begins. */
  #renew(listener: MetadataListener): void {
    if (this.#closed) return;
    this.#coordinator.list('').then(
      ({ entries, revision }) => {
        if (this.#closed) return;
        this.#replaceBy(entries);
        this.#mapRevision = Math.max(this.#mapRevision, revision);
        this.#follow(revision, listener);
        listener.onMembers();
        for (const shard of this.#shards.keys()) listener.onShard(shardId(shard));
      },
      (error: unknown) => {
        if (!(error instanceof CoordinatorError)) throw error;
        this.#world.log('warn', 'the coordinator is not watched', { error: error.message });
        this.#retry = this.#world.clock.after(times.coordinatorAskAgainMs, () => this.#renew(listener));
      },
    );
  }

  /** A shard that was read later than the entries stays as it is. */
  #replaceBy(entries: readonly Entry[]): void {
    this.#gateways.clear();
    this.#loggers.clear();
    const revisions = new Map(entries.map(({ key, revision }) => [key, revision]));
    const newer: string[] = [];
    for (const [number, record] of this.#shards.entries()) {
      const shard = shardId(number);
      if ((revisions.get(headKey(shard)) ?? 0) >= record.headRevision) record.zones.clear();
      else newer.push(shardPrefix(shard));
    }
    for (const { key, value, revision } of entries)
      if (!newer.some((prefix) => key.startsWith(prefix))) this.#set(key, value, revision);
    this.#map = undefined;
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#watch?.close();
  }

  get loggers(): ReadonlyMap<number, Numbered<LoggerMember>> {
    return this.#loggers;
  }

  /** Loggers that have a number. */
  get loggerUuids(): ReadonlySet<Uuid> {
    return new Set([...this.#loggers.values()].map(({ uuid }) => uuid));
  }

  /** Standings of loggers, as the operator said them; another object after each word. */
  get standings(): Standings {
    return this.#standings;
  }

  /** Client ids below it were leased, as far as was heard; 0 before anything was. */
  get clientIdsEnd(): number {
    return this.#clientIdsEnd;
  }

  get gateways(): ReadonlyMap<number, Numbered<GatewayMember>> {
    return this.#gateways;
  }

  shard(shard: ShardId): ShardMetadata {
    const record = this.#record(shard);
    record.view ??= {
      head: record.head,
      headRevision: record.headRevision,
      zones: [...record.zones.values()].sort((a, b) => a.zone - b.zone),
      ...(record.wentBack === undefined ? {} : { wentBack: record.wentBack }),
    };
    return record.view;
  }

  get shardCount(): number {
    return this.#shards.length;
  }

  /** The number of the gateway that owns the shard, -1 when nobody does. */
  ownerOf(shard: ShardId): number {
    return this.#shards[shard]?.head?.owner.gateway ?? -1;
  }

  get map(): ShardMap {
    this.#map ??= {
      revision: this.#mapRevision,
      shards: this.#shards.length,
      owners: this.#shards.map((record) => record.head?.owner.gateway ?? -1),
      gateways: Array.from(
        { length: Math.max(-1, ...this.#gateways.keys()) + 1 },
        (_, number) => this.#gateways.get(number)?.clientAddress ?? '',
      ),
    };
    return this.#map;
  }

  /** Reads one shard afresh from the coordinator. @throws CoordinatorError, KvError `data-damaged` */
  async load(shard: ShardId): Promise<ShardMetadata> {
    const record = this.#record(shard);
    const known = record.headRevision;
    const { entries } = await this.#coordinator.list(shardPrefix(shard));
    const headEntry = entries.find((entry) => entry.key === headKey(shard));
    this.#checkRead(record, known, headEntry?.revision ?? 0);
    // The watch may be ahead of what was read: never go back.
    if ((headEntry?.revision ?? 0) >= record.headRevision) {
      record.zones.clear();
      for (const entry of entries) this.#set(entry.key, entry.value, entry.revision);
    }
    return this.shard(shard);
  }

  /**
   * Reads what one change of the head that is known may have changed: the head, and the entry of the zone that was
   * open. Where more has changed everything is read. So an owner that changes its zone, frozen meanwhile, does not wait
   * for the entries of all zones. @throws like `load`
   */
  async loadChange(shard: ShardId): Promise<ShardMetadata> {
    const record = this.#record(shard);
    const { head: before, headRevision: known } = record;
    const entry = await this.#coordinator.get(headKey(shard));
    this.#checkRead(record, known, entry?.revision ?? 0);
    if (entry === undefined || before === undefined) return this.load(shard);
    const { change, openZone } = decodeHead(entry.value);
    if (change < before.change || change > before.change + 1) return this.load(shard);
    const isOther = openZone.zone !== before.openZone.zone;
    // Another zone's list may have changed.
    if (!isOther && change !== before.change) return this.load(shard);
    const ended = isOther ? await this.#coordinator.get(zoneKey(shard, before.openZone.zone)) : undefined;
    // The watch may be ahead of what was read: never go back.
    if (entry.revision >= record.headRevision) {
      if (ended !== undefined) this.#set(ended.key, ended.value, ended.revision);
      this.#set(entry.key, entry.value, entry.revision);
    }
    return this.shard(shard);
  }

  /** S20: what was read after `known` had been heard of is not older. */
  #checkRead(record: ShardRecord, known: number, revision: number): void {
    if (revision < known) this.#regressed(record, `its head had revision ${known} before, and now has ${revision}`);
  }

  #regressed(record: ShardRecord, fact: string): void {
    record.wentBack ??= fact;
    record.view = undefined;
  }

  #record(shard: ShardId): ShardRecord {
    const record = this.#shards[shard];
    if (record === undefined) throw new RangeError(`shard ${shard} of ${this.#shards.length}`);
    return record;
  }

  #changed(changes: readonly Change[], listener: MetadataListener): void {
    const shards = new Set<ShardId>();
    let members = false;
    for (const change of changes) {
      const kind = this.#set(change.key, change.value, change.revision);
      if (kind === 'member') members = true;
      else if (kind !== undefined) shards.add(kind);
      this.#mapRevision = Math.max(this.#mapRevision, change.revision);
    }
    this.#map = undefined;
    if (members) listener.onMembers();
    for (const shard of shards) listener.onShard(shard);
  }

  /** What the key is about, undefined when it is nothing of ours or older than what is known. */
  #set(key: string, value: Uint8Array | undefined, revision: number): ShardId | 'member' | undefined {
    if (key.startsWith(gatewayPrefix))
      return this.#setMember(this.#gateways, key, gatewayPrefix, value, revision, parseMemberGateway);
    if (key.startsWith(loggerPrefix))
      return this.#setMember(this.#loggers, key, loggerPrefix, value, revision, parseMemberLogger);
    if (key === standingsKey) {
      this.#standings = parseStandings(value && { key, value, revision });
      return 'member';
    }
    if (key === clientIdsKey && value !== undefined) this.#clientIdsEnd = leasedEnd({ key, value, revision });
    const match = /^shard\/(\d+)\/(?:head|zone\/(\d+))$/.exec(key);
    const shard = Number(match?.[1] ?? -1);
    const record = this.#shards[shard];
    if (match === null || record === undefined) return undefined;
    if (match[2] === undefined) {
      if (revision < record.headRevision) return undefined;
      const head = value === undefined ? undefined : decodeHead(value);
      const [before, now] = [record.head?.change ?? 0, head?.change ?? 0];
      if (now < before) this.#regressed(record, `its head had change number ${before} before, and now has ${now}`);
      record.head = head;
      record.headRevision = revision;
    } else if (value === undefined) {
      record.zones.delete(Number(match[2]));
    } else {
      record.zones.set(Number(match[2]), decodeSealedZone(value));
    }
    record.view = undefined;
    this.#map = undefined;
    return shardId(shard);
  }

  #setMember<T>(
    members: Map<number, T>,
    key: string,
    prefix: string,
    value: Uint8Array | undefined,
    revision: number,
    parse: (entry: Entry) => T,
  ): 'member' {
    if (value === undefined) members.delete(Number(key.slice(prefix.length)));
    else members.set(Number(key.slice(prefix.length)), parse({ key, value, revision }));
    this.#map = undefined;
    return 'member';
  }
}
