/**
 * A logger: one process, one folder, one device, two ports.
 *
 *   folder/lock     held while it runs
 *   folder/device   the zones, the logger's metadata and identity among them (S16)
 *
 *   start: lock -> device -> metadata -> scan open zones -> make stable -> listen -> register
 */
import { assert } from '../base/assert.ts';
import type { ErrorCode } from '../base/errors.ts';
import { KvError } from '../base/errors.ts';
import type { InstanceId, Uuid } from '../base/ids.ts';
import { instanceId, uuid } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { LoggerStatus, ZoneStatus } from '../codec/logger-protocol.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { registerLogger } from '../coordinator/members.ts';
import { LoggerMachine } from '../core/logger/logger-machine.ts';
import { metadataZones } from '../core/logger/metadata-format.ts';
import type { RestoredState } from '../core/logger/restored-state.ts';
import type { Environment } from '../env/environment.ts';
import type { FileDeviceOptions } from '../env/file-device/open.ts';
import { openFileDevice } from '../env/file-device/open.ts';
import type { FolderLock } from '../env/files.ts';
import { FilesError } from '../env/files.ts';
import type { Address, Listener } from '../env/network.ts';
import { NetworkError } from '../env/network.ts';
import { randomHex } from '../env/random.ts';
import { DeviceError } from '../env/zoned-device.ts';
import { openChannel } from '../rpc/channel.ts';
import type { RpcChannel, RpcHandler } from '../rpc/channel-types.ts';
import { serverOptions } from '../rpc/options.ts';
import { CacheGuess } from './cache-guess.ts';
import type { OnMachineAnswer } from './log-store.ts';
import { LogStore } from './log-store.ts';
import type { LoggerDevice } from './logger-device.ts';
import type { FoundMetadata, LoggerIdentity } from './metadata-log.ts';
import { findMetadata, MetadataLog, zonesThatFit } from './metadata-log.ts';
import { restoreZones } from './recovery.ts';
import { requestHandler } from './requests.ts';
import { ZoneReader } from './zone-reader.ts';

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

export type LoggerDeviceOptions = Pick<FileDeviceOptions, 'capacityBytes' | 'alignment' | 'extentBytes' | 'prefillBytes' | 'reserveBytes'>;

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
 * @throws KvError `folder-in-use`, `wrong-cluster`, `settings-differ`, `newer-format`, `data-damaged`, `port-in-use`, `address-invalid`,
 * `disk-full`, `device-failed`, `bad-argument`; CoordinatorError
 */
