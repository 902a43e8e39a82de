/**
 * Carries out what the machine decides on the device: writes now, one sync for all that was written in a turn, answers
 * behind it. While a sync runs, the next turns' appends are written, and the next sync begins as soon as it has
 * returned.
 *
 * It owns the order of effects, the end of a turn and the sync under way. It does not own any decision
 * (core/logger/logger-machine.ts), the metadata's places (metadata-log.ts), nor reads (zone-reader.ts).
 */
import type { Log } from '../base/log.ts';
import type { ShardId, ZoneId } from '../base/ids.ts';
import { loggerRefusals, refusal } from '../codec/logger-protocol.ts';
import type { ConfirmItem, LoggerRefusalCode, ShardKnowledge, ZoneStatus } from '../codec/logger-protocol.ts';
import type { LoggerMachine, Readable } from '../core/logger/logger-machine.ts';
import type {
  Comparison,
  MachineAnswer,
  MachineEffect,
  MachineEvent,
  PendingWrite,
} from '../core/logger/machine-events.ts';
import type { LoggerTrace } from '../core/logger/trace.ts';
import { tracedStep } from '../core/logger/trace.ts';
import type { Clock } from '../env/clock.ts';
import type { LoggerDevice } from '../env/zoned-device.ts';
import { DeviceError } from '../env/zoned-device.ts';
import type { CacheGuess } from './cache-guess.ts';
import type { MetadataLog } from './metadata-log.ts';

/** Called exactly once. */
export type OnMachineAnswer = (answer: MachineAnswer) => void;

/** Events that arrive from outside; the others are the store's own. */
export type StoreRequest = Extract<MachineEvent<OnMachineAnswer>, { readonly ticket: OnMachineAnswer }>;

type Effect = MachineEffect<OnMachineAnswer>;

export interface StoreParts {
  readonly device: LoggerDevice;
  readonly machine: LoggerMachine<OnMachineAnswer>;
  readonly metadata: MetadataLog;
  readonly cache: CacheGuess;
  readonly clock: Clock;
  readonly log: Log;
  /** Sees every step of the machine. */
  readonly trace?: LoggerTrace | undefined;
}

