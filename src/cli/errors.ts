/** Whatever a command fails with, as an operating error with a code and a line for people. */
import { KvError } from '../base/errors.ts';
import { CoordinatorError } from '../coordinator/coordinator.ts';
import { asKvError } from '../env/as-kv-error.ts';

/** Undefined for what is no operating error: a bug, which must not be dressed up as one. */
export function operatingError(error: unknown): KvError | undefined {
  if (error instanceof KvError) return error;
  if (error instanceof CoordinatorError)
    return new KvError('coordinator-unavailable', error.message, { outcome: error.outcome, cause: error });
  return asKvError(error);
}

/** `kv-filelog: what, where, what is allowed [code]` and, for writes, what became of it. */
export function errorText(error: KvError): string {
  const outcome = error.outcome === 'unknown' ? '; the outcome is unknown: it may have been applied' : '';
  return `kv-filelog: ${error.message}${outcome} [${error.code}]\n`;
}
