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
import { CoordinatorError } from '../coordinator/coordinator.ts';
import { leaseClientIds } from '../coordinator/client-ids.ts';
import type { RequestWindow } from '../core/once/request-window.ts';
import { RequestWindows } from '../core/once/request-windows.ts';
import type { Outlet, WriteReply, WriteResult } from '../core/shard/requests.ts';
import { ShardWrite } from '../core/shard/requests.ts';
import { shardOfKey } from '../core/slots.ts';

/** Client ids, leased in blocks from the coordinator before they run out. */
export class ClientIds {
  readonly #coordinator: Coordinator;
  readonly #leased: number;
  #next = 0;
  #end = 0;
  #leasing: Promise<void> | undefined;

  /** `leased`: ids that are taken at once. */
  constructor(coordinator: Coordinator, leased: number = limits.clientIdsLeased) {
    this.#coordinator = coordinator;
    this.#leased = leased;
  }

  /** An id that nobody else has or ever had. @throws CoordinatorError */
  async take(): Promise<ClientId> {
    while (this.#next >= this.#end) await this.#lease();
    return clientId(this.#next++);
  }

  #lease(): Promise<void> {
    this.#leasing ??= leaseClientIds(this.#coordinator, this.#leased)
      .then((first) => {
        this.#next = first;
        this.#end = first + this.#leased;
      })
      .finally(() => {
        this.#leasing = undefined;
      });
    return this.#leasing;
  }
}

/** Brings a write to its shard. */
export type Send = (write: ShardWrite) => void;

/** Ids under which one write is sent before it is given up. */
const triesMax = 3;

/** Passes a result on and ends the number it was given; under another number when its client is forgotten. */
class NumberedReply implements WriteReply {
  readonly #inner: WriteReply;
  readonly #window: RequestWindow;
  readonly #again: (write: ShardWrite) => void;

  constructor(inner: WriteReply, window: RequestWindow, again: (write: ShardWrite) => void) {
    this.#inner = inner;
    this.#window = window;
    this.#again = again;
  }

  get outlet(): Outlet | undefined {
    return this.#inner.outlet;
  }

  written(write: ShardWrite, result: WriteResult): void {
    this.#window.end(write.number);
    if (result.kind === 'failed' && result.code === 'client-forgotten') this.#again(unnumbered(write, this.#inner));
    else this.#inner.written(write, result);
  }
}

/** The write as it came. Its bytes are where they were: it was in no batch. */
function unnumbered(write: ShardWrite, replyTo: WriteReply): ShardWrite {
  const copy = new ShardWrite(replyTo, write.id, write.operation);
  const { source, keyStart, keyLength, valueStart, wantedLength, condition } = write;
  return Object.assign(copy, { source, keyStart, keyLength, valueStart, wantedLength, condition });
}

/** The gateway as a client of its own. */
export class Numbering {
  readonly #shardCount: number;
  readonly #ids: Pick<ClientIds, 'take'>;
  #client: ClientId;
  readonly #windowSize: number;
  #windows: RequestWindows;
  #renewing: Promise<void> | undefined;

  constructor(
    client: ClientId,
    ids: Pick<ClientIds, 'take'>,
    shardCount: number,
    windowSize: number = limits.clientWindow,
  ) {
    this.#windowSize = windowSize;
    this.#windows = new RequestWindows(windowSize);
    this.#client = client;
    this.#ids = ids;
    this.#shardCount = shardCount;
  }

  /**
   * Numbers a write and sends it; its reply ends the number. A shard that has forgotten this gateway (S15) is sent the
   * write again under a new id: no other copy of it exists.
   * @throws KvError `overloaded` when too many are under way to the key's shard
   */
  send(write: ShardWrite, send: Send): void {
    this.#send(write, send, 1);
  }

  #send(write: ShardWrite, send: Send, tries: number): void {
    const { source, keyStart, keyLength } = write;
    const window = this.#windows.of(shardOfKey(source, keyStart, keyLength, this.#shardCount));
    if (window.isFull)
      throw new KvError(
        'overloaded',
        `${this.#windowSize} writes of clients without numbers are under way at this gateway to the key's shard`,
      );
    const client = this.#client;
    write.client = client;
    write.number = window.begin();
    write.firstIncomplete = window.firstIncomplete;
    write.replyTo = new NumberedReply(write.replyTo, window, (again) => this.#again(again, client, send, tries));
    send(write);
  }

  #again(write: ShardWrite, forgotten: ClientId, send: Send, tries: number): void {
    const refuse = (code: 'client-forgotten' | 'overloaded', message: string): void =>
      write.replyTo.written(write, { kind: 'failed', code, message, outcome: 'not-applied' });
    if (tries >= triesMax) return refuse('client-forgotten', 'the shard forgets each client id of this gateway');
    this.#renewed(forgotten).then(
      () => {
        try {
          this.#send(write, send, tries + 1);
        } catch (error) {
          if (!(error instanceof KvError)) throw error;
          refuse('overloaded', error.message);
        }
      },
      (error: unknown) => {
        if (!(error instanceof CoordinatorError)) throw error;
        refuse('client-forgotten', `the gateway needs a new client id, and has none: ${error.message}`);
      },
    );
  }

  /** Resolves when the gateway has another id than `forgotten`. */
  #renewed(forgotten: ClientId): Promise<void> {
    if (this.#client !== forgotten) return Promise.resolve();
    this.#renewing ??= this.#ids
      .take()
      .then((client) => {
        this.#client = client;
        this.#windows = new RequestWindows(this.#windowSize);
      })
      .finally(() => {
        this.#renewing = undefined;
      });
    return this.#renewing;
  }
}
