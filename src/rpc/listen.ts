/**
 * The one place where a node listens. Each address has a door behind it; whoever connects is let in while the door has
 * room, else turned away in the door's own words, with a line in the log that a flood of refusals does not lengthen.
 *
 *   Listening (one of a node) -> network.listen, one address a door
 *   a connection -> #hasRoom? -> door.admit, or door.refuse and the line
 *
 * It owns the listeners, who is let in, and the line about refusals. It does NOT own connections: a door keeps its own
 * and closes them, since it alone knows what is still to be answered. Nor does it know protocols: MessagePack-RPC comes
 * in by `RpcDoor`, another protocol by a door of its own.
 */
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { times } from '../base/times.ts';
import { asKvError } from '../env/as-kv-error.ts';
import type { Environment } from '../env/environment.ts';
import type { Address, Connection, Listener } from '../env/network.ts';
import { RepeatedLine } from '../env/repeated-line.ts';
import { openChannel } from './channel.ts';
import type { RpcChannel, RpcHandler, RpcOptions } from './channel-types.ts';

/** What stands behind an address. */
export interface Door {
  /** For the log: who comes in here, like `clients`. */
  readonly name: string;
  /** Connections that are open through it now. */
  readonly connections: number;
  /** Takes a connection that was let in. Called in the turn the network handed it out. */
  admit(connection: Connection): void;
  /** Turns one away, so that the other side learns why if the protocol has a word for it, and closes it. */
  refuse(connection: Connection): void;
}

type World = Pick<Environment, 'network' | 'clock'> & { readonly log: Log };

export class Listening {
  readonly #world: World;
  readonly #connectionsMax: number;
  readonly #listeners: Listener[] = [];
  readonly #refusals: RepeatedLine;
  #isClosed = false;

  /** `connectionsMax`: connections that each door may have at once. */
  constructor(world: World, connectionsMax: number = limits.connectionsMax) {
    this.#world = world;
    this.#connectionsMax = connectionsMax;
    this.#refusals = new RepeatedLine({
      ...world,
      level: 'warn',
      event: 'connections refused: too many',
      periodMs: times.refusalLineMs,
    });
  }

  /**
   * Opens `door` at `address`; port 0: any free one, see the result.
   * @throws KvError `port-in-use`, `address-invalid`, `permission-denied`
   */
  async listen(address: Address, door: Door): Promise<Address> {
    try {
      const listener = await this.#world.network.listen(address, (connection) => this.#arrived(connection, door));
      this.#listeners.push(listener);
      return listener.address;
    } catch (error) {
      throw asKvError(error, address) ?? error;
    }
  }

  #arrived(connection: Connection, door: Door): void {
    if (this.#isClosed) return connection.destroy();
    if (this.#hasRoom(door)) return door.admit(connection);
    this.#refusals.add({ door: door.name, limit: this.#connectionsMax });
    door.refuse(connection);
  }

  /** The whole of admission: whatever else is to count (descriptors left, the node's own connections) counts here. */
  #hasRoom(door: Door): boolean {
    return door.connections < this.#connectionsMax;
  }

  /** Nobody comes in any more, at the newest address first; connections go on. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#refusals.close();
    for (const listener of this.#listeners.toReversed()) await listener.close();
  }
}

/** Those who speak MessagePack-RPC at one door: their requests and their channels. */
export interface RpcGuests extends RpcHandler {
  /** Channels that were admitted and have not closed. */
  readonly connections: number;
  /** Called once for a channel, before its first request. */
  admit(channel: RpcChannel): void;
}

/** A door for MessagePack-RPC: opens a channel on each connection and hands it to `guests`. */
export class RpcDoor implements Door {
  readonly name: string;
  readonly #guests: RpcGuests;
  readonly #open: (connection: Connection) => RpcChannel;

  constructor(name: string, guests: RpcGuests, world: Pick<Environment, 'clock'>, options: RpcOptions) {
    this.name = name;
    this.#guests = guests;
    this.#open = (connection) => openChannel(connection, world.clock, options, guests);
  }

  get connections(): number {
    return this.#guests.connections;
  }

  admit(connection: Connection): void {
    this.#guests.admit(this.#open(connection));
  }

  /** The protocol has no word for it before the first request. */
  refuse(connection: Connection): void {
    connection.destroy();
  }
}
