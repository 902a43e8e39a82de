/**
 * A logger: one process, one folder, one device, two ports.
 *
 *   folder/lock     held while it runs
 *   folder/device   the zones, the logger's metadata and identity among them (S16)
 *
 *   start: lock -> device -> owners of the shards -> metadata -> scan open zones -> make stable -> listen -> register
 *
 * It owns the life of the parts: the order in which they are opened and closed. It does not own what they do: requests
 * (requests.ts), storing (log-store.ts), reading (zone-reader.ts), recovery (recovery.ts).
 */
import { assert, present } from '../base/assert.ts';
import type { InstanceId, Uuid } from '../base/ids.ts';
import { instanceId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { nodeSettings } from '../base/settings.ts';
import type { LoggerStatus, ZoneStatus } from '../codec/logger-protocol.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { registerLogger } from '../coordinator/members.ts';
import { asKvError } from '../env/as-kv-error.ts';
import type { LoggerTrace } from '../core/logger/trace.ts';
import type { Environment } from '../env/environment.ts';
import type { FileDeviceOptions } from '../env/file-device/open.ts';
import { openFileDevice } from '../env/file-device/open.ts';
import { lockFolder } from '../env/folder-lock.ts';
import type { Address } from '../env/network.ts';
import { randomHex } from '../env/random.ts';
import type { RpcChannel } from '../rpc/channel-types.ts';
import { Listening, RpcDoor } from '../rpc/listen.ts';
import { serverOptions } from '../rpc/options.ts';
import type { KnownOwner } from './known-owners.ts';
import type { LoggerLimits } from './limits.ts';
import { loggerLimits } from './limits.ts';
import { knownOwners } from './known-owners.ts';
import type { LogStore } from './log-store.ts';
import type { LoggerDevice } from '../env/zoned-device.ts';
import type { OpenStore } from './open-store.ts';
import { openStore } from './open-store.ts';
import { metadataSpace } from './metadata-log.ts';
import { PortRequests } from './requests.ts';
import { isTwinAt } from './twin.ts';
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
  /** Bytes of the device that the page cache is taken to hold. Default 256 MiB. */
  readonly cacheBytes?: number;
  /** Default: `loggerLimits`. */
  readonly limits?: LoggerLimits;
}

export type LoggerDeviceOptions = Pick<
  FileDeviceOptions,
  'capacityBytes' | 'alignment' | 'extentBytes' | 'prefillBytes' | 'reserveBytes'
>;

export type LoggerWorld = Environment & {
  readonly coordinator: Coordinator;
  readonly log: Log;
  /** Sees every step of the logger's machine; nobody does by default. */
  readonly trace?: LoggerTrace;
};

export interface LoggerNode {
  readonly uuid: Uuid;
  /** Number of zones that it can still take, should there be bytes for them. */
  readonly zonesLeft: number;
  readonly instance: InstanceId;
  /** Addresses with the real ports. */
  readonly readAddress: Address;
  readonly writeAddress: Address;
  status(): LoggerStatus;
  zones(): ZoneStatus[];
  /** `callback` is called once, when the device has failed (S17), also if it has already. */
  onFailed(callback: (error: Error) => void): void;
  /** Stops listening, closes the connections, waits for the sync under way. Idempotent. */
  close(): Promise<void>;
}

/**
 * @throws KvError `folder-in-use`, `wrong-cluster`, `settings-differ`, `newer-format`, `data-damaged`, `port-in-use`,
 * `address-invalid`, `permission-denied`, `disk-full`, `device-failed`, `bad-argument`, `logger-twice`;
 * CoordinatorError
 */
export async function startLogger(options: LoggerOptions, world: LoggerWorld): Promise<LoggerNode> {
  const closing: (() => Promise<void>)[] = [];
  try {
    const lock = await lockFolder(world.files, options.folder);
    closing.unshift(() => lock.release());
    const device = await openDevice(options, world);
    closing.unshift(() => device.close());
    const node = new RunningLogger(options, world, device, closing);
    await node.start();
    return node;
  } catch (error) {
    for (const close of closing) await close();
    throw asKvError(error, options.folder) ?? error;
  }
}

