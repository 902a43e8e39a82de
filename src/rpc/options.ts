/** Options of channels with the defaults of the limits. */
import { limits } from '../base/limits.ts';
import { times } from '../base/times.ts';
import type { RpcOptions } from './channel-types.ts';

/** Limits of one connection, which a node may be given others of. */
export type ConnectionLimits = Pick<RpcOptions, 'outputBytesPause' | 'outputBytesMax' | 'requestsInFlightMax'>;

export const connectionLimits: ConnectionLimits = {
  outputBytesPause: limits.outputBytesPause,
  outputBytesMax: limits.outputBytesMax,
  requestsInFlightMax: limits.requestsInFlightMax,
};

/** Options of the side that asks: it expects no requests, so silence is no fault unless an answer is owed. */
export function clientOptions(options: Partial<RpcOptions> = {}): RpcOptions {
  return { ...serverOptions(), idleFrameTimeoutMs: Number.POSITIVE_INFINITY, ...options };
}

/** Options of the side that was connected to. */
export function serverOptions(options: Partial<RpcOptions> = {}): RpcOptions {
  return {
    progressTimeoutMs: times.idleFrameTimeoutMs,
    idleFrameTimeoutMs: times.idleFrameTimeoutMs,
    frameBytesMax: limits.frameBytesMax,
    frameItemsMax: limits.frameItemsMax,
    ...connectionLimits,
    reusesInput: false,
    ...options,
  };
}
