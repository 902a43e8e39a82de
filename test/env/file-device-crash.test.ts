/**
 * Durability of the `file` device: random operations against a model with power losses, killed processes and failed
 * syncs in between; and recorded sequences of the real device's writes and syncs, cut anywhere, with any subset of the
 * unsynced writes dropped or torn. `KV_DEVICE_LIVES=1000` makes both longer.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { File, Files } from '../../src/env/files.ts';
import type { FileDevice, FileDeviceOptions } from '../../src/env/file-device/open.ts';
import { openFileDevice } from '../../src/env/file-device/open.ts';
import { below } from '../../src/env/random.ts';
import { RealClock } from '../../src/env/real/clock.ts';
import { realFiles } from '../../src/env/real/files.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { FileImage } from '../../src/env/simulated/file-image.ts';
import { SimulatedDisk } from '../../src/env/simulated/files.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { DeviceError } from '../../src/env/zoned-device.ts';
import { pattern } from './file-device-suite.ts';
import type { ModelMark } from './file-device-model.ts';
import { DeviceModel } from './file-device-model.ts';

const lives = Number(process.env['KV_DEVICE_LIVES'] ?? '0');
const options = {
  capacityBytes: 4 * 1024 * 1024,
  zoneCapacity: 64 * 1024,
  extentBytes: 16 * 1024,
  prefillBytes: 32 * 1024,
  reserveBytes: 64 * 1024,
} as const;
const zones = 12;

/** One random change of the device and the model; false when the device was full. */
function change(device: FileDevice, model: DeviceModel, random: SimulatedRandom): boolean {
  const zone = below(random, zones);
  const { content, finished } = model.present(zone);
  const { alignment, zoneCapacity } = device.geometry;
  const dice = below(random, 20);
  if (dice === 0 || (finished && dice < 5)) {
    device.reset(zone);
    model.reset(zone);
  } else if (finished) {
    return true;
  } else if (dice === 1) {
    const length = Math.floor(below(random, content.length + 1) / alignment) * alignment;
    device.finish(zone, length);
    model.finish(zone, length);
  } else {
    const blocks = below(random, 4) === 0 ? 64 : 4;
    const length = Math.min(
      zoneCapacity - content.length,
      Math.max(alignment, 512 * below(random, blocks) + (alignment === 1 ? below(random, 512) : 0)),
    );
    const bytes = pattern(random.uint32() % 1_000, length);
    try {
      device.write(zone, content.length, bytes);
    } catch (cause) {
      if (cause instanceof DeviceError && cause.code === 'full') return false;
      throw cause;
    }
    if (length > 0) model.write(zone, bytes);
  }
  return true;
}

/** `tight`: the file system is full now and again, to the page, and power is lost at the end only. */
async function life(seed: number, tight: boolean): Promise<void> {
  const random = new SimulatedRandom(seed);
  const clock = new SimulatedClock();
  const disk = new SimulatedDisk({ random: random.fork('disk'), clock });
  const alignment = below(random, 3) === 0 ? 1 : 512;
  const deviceOptions: FileDeviceOptions = {
    ...options,
    alignment,
    random: random.fork('ids'),
    prefillBytes: 32 * 1024 * below(random, 2),
  };
  let model = new DeviceModel();
  let files = disk.process();
  let device = await openFileDevice(files, '/device', deviceOptions, clock);
  for (let crash = 0; crash < 4; crash += 1) {
    const steps = below(random, 60);
    for (let step = 0; step < steps; step += 1) {
      if (tight && below(random, 5) === 0)
        disk.capacityBytes =
          below(random, 4) === 0 ? Number.POSITIVE_INFINITY : disk.usedBytes + 4096 * below(random, 8);
      change(device, model, random);
      assert.equal(device.failure, undefined, 'want of space is no failure');
      if (below(random, 4) === 0) await syncBoth(device, model);
    }
    const end = tight ? 3 : below(random, 4);
    if (end === 0) {
      // A sync is under way when the power fails.
      disk.faults.syncDelayMs = 5;
      void device.sync();
      for (let step = below(random, 5); step > 0; step -= 1) change(device, model, random);
      disk.faults.syncDelayMs = 0;
    } else if (end === 1) {
      disk.faults.failSyncs = 1;
      const outcome = await device.sync().then(
        () => 'nothing to sync',
        () => 'failed',
      );
      assert.equal(disk.faults.failSyncs, outcome === 'failed' ? 0 : 1);
      disk.faults.failSyncs = 0;
    }
    if (tight || below(random, 3) === 0) {
      files.kill();
      files = disk.process();
      device = await openFileDevice(files, '/device', deviceOptions, clock);
      model.checkPresent(device);
    } else {
      disk.crash();
      files = disk.process();
      device = await openFileDevice(files, '/device', deviceOptions, clock);
    }
    await model.adopt(device);
    model = model.copy();
  }
  // What recovery called stable is stable.
  disk.crash();
  device = await openFileDevice(disk.process(), '/device', deviceOptions, clock);
  await model.adopt(device);
}

