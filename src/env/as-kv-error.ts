/**
 * Errors of the world (files, network, device) as operating errors: the one table of which becomes which code. Nodes
 * use it for what keeps them from starting, commands for whatever they fail with. A `CoordinatorError` has an outcome
 * of its own and is not translated here.
 */
import { KvError, type ErrorCode } from '../base/errors.ts';
import { FilesError, type FilesErrorCode } from './files.ts';
import { NetworkError, type NetworkErrorCode } from './network.ts';
import { DeviceError, type DeviceErrorCode } from './zoned-device.ts';

/**
 * The operating error that `error` is, `error` kept as its cause; undefined for what is no error of the world: a bug,
 * which must not be dressed up as one, or a KvError already. `place`: the folder or file at fault, named in the message
 * unless it is there.
 */
export function asKvError(error: unknown, place = ''): KvError | undefined {
  const code = codeOf(error);
  if (code === undefined || !(error instanceof Error)) return undefined;
  const message = error.message.includes(place) ? error.message : `${place}: ${error.message}`;
  return new KvError(code, message, { cause: error });
}

function codeOf(error: unknown): ErrorCode | undefined {
  if (error instanceof FilesError) return filesCodes[error.code];
  if (error instanceof NetworkError) return networkCodes[error.code];
  if (error instanceof DeviceError) return deviceCodes[error.code];
  return undefined;
}

const filesCodes: Readonly<Record<FilesErrorCode, ErrorCode>> = {
  'not-found': 'config-not-found',
  // A file where a folder is wanted: the path is wrong, nobody uses it.
  exists: 'bad-argument',
  full: 'disk-full',
  io: 'device-failed',
  locked: 'folder-in-use',
  permission: 'permission-denied',
  // Whoever closed the file uses it still.
  closed: 'internal',
};

const networkCodes: Readonly<Record<NetworkErrorCode, ErrorCode>> = {
  'address-in-use': 'port-in-use',
  refused: 'connection-lost',
  reset: 'connection-lost',
  'bad-address': 'address-invalid',
  timeout: 'timeout',
  permission: 'permission-denied',
  io: 'connection-lost',
};

const deviceCodes: Readonly<Record<DeviceErrorCode, ErrorCode>> = {
  full: 'disk-full',
  io: 'device-failed',
  failed: 'device-failed',
  // An option that the device was not made with.
  invalid: 'settings-differ',
  locked: 'folder-in-use',
  // Some other program's file where the device should be.
  foreign: 'data-damaged',
  'newer-format': 'newer-format',
  damaged: 'data-damaged',
};