async function openDevice(options: LoggerOptions, world: LoggerWorld): Promise<LoggerDevice> {
  return openFileDevice(
    world.files,
    `${options.folder}/device`,
    {
      ...options.device,
      zoneCapacity: options.zoneSize,
      random: world.random,
      privileged: metadataSpace(options.zoneSize),
    },
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
  readonly #listening: Listening;
  #readAddress: Address | undefined;
  #writeAddress: Address | undefined;
  #failure: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: LoggerOptions, world: LoggerWorld, device: LoggerDevice, closing: (() => Promise<void>)[]) {
    this.#options = options;
    this.#world = world;
    this.#device = device;
    this.#closing = closing;
    this.#listening = new Listening(world);
    this.instance = instanceId(randomHex(world.random, 8));
  }

  async start(): Promise<void> {
    const { cluster, folder, zoneSize, cacheBytes = nodeSettings['logger.cacheBytes'].default } = this.#options;
    const owners = await knownOwners(this.#world.coordinator);
    const { limits } = this.#options;
    const settings = { folder, cluster, process: this.instance, zoneSize, cacheBytes, owners, limits };
    this.#opened = await openStore(this.#device, settings, this.#world, (error) => this.#failed(error));
    const { store, reader } = this.#opened;
    await this.#learnOwners(store, owners);
    const names = { cluster, zoneSize, logger: this.uuid, instance: this.instance };
    const parts = { ...names, store, reader, status: () => this.status() };
    this.#closing.unshift(() => this.#closeChannels(store, reader));
    this.#closing.unshift(() => this.#listening.close());
    const portRequests = (port: 'read' | 'write'): PortRequests => new PortRequests(port, parts, this.#channels);
    this.#readAddress = await this.#listen('reads', this.#options.readAddress, portRequests('read'));
    this.#writeAddress = await this.#listen('writes', this.#options.writeAddress, portRequests('write'));
    const { uuid, instance, readAddress, writeAddress } = this;
    const self = { uuid, instance, readAddress, writeAddress };
    await registerLogger(this.#world.coordinator, this.#options.id, self, async (other) => {
      // At an address of its own it would ask itself.
      return other.readAddress !== readAddress && (await isTwinAt(other.readAddress, self, this.#world));
    });
  }

  /** S4: nobody of before the present owners may append or be confirmed here, whatever this folder has forgotten. */
  async #learnOwners(store: LogStore, owners: readonly KnownOwner[]): Promise<void> {
    const learnt = owners.map(
      ({ shard, owner }) =>
        new Promise<void>((resolve) => {
          store.request({ kind: 'owner-known', shard, owner, ticket: () => resolve() });
        }),
    );
    await Promise.all(learnt);
  }

  #listen(name: string, address: Address, requests: PortRequests): Promise<Address> {
    const options = serverOptions({ ...(this.#options.limits ?? loggerLimits).connections, reusesInput: true });
    return this.#listening.listen(address, new RpcDoor(name, requests, this.#world, options));
  }

  get uuid(): Uuid {
    return this.#open.identity.logger;
  }

  get #open(): OpenStore {
    return present(this.#opened, 'the store of a logger that has started');
  }

  get readAddress(): Address {
    return this.#readAddress ?? this.#options.readAddress;
  }

  get writeAddress(): Address {
    return this.#writeAddress ?? this.#options.writeAddress;
  }

  get zonesLeft(): number {
    return this.#open.store.zonesLeft;
  }

  status(): LoggerStatus {
    return {
      logger: this.uuid,
      instance: this.instance,
      cluster: this.#options.cluster,
      state: this.#open.store.failed ? 'failed' : 'ready',
      deviceCapacity: this.#device.capacityBytes,
      deviceOccupied: this.#device.occupiedBytes,
      full: this.#open.store.full,
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
