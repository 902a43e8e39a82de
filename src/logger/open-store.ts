/** Way from a device to a store that answers: who is this, what is there, and all of it stable. */
import { KvError } from '../base/errors.ts';
import type { InstanceId, Uuid } from '../base/ids.ts';
import { uuid } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { LoggerMachine } from '../core/logger/logger-machine.ts';
import { metadataZones } from '../core/logger/metadata-format.ts';
import type { LoggerTrace } from '../core/logger/trace.ts';
import type { Clock } from '../env/clock.ts';
import type { Random } from '../env/random.ts';
import { randomHex } from '../env/random.ts';
import type { LoggerDevice } from '../env/zoned-device.ts';
import { CacheGuess } from './cache-guess.ts';
import type { KnownOwner } from './known-owners.ts';
import type { LoggerLimits } from './limits.ts';
import { loggerLimits } from './limits.ts';
import type { OnMachineAnswer } from './log-store.ts';
import { LogStore } from './log-store.ts';
import type { FoundMetadata, LoggerIdentity } from './metadata-log.ts';
import { findMetadata, MetadataLog, zonesThatFit } from './metadata-log.ts';
import { restoreZones } from './recovery.ts';
import { ZoneReader } from './zone-reader.ts';

export interface StoreOptions {
  /** Folder of the logger, for messages. */
  readonly folder: string;
  readonly cluster: Uuid;
  readonly process: InstanceId;
  /** Bytes. */
  readonly zoneSize: number;
  /** Bytes of the device that the page cache is taken to hold. */
  readonly cacheBytes: number;
  /** Owners that this process has read from the coordinator. */
  readonly owners: readonly KnownOwner[];
  /** Default: `loggerLimits`. */
  readonly limits?: LoggerLimits | undefined;
}

export interface StoreWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Sees every step of the machine. */
  readonly trace?: LoggerTrace;
}

export interface OpenStore {
  readonly identity: LoggerIdentity;
  readonly store: LogStore;
  readonly reader: ZoneReader;
}

/**
 * Nothing is answered before everything that the device holds is stable. `onFailed`: see LogStore.
 * @throws KvError `wrong-cluster`, `settings-differ`, `newer-format`, `data-damaged`; DeviceError
 */
export async function openStore(
  device: LoggerDevice,
  options: StoreOptions,
  world: StoreWorld,
  onFailed: (error: Error) => void,
): Promise<OpenStore> {
  const { clock, random, log, trace } = world;
  const found = await findMetadata(device, options.folder);
  const identity = identify(found, options, world);
  const drawCopyId = (): string => randomHex(random, 8);
  const { knownZonesMax, scanChunkBytes, metadataGrownBytes, coldReadsMax } = options.limits ?? loggerLimits;
  const restored = await restoreZones(device, found, options.owners, log, drawCopyId, scanChunkBytes);
  const { geometry } = device;
  const machine = new LoggerMachine<OnMachineAnswer>(
    {
      cluster: identity.cluster,
      zoneSize: identity.zoneSize,
      alignment: geometry.alignment,
      deviceZones: dataZones(device),
      process: options.process,
      knownZonesMax,
      drawCopyId,
    },
    restored,
  );
  const metadata = new MetadataLog(device, identity, found, () => machine.snapshot(), metadataGrownBytes);
  await metadata.start();
  const cache = new CacheGuess(options.cacheBytes);
  const store = new LogStore({ device, machine, metadata, cache, clock, log, trace }, onFailed);
  return { identity, store, reader: new ZoneReader(store, device, cache, log, coldReadsMax) };
}

/** A device without metadata and without data is a new logger (S16). */
function identify(found: FoundMetadata, options: StoreOptions, world: StoreWorld): LoggerIdentity {
  if (found.kind === 'empty') {
    const identity = {
      cluster: options.cluster,
      logger: uuid(randomHex(world.random, 16)),
      zoneSize: options.zoneSize,
    };
    world.log('info', 'a new logger', { folder: options.folder, logger: identity.logger });
    return identity;
  }
  const { identity } = found;
  if (identity.cluster !== options.cluster)
    throw new KvError(
      'wrong-cluster',
      `${options.folder} belongs to cluster ${identity.cluster}, not to ${options.cluster}`,
    );
  if (identity.zoneSize !== options.zoneSize)
    throw new KvError(
      'settings-differ',
      `${options.folder} has zones of ${identity.zoneSize} bytes, not ${options.zoneSize}`,
    );
  return identity;
}

function dataZones(device: LoggerDevice): number[] {
  const count = Math.min(device.geometry.zoneCount - metadataZones.length, zonesThatFit(device));
  return Array.from({ length: Math.max(0, count) }, (_, index) => index + metadataZones.length);
}