async function syncBoth(device: FileDevice, model: DeviceModel): Promise<void> {
  const mark = model.mark();
  await device.sync();
  model.acknowledge(mark);
}

void test('what was acknowledged survives power losses, killed processes and failed syncs; what was not is a state it had', async () => {
  for (let seed = 1; seed <= Math.max(50, lives); seed += 1) {
    try {
      await life(seed, false);
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause });
    }
  }
});

void test('a file system that is full at any moment costs nothing that was written, and the device starts on it', async () => {
  for (let seed = 1; seed <= Math.max(150, lives); seed += 1) {
    try {
      await life(seed, true);
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause });
    }
  }
});

/** What a recorded device did, in order. */
type Recorded =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly length: number }
  | { readonly kind: 'sync-began'; readonly number: number }
  | { readonly kind: 'sync-ended'; readonly number: number }
  /** Follows the writes that the change consisted of. */
  | { readonly kind: 'changed' | 'acknowledged'; readonly model: DeviceModel };

/** Real files whose writes and syncs are written down. */
function recording(files: Files, events: Recorded[]): Files {
  let syncs = 0;
  const recorded = (file: File): File => ({
    write: (offset, bytes) => {
      file.write(offset, bytes);
      events.push({ kind: 'write', offset, bytes: new Uint8Array(bytes) });
    },
    truncate: (length) => {
      file.truncate(length);
      events.push({ kind: 'truncate', length });
    },
    sync: async () => {
      const number = (syncs += 1);
      events.push({ kind: 'sync-began', number });
      await file.sync();
      events.push({ kind: 'sync-ended', number });
    },
    readNow: (offset, length) => file.readNow(offset, length),
    read: (offset, length) => file.read(offset, length),
    size: () => file.size(),
    close: () => file.close(),
  });
  return {
    open: async (name, openOptions) => recorded(await files.open(name, openOptions)),
    list: (folder) => files.list(folder),
    rename: (from, to) => files.rename(from, to),
    remove: (name) => files.remove(name),
    makeFolder: (name) => files.makeFolder(name),
    freeBytes: (name) => files.freeBytes(name),
    lock: (folder) => files.lock(folder),
    watch: (...given) => files.watch(...given),
  };
}

/**
 * Runs the real device on real files, syncs going on while more is written, with one reopening; returns all that it
 * did.
 */
async function record(
  seed: number,
  folder: string,
): Promise<{ readonly events: Recorded[]; readonly created: number; readonly deviceOptions: FileDeviceOptions }> {
  const random = new SimulatedRandom(seed);
  const events: Recorded[] = [];
  const files = recording(realFiles(), events);
  const deviceOptions: FileDeviceOptions = {
    ...options,
    alignment: seed % 2 === 0 ? 1 : 512,
    random: random.fork('ids'),
  };
  const model = new DeviceModel();
  const changed = (kind: 'changed' | 'acknowledged' = 'changed'): void => {
    events.push({ kind, model: model.copy() });
  };
  const name = path.join(folder, `device-${seed}`);
  let created = 0;
  for (let opening = 0; opening < 2; opening += 1) {
    const device = await openFileDevice(files, name, deviceOptions, new RealClock());
    if (opening === 0) created = events.length;
    await model.adopt(device);
    changed('acknowledged');
    let waiting: Promise<void> = Promise.resolve();
    for (let step = 0; step < 120; step += 1) {
      change(device, model, random);
      changed();
      if (below(random, 4) !== 0) continue;
      const mark: ModelMark = model.mark();
      waiting = Promise.all([
        waiting,
        device.sync().then(() => {
          model.acknowledge(mark);
          changed('acknowledged');
        }),
      ]).then(() => undefined);
      if (below(random, 3) === 0) await waiting;
    }
    await waiting;
    await device.close();
  }
  return { events, created, deviceOptions };
}

