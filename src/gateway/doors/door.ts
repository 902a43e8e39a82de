/** One kind of guests of a gateway (clients, peers; later Redis and HTTP clients), behind a port of its own. */
import type { RpcGuests } from '../../rpc/listen.ts';

export interface GatewayDoor extends RpcGuests {
  /** An owner or an address has changed: whoever wants to know is told. */
  mapChanged(): void;
  /** Closes the connections, after sending what was written. */
  close(): void;
}
