/**
 * Who is let in: a node's own connections (to loggers, between gateways) and files must find descriptors when clients
 * have taken all that they can get. So clients leave a reserve, which members may use but for the last few.
 *
 *   0 ............ limit - reserve ............ limit - last .. limit
 *   clients, members               members only             files, connections that this node opens
 */
import { limits } from '../base/limits.ts';
import type { Descriptors } from '../env/network.ts';

/** Clients may be anybody; members are the cluster's gateways, and commands that look at it. */
export type GuestKind = 'clients' | 'members';

/** What a connection met that is turned away; `reason` is there when it was not the door that was full. */
export interface Refusal {
  readonly limit: number;
  readonly reason?: string;
}

const unbounded: Descriptors = { max: Number.POSITIVE_INFINITY, accepted: 0 };

/** Connections that `kind` of guests may have to this process, of `descriptors`. */
export function acceptedMax(descriptors: number, kind: GuestKind): number {
  const { descriptorsReservedMin, descriptorsReservedMax, descriptorsKept } = limits;
  if (kind === 'members') return Math.max(1, descriptors - descriptorsKept);
  const share = Math.min(Math.max(Math.floor(descriptors / 4), descriptorsReservedMin), descriptorsReservedMax);
  return Math.max(1, descriptors - Math.min(share, Math.ceil(descriptors / 2)));
}

/**
 * Why one more connection finds no room at a door with `connections` of at most `connectionsMax`; undefined: it does.
 * `accepted` of the descriptors is counted with it.
 */
export function refusalOf(
  connections: number,
  connectionsMax: number,
  kind: GuestKind,
  { max, accepted }: Descriptors = unbounded,
): Refusal | undefined {
  if (connections >= connectionsMax) return { limit: connectionsMax };
  const most = acceptedMax(max, kind);
  if (accepted <= most) return undefined;
  return { limit: most, reason: `descriptors used up: this process may have ${max}, some of which it needs itself` };
}
