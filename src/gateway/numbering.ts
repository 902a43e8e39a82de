/**
 * Numbers for the writes of clients that bring none (rpclib, plain MessagePack-RPC): the gateway is their client, with
 * an id of its own, so that a forwarded or repeated one is applied once (S15). Also hands ids to clients that ask for
 * one.
 */
import { KvError } from '../base/errors.ts';
import type { ClientId } from '../base/ids.ts';
import { clientId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { leaseClientIds } from '../coordinator/client-ids.ts';
import { RequestWindow } from '../core/once/request-window.ts';
import type { Outlet, ShardWrite, WriteReply, WriteResult } from '../core/shard/requests.ts';

/** Client ids, leased in blocks from the coordinator before they run out. */
export class ClientIds {
  readonly #coordinator: Coordinator;
  #next = 0;
  #end = 0;
  #leasing: Promise<void> | undefined;

  constructor(coordinator: Coordinator) {
    this.#coordinator = coordinator;
  }

  /** An id that nobody else has or ever had. @throws CoordinatorError */
  async take(): Promise<ClientId> {
    while (this.#next >= this.#end) await this.#lease();
    return clientId(this.#next++);
  }

  #lease(): Promise<void> {
    this.#leasing ??= leaseClientIds(this.#coordinator, limits.clientIdsLeased)
      .then((first) => {
        this.#next = first;
        this.#end = first + limits.clientIdsLeased;
      })
      .finally(() => {
        this.#leasing = undefined;
      });
    return this.#leasing;
  }
}

/** Passes a result on and ends the number it was given. */
class NumberedReply implements WriteReply {
  readonly #inner: WriteReply;
  readonly #window: RequestWindow;

  constructor(inner: WriteReply, window: RequestWindow) {
    this.#inner = inner;
    this.#window = window;
  }

  get outlet(): Outlet | undefined {
    return this.#inner.outlet;
  }

  written(write: ShardWrite, result: WriteResult): void {
    this.#window.end(write.number);
    this.#inner.written(write, result);
  }
}

/** The gateway as a client of its own. */
export class Numbering {
  readonly #client: ClientId;
  readonly #window = new RequestWindow();

  constructor(client: ClientId) {
    this.#client = client;
  }

  /** Numbers a write; its reply ends the number. @throws KvError `overloaded` when too many are under way. */
  begin(write: ShardWrite): void {
    if (this.#window.isFull)
      throw new KvError(
        'overloaded',
        `${limits.clientWindow} writes of clients without numbers are under way at this gateway`,
      );
    write.client = this.#client;
    write.number = this.#window.begin();
    write.firstIncomplete = this.#window.firstIncomplete;
    write.replyTo = new NumberedReply(write.replyTo, this.#window);
  }
}
