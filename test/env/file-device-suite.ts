/** What a `ZonedDevice` keeps: a function of a factory. `crashed` reopens without a clean close. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { DeviceErrorCode } from '../../src/env/zoned-device.ts';
import { DeviceError } from '../../src/env/zoned-device.ts';
import type { FileDevice, FileDeviceOptions } from '../../src/env/file-device/open.ts';

/** Small, so that limits are met soon: extents of 16 KiB, zones of 4 extents. */
export const smallOptions = {
  capacityBytes: 1024 * 1024,
  zoneCapacity: 64 * 1024,
  extentBytes: 16 * 1024,
  alignment: 512,
  prefillBytes: 32 * 1024,
  reserveBytes: 64 * 1024,
} as const;

export interface DeviceWorld {
  open(options?: Partial<FileDeviceOptions>): Promise<FileDevice>;
  end(): Promise<void>;
}

export function refuses(code: DeviceErrorCode, text?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DeviceError, String(error));
    assert.equal(error.code, code, error.message);
    if (text !== undefined) assert.match(error.message, text);
    return true;
  };
}

/** `length` bytes, none of them zero, that differ from seed to seed and from block to block. */
export function pattern(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) bytes[index] = ((seed * 31 + index * 7 + (index >> 8)) % 255) + 1;
  return bytes;
}

