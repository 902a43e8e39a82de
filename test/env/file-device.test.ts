/**
 * The `file` device: the suite over real and simulated files, faults, damage, foreign files, and the golden file of
 * format 1.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { FileDevice, FileDeviceOptions } from '../../src/env/file-device/open.ts';
import { openFileDevice } from '../../src/env/file-device/open.ts';
import { superblockBytes } from '../../src/env/file-device/superblock.ts';
import { FilesError } from '../../src/env/files.ts';
import { RealClock } from '../../src/env/real/clock.ts';
import { realFiles } from '../../src/env/real/files.ts';
import { RealRandom } from '../../src/env/real/random.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { SimulatedDisk } from '../../src/env/simulated/files.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { deviceSuite, pattern, refuses, smallOptions } from './file-device-suite.ts';

deviceSuite('device on real files', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-device-'));
  const random = new RealRandom();
  return {
    open: (options) =>
      openFileDevice(
        realFiles(),
        path.join(folder, 'device'),
        { ...smallOptions, random, ...options },
        new RealClock(),
      ),
    end: () => rm(folder, { recursive: true }),
  };
});

deviceSuite('device on simulated files', async () => {
  const world = newWorld(1);
  return { open: (options) => world.open(options), end: () => Promise.resolve() };
});

interface World {
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  open(options?: Partial<FileDeviceOptions>): Promise<FileDevice>;
}

function newWorld(seed: number): World {
  const random = new SimulatedRandom(seed);
  const clock = new SimulatedClock();
  const disk = new SimulatedDisk({ random: random.fork('disk'), clock });
  return {
    disk,
    clock,
    open: (options) => openFileDevice(disk.process(), '/device', { ...smallOptions, random, ...options }, clock),
  };
}

const same = (device: FileDevice, zone: number, offset: number, expected: Uint8Array): void => {
  assert.deepEqual(Buffer.from(device.readNow(zone, offset, expected.length)), Buffer.from(expected));
};

void test('one sync at a time is under way; calls that arrive meanwhile share the next', async () => {
  const { disk, clock, open } = newWorld(1);
  const device = await open();
  disk.faults.syncDelayMs = 10;
  const ends: string[] = [];
  const note = (name: string) => (): void => {
    ends.push(`${name} ${clock.now()}`);
  };
  device.write(0, 0, pattern(1, 512));
  const waiting = [device.sync().then(note('a'))];
  assert.equal(device.syncingSince, 0);
  await clock.runUntil(4);
  device.write(0, 512, pattern(1, 512));
  waiting.push(device.sync().then(note('b')));
  await clock.runUntil(8);
  device.write(0, 1024, pattern(1, 512));
  waiting.push(device.sync().then(note('c')));
  await clock.runUntil(100);
  await Promise.all(waiting);
  assert.deepEqual(ends, ['a 10', 'b 20', 'c 20']);
  assert.equal(device.syncingSince, undefined);
});

void test('S17 a failed sync is final: everything waiting and everything new fails, reads go on', async () => {
  const { disk, clock, open } = newWorld(2);
  const device = await open();
  device.write(0, 0, pattern(1, 512));
  await device.sync();
  disk.faults.syncDelayMs = 10;
  disk.faults.failSyncs = 1;
  device.write(0, 512, pattern(2, 512));
  const first = assert.rejects(device.sync(), refuses('io'));
  await clock.runUntil(5);
  device.write(0, 1024, pattern(3, 512));
  const second = assert.rejects(device.sync(), refuses('failed', /S17/));
  await clock.runUntil(50);
  await Promise.all([first, second]);
  assert.throws(() => device.write(0, 1536, pattern(1, 512)), refuses('failed'));
  assert.throws(() => device.reset(0), refuses('failed'));
  assert.throws(() => device.finish(0, 512), refuses('failed'));
  await assert.rejects(device.sync(), refuses('failed'));
  same(device, 0, 0, pattern(1, 512));
  await device.close();
});

void test('S3 after a failed sync and a restart, recovery makes stable what only the cache holds', async () => {
  const { disk, open } = newWorld(3);
  let device = await open();
  device.write(0, 0, pattern(1, 20_480));
  device.write(1, 0, pattern(2, 20_480));
  await device.sync();
  device.write(0, 20_480, pattern(3, 512));
  device.write(1, 20_480, pattern(3, 512));
  device.finish(1, 20_992);
  disk.faults.failSyncs = 1;
  await assert.rejects(device.sync(), refuses('io'));
  // The process ends, the machine does not: the cache still shows everything, the medium has none of it.
  device = await open();
  same(device, 0, 20_480, pattern(3, 512));
  await device.recover(0, 20_480, 20_992, false);
  assert.equal(device.reportZone(1).writePointer, 20_992);
  disk.crash();
  device = await open();
  same(device, 0, 20_480, pattern(3, 512));
  same(device, 1, 20_480, pattern(3, 512));
});

void test('S3 a map that only the cache holds, since the sync of a start failed, is stable before the next one replaces the other', async () => {
  for (let seed = 0; seed < 60; seed += 1) {
    const { disk, clock, open } = newWorld(100 + seed);
    const device = await open({ prefillBytes: 0 });
    // A checkpoint of several sectors: extents of zones that take turns do not lie in rows.
    for (let round = 0; round < 4; round += 1)
      for (let zone = 0; zone < 14; zone += 1)
        device.write(zone, round * smallOptions.extentBytes, pattern(zone, smallOptions.extentBytes));
    await device.sync();
    disk.faults.failSyncs = 1;
    await assert.rejects(open(), refuses('io'));
    // Power is lost while the next start writes: of what no sync has covered, the medium has some sectors.
    disk.faults.syncDelayMs = 10;
    const start = open();
    start.catch(() => undefined);
    await clock.runUntil(clock.now() + (seed % 40));
    disk.crash();
    disk.faults.syncDelayMs = 0;
    same(await open(), 1, 0, pattern(1, 512));
  }
});

void test('S17 a failed write is final, a failed read is not', async () => {
  const { disk, open } = newWorld(4);
  const device = await open();
  device.write(0, 0, pattern(1, 512));
  disk.faults.failReads = true;
  assert.throws(() => device.readNow(0, 0, 512), refuses('io'));
  await assert.rejects(device.read(0, 0, 512), refuses('io'));
  disk.faults.failReads = false;
  device.write(0, 512, pattern(1, 512));
  disk.faults.failWrites = true;
  assert.throws(() => device.write(0, 1024, pattern(1, 512)), refuses('io'));
  disk.faults.failWrites = false;
  assert.throws(() => device.write(0, 1024, pattern(1, 512)), refuses('failed'));
});

void test('a full file system refuses a write, changes nothing, and leaves the reserve to privileged zones', async () => {
  const { disk, open } = newWorld(5);
  let device = await open({ prefillBytes: 0 });
  device.privilege(9);
  device.write(0, 0, pattern(1, 30_208));
  await device.sync();
  disk.capacityBytes = disk.usedBytes + 3 * 4096;
  assert.throws(() => device.write(0, 30_208, pattern(2, 30_208)), refuses('full'));
  assert.throws(() => device.write(1, 0, pattern(2, 30_208)), refuses('full'));
  assert.equal(device.reportZone(0).writePointer, 30_208);
  assert.deepEqual([device.reportZone(1).state, device.reportZone(1).occupied], ['empty', 0]);
  assert.ok(
    device.readNow(0, 30_208, 65_536 - 30_208).every((byte) => byte === 0),
    'what got through reads as zeros again',
  );
  device.write(9, 0, pattern(9, 30_208));
  device.finish(0, 512);
  await device.sync();
  device = await open();
  assert.equal(device.reportZone(0).writePointer, 512);
  same(device, 9, 0, pattern(9, 30_208));
  device.reset(0);
  await device.sync();
  disk.crash();
  device = await open();
  assert.equal(device.reportZone(0).state, 'empty');
  same(device, 9, 0, pattern(9, 30_208));
});

void test('a file system that is full for zeros ahead still takes what is overwritten, and the device goes on', async () => {
  const { disk, open } = newWorld(6);
  const device = await open();
  device.write(0, 0, pattern(1, 512));
  disk.capacityBytes = disk.usedBytes + 4096;
  await device.sync();
  assert.equal(device.failure, undefined, 'zeros ahead found no space: nobody is told');
  device.write(0, 512, pattern(2, 512));
  assert.throws(() => device.write(0, 1024, pattern(3, 30_208)), refuses('full'));
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  device.write(0, 1024, pattern(3, 30_208));
  await device.sync();
  same(device, 0, 1024, pattern(3, 30_208));
});

void test('prefill: small batches get zeros ahead, large ones none, and a fresh device stays small', async () => {
  const sizes = {
    zoneCapacity: 64 * 1024 * 1024,
    extentBytes: 1024 * 1024,
    capacityBytes: 1024 ** 3,
    prefillBytes: 2 * 1024 * 1024,
    reserveBytes: 4 * 1024 * 1024,
  };
  const { disk, open } = newWorld(6);
  const device = await open(sizes);
  const fresh = disk.usedBytes;
  assert.ok(fresh < 5 * 1024 * 1024, `a fresh device occupies ${fresh} bytes`);
  for (let index = 0; index < 40; index += 1) {
    device.write(0, index * 4096, pattern(1, 4096));
    await device.sync();
  }
  assert.equal(device.reportZone(0).occupied, 3 * 1024 * 1024);
  const small = disk.usedBytes;
  assert.ok(small - fresh < 3.5 * 1024 * 1024, `${small - fresh} bytes for 160 KiB`);
  const large = pattern(1, 1024 * 1024);
  for (let index = 0; index < 40; index += 1) {
    device.write(1, index * 1024 * 1024, large);
    await device.sync();
  }
  assert.ok(disk.usedBytes - small < 42.5 * 1024 * 1024, `${disk.usedBytes - small} bytes for 40 MiB`);
});

void test('a foreign, cut or newer file is refused by name, and nothing is written to it', async () => {
  const { disk, open } = newWorld(7);
  const files = disk.process();
  const file = await files.open('/device', { create: true });
  await assert.rejects(open(), refuses('foreign', /\/device: only 0 bytes long/));
  file.write(0, pattern(1, 100_000));
  await assert.rejects(open(), refuses('foreign', /not a kv-filelog device/));
  assert.deepEqual(Buffer.from(file.readNow(0, 100_000)), Buffer.from(pattern(1, 100_000)));
  await files.remove('/device');
  await assert.rejects(open({ create: false }), (error) => error instanceof FilesError && error.code === 'not-found');
  await (await open()).close();
  disk.rot('/device', 20);
  await (await open()).close();
  disk.rot('/device', 4096 + 21);
  await assert.rejects(open(), refuses('damaged', /superblock at offset 0 and of its copy at 4096/));
});

void test('a truncated device is damaged, not short', async () => {
  const { disk, open } = newWorld(8);
  let device = await open();
  for (let zone = 0; zone < 8; zone += 1) device.write(zone, 0, pattern(zone, 65_536));
  await device.sync();
  device.write(9, 0, pattern(1, 512));
  await device.sync();
  await device.close();
  const file = await disk.process().open('/device', {});
  file.truncate(file.size() - 65_536);
  await assert.rejects(open(), refuses('damaged', /truncated/));
  file.truncate(10_000);
  await assert.rejects(open(), refuses('damaged'));
  device = await newWorld(8).open();
  await device.close();
});

void test('rot anywhere in the map is reported with its offset or healed, never guessed around', async () => {
  let reported = 0;
  for (let seed = 1; seed <= 100; seed += 1) {
    const { disk, open } = newWorld(seed);
    const random = new SimulatedRandom(seed);
    let device = await open();
    for (let index = 0; index < 20; index += 1) {
      device.write(index, 0, pattern(index, 16_384 + 512));
      if (index % 4 === 0) device.finish(index, 512);
      await device.sync();
    }
    await device.close();
    // The first five sectors of each area hold all of this map.
    const sector = random.uint32() % 5;
    disk.rot(
      '/device',
      superblockBytes + (random.uint32() % 2) * 65_536 + sector * 512 + (random.uint32() % 512),
      1 << (random.uint32() % 8),
    );
    try {
      device = await open();
    } catch (cause) {
      refuses('damaged', /offset \d+/)(cause);
      reported += 1;
      continue;
    }
    for (let index = 0; index < 20; index += 1) {
      same(device, index, 0, pattern(index, index % 4 === 0 ? 512 : 16_896));
      assert.equal(device.reportZone(index).state, index % 4 === 0 ? 'full' : 'closed');
    }
  }
  assert.ok(reported > 30 && reported < 100, `reported ${reported} of 100`);
});

void test('a sector of the map that was stable and is gone is damage, not a short log', async () => {
  const { disk, open } = newWorld(9);
  const device = await open();
  for (let round = 0; round < 120; round += 1) {
    device.write(round % 8, 0, pattern(1, 512));
    device.reset(round % 8);
    await device.sync();
  }
  await device.close();
  const file = await disk.process().open('/device', {});
  const present = (area: number, sector: number): boolean =>
    file.readNow(superblockBytes + area * 65_536 + sector * 512, 4)[0] !== 0;
  // The area in use is the one whose log is long.
  const area = present(0, 4) ? 0 : 1;
  assert.ok(present(area, 4), 'the log has five sectors');
  file.write(superblockBytes + area * 65_536 + 2 * 512, new Uint8Array(512));
  await assert.rejects(open(), refuses('damaged', /were stable, those after \d+ are missing/));
});

void test('without a sync the map never overwrites its only stable copy: its log fills up and refuses', async () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const { disk, open } = newWorld(seed);
    let device = await open();
    device.write(0, 0, pattern(1, 512));
    device.write(1, 0, pattern(2, 512));
    device.finish(1, 512);
    await device.sync();
    // A new generation that no sync has made stable, and then changes without end.
    for (let round = 0; round < 1_500; round += 1) {
      device.finish(2, 0);
      device.reset(2);
    }
    await assert.rejects(
      async () => {
        for (let round = 0; round < 10_000; round += 1) {
          device.finish(3, 0);
          device.reset(3);
        }
      },
      refuses('full', /until the next sync/),
    );
    if (seed % 2 === 0) {
      await device.sync();
      device.finish(4, 0);
      await device.sync();
    }
    disk.crash();
    device = await open();
    same(device, 0, 0, pattern(1, 512));
    same(device, 1, 0, pattern(2, 512));
    assert.equal(device.reportZone(1).state, 'full');
    assert.equal(device.reportZone(4).state, seed % 2 === 0 ? 'full' : 'empty');
  }
});

const golden = new URL('../fixtures/device-v1/device.bin.gz', import.meta.url);
const goldenOptions = {
  capacityBytes: 256 * 1024,
  zoneCapacity: 64 * 1024,
  extentBytes: 16 * 1024,
  alignment: 512,
  prefillBytes: 16 * 1024,
  reserveBytes: 16 * 1024,
};

/** How the golden file was made, once. */
async function makeGolden(): Promise<Uint8Array> {
  const clock = new SimulatedClock();
  const disk = new SimulatedDisk({ random: new SimulatedRandom(1), clock });
  const device = await openFileDevice(
    disk.process(),
    '/device',
    { ...goldenOptions, random: new SimulatedRandom(42) },
    clock,
  );
  device.write(0, 0, pattern(1, 20_480));
  device.write(1, 0, pattern(2, 1_024));
  await device.sync();
  device.finish(0, 17_408);
  device.write(2, 0, pattern(3, 512));
  device.write(1, 1_024, pattern(4, 512));
  await device.sync();
  device.reset(2);
  device.write(3, 0, pattern(5, 512));
  device.finish(4, 0);
  await device.sync();
  await device.close();
  const file = await disk.process().open('/device', {});
  return file.readNow(0, file.size());
}

