/** A logger's store on a simulated disk, in simulated time, without a network. */
import assert from 'node:assert/strict';
import { instanceId } from '../../src/base/ids.ts';
import type { MachineAnswer } from '../../src/core/logger/machine-events.ts';
import { openFileDevice } from '../../src/env/file-device/open.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import type { SimulatedFiles } from '../../src/env/simulated/files.ts';
import { SimulatedDisk } from '../../src/env/simulated/files.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import type { LoggerDevice } from '../../src/env/zoned-device.ts';
import type { KnownOwner } from '../../src/logger/known-owners.ts';
import type { StoreRequest } from '../../src/logger/log-store.ts';
import { metadataSpace } from '../../src/logger/metadata-log.ts';
import type { OpenStore } from '../../src/logger/open-store.ts';
import { openStore } from '../../src/logger/open-store.ts';
import { testCluster } from './zone-writer.ts';

export const simZoneSize = 256 * 1024;
export const devicePath = '/data/device';

/** A request without its ticket. */
export type StoreCall = StoreRequest extends infer Each
  ? Each extends { readonly ticket: unknown }
    ? Omit<Each, 'ticket'>
    : never
  : never;

export class SimStore {
  readonly random: SimulatedRandom;
  readonly clock = new SimulatedClock();
  readonly disk: SimulatedDisk;
  files: SimulatedFiles | undefined;
  device: LoggerDevice | undefined;
  opened: OpenStore | undefined;
  failures = 0;
  /** Owners that the next start reads from the coordinator. */
  owners: readonly KnownOwner[] = [];
  /** Log lines of all starts, without their fields. */
  readonly lines: string[] = [];
  #boots = 0;

  constructor(seed: number) {
    this.random = new SimulatedRandom(seed);
    this.disk = new SimulatedDisk({ random: this.random, clock: this.clock });
    this.disk.faults.syncDelayMs = 1;
  }

  get store(): OpenStore['store'] {
    assert.notEqual(this.opened, undefined);
    if (this.opened === undefined) throw new Error('not booted');
    return this.opened.store;
  }

  async wait<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const done = work.finally(() => {
      settled = true;
    });
    done.catch(() => undefined);
    assert.equal(await this.clock.runUntil(() => settled), true, 'work ends');
    return done;
  }

  /** Starts a new process on the disk as it is. */
  async boot(alignment = 1, capacityBytes = 8 * 1024 * 1024, reserveBytes?: number): Promise<void> {
    const files = this.disk.process();
    this.files = files;
    await this.wait(files.makeFolder('/data'));
    const options = {
      capacityBytes,
      alignment,
      extentBytes: 16 * 1024,
      prefillBytes: 32 * 1024,
      ...(reserveBytes === undefined ? {} : { reserveBytes }),
      zoneCapacity: simZoneSize,
      random: this.random,
      privileged: metadataSpace(simZoneSize),
    };
    this.device = await this.wait(openFileDevice(files, devicePath, options, this.clock));
    this.#boots += 1;
    const store = {
      folder: '/data',
      cluster: testCluster,
      process: instanceId(String(this.#boots).padStart(16, '0')),
      zoneSize: simZoneSize,
      cacheBytes: 1024 * 1024,
      owners: this.owners,
    };
    this.opened = await this.wait(
      openStore(
        this.device,
        store,
        { clock: this.clock, random: this.random, log: (_, text) => void this.lines.push(text) },
        () => (this.failures += 1),
      ),
    );
  }

  /** The answer comes now or while the clock runs; a process that died must never give one. */
  ask(request: StoreCall, onAnswer: (answer: MachineAnswer) => void): void {
    const asked = this.store;
    asked.request({
      ...request,
      ticket: (answer: MachineAnswer) => {
        assert.equal(asked, this.store, 'a dead process answers nothing');
        onAnswer(answer);
      },
    });
  }

  /** Waits for the answer: its kind, or the code of the refusal. */
  async outcome(request: StoreCall): Promise<string> {
    let answer: MachineAnswer | undefined;
    this.ask(request, (got) => (answer = got));
    await this.clock.runUntil(() => answer !== undefined);
    return short(answer);
  }

  async run(milliseconds: number): Promise<void> {
    await this.clock.runUntil(this.clock.now() + milliseconds);
  }
}

export function short(answer: MachineAnswer | undefined): string {
  if (answer === undefined) return 'waiting';
  if (answer.kind === 'sealed') return 'code' in answer.answer ? answer.answer.code : 'sealed';
  return answer.kind === 'refused' ? answer.code : answer.kind;
}
