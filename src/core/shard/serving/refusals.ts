/** Refusals of an owner: what a write or read is told that is not served. */
import type { ErrorCode, Outcome } from '../../../base/errors.ts';
import type { ShardEffect } from '../events.ts';
import type { Failure, ShardRead, ShardWrite } from '../requests.ts';

export function failed(code: ErrorCode, message: string, outcome: Outcome): Failure {
  return { kind: 'failed', code, message, outcome };
}

export function refused(write: ShardWrite, failure: Failure): ShardEffect {
  return { effect: 'answer-write', write, result: failure };
}

export function refusedFull(write: ShardWrite): ShardEffect {
  const message = 'no logger has space left; delete keys or enlarge the devices';
  return refused(write, failed('disk-full', message, 'not-applied'));
}

export function refusedTooLarge(write: ShardWrite, zoneSize: number): ShardEffect {
  const message = `a record of this cluster fits one zone of ${zoneSize} bytes`;
  return refused(write, failed('value-too-large', message, 'not-applied'));
}

export function refusedRead(read: ShardRead, code: ErrorCode, message: string): ShardEffect {
  return { effect: 'fail-read', read, failure: failed(code, message, 'not-applied') };
}
