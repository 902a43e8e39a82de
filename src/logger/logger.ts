/**
 * A logger: one process, one folder, one device, two ports.
 *
 *   folder/lock     held while it runs
 *   folder/device   the zones, the logger's metadata and identity among them (S16)
 *
 *   start: lock -> device -> metadata -> scan open zones -> make stable -> listen -> register
 */
import { assert, present } from '../base/assert.ts';
import type { ErrorCode } from '../base/errors.ts';
import { KvError } from '../base/errors.ts';
import type { InstanceId, Uuid } from '../base/ids.ts';
import { instanceId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { LoggerStatus, ZoneStatus } from '../codec/logger-protocol.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { registerLogger } from '../coordinator/members.ts';
import type { Environment } from '../env/environment.ts';
import type { FileDeviceOptions } from '../env/file-device/open.ts';
import { openFileDevice } from '../env/file-device/open.ts';
import type { FolderLock } from '../env/files.ts';
import { FilesError } from '../env/files.ts';
import type { Address, Listener } from '../env/network.ts';
import { NetworkError } from '../env/network.ts';
import { randomHex } from '../env/random.ts';
import type { LoggerDevice } from '../env/zoned-device.ts';
import { DeviceError } from '../env/zoned-device.ts';
import { openChannel } from '../rpc/channel.ts';
import type { RpcChannel, RpcHandler } from '../rpc/channel-types.ts';
import { serverOptions } from '../rpc/options.ts';
import type { LogStore } from './log-store.ts';
import type { OpenStore } from './open-store.ts';
import { openStore } from './open-store.ts';
import { requestHandler } from './requests.ts';
import type { ZoneReader } from './zone-reader.ts';

export interface LoggerOptions {
  /** The number in the config file. */
  readonly id: number;
  /** Made if it is missing. */
  readonly folder: string;
  readonly cluster: Uuid;
  /** Bytes; the cluster's. */
  readonly zoneSize: number;
  /** Port 0: any free one. */
  readonly readAddress: Address;
  readonly writeAddress: Address;
  readonly device: LoggerDeviceOptions;
  /** How much of the device the page cache is taken to hold, bytes. Default 256 MiB. */
  readonly cacheBytes?: number;
}

export type LoggerDeviceOptions = Pick<
  FileDeviceOptions,
  'capacityBytes' | 'alignment' | 'extentBytes' | 'prefillBytes' | 'reserveBytes'
>;

export type LoggerWorld = Environment & { readonly coordinator: Coordinator; readonly log: Log };

export interface LoggerNode {
  readonly uuid: Uuid;
  readonly instance: InstanceId;
  /** With the real ports. */
  readonly readAddress: Address;
  readonly writeAddress: Address;
  status(): LoggerStatus;
  zones(): ZoneStatus[];
  /** `callback` is called once, when the device has failed (S17), also if it has already. */
  onFailed(callback: (error: Error) => void): void;
  /** Stops listening, closes the connections, waits for the sync under way. Idempotent. */
  close(): Promise<void>;
}

const cacheBytesDefault = 256 * 1024 * 1024;

/**
 * @throws KvError `folder-in-use`, `wrong-cluster`, `settings-differ`, `newer-format`, `data-damaged`, `port-in-use`,
 * `address-invalid`, `disk-full`, `device-failed`, `bad-argument`; CoordinatorError
 */
export async function startLogger(options: LoggerOptions, world: LoggerWorld): Promise<LoggerNode> {
  const closing: (() => Promise<void>)[] = [];
  try {
    const lock = await lockFolder(options.folder, world);
    closing.unshift(() => lock.release());
    const device = await openDevice(options, world);
    closing.unshift(() => device.close());
    const node = new RunningLogger(options, world, device, closing);
    await node.start();
    return node;
  } catch (error) {
    for (const close of closing) await close();
    throw asKvError(error, options.folder);
  }
}

async function lockFolder(folder: string, world: LoggerWorld): Promise<FolderLock> {
  await world.files.makeFolder(folder);
  return world.files.lock(folder);
}

async function openDevice(options: LoggerOptions, world: LoggerWorld): Promise<LoggerDevice> {
  return openFileDevice(
    world.files,
    `${options.folder}/device`,
    { ...options.device, zoneCapacity: options.zoneSize, random: world.random },
    world.clock,
  );
}

class RunningLogger implements LoggerNode {
  readonly instance: InstanceId;
  readonly #options: LoggerOptions;
  readonly #world: LoggerWorld;
  readonly #device: LoggerDevice;
  readonly #channels = new Set<RpcChannel>();
  readonly #closing: (() => Promise<void>)[];
  readonly #failureListeners: ((error: Error) => void)[] = [];
  #opened: OpenStore | undefined;
  #readListener: Listener | undefined;
  #writeListener: Listener | undefined;
  #failure: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: LoggerOptions, world: LoggerWorld, device: LoggerDevice, closing: (() => Promise<void>)[]) {
    this.#options = options;
    this.#world = world;
    this.#device = device;
    this.#closing = closing;
    this.instance = instanceId(randomHex(world.random, 8));
  }

  async start(): Promise<void> {
    const { cluster, folder, zoneSize, cacheBytes = cacheBytesDefault } = this.#options;
    this.#opened = await openStore(this.#device, { folder, cluster, zoneSize, cacheBytes }, this.#world, (error) =>
      this.#failed(error),
    );
    const { store, reader } = this.#opened;
    const parts = { cluster, logger: this.uuid, instance: this.instance, store, reader, status: () => this.status() };
    this.#closing.unshift(() => this.#closeChannels(store, reader));
    this.#readListener = await this.#listen(this.#options.readAddress, requestHandler('read', parts, this.#channels));
    this.#writeListener = await this.#listen(
      this.#options.writeAddress,
      requestHandler('write', parts, this.#channels),
    );
    const { uuid, instance, readAddress, writeAddress } = this;
    await registerLogger(this.#world.coordinator, this.#options.id, { uuid, instance, readAddress, writeAddress });
  }

  async #listen(address: Address, handler: RpcHandler): Promise<Listener> {
    const { clock, network } = this.#world;
    const listener = await network.listen(address, (connection) => {
      if (this.#channels.size >= limits.connectionsMax || this.#closed !== undefined) return connection.destroy();
      this.#channels.add(openChannel(connection, clock, serverOptions({ reusesInput: true }), handler));
    });
    this.#closing.unshift(() => listener.close());
    return listener;
  }

  get uuid(): Uuid {
    return this.#open.identity.logger;
  }

  get #open(): OpenStore {
    return present(this.#opened, 'the store of a logger that has started');
  }

  get readAddress(): Address {
    return this.#readListener?.address ?? this.#options.readAddress;
  }

  get writeAddress(): Address {
    return this.#writeListener?.address ?? this.#options.writeAddress;
  }

  status(): LoggerStatus {
    return {
      logger: this.uuid,
      instance: this.instance,
      cluster: this.#options.cluster,
      state: this.#open.store.failed ? 'failed' : 'ready',
      deviceCapacity: this.#device.capacityBytes,
      deviceOccupied: this.#device.occupiedBytes,
      zones: this.#open.store.zoneCount,
      alignment: this.#device.geometry.alignment,
    };
  }

  zones(): ZoneStatus[] {
    return this.#open.store.report(undefined);
  }

  onFailed(callback: (error: Error) => void): void {
    if (this.#failure !== undefined) callback(this.#failure);
    else this.#failureListeners.push(callback);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const close of this.#closing) await close();
  }

  async #closeChannels(store: LogStore, reader: ZoneReader): Promise<void> {
    for (const channel of this.#channels) channel.close('the logger stops');
    await store.settle();
    await reader.close();
  }

  #failed(error: Error): void {
    assert(this.#failure === undefined, 'S17 a device fails once');
    this.#failure = error;
    for (const callback of this.#failureListeners) callback(error);
  }
}

function asKvError(error: unknown, folder: string): unknown {
  if (error instanceof DeviceError)
    return new KvError(deviceCodes[error.code], `${folder}: ${error.message}`, { cause: error });
  if (error instanceof FilesError)
    return new KvError(filesCodes[error.code], `${folder}: ${error.message}`, { cause: error });
  if (error instanceof NetworkError) return new KvError(networkCodes[error.code], error.message, { cause: error });
  return error;
}

const deviceCodes: Readonly<Record<DeviceError['code'], ErrorCode>> = {
  full: 'disk-full',
  io: 'device-failed',
  failed: 'device-failed',
  invalid: 'settings-differ',
  locked: 'folder-in-use',
  foreign: 'data-damaged',
  'newer-format': 'newer-format',
  damaged: 'data-damaged',
};

const filesCodes: Readonly<Record<FilesError['code'], ErrorCode>> = {
  'not-found': 'bad-argument',
  exists: 'folder-in-use',
  full: 'disk-full',
  io: 'device-failed',
  locked: 'folder-in-use',
  permission: 'bad-argument',
  closed: 'closed',
};

const networkCodes: Readonly<Record<NetworkError['code'], ErrorCode>> = {
  'address-in-use': 'port-in-use',
  refused: 'address-invalid',
  reset: 'address-invalid',
  'bad-address': 'address-invalid',
  timeout: 'address-invalid',
  permission: 'address-invalid',
  io: 'address-invalid',
};
