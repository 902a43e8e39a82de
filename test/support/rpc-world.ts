/** Two hosts on a simulated network, with channels or bare connections between them. */
import assert from 'node:assert/strict';
import { MessageReader } from '../../src/codec/message-reader.ts';
import { MessageScanner } from '../../src/codec/message-scanner.ts';
import type { Connection, Network, NetworkErrorCode } from '../../src/env/network.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { SimulatedNetwork, type SimulatedNetworkOptions } from '../../src/env/simulated/network.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import type { RpcChannel, RpcFailure, RpcHandler, RpcOptions } from '../../src/rpc/channel-types.ts';
import { clientOptions, serverOptions } from '../../src/rpc/options.ts';

export const clientHost = '10.0.0.1';
export const serverHost = '10.0.0.2';
export const serverAddress = '10.0.0.2:7000';

/** A handler that records what it is told; `onRequest` and the like may be given. */
export class Recorder implements RpcHandler {
  readonly events: string[] = [];
  readonly #handler: Partial<RpcHandler>;

  constructor(handler: Partial<RpcHandler> = {}) {
    this.#handler = handler;
  }

  onRequest(channel: RpcChannel, id: number, method: string, params: MessageReader): void {
    this.events.push(`request ${method}`);
    this.#handler.onRequest?.(channel, id, method, params);
  }

  onNotice(channel: RpcChannel, method: string, params: MessageReader): void {
    this.events.push(`notice ${method}`);
    this.#handler.onNotice?.(channel, method, params);
  }

  onOpen(channel: RpcChannel): void {
    this.events.push('open');
    this.#handler.onOpen?.(channel);
  }

  onClose(channel: RpcChannel, reason: string, code: NetworkErrorCode | undefined): void {
    this.events.push(`close: ${reason}`);
    this.#handler.onClose?.(channel, reason, code);
  }

  onDrain(channel: RpcChannel): void {
    this.events.push('drain');
    this.#handler.onDrain?.(channel);
  }

  get closeReason(): string | undefined {
    const close = this.events.filter((event) => event.startsWith('close: '));
    assert.ok(close.length <= 1, 'onClose is called once');
    return close[0]?.slice('close: '.length);
  }
}

/** Answers every request with its params. */
export function echo(channel: RpcChannel, id: number, _method: string, params: MessageReader): void {
  const value = params.value();
  channel.beginAnswer(id).value(value);
  channel.endAnswer();
}

export interface RpcWorld {
  readonly clock: SimulatedClock;
  readonly network: SimulatedNetwork;
  readonly client: Network;
  /** Newest last. */
  readonly accepted: RpcChannel[];
  readonly server: Recorder;
  run(durationMs: number): Promise<void>;
}

export async function rpcWorld(
  handler: Partial<RpcHandler> = {},
  options: Partial<RpcOptions> = {},
  networkOptions: SimulatedNetworkOptions = {},
  seed: number | string = 1,
): Promise<RpcWorld> {
  const clock = new SimulatedClock();
  const network = new SimulatedNetwork(clock, new SimulatedRandom(seed), networkOptions);
  const accepted: RpcChannel[] = [];
  const server = new Recorder(handler);
  await network
    .host(serverHost)
    .listen(serverAddress, (connection) =>
      accepted.push(openChannel(connection, clock, serverOptions(options), server)),
    );
  return {
    clock,
    network,
    client: network.host(clientHost),
    accepted,
    server,
    run: async (durationMs) => {
      await clock.runUntil(clock.now() + durationMs);
    },
  };
}

/** The server's end of the newest connection. */
export function newest(world: RpcWorld): RpcChannel {
  const channel = world.accepted.at(-1);
  assert.ok(channel !== undefined);
  return channel;
}

export function openClient(world: RpcWorld, recorder = new Recorder(), options: Partial<RpcOptions> = {}): RpcChannel {
  return openChannel(world.client.connect(serverAddress), world.clock, clientOptions(options), recorder);
}

/** How a request ended: its result, `error ...` or `lost ...`. */
export function outcome(failure: RpcFailure | undefined, result: MessageReader | undefined): unknown {
  if (failure === undefined) return result?.value();
  return failure.kind === 'error' ? { error: failure.error.value() } : { lost: failure.message, sent: failure.sent };
}

/** Sends requests and collects their outcomes in the order in which they come. */
export function ask(channel: RpcChannel, outcomes: unknown[], method: string, params: readonly unknown[]): void {
  let returned = false;
  let calls = 0;
  channel.request(
    method,
    (out) => out.value(params),
    (failure, result) => {
      assert.ok(returned, 'onAnswer is not called before request returns');
      // Throws when the result is malformed: then it is called again.
      const told = outcome(failure, result);
      assert.equal(++calls, 1, 'onAnswer is called once');
      outcomes.push(told);
    },
  );
  returned = true;
}

/** The other side as bare bytes. */
export class RawPeer {
  readonly connection: Connection;
  readonly messages: unknown[] = [];
  closed = false;
  readonly #scanner = new MessageScanner({ frameBytesMax: 1 << 26, frameItemsMax: 1 << 20 });

  constructor(connection: Connection) {
    this.connection = connection;
    connection.handle({
      onOpen: () => undefined,
      onData: (bytes) => this.#read(Buffer.from(bytes)),
      onDrain: () => undefined,
      onClose: () => {
        this.closed = true;
      },
    });
  }

  send(bytes: Uint8Array): void {
    this.connection.write([bytes]);
  }

  #read(bytes: Buffer): void {
    this.#scanner.push(bytes);
    while (this.#scanner.next())
      this.messages.push(new MessageReader(this.#scanner.bytes, this.#scanner.start, this.#scanner.end).value());
  }
}

export function rawClient(world: RpcWorld): RawPeer {
  return new RawPeer(world.client.connect(serverAddress));
}
