/**
 * One simulated process: its view of clock, network, files and coordinator. It can be killed at any event, and nothing
 * of it runs afterwards: no timer, no message, no completion of a sync or a transaction. It can be paused (a stopped
 * process, a long garbage collection): what would have run meanwhile runs afterwards, in its old order, one turn each.
 *
 * The network and the disk go on without it, as an operating system does: what a paused process would have received
 * waits for it.
 */
import { assert } from '../src/base/assert.ts';
import type { Millis } from '../src/base/ids.ts';
import { millis } from '../src/base/ids.ts';
import type { Compare, Coordinator, Entry, TransactionResult, Watch, Write } from '../src/coordinator/coordinator.ts';
import type { MemoryCoordinator } from '../src/coordinator/memory/memory.ts';
import type { Clock, Timer } from '../src/env/clock.ts';
import type { Environment } from '../src/env/environment.ts';
import type { File, Files } from '../src/env/files.ts';
import type { Connection, ConnectionHandler, Network } from '../src/env/network.ts';
import type { SimulatedClock } from '../src/env/simulated/clock.ts';
import { DeliveredInput } from '../src/env/simulated/delivered-input.ts';
import type { SimulatedDisk, SimulatedFiles } from '../src/env/simulated/files.ts';
import type { SimulatedNetwork } from '../src/env/simulated/network.ts';
import type { SimulatedRandom } from '../src/env/simulated/random.ts';

/** Errors of a process's clocks: rates differ by parts in a thousand, wall clocks by anything. */
export interface ClockFault {
  /** Rate of the monotonic clock: 1 is right. */
  readonly rate: number;
  readonly wallOffsetMs: number;
}

export interface ProcessOptions {
  /** Host of the process, which is alone on it. */
  readonly host: string;
  readonly clock: SimulatedClock;
  readonly network: SimulatedNetwork;
  readonly coordinator: MemoryCoordinator;
  readonly disk: SimulatedDisk;
  readonly random: SimulatedRandom;
  readonly clockFault: ClockFault;
  /** Hook for each transaction that the process asks for, before it is sent. */
  readonly onTransact?: () => void;
  /** Hook for each of its writes to a file. */
  readonly onWrite?: () => void;
  /** Hook for each sync that it begins. */
  readonly onSync?: () => void;
  /** Hook for each of its syncs that has failed. */
  readonly onSyncFailed?: () => void;
}

export class SimulatedProcess implements Environment {
  readonly host: string;
  readonly gate: Gate;
  readonly clock: ProcessClock;
  readonly random: SimulatedRandom;
  readonly files: Files;
  readonly network: Network;
  readonly coordinator: Coordinator;
  readonly #files: SimulatedFiles;
  readonly #options: ProcessOptions;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.host = options.host;
    this.gate = new Gate(options.clock);
    this.clock = new ProcessClock(options.clock, this.gate, options.clockFault);
    this.random = options.random;
    this.#files = options.disk.process();
    this.files = gatedFiles(this.#files, this.gate, options);
    this.network = gatedNetwork(options.network.host(options.host), this.gate);
    this.coordinator = new GatedCoordinator(options.coordinator.client(options.host), this.gate, options.onTransact);
  }

  get isAlive(): boolean {
    return !this.gate.isDead;
  }

  /**
   * Ends it. `power`: its machine lost power: unsynced writes are kept, dropped or torn, and the others hear nothing
   * until it is up again. Otherwise the process alone is gone: its operating system keeps what was written and resets
   * its connections.
   */
  kill(how: 'process' | 'power'): void {
    this.gate.kill();
    this.#files.kill();
    if (how === 'power') this.#options.disk.crash();
    this.#options.network.crash(this.host, { silent: how === 'power' });
    void this.coordinator.close();
  }
}

/** Gate through which everything passes that calls into a process. */
export class Gate {
  readonly #clock: SimulatedClock;
  #dead = false;
  #paused = false;
  #waiting: (() => void)[] = [];

  constructor(clock: SimulatedClock) {
    this.#clock = clock;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  run(callback: () => void): void {
    if (this.#dead) return;
    if (this.#paused || this.#waiting.length > 0) this.#waiting.push(callback);
    else callback();
  }

  kill(): void {
    this.#dead = true;
    this.#waiting = [];
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#runNext();
  }

  #runNext(): void {
    if (this.#waiting.length === 0 || this.#paused) return;
    this.#clock.after(0, () => {
      if (this.#paused) return;
      this.#waiting.shift()?.();
      this.#runNext();
    });
  }

  /** The same outcome, for a process that is alive and running. */
  settled<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.run(() => resolve(value)),
        (error: unknown) => this.run(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  }
}

const roundingMs = 1e-6;

export class ProcessClock implements Clock {
  readonly #clock: SimulatedClock;
  readonly #gate: Gate;
  readonly #rate: number;
  /** Error of the wall clock; wall clocks jump. */
  wallOffsetMs: number;
  readonly #startMs: number;
  #timers = 0;

  constructor(clock: SimulatedClock, gate: Gate, fault: ClockFault) {
    this.#clock = clock;
    this.#gate = gate;
    this.#rate = fault.rate;
    this.wallOffsetMs = fault.wallOffsetMs;
    this.#startMs = clock.now();
  }

  /** Timers that wait. */
  get timers(): number {
    return this.#timers;
  }

