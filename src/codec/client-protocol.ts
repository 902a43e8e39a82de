/**
 * Protocol of the client port and of the peer port between gateways (docs/protocol.md), over MessagePack-RPC. put,
 * delete, get and has are written and read in codec/client-requests.ts.
 *
 *   hello  [map: role, protocolMin, protocolMax, cluster?, node?, instance?, wantsClientId?]  -> map: Welcome
 *   put    [key:bin, value:bin, condition:int, expiresAt:int, client:int, number:int, first:int]  -> version:int
 *   delete [key:bin, condition:int, client:int, number:int, first:int]  -> [existed:bool, version:int]
 *   get    [key:bin, mode:int]  -> nil | [version:int, expiresAt:int, value:bin]
 *   has    [key:bin]            -> nil | [version:int, expiresAt:int, value length:int]
 *   map    []                   -> map: ShardMap
 *   status []                   -> map: GatewayStatus (codec/node-status.ts)
 *   notification map [map: ShardMap]   sent to clients that said hello whenever the map changes
 *
 * condition: -1 none, 0 the key must be absent, n > 0 the key must have version n. expiresAt: 0 never. client 0: not
 * numbered, the gateway numbers it. mode: 0 linearizable, 1 stale. An error is [code:str, message:str, outcome:str,
 * detail:int]; detail is the current version with `condition-failed`, the owner's gateway number (-1: not known) with
 * `not-owner`, else 0. The peer port has the same put, delete, get and has, but a gateway that does not own the shard
 * answers `not-owner` there instead of forwarding again. Extra members of arrays and unknown keys of maps are ignored,
 * so that later versions can add some.
 */
import type { ErrorCode, Outcome } from '../base/errors.ts';
import { isErrorCode, KvError } from '../base/errors.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

export const protocolVersion = { min: 1, max: 1 } as const;

export interface ShardMap {
  /** Grows with every change. */
  readonly revision: number;
  /** Shard count; slots are split into contiguous ranges as `core/slots.ts` says. */
  readonly shards: number;
  /** Number of the gateway that owns each shard, -1 when nobody does. */
  readonly owners: readonly number[];
  /** Client addresses by gateway number; '' when not known. */
  readonly gateways: readonly string[];
}

export interface Welcome {
  readonly cluster: string;
  readonly protocol: number;
  /** The number of the gateway. */
  readonly gateway: number;
  readonly node: string;
  readonly instance: string;
  /** Id that nobody else has (S15), for `wantsClientId`; else 0. */
  readonly client: number;
  readonly keyBytesMax: number;
  readonly valueBytesMax: number;
  /** number - first of a write must be below this. */
  readonly clientWindow: number;
  readonly map: ShardMap;
}

export function writeError(out: MessageWriter, code: ErrorCode, message: string, outcome: Outcome, detail = 0): void {
  out.array(4);
  out.text(code);
  out.text(message);
  out.text(outcome);
  out.integer(detail);
}

/**
 * Turns the error object of an answer into a KvError; what isn't in our form becomes `protocol-error`, outcome unknown.
 * @throws MessageFormatError
 */
export function readError(error: MessageReader): KvError {
  const value = error.value();
  if (Array.isArray(value)) {
    const [code, message, outcome, detail] = value as readonly unknown[];
    if (typeof code === 'string' && isErrorCode(code) && typeof message === 'string') {
      return new KvError(code, message, {
        outcome: outcome === 'unknown' ? 'unknown' : 'not-applied',
        ...(code === 'condition-failed' && isNatural(detail) ? { currentVersion: detail } : {}),
      });
    }
  }
  return new KvError('protocol-error', `the other side answered with an error of unknown form: ${String(value)}`, {
    outcome: 'unknown',
  });
}

function isNatural(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