/** The file as a crash after the first `cut` events may leave it. */
function leftBy(
  events: readonly Recorded[],
  cut: number,
  random: SimulatedRandom,
): { readonly bytes: Uint8Array; readonly model: DeviceModel } {
  const image = new FileImage();
  const marks = new Map<number, number>();
  let model = new DeviceModel();
  for (const event of events.slice(0, cut)) {
    if (event.kind === 'write') image.write(event.offset, event.bytes);
    else if (event.kind === 'truncate') image.truncate(event.length);
    else if (event.kind === 'sync-began') marks.set(event.number, image.mark);
    else if (event.kind === 'sync-ended') image.settle(marks.get(event.number) ?? 0);
    else model = event.model;
  }
  // A change that the cut interrupts may be there or not.
  const next = events.slice(cut).find((event) => event.kind === 'changed' || event.kind === 'acknowledged');
  if (next?.kind === 'changed') model = next.model;
  image.crash(random);
  return { bytes: image.read(0, image.size), model: model.copy() };
}

void test('recorded writes and syncs of the real device, cut anywhere and torn: everything acknowledged is there', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-cut-'));
  let cuts = 0;
  try {
    for (let seed = 1; seed <= 4; seed += 1) {
      const { events, created, deviceOptions } = await record(seed, folder);
      const random = new SimulatedRandom(seed).fork('cuts');
      assert.ok(events.filter((event) => event.kind === 'sync-ended').length > 20, 'the record has syncs');
      for (let index = 0; index < Math.max(40, lives / 4); index += 1) {
        const cut = created + below(random, events.length - created + 1);
        const { bytes, model } = leftBy(events, cut, random);
        const clock = new SimulatedClock();
        const disk = new SimulatedDisk({ random, clock });
        const file = await disk.process().open('/device', { create: true });
        file.write(0, bytes);
        await file.sync();
        try {
          const device = await openFileDevice(disk.process(), '/device', { ...deviceOptions, create: false }, clock);
          await model.adopt(device);
          device.write(zones, 0, pattern(1, 1024));
          await syncBoth(device, model);
        } catch (cause) {
          throw new Error(`seed ${seed}, cut after ${cut} of ${events.length} events`, { cause });
        }
        cuts += 1;
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  assert.ok(cuts >= 160);
});

void test('the cuts would notice: a device that acknowledges before its sync is caught', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-cut-'));
  try {
    const { events, created, deviceOptions } = await record(1, folder);
    // The same record as if no sync after the first ones had reached the medium.
    const broken = events.filter((event, index) => index < created || event.kind !== 'sync-ended');
    const random = new SimulatedRandom(1);
    let caught = 0;
    for (let index = 0; index < 30; index += 1) {
      const { bytes, model } = leftBy(broken, Math.floor(broken.length / 2) + below(random, broken.length / 2), random);
      const clock = new SimulatedClock();
      const disk = new SimulatedDisk({ random, clock });
      const file = await disk.process().open('/device', { create: true });
      file.write(0, bytes);
      await file.sync();
      try {
        await model.adopt(await openFileDevice(disk.process(), '/device', { ...deviceOptions, create: false }, clock));
      } catch {
        caught += 1;
      }
    }
    assert.ok(caught > 15, `caught ${caught} of 30`);
  } finally {
    await rm(folder, { recursive: true });
  }
});
