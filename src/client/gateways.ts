/** The links to the gateways that are known, from the endpoints given and from the map, and the choice among them. */
import type { SlotId } from '../base/ids.ts';
import type { ShardMap } from '../codec/client-protocol.ts';
import { shardOfSlot } from '../core/slots.ts';
import type { LinkOwner, LinkWorld } from './link.ts';
import { Link } from './link.ts';
import type { Request } from './request.ts';
import type { GatewayConnection } from './types.ts';

export class Gateways {
  map: ShardMap | undefined = undefined;
  readonly #world: LinkWorld;
  readonly #owner: LinkOwner;
  readonly #seeds: ReadonlySet<string>;
  readonly #linksPerGateway: number;
  readonly #direct: boolean;
  /** By address. */
  readonly #links = new Map<string, Link[]>();
  /** The ready ones: all of them, and by gateway number. */
  #ready: Link[] = [];
  #readyByGateway: Link[][] = [];
  #turn = 0;

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

  /** Of the map; 0 when there is none. */
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
    if (this.#direct) this.#followMap(map);
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

  /** -1: nobody, or not known. */
  ownerOf(slot: SlotId): number {
    const { map } = this;
    if (map === undefined) return -1;
    return map.owners[shardOfSlot(slot, map.shards)] ?? -1;
  }

  isReady(gateway: number): boolean {
    return (this.#readyByGateway[gateway]?.length ?? 0) > 0;
  }

  /** After a link became ready or went down. */
  refresh(): void {
    this.#ready = [];
    this.#readyByGateway = [];
    for (const links of this.#links.values()) {
      for (const link of links) {
        if (!link.isReady) continue;
        this.#ready.push(link);
        (this.#readyByGateway[link.gateway] ??= []).push(link);
      }
    }
  }

  async close(): Promise<void> {
    const links = [...this.#links.values()].flat();
    this.#ready = [];
    this.#readyByGateway = [];
    await Promise.all(links.map((link) => link.close()));
  }

  describe(): GatewayConnection[] {
    return [...this.#links.values()].flat().map((link) => ({
      gateway: link.gateway,
      address: link.address,
      connected: link.isReady,
      requestsInFlight: link.requestsInFlight,
      reason: link.isReady ? undefined : link.error?.message,
    }));
  }

  /**
   * Links to gateways on the map; one that is reached at another address already (an endpoint given by name) needs no
   * second.
   */
  #followMap(map: ShardMap): void {
    for (const [gateway, address] of map.gateways.entries()) {
      if (address === '' || this.#links.has(address) || this.isReady(gateway)) continue;
      this.#add(address);
    }
    for (const [address, links] of this.#links) {
      if (this.#seeds.has(address) || map.gateways.includes(address)) continue;
      this.#links.delete(address);
      for (const link of links) void link.close();
    }
    this.refresh();
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
