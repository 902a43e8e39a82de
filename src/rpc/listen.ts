/**
 * The one place where a node listens. Each address has a door behind it; whoever connects is let in while the door has
 * room, else turned away in the door's own words, with a line in the log that a flood of refusals does not lengthen.
 *
 *   Listening (one of a node) -> network.listen, one address a door
 *   a connection -> room (admission.ts)? -> door.admit, or door.refuse and the line
 *
 * It owns the listeners, who is let in, and the line about refusals. It does NOT own connections: a door keeps its own
 * and closes them, since it alone knows what is still to be answered. Nor does it know protocols: MessagePack-RPC comes
 * in by `RpcDoor`, another protocol by a door of its own.
 */
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import { times } from '../base/times.ts';
import { asKvError } from '../env/as-kv-error.ts';
import type { Clock } from '../env/clock.ts';
import type { Environment } from '../env/environment.ts';
import type { Address, Connection, Listener } from '../env/network.ts';
import { RepeatedLine } from '../env/repeated-line.ts';
import { refusalOf } from './admission.ts';
import type { GuestKind } from './admission.ts';
import { openChannel } from './channel.ts';
import type { RpcChannel, RpcHandler, RpcOptions } from './channel-types.ts';

/** What stands behind an address. */
export interface Door {
  /** For the log: who comes in here, like `clients`. */
  readonly name: string;
  /** Connections that are open through it now. */
  readonly connections: number;
  /** Default: members. */
  readonly guests?: GuestKind;
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
    const { descriptors } = this.#world.network;
    const refusal = refusalOf(door.connections, this.#connectionsMax, door.guests ?? 'members', descriptors);
    if (refusal === undefined) return door.admit(connection);
    this.#refusals.add({ door: door.name, ...refusal });
    door.refuse(connection);
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
  /** Answers the first request of a connection for which there is no room. Missing: it is closed without a word. */
  refuse?(channel: RpcChannel, id: number, method: string): void;
}

/**
 * A door for MessagePack-RPC: opens a channel on each connection and hands it to `guests`. One that is turned away is
 * told so in the answer to its first request, as the protocol has no word for it before that; a few at a time, the
 * others are closed without a word.
 */
export class RpcDoor implements Door {
  readonly name: string;
  readonly guests: GuestKind;
  readonly #inside: RpcGuests;
  readonly #clock: Clock;
  readonly #options: RpcOptions;
  #refusalsWaiting = 0;

  constructor(
    name: string,
    inside: RpcGuests,
    { clock }: Pick<Environment, 'clock'>,
    options: RpcOptions,
    guests: GuestKind = 'members',
  ) {
    this.name = name;
    this.guests = guests;
    this.#inside = inside;
    this.#clock = clock;
    this.#options = options;
  }

  get connections(): number {
    return this.#inside.connections;
  }

  admit(connection: Connection): void {
    this.#inside.admit(openChannel(connection, this.#clock, this.#options, this.#inside));
  }

  refuse(connection: Connection): void {
    if (this.#inside.refuse === undefined || this.#refusalsWaiting >= limits.refusalsWaitingMax)
      return connection.destroy();
    this.#refusalsWaiting += 1;
    const timer = this.#clock.after(times.refusedCloseMs, () => connection.destroy());
    openChannel(connection, this.#clock, this.#options, {
      onOpen: () => undefined,
      onNotice: () => undefined,
      onDrain: () => undefined,
      onRequest: (channel, id, method) => {
        this.#inside.refuse?.(channel, id, method);
        channel.close('turned away');
      },
      onClose: () => {
        timer.cancel();
        this.#refusalsWaiting -= 1;
      },
    });
  }
}