  now(): Millis {
    return millis((this.#clock.now() - this.#startMs) * this.#rate);
  }

  wall(): Millis {
    return millis(this.#clock.wall() + this.wallOffsetMs);
  }

  after(delayMs: number, callback: () => void): Timer {
    let waits = true;
    this.#timers += 1;
    const done = (): boolean => {
      if (!waits) return false;
      waits = false;
      this.#timers -= 1;
      return true;
    };
    // Never early by this process's own clock, whatever its rate does to the last digits.
    const delay = delayMs > 0 ? delayMs / this.#rate + roundingMs : 0;
    const timer = this.#clock.after(delay, () => {
      this.#gate.run(() => {
        if (done()) callback();
      });
    });
    return {
      cancel: () => {
        if (done()) timer.cancel();
      },
    };
  }

  endOfTurn(callback: () => void): void {
    this.#clock.endOfTurn(() => {
      // A pause or a crash is a turn of its own: this one began before it, and ends.
      if (!this.#gate.isDead) callback();
    });
  }
}

// --- network ---------------------------------------------------------------------------------------------------------

function gatedNetwork(network: Network, gate: Gate): Network {
  return {
    listen: (address, onConnection) =>
      gate.settled(
        network.listen(address, (connection) => {
          const gated = new GatedConnection(connection, gate);
          gate.run(() => onConnection(gated));
        }),
      ),
    connect: (address) => new GatedConnection(network.connect(address), gate),
  };
}

class GatedConnection implements Connection {
  readonly #connection: Connection;
  /** Input that the handler has; what waits in the gate is not in it. */
  readonly #delivered = new DeliveredInput();
  #handler: ConnectionHandler | undefined;

  constructor(connection: Connection, gate: Gate) {
    this.#connection = connection;
    // Handled at once: what arrives for a paused process waits in the gate.
    connection.handle({
      onOpen: () => gate.run(() => this.#handler?.onOpen()),
      onData: (bytes) =>
        gate.run(() => {
          this.#delivered.add(bytes);
          this.#handler?.onData(bytes);
        }),
      onDrain: () => gate.run(() => this.#handler?.onDrain()),
      onClose: (error) => gate.run(() => this.#close(error)),
    });
  }

  #close(error: Parameters<ConnectionHandler['onClose']>[0]): void {
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.onClose(error);
  }

  get remote(): string {
    return this.#connection.remote;
  }

  handle(handler: ConnectionHandler): void {
    assert(this.#handler === undefined, 'a connection is handled once');
    this.#handler = handler;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    return this.#connection.write(chunks);
  }

  get hasCopied(): boolean {
    return this.#connection.hasCopied;
  }

  releaseInput(): void {
    this.#delivered.release();
  }

  get waitingBytes(): number {
    return this.#connection.waitingBytes;
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  end(): void {
    this.#connection.end();
  }

  destroy(): void {
    this.#connection.destroy();
  }
}

// --- files -----------------------------------------------------------------------------------------------------------

type OnSyncs = Pick<ProcessOptions, 'onWrite' | 'onSync' | 'onSyncFailed'>;

function gatedFiles(files: SimulatedFiles, gate: Gate, onSyncs: OnSyncs): Files {
  return {
    open: async (path, options) => gatedFile(await files.open(path, options), gate, onSyncs),
    list: (folder) => files.list(folder),
    rename: (from, to) => files.rename(from, to),
    remove: (path) => files.remove(path),
    makeFolder: (path) => files.makeFolder(path),
    freeBytes: (path) => files.freeBytes(path),
    lock: (folder) => files.lock(folder),
    watch: () => files.watch(),
  };
}

function gatedFile(file: File, gate: Gate, { onWrite, onSync, onSyncFailed }: OnSyncs): File {
  return {
    write: (offset, bytes) => {
      file.write(offset, bytes);
      onWrite?.();
    },
    readNow: (offset, length) => file.readNow(offset, length),
    read: (offset, length) => gate.settled(file.read(offset, length)),
    sync: () => {
      onSync?.();
      const done = file.sync();
      if (onSyncFailed !== undefined) done.catch(onSyncFailed);
      return gate.settled(done);
    },
    size: () => file.size(),
    truncate: (length) => file.truncate(length),
    close: () => file.close(),
  };
}

// --- coordinator -----------------------------------------------------------------------------------------------------

/** A client of the coordinator that dies with its process; requests that it sent may still arrive. */
class GatedCoordinator implements Coordinator {
  readonly source = "the simulation's coordinator";
  readonly #coordinator: Coordinator;
  readonly #gate: Gate;
  readonly #onTransact: (() => void) | undefined;

  constructor(coordinator: Coordinator, gate: Gate, onTransact: (() => void) | undefined) {
    this.#coordinator = coordinator;
    this.#gate = gate;
    this.#onTransact = onTransact;
  }

  get(key: string): Promise<Entry | undefined> {
    return this.#gate.settled(this.#coordinator.get(key));
  }

  list(prefix: string): ReturnType<Coordinator['list']> {
    return this.#gate.settled(this.#coordinator.list(prefix));
  }

  transact(compares: readonly Compare[], writes: readonly Write[]): Promise<TransactionResult> {
    this.#onTransact?.();
    return this.#gate.settled(this.#coordinator.transact(compares, writes));
  }

  watch(prefix: string, after: number, onChanges: Parameters<Coordinator['watch']>[2], onLost?: () => void): Watch {
    let open = true;
    const watch = this.#coordinator.watch(
      prefix,
      after,
      (changes) =>
        this.#gate.run(() => {
          if (open) onChanges(changes);
        }),
      () =>
        this.#gate.run(() => {
          if (open) onLost?.();
        }),
    );
    return {
      close: () => {
        open = false;
        watch.close();
      },
    };
  }

  hint(): void {
    this.#coordinator.hint();
  }

  close(): Promise<void> {
    return this.#coordinator.close();
  }
}