export class LogStore {
  readonly #parts: StoreParts;
  readonly #onFailed: (error: Error) => void;
  #turnAsked = false;
  /** The sync under way; settled when there is none. */
  #syncing: Promise<void> = Promise.resolve();
  /** The newest write of a batch found no space. */
  #lacksSpace = false;
  readonly #endTurn = (): void => {
    this.#turnAsked = false;
    this.#step({ kind: 'turn-ended' });
  };

  /** `onFailed` is called once, when a write or sync has failed (S17). */
  constructor(parts: StoreParts, onFailed: (error: Error) => void) {
    this.#parts = parts;
    this.#onFailed = onFailed;
  }

  get failed(): boolean {
    return this.#parts.machine.failed;
  }

  /** No space for another zone, or none was left for the newest write (a full file system). */
  get full(): boolean {
    return this.#lacksSpace || this.zonesLeft === 0 || this.#parts.device.freeBytes === 0;
  }

  /** Number of zones that it can still take, should there be bytes for them. */
  get zonesLeft(): number {
    return this.#parts.machine.zoneCounts.left;
  }

  get zoneCount(): number {
    return this.#parts.machine.zoneCounts.held;
  }

  /** Decides and carries out; the ticket is called with the answer, now or later. */
  request(event: StoreRequest): void {
    this.#step(event);
    this.#askForTurn();
  }

  /** Whether a zone could be opened here that takes `bytes`. */
  probe(bytes: number, ticket: OnMachineAnswer): void {
    this.request({ kind: 'probe', ticket, hasRoom: this.#parts.device.freeBytes >= bytes });
  }

  confirm(item: ConfirmItem): LoggerRefusalCode | undefined {
    return this.#parts.machine.confirm(item);
  }

  knowledgeOf(shard: ShardId): ShardKnowledge {
    return this.#parts.machine.knowledgeOf(shard);
  }

  readable(shard: ShardId, zone: ZoneId, offset: number, length: number): Readable {
    return this.#parts.machine.readable(shard, zone, offset, length);
  }

  report(shard: ShardId | undefined): ZoneStatus[] {
    return this.#parts.machine.report(shard, (deviceZone) => this.#parts.device.reportZone(deviceZone).occupied);
  }

  /** Waits until no sync is under way. */
  async settle(): Promise<void> {
    for (let before: Promise<void> | undefined; before !== this.#syncing; ) {
      before = this.#syncing;
      await before;
    }
  }

  #askForTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    this.#parts.clock.endOfTurn(this.#endTurn);
  }

  /** Decides and carries out. */
  #step(event: MachineEvent<OnMachineAnswer>): void {
    const { machine, trace } = this.#parts;
    if (event.kind === 'written' || event.kind === 'write-refused') this.#lacksSpace = event.kind === 'write-refused';
    this.#run(trace === undefined ? machine.step(event) : tracedStep(trace, machine, event));
  }

  #run(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'answer') effect.ticket(effect.answer);
      else if (!this.failed) this.#attempt(effect);
      else if (effect.kind === 'write') effect.write.ticket(deviceFailed());
      else if (effect.kind === 'compare') effect.comparison.ticket(deviceFailed());
    }
  }

  #attempt(effect: Exclude<Effect, { readonly kind: 'answer' }>): void {
    switch (effect.kind) {
      case 'write':
        return this.#write(effect.write);
      case 'compare':
        return this.#compare(effect.comparison);
      case 'persist':
        return this.#guarded(() => this.#parts.metadata.persist(effect.entries));
      case 'finish-zone':
        return this.#guarded(() => this.#finishZone(effect.deviceZone, effect.length, effect.keptTo));
      case 'reset-zone':
        this.#parts.cache.forget(effect.deviceZone);
        return this.#guarded(() => this.#parts.device.reset(effect.deviceZone));
      case 'rewind-zone':
        return this.#guarded(() => this.#parts.device.rewind(effect.deviceZone, effect.to));
      case 'sync':
        return this.#sync();
    }
  }

  #write(write: PendingWrite<OnMachineAnswer>): void {
    const { item, deviceZone } = write;
    try {
      this.#parts.device.write(deviceZone, item.offset, item.bytes, write.urgent === true);
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code === 'invalid') throw error;
      if (error.code === 'full') return this.#step({ kind: 'write-refused', write });
      write.ticket(deviceFailed());
      return this.#fail(error);
    }
    this.#parts.cache.touch(deviceZone, item.offset, item.bytes.length);
    this.#step({ kind: 'written', write });
  }

  #compare(comparison: Comparison<OnMachineAnswer>): void {
    const { item, deviceZone } = comparison;
    let same = false;
    try {
      same = Buffer.compare(this.#parts.device.readNow(deviceZone, item.offset, item.bytes.length), item.bytes) === 0;
    } catch (error) {
      // Bytes that cannot be read are not known to be the same.
      if (!(error instanceof DeviceError)) throw error;
      this.#parts.log('error', 'a read failed', { message: error.message });
    }
    this.#step({ kind: 'compared', comparison, same });
  }

  #finishZone(deviceZone: number, length: number, keptTo: number): void {
    const { device } = this.#parts;
    const report = device.reportZone(deviceZone);
    // After a crash the device may know already what the metadata log does not.
    if (report.state !== 'full' || report.writePointer !== length) device.finish(deviceZone, length, keptTo);
  }

  #sync(): void {
    const { device, metadata } = this.#parts;
    metadata.syncStarts();
    this.#syncing = device.sync().then(
      () => {
        this.#guarded(() => metadata.synced());
        this.#step({ kind: 'synced' });
      },
      (error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))),
    );
  }

  /** A failure here leaves device and metadata behind what was decided: nothing may be answered any more (S17). */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code === 'invalid') throw error;
      this.#fail(error);
    }
  }

  #fail(error: Error): void {
    if (this.failed) return;
    this.#parts.log('error', 'the device failed: this logger answers for nothing new until it is restarted (S17)', {
      message: error.message,
    });
    this.#step({ kind: 'device-failed' });
    this.#onFailed(error);
  }
}

function deviceFailed(): MachineAnswer {
  return refusal('device-failed', loggerRefusals['device-failed']);
}
