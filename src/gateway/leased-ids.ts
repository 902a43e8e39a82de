/**
 * Which client ids were ever given out (S15): a door takes numbered writes from these only, since an id that somebody
 * made up may be the one that another client is given later, whose writes would then count as repetitions.
 *
 * The coordinator's counter is watched. What lies at or above it, as far as was heard, may have been leased by another
 * gateway a moment ago: the counter is read anew before anything is refused, once for all who wait.
 *
 * It owns those who wait. It does not own leasing (coordinator/client-ids.ts).
 */
import { KvError } from '../base/errors.ts';
import type { ClientId } from '../base/ids.ts';
import { clientIdsKey, leasedEnd } from '../coordinator/client-ids.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { CoordinatorError } from '../coordinator/coordinator.ts';
import type { Failure } from '../core/shard/requests.ts';
import type { HeldLimits } from './held-requests.ts';
import { heldLimits } from './held-requests.ts';
import type { MetadataStore } from './metadata-store.ts';

interface Waiting {
  readonly client: ClientId;
  readonly bytes: number;
  readonly told: (failure: Failure | undefined) => void;
}

export class LeasedIds {
  readonly #coordinator: Pick<Coordinator, 'get'>;
  readonly #store: Pick<MetadataStore, 'clientIdsEnd'>;
  readonly #limits: HeldLimits;
  /** Read from the coordinator, where the watch has not told of it yet. */
  #end = 0;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;

  constructor(
    coordinator: Pick<Coordinator, 'get'>,
    store: Pick<MetadataStore, 'clientIdsEnd'>,
    bounds: HeldLimits = heldLimits,
  ) {
    this.#limits = bounds;
    this.#coordinator = coordinator;
    this.#store = store;
  }

  /** False: it may have been leased all the same, see `ask`. */
  has(client: ClientId): boolean {
    return client < this.#store.clientIdsEnd || client < this.#end;
  }

  /**
   * Tells, when the coordinator has answered, why a write of `client` is refused, if it is; at once when too many wait.
   * `bytes`: memory that the write keeps alive.
   */
  ask(client: ClientId, bytes: number, told: (failure: Failure | undefined) => void): void {
    const { requestsMax, bytesMax } = this.#limits;
    if (this.#waiting.length >= requestsMax || this.#bytes + bytes > bytesMax)
      return told(refusal('overloaded', 'too many writes wait for the coordinator to know their client ids'));
    this.#waiting.push({ client, bytes, told });
    this.#bytes += bytes;
    if (this.#waiting.length === 1) this.#read();
  }

  /** Who asks meanwhile waits for the next read: this one may have begun before the id was leased. */
  #read(): void {
    const count = this.#waiting.length;
    this.#coordinator.get(clientIdsKey).then(
      (entry) => {
        this.#end = Math.max(this.#end, leasedEnd(entry));
        this.#tell(count, (client) =>
          this.has(client) ? undefined : refusal('bad-argument', `client id ${client} was never given out`),
        );
      },
      (error: unknown) => {
        if (!(error instanceof CoordinatorError || error instanceof KvError)) throw error;
        const failure = refusal('coordinator-unavailable', `a client id could not be checked: ${error.message}`);
        this.#tell(count, (client) => (this.has(client) ? undefined : failure));
      },
    );
  }

  #tell(count: number, verdict: (client: ClientId) => Failure | undefined): void {
    const waiting = this.#waiting.splice(0, count);
    for (const { bytes } of waiting) this.#bytes -= bytes;
    if (this.#waiting.length > 0) this.#read();
    for (const { client, told } of waiting) told(verdict(client));
  }
}

function refusal(code: Failure['code'], message: string): Failure {
  return { kind: 'failed', code, message, outcome: 'not-applied' };
}