export async function startLogger(options: LoggerOptions, world: LoggerWorld): Promise<LoggerNode> {
  const closing: (() => Promise<void>)[] = [];
  try {
    const lock = await lockFolder(options.folder, world);
    closing.unshift(() => lock.release());
    const device = await openDevice(options, world);
    closing.unshift(() => device.close());
    const { identity, found } = await identify(device, options, world);
    const restored = await restoreZones(device, found, world.log);
    const node = new RunningLogger(options, world, device, identity, found, restored, closing);
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
  return openFileDevice(world.files, `${options.folder}/device`, { ...options.device, zoneCapacity: options.zoneSize, random: world.random }, world.clock);
}

async function identify(device: LoggerDevice, options: LoggerOptions, world: LoggerWorld): Promise<{ readonly identity: LoggerIdentity; readonly found: FoundMetadata }> {
  const found = await findMetadata(device, options.folder);
  if (found.kind === 'empty') {
    const identity = { cluster: options.cluster, logger: uuid(randomHex(world.random, 16)), zoneSize: options.zoneSize };
    world.log('info', 'a new logger', { folder: options.folder, logger: identity.logger });
    return { identity, found };
  }
  const { identity } = found;
  if (identity.cluster !== options.cluster) throw new KvError('wrong-cluster', `${options.folder} belongs to cluster ${identity.cluster}, not to ${options.cluster}`);
  if (identity.zoneSize !== options.zoneSize) throw new KvError('settings-differ', `${options.folder} has zones of ${identity.zoneSize} bytes, not ${options.zoneSize}`);
  return { identity, found };
}

class RunningLogger implements LoggerNode {
  readonly uuid: Uuid;
  readonly instance: InstanceId;
  readonly #options: LoggerOptions;
  readonly #world: LoggerWorld;
  readonly #device: LoggerDevice;
  readonly #metadata: MetadataLog;
  readonly #store: LogStore;
  readonly #reader: ZoneReader;
  readonly #channels = new Set<RpcChannel>();
  readonly #closing: (() => Promise<void>)[];
  readonly #failureListeners: ((error: Error) => void)[] = [];
  #readListener: Listener | undefined;
  #writeListener: Listener | undefined;
  #failure: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(
    options: LoggerOptions, world: LoggerWorld, device: LoggerDevice, identity: LoggerIdentity, found: FoundMetadata, restored: RestoredState,
    closing: (() => Promise<void>)[],
  ) {
    this.#options = options;
    this.#world = world;
    this.#device = device;
    this.#closing = closing;
    this.uuid = identity.logger;
    this.instance = instanceId(randomHex(world.random, 8));
    const machine = new LoggerMachine<OnMachineAnswer>(
      {
        cluster: identity.cluster, zoneSize: identity.zoneSize, alignment: device.geometry.alignment, deviceZones: dataZones(device),
        drawGeneration: () => randomHex(world.random, 8),
      },
      restored,
    );
    const cache = new CacheGuess(options.cacheBytes ?? cacheBytesDefault);
    this.#metadata = new MetadataLog(device, identity, found, () => machine.snapshot());
    this.#store = new LogStore({ device, machine, metadata: this.#metadata, cache, clock: world.clock, log: world.log }, (error) => this.#failed(error));
    this.#reader = new ZoneReader(this.#store, device, cache, world.log);
  }

  async start(): Promise<void> {
    await this.#metadata.start();
    const parts = {
      cluster: this.#options.cluster, logger: this.uuid, instance: this.instance, store: this.#store, reader: this.#reader,
      status: () => this.status(),
    };
    this.#closing.unshift(() => this.#closeChannels());
    this.#readListener = await this.#listen(this.#options.readAddress, requestHandler('read', parts, this.#channels));
    this.#writeListener = await this.#listen(this.#options.writeAddress, requestHandler('write', parts, this.#channels));
    const { uuid: id, instance, readAddress, writeAddress } = this;
    await registerLogger(this.#world.coordinator, this.#options.id, { uuid: id, instance, readAddress, writeAddress });
  }

  async #listen(address: Address, handler: RpcHandler): Promise<Listener> {
    const { clock, network } = this.#world;
    const listener = await network.listen(address, (connection) => {
      if (this.#channels.size >= limits.connectionsMax || this.#closed !== undefined) return connection.destroy();
      this.#channels.add(openChannel(connection, clock, serverOptions(), handler));
    });
    this.#closing.unshift(() => listener.close());
    return listener;
  }

  get readAddress(): Address {
    return this.#readListener?.address ?? this.#options.readAddress;
  }

  get writeAddress(): Address {
    return this.#writeListener?.address ?? this.#options.writeAddress;
  }

  status(): LoggerStatus {
    return {
      logger: this.uuid, instance: this.instance, cluster: this.#options.cluster, state: this.#store.failed ? 'failed' : 'ready',
      deviceCapacity: this.#device.capacityBytes, deviceOccupied: this.#device.occupiedBytes, zones: this.#store.zoneCount,
      alignment: this.#device.geometry.alignment,
    };
  }

  zones(): ZoneStatus[] {
    return this.#store.report(undefined);
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

  async #closeChannels(): Promise<void> {
    for (const channel of this.#channels) channel.close('the logger stops');
    await this.#store.settle();
    await this.#reader.close();
  }

  #failed(error: Error): void {
    assert(this.#failure === undefined, 'S17 a device fails once');
    this.#failure = error;
    for (const callback of this.#failureListeners) callback(error);
  }
}

function dataZones(device: LoggerDevice): number[] {
  const count = Math.min(device.geometry.zoneCount - metadataZones.length, zonesThatFit(device));
  return Array.from({ length: Math.max(0, count) }, (_, index) => index + metadataZones.length);
}

function asKvError(error: unknown, folder: string): unknown {
  if (error instanceof DeviceError) return new KvError(deviceCodes[error.code], `${folder}: ${error.message}`, { cause: error });
  if (error instanceof FilesError) return new KvError(filesCodes[error.code], `${folder}: ${error.message}`, { cause: error });
  if (error instanceof NetworkError) return new KvError(networkCodes[error.code], error.message, { cause: error });
  return error;
}

const deviceCodes: Readonly<Record<DeviceError['code'], ErrorCode>> = {
  full: 'disk-full', io: 'device-failed', failed: 'device-failed', invalid: 'settings-differ', locked: 'folder-in-use', foreign: 'data-damaged',
  'newer-format': 'newer-format', damaged: 'data-damaged',
};

const filesCodes: Readonly<Record<FilesError['code'], ErrorCode>> = {
  'not-found': 'bad-argument', exists: 'folder-in-use', full: 'disk-full', io: 'device-failed', locked: 'folder-in-use', permission: 'bad-argument',
  closed: 'closed',
};

const networkCodes: Readonly<Record<NetworkError['code'], ErrorCode>> = {
  'address-in-use': 'port-in-use', refused: 'address-invalid', reset: 'address-invalid', 'bad-address': 'address-invalid', timeout: 'address-invalid',
  permission: 'address-invalid', io: 'address-invalid',
};
