/**
 * The links to the gateways that are known, from the endpoints given and from the map, and the choice among them.
 *
 * A gateway may have two addresses (an endpoint given by name, and what the map says). Of links that turn out to lead
 * to one process at two addresses the one that came first stays, and the other is idle until its gateway is not reached
 * any more. What goes over the links is the dispatcher's.
 */
import type { ShardId, SlotId } from '../base/ids.ts';
import { shardId } from '../base/ids.ts';
import type { ShardMap } from '../codec/client-protocol.ts';
import { shardOfSlot } from '../core/slots.ts';
import type { LinkOwner, LinkWorld } from './link.ts';
import { Link } from './link.ts';
import type { Request } from './request.ts';
import type { GatewayConnection } from './types.ts';

export class Gateways {
  /** The newest map. */
  map: ShardMap | undefined = undefined;
  readonly #world: LinkWorld;
  readonly #owner: LinkOwner;
  readonly #seeds: ReadonlySet<string>;
  readonly #linksPerGateway: number;
  readonly #direct: boolean;
  /** Links by address: as many to each as there shall be connections. */
  readonly #links = new Map<string, Link[]>();
  /** Address at which each process is reached, by its name. */
  readonly #reachedAt = new Map<string, string>();
  /** Ready links, all of them and by gateway number. */
  #ready: Link[] = [];
  #readyByGateway: Link[][] = [];
  #turn = 0;
  #isClosed = false;

  constructor(world: LinkWorld, owner: LinkOwner, seeds: readonly string[], linksPerGateway: number, direct: boolean) {
    this.#world = world;
    this.#owner = owner;
    this.#seeds = new Set(seeds);
    this.#linksPerGateway = linksPerGateway;
    this.#direct = direct;
  }

  /** Opens the links to the endpoints given. */
  open(): void {
    for (const address of this.#seeds) this.#add(address);
  }

  /** Revision of the map; 0 when there is none. */
  get revision(): number {
    return this.map?.revision ?? 0;
  }

  get hasReady(): boolean {
    return this.#ready.length > 0;
  }

  get anyReady(): Link | undefined {
    return this.#ready[0];
  }

  /** True when the map is newer than the one known. */
  learn(map: ShardMap): boolean {
    if (this.map !== undefined && map.revision <= this.map.revision) return false;
    this.map = map;
    if (this.#direct) {
      this.#leave(map);
      this.refresh();
    }
    return true;
  }

  /**
   * Where the request should go: to the owner of its shard, else to any gateway, which forwards. After a failure every
   * second attempt goes elsewhere than the last one: its target may be cut off from the others.
   */
  choose(request: Request, avoidLast: boolean): Link | undefined {
    const owner = this.ownerOf(request.slot);
    if (owner >= 0 && this.#direct) {
      const links = this.#readyByGateway[owner];
      if (
        links !== undefined &&
        links.length > 0 &&
        !(avoidLast && request.link?.gateway === owner && this.#ready.length > links.length)
      ) {
        return this.#next(links);
      }
    }
    if (!avoidLast || request.link === undefined) return this.#next(this.#ready);
    const last = request.link.gateway;
    for (let tries = this.#ready.length; tries > 1; tries--) {
      const link = this.#next(this.#ready);
      if (link?.gateway !== last) return link;
    }
    return this.#next(this.#ready);
  }

  /** Number of the gateway that owns the slot's shard; -1: nobody, or not known. */
  ownerOf(slot: SlotId): number {
    const { map } = this;
    if (map === undefined) return -1;
    return map.owners[shardOfSlot(slot, map.shards)] ?? -1;
  }

  /** Shard 0 while there is no map. */
  shardOf(slot: SlotId): ShardId {
    return this.map === undefined ? shardId(0) : shardOfSlot(slot, this.map.shards);
  }

  isReady(gateway: number): boolean {
    return (this.#readyByGateway[gateway]?.length ?? 0) > 0;
  }

  /** A link became ready or went down, or the map has changed. */
  refresh(): void {
    if (this.#isClosed) return;
    for (const [process, address] of this.#reachedAt) {
      const links = this.#links.get(address) ?? [];
      if (!links.some((link) => link.isReady && link.process === process)) this.#reachedAt.delete(process);
    }
    this.#ready = [];
    this.#readyByGateway = [];
    for (const links of this.#links.values()) for (const link of links) if (link.isReady) this.#use(link);
    if (this.map !== undefined && this.#direct) this.#connect(this.map);
    for (const links of this.#links.values())
      for (const link of links) if (link.isIdle && !this.isReady(link.gateway)) link.open();
  }

  /** Counts a ready link among those to choose from, unless its process is reached at another address already. */
  #use(link: Link): void {
    const { gateway, process, address } = link;
    const reachedAt = this.#reachedAt.get(process) ?? address;
    this.#reachedAt.set(process, reachedAt);
    if (reachedAt !== address) {
      void link.close();
      return;
    }
    this.#ready.push(link);
    (this.#readyByGateway[gateway] ??= []).push(link);
  }

  async close(): Promise<void> {
    const links = [...this.#links.values()].flat();
    this.#isClosed = true;
    this.#ready = [];
    this.#readyByGateway = [];
    await Promise.all(links.map((link) => link.close()));
  }

  /** Connections that are there or are tried. */
  describe(): GatewayConnection[] {
    const links = [...this.#links.values()].flat().filter((link) => !link.isIdle);
    return links.map((link) => ({
      gateway: link.gateway,
      address: link.address,
      connected: link.isReady,
      requestsInFlight: link.requestsInFlight,
      reason: link.isReady ? undefined : link.error?.message,
    }));
  }

  /** Links to the gateways on the map that are not reached. */
  #connect(map: ShardMap): void {
    for (const [gateway, address] of map.gateways.entries())
      if (address !== '' && !this.#links.has(address) && !this.isReady(gateway)) this.#add(address);
  }

  /** Closes links to addresses that the map has no more. */
  #leave(map: ShardMap): void {
    for (const [address, links] of this.#links) {
      if (this.#seeds.has(address) || map.gateways.includes(address)) continue;
      this.#links.delete(address);
      for (const link of links) void link.close();
    }
  }

  #add(address: string): void {
    const links = Array.from({ length: this.#linksPerGateway }, () => new Link(this.#world, this.#owner, address));
    this.#links.set(address, links);
    for (const link of links) link.open();
  }

  #next(links: readonly Link[]): Link | undefined {
    if (links.length <= 1) return links[0];
    return links[this.#turn++ % links.length];
  }
}