void test('a device of format 1 is read for ever', async () => {
  const { gunzipSync, gzipSync } = await import('node:zlib');
  const { readFile } = await import('node:fs/promises');
  if (process.env['KV_MAKE_GOLDEN'] === '1')
    await writeFile(golden, gzipSync(await makeGolden(), { level: 9 }), { flag: 'wx' });
  const folder = await mkdtemp(path.join(tmpdir(), 'kv-golden-'));
  try {
    const name = path.join(folder, 'device');
    await writeFile(name, gunzipSync(await readFile(golden)));
    await copyFile(name, `${name}.copy`);
    const device = await openFileDevice(
      realFiles(),
      name,
      { ...goldenOptions, create: false, random: new RealRandom() },
      new RealClock(),
    );
    assert.equal(device.deviceId, Buffer.from(new SimulatedRandom(42).bytes(16)).toString('hex'));
    const reports = device.reportZones().filter((report) => report.state !== 'empty');
    assert.deepEqual(
      reports.map((report) => [report.zone, report.state, report.writePointerKnown]),
      [
        [0, 'full', true],
        [1, 'closed', false],
        [3, 'closed', false],
        [4, 'full', true],
      ],
    );
    assert.equal(device.reportZone(0).writePointer, 17_408);
    same(device, 0, 0, pattern(1, 17_408));
    same(device, 1, 0, pattern(2, 1_024));
    same(device, 1, 1_024, pattern(4, 512));
    same(device, 1, 1_536, new Uint8Array(4_096));
    same(device, 3, 0, pattern(5, 512));
    await device.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

void test('S19 a Fill that finds no space leaves what lay beyond the write pointer, in its own range and behind it', async () => {
  const { disk, open } = newWorld(2);
  const options = { reserveBytes: 0, prefillBytes: 0 };
  const old = pattern(4, 2 * smallOptions.extentBytes + 1024);
  const first = await open(options);
  first.write(0, 0, old);
  await first.sync();
  await first.close();
  const device = await open(options);
  await device.recover(0, 512, 512, true);
  disk.capacityBytes = disk.usedBytes;
  assert.throws(() => device.write(0, 512, pattern(5, 3 * smallOptions.extentBytes)), refuses('full'));
  same(device, 0, 0, old);
  assert.equal(device.reportZone(0).writePointer, 512);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  device.write(0, 512, pattern(6, 1024));
  same(device, 0, 1536, old.subarray(1536));
});
