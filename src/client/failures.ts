/** What becomes of a failure: whether it may pass, and what the caller is told. */
import type { ErrorCode } from '../base/errors.ts';
import { KvError } from '../base/errors.ts';
import { readError } from '../codec/client-protocol.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import { MessageFormatError } from '../codec/message-reader.ts';
import type { RpcFailure } from '../rpc/channel-types.ts';

/** Failures that may pass within a request's time. A full disk is for the caller to know at once. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'overloaded',
  'unavailable',
  'not-owner',
  'timeout',
  'connection-lost',
  'window-exceeded',
  'coordinator-unavailable',
]);

export function mayPass(error: KvError): boolean {
  return passing.has(error.code);
}

/** The error of an answer, or of none. */
export function errorOf(failure: RpcFailure | undefined, address: string): KvError {
  if (failure?.kind === 'error') return refusalOf(failure.error);
  const message = failure === undefined ? 'an answer with neither result nor error' : failure.message;
  return new KvError('connection-lost', `${address}: ${message}`, {
    outcome: failure?.sent === false ? 'not-applied' : 'unknown',
  });
}

/** A gateway's error object. */
export function refusalOf(error: MessageReader): KvError {
  try {
    return readError(error);
  } catch (cause) {
    return malformed(cause);
  }
}

/** What to say of a message that could not be read. @throws what isn't a complaint about the message. */
export function malformed(error: unknown): KvError {
  if (error instanceof KvError) return error;
  if (error instanceof MessageFormatError) {
    return new KvError('protocol-error', `malformed message: ${error.message}`, { outcome: 'unknown', cause: error });
  }
  throw error;
}

/** The same error with the outcome that holds for the request as a whole. */
export function withOutcome(error: KvError, outcome: KvError['outcome']): KvError {
  if (error.outcome === outcome) return error;
  const { currentVersion } = error;
  return new KvError(error.code, error.message, {
    outcome,
    cause: error.cause,
    ...(currentVersion === undefined ? {} : { currentVersion }),
  });
}