export function deviceSuite(name: string, factory: () => Promise<DeviceWorld>): void {
  const rule = (title: string, body: (world: DeviceWorld) => Promise<void>): void => {
    void test(`${name}: ${title}`, async () => {
      const world = await factory();
      try {
        await body(world);
      } finally {
        await world.end();
      }
    });
  };

  rule('a fresh device is empty', async (world) => {
    const device = await world.open();
    assert.equal(device.created, true);
    assert.match(device.deviceId, /^[0-9a-f]{32}$/);
    assert.deepEqual(device.geometry, { zoneCount: 64, zoneCapacity: 65_536, alignment: 512 });
    assert.equal(device.occupiedBytes, 0);
    for (const report of device.reportZones()) {
      assert.deepEqual(
        [report.state, report.writePointer, report.writePointerKnown, report.occupied],
        ['empty', 0, true, 0],
      );
    }
    assert.ok((await device.read(5, 0, 65_536)).every((byte) => byte === 0));
    await device.close();
  });

  rule('writes go to the write pointer only, whole blocks only, within the capacity only', async (world) => {
    const device = await world.open();
    device.write(1, 0, pattern(1, 1024));
    assert.throws(() => device.write(1, 0, pattern(1, 512)), refuses('invalid'));
    assert.throws(() => device.write(1, 2048, pattern(1, 512)), refuses('invalid'));
    assert.throws(() => device.write(1, 1024, pattern(1, 100)), refuses('invalid'));
    assert.throws(() => device.write(1, 1024, pattern(1, 65_536)), refuses('invalid'));
    assert.throws(() => device.write(64, 0, pattern(1, 512)), refuses('invalid'));
    assert.throws(() => device.write(-1, 0, pattern(1, 512)), refuses('invalid'));
    assert.throws(() => device.readNow(1, 65_000, 1000), refuses('invalid'));
    await assert.rejects(device.read(99, 0, 10), refuses('invalid'));
    device.write(1, 1024, pattern(2, 64_512));
    assert.equal(device.reportZone(1).state, 'full');
    assert.deepEqual(Buffer.from(device.readNow(1, 0, 1024)), Buffer.from(pattern(1, 1024)));
    assert.deepEqual(Buffer.from(await device.read(1, 1024, 64_512)), Buffer.from(pattern(2, 64_512)));
    await device.close();
  });

  rule('zones are apart, and what lies beyond a write pointer is zeros', async (world) => {
    const device = await world.open();
    for (let round = 0; round < 8; round += 1) {
      for (let zone = 0; zone < 3; zone += 1) device.write(zone, round * 5120, pattern(zone * 8 + round, 5120));
      await device.sync();
    }
    for (let zone = 0; zone < 3; zone += 1) {
      for (let round = 0; round < 8; round += 1)
        assert.deepEqual(
          Buffer.from(await device.read(zone, round * 5120, 5120)),
          Buffer.from(pattern(zone * 8 + round, 5120)),
        );
      assert.ok(device.readNow(zone, 40_960, 65_536 - 40_960).every((byte) => byte === 0));
    }
    await device.close();
  });

  rule('a write pointer that goes back leaves zeros and gives space back; a crash later, too', async (world) => {
    let device = await world.open();
    device.write(1, 0, pattern(1, 20_480));
    await device.sync();
    const before = device.reportZone(1).occupied;
    device.write(1, 20_480, pattern(2, 16_384));
    await device.sync();
    assert.throws(() => device.rewind(1, 40_960), refuses('invalid'));
    device.rewind(1, 20_480);
    assert.equal(device.reportZone(1).writePointer, 20_480);
    assert.ok(device.reportZone(1).occupied <= before);
    assert.ok(device.readNow(1, 20_480, 45_056).every((byte) => byte === 0));
    device.write(1, 20_480, pattern(3, 512));
    await device.sync();
    await device.close();
    device = await world.open();
    await device.recover(1, 20_992, 20_992, false);
    const expected = Buffer.concat([pattern(1, 20_480), pattern(3, 512), new Uint8Array(44_544)]);
    assert.ok(expected.equals(Buffer.from(device.readNow(1, 0, 65_536))));
    device.rewind(1, 0);
    assert.equal(device.reportZone(1).state, 'empty');
    device.write(1, 0, pattern(4, 512));
    device.finish(1, 512);
    assert.throws(() => device.rewind(1, 0), refuses('invalid'));
    await device.close();
  });

  rule('S3 after reopening a zone not finished has an upper bound until it is recovered', async (world) => {
    let device = await world.open();
    device.write(3, 0, pattern(3, 20_480));
    await device.sync();
    await device.close();
    device = await world.open();
    assert.equal(device.created, false);
    const report = device.reportZone(3);
    assert.equal(report.state, 'closed');
    assert.equal(report.writePointerKnown, false);
    assert.ok(report.writePointer >= 20_480 && report.writePointer <= 65_536);
    assert.throws(() => device.write(3, 20_480, pattern(1, 512)), refuses('invalid'));
    assert.throws(() => device.finish(3, 0), refuses('invalid'));
    await assert.rejects(device.recover(3, 0, 65_537, false), refuses('invalid'));
    await assert.rejects(device.recover(3, 0, 100, false), refuses('invalid'));
    await assert.rejects(device.recover(4, 0, 0, false), refuses('invalid'));
    await device.recover(3, 1024, 10_240, false);
    await assert.rejects(device.recover(3, 0, 10_240, false), refuses('invalid'));
    assert.deepEqual([device.reportZone(3).writePointer, device.reportZone(3).writePointerKnown], [10_240, true]);
    assert.ok(
      device.readNow(3, 10_240, 50_000).every((byte) => byte === 0),
      'what lies beyond is zeroed',
    );
    device.write(3, 10_240, pattern(4, 512));
    assert.deepEqual(Buffer.from(device.readNow(3, 10_240, 512)), Buffer.from(pattern(4, 512)));
    await device.close();
  });

  rule('S19 recovery can keep what lies beyond; then a write replaces it as far as it goes', async (world) => {
    let device = await world.open();
    device.write(3, 0, pattern(3, 20_480));
    await device.sync();
    await device.close();
    device = await world.open();
    await device.recover(3, 0, 10_240, true);
    assert.deepEqual(Buffer.from(device.readNow(3, 0, 20_480)), Buffer.from(pattern(3, 20_480)));
    device.write(3, 10_240, pattern(1, 512));
    await device.sync();
    const held = Buffer.from(pattern(3, 20_480));
    held.set(pattern(1, 512), 10_240);
    assert.deepEqual(Buffer.from(device.readNow(3, 0, 20_480)), held);
    await device.close();
    device = await world.open();
    assert.deepEqual(Buffer.from(device.readNow(3, 0, 20_480)), held);
    await device.recover(3, 0, 10_752, true);
    device.finish(3, 10_752);
    await device.sync();
    assert.equal(device.reportZone(3).occupied, 16_384);
    await device.close();
  });

  rule('S19 a finished zone keeps what lies beyond its length as far as it is told, until its reset', async (world) => {
    let device = await world.open();
    device.write(2, 0, pattern(2, 40_960));
    device.finish(2, 10_240, 20_480);
    await device.sync();
    assert.equal(device.reportZone(2).occupied, 32_768);
    await device.close();
    device = await world.open();
    assert.deepEqual(
      [device.reportZone(2).state, device.reportZone(2).writePointer, device.reportZone(2).occupied],
      ['full', 10_240, 32_768],
    );
    assert.deepEqual(Buffer.from(device.readNow(2, 0, 20_480)), Buffer.from(pattern(2, 20_480)));
    device.reset(2);
    await device.sync();
    assert.equal(device.reportZone(2).occupied, 0);
    await device.close();
  });

  rule('a finished zone keeps the extents it needs, is known after reopening, and takes no write', async (world) => {
    let device = await world.open();
    device.write(2, 0, pattern(2, 50_000 - (50_000 % 512)));
    device.finish(2, 17_000 - (17_000 % 512));
    device.finish(9, 0);
    await device.sync();
    assert.equal(device.occupiedBytes, 2 * 16_384);
    assert.throws(() => device.write(2, 16_896, pattern(1, 512)), refuses('invalid'));
    assert.throws(() => device.finish(2, 0), refuses('invalid'));
    await device.close();
    device = await world.open();
    const report = device.reportZone(2);
    assert.deepEqual(
      [report.state, report.writePointer, report.writePointerKnown, report.occupied],
      ['full', 16_896, true, 32_768],
    );
    assert.equal(device.reportZone(9).state, 'full');
    assert.deepEqual(Buffer.from(await device.read(2, 0, 16_896)), Buffer.from(pattern(2, 16_896)));
    device.reset(2);
    device.reset(9);
    device.reset(10);
    await device.sync();
    assert.equal(device.occupiedBytes, 0);
    assert.ok(device.readNow(2, 0, 65_536).every((byte) => byte === 0));
    device.write(2, 0, pattern(5, 512));
    await device.close();
  });

  rule(
    'a full device refuses writes and changes nothing; reads, finish, reset, sync and privileged writes work',
    async (world) => {
      const device = await world.open();
      device.privilege(63);
      let zone = 0;
      let error: unknown;
      while (error === undefined) {
        try {
          device.write(zone, 0, pattern(zone, 65_536));
          zone += 1;
        } catch (cause) {
          error = cause;
        }
      }
      refuses('full')(error);
      assert.equal(device.reportZone(zone).state, 'empty');
      assert.equal(device.reportZone(zone).occupied, 0);
      assert.equal(device.freeBytes, 0);
      assert.equal(zone, 15, '60 of 64 extents: 4 are in reserve');
      await device.sync();
      device.write(63, 0, pattern(63, 32_768));
      assert.throws(() => device.write(62, 0, pattern(1, 512)), refuses('full'));
      device.finish(14, 0);
      device.reset(0);
      // Given back, but not stable: a crash now would find the old owner.
      await device.sync();
      device.write(62, 0, pattern(62, 65_536));
      await device.sync();
      assert.deepEqual(Buffer.from(device.readNow(63, 0, 32_768)), Buffer.from(pattern(63, 32_768)));
      assert.deepEqual(Buffer.from(device.readNow(62, 0, 65_536)), Buffer.from(pattern(62, 65_536)));
      assert.deepEqual(Buffer.from(device.readNow(13, 0, 65_536)), Buffer.from(pattern(13, 65_536)));
      await device.close();
    },
  );

  rule('space given back is not used before the sync that made it stable', async (world) => {
    const device = await world.open();
    let zone = 0;
    for (; zone < 15; zone += 1) device.write(zone, 0, pattern(zone, 65_536));
    await device.sync();
    device.reset(3);
    assert.throws(() => device.write(20, 0, pattern(1, 512)), refuses('full'));
    await device.sync();
    device.write(20, 0, pattern(1, 512));
    await device.close();
  });

  rule('recycled extents read as zeros beyond the write pointer', async (world) => {
    const device = await world.open();
    for (let round = 0; round < 40; round += 1) {
      const zone = round % 5;
      device.reset(zone);
      device.write(zone, 0, pattern(round, 512 * (1 + (round % 50))));
      await device.sync();
      assert.ok(
        device.readNow(zone, 512 * (1 + (round % 50)), 65_536 - 512 * (1 + (round % 50))).every((byte) => byte === 0),
        `round ${round}`,
      );
      device.write(zone, 512 * (1 + (round % 50)), pattern(round, 512 * 60));
      await device.sync();
    }
    await device.close();
  });

  rule('the map outlives many checkpoints', async (world) => {
    let device = await world.open();
    for (let round = 0; round < 3_000; round += 1) {
      const zone = round % 7;
      if (device.reportZone(zone).state !== 'empty') device.reset(zone);
      device.write(zone, 0, pattern(round, 512));
      device.finish(zone, 512);
      if (round % 10 === 0) await device.sync();
    }
    await device.sync();
    await device.close();
    device = await world.open();
    for (let zone = 0; zone < 7; zone += 1) {
      const round = 2_999 - ((2_999 - zone) % 7);
      assert.equal(device.reportZone(zone).writePointer, 512);
      assert.deepEqual(Buffer.from(device.readNow(zone, 0, 512)), Buffer.from(pattern(round, 512)), `zone ${zone}`);
    }
    await device.close();
  });

  rule(
    'settings that never change must agree, the capacity may grow and not shrink below what is used',
    async (world) => {
      let device = await world.open();
      const id = device.deviceId;
      for (let zone = 0; zone < 10; zone += 1) device.write(zone, 0, pattern(zone, 65_536));
      for (let zone = 0; zone < 10; zone += 1) device.finish(zone, 65_536);
      await device.sync();
      await device.close();
      await assert.rejects(world.open({ zoneCapacity: 128 * 1024 }), refuses('invalid', /zoneCapacity is 65536/));
      await assert.rejects(world.open({ alignment: 4096 }), refuses('invalid', /alignment is 512/));
      await assert.rejects(
        world.open({ capacityBytes: 256 * 1024 }),
        refuses('invalid', /below what is in use: at least 720896/),
      );
      await assert.rejects(world.open({ capacityBytes: 1024 ** 4 }), refuses('invalid', /too large for the map/));
      await assert.rejects(world.open({ capacityBytes: 0 }), refuses('invalid', /capacityBytes/));
      await assert.rejects(world.open({ alignment: 3 }), refuses('invalid', /power of two/));
      device = await world.open({ capacityBytes: 2 * 1024 * 1024 });
      assert.equal(device.deviceId, id);
      assert.equal(device.capacityBytes, 2 * 1024 * 1024);
      for (let zone = 10; zone < 31; zone += 1) device.write(zone, 0, pattern(zone, 65_536));
      await device.sync();
      await device.close();
    },
  );

  rule('a sync of nothing new returns, a closed device refuses, closing is idempotent', async (world) => {
    const device = await world.open();
    await device.sync();
    device.write(0, 0, pattern(1, 512));
    const sync = device.sync();
    await Promise.all([device.close(), device.close()]);
    await sync;
    assert.throws(() => device.write(0, 512, pattern(1, 512)), refuses('invalid', /closed/));
    await assert.rejects(device.sync(), refuses('invalid', /closed/));
  });
}
