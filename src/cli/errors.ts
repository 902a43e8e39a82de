/** Whatever a command fails with, as an operating error with a code and a line for people. */
import { KvError, type ErrorCode } from '../base/errors.ts';
import { CoordinatorError } from '../coordinator/coordinator.ts';
import { FilesError, type FilesErrorCode } from '../env/files.ts';
import { NetworkError, type NetworkErrorCode } from '../env/network.ts';
import { DeviceError, type DeviceErrorCode } from '../env/zoned-device.ts';

const filesCodes: Readonly<Record<FilesErrorCode, ErrorCode>> = {
  'not-found': 'config-not-found',
  exists: 'bad-argument',
  full: 'disk-full',
  io: 'device-failed',
  locked: 'folder-in-use',
  permission: 'bad-argument',
  closed: 'internal',
};
const networkCodes: Readonly<Record<NetworkErrorCode, ErrorCode>> = {
  'address-in-use': 'port-in-use',
  refused: 'connection-lost',
  reset: 'connection-lost',
  'bad-address': 'address-invalid',
  timeout: 'timeout',
  permission: 'address-invalid',
  io: 'connection-lost',
};
const deviceCodes: Readonly<Record<DeviceErrorCode, ErrorCode>> = {
  full: 'disk-full',
  io: 'device-failed',
  failed: 'device-failed',
  invalid: 'internal',
  locked: 'folder-in-use',
  foreign: 'wrong-cluster',
  'newer-format': 'newer-format',
  damaged: 'data-damaged',
};

/** Undefined for what is no operating error: a bug, which must not be dressed up as one. */
export function operatingError(error: unknown): KvError | undefined {
  if (error instanceof KvError) return error;
  if (error instanceof CoordinatorError)
    return new KvError('coordinator-unavailable', error.message, { outcome: error.outcome, cause: error });
  if (error instanceof FilesError) return new KvError(filesCodes[error.code], error.message, { cause: error });
  if (error instanceof NetworkError) return new KvError(networkCodes[error.code], error.message, { cause: error });
  if (error instanceof DeviceError) return new KvError(deviceCodes[error.code], error.message, { cause: error });
  return undefined;
}

/** `kv-filelog: what, where, what is allowed [code]` and, for writes, what became of it. */
export function errorText(error: KvError): string {
  const outcome = error.outcome === 'unknown' ? '; the outcome is unknown: it may have been applied' : '';
  return `kv-filelog: ${error.message}${outcome} [${error.code}]\n`;
}
