/** A store on a disk that hangs, fails, fills up and rots. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { asBuffer } from '../../src/base/bytes.ts';
import { KvError } from '../../src/base/errors.ts';
import { shardId, zoneId } from '../../src/base/ids.ts';
import type { AppendItem, ReadAnswer } from '../../src/codec/logger-protocol.ts';
import { readMetadataZone } from '../../src/core/logger/metadata-format.ts';
import type { MachineAnswer } from '../../src/core/logger/machine-events.ts';
import { DeviceError } from '../../src/env/zoned-device.ts';
import { metadataSpace } from '../../src/logger/metadata-log.ts';
import type { StoreCall } from './sim-store.ts';
import { devicePath, short, SimStore, simZoneSize } from './sim-store.ts';
import { recordKind } from '../../src/codec/log-format.ts';
import { piecesOf, put, testWriter, ZoneWriter } from './zone-writer.ts';

function writerOf(shard: number, zone = 1, at = 1): ZoneWriter {
  return new ZoneWriter({ shard, zone, epoch: at, zoneSize: simZoneSize });
}

/** A seal of zone 1 of the shard. */
function sealOf(shard: number, at: number): StoreCall {
  return { kind: 'seal', at: { shard: shardId(shard), zone: zoneId(1), ...testWriter(at) } };
}

async function booted(seed: number): Promise<SimStore> {
  const sim = new SimStore(seed);
  await sim.boot();
  return sim;
}

describe('a sync that hangs', () => {
  test('appends and seals wait; confirmations, reads of what is stable and reports are answered', async () => {
    const sim = await booted(1);
    const writer = writerOf(0);
    assert.equal(await sim.outcome({ kind: 'append', item: writer.filled(100) }), 'appended');
    const stable = writer.offset;
    sim.disk.holdSyncs();
    const answers: string[] = [];
    sim.ask({ kind: 'append', item: writer.filled(100) }, (answer) => answers.push(short(answer)));
    sim.ask(sealOf(4, 2), (answer) => answers.push(short(answer)));
    await sim.run(60_000);
    assert.deepEqual(answers, []);
    assert.equal(sim.store.confirm(writer.place), undefined);
    assert.equal(sim.store.report(undefined)[0]?.length, stable);
    let read: readonly ReadAnswer[] = [];
    sim.opened?.reader.read(
      [
        { ...writer.place, offset: 0, length: stable },
        { ...writer.place, offset: 0, length: stable + 1 },
      ],
      (got) => (read = got),
    );
    assert.deepEqual(
      read.map((item) => item.kind),
      ['ok', 'refused'],
    );
    sim.disk.releaseSyncs();
    await sim.run(100);
    assert.deepEqual(answers, ['appended', 'sealed']);
  });
});

describe('S9 power that is lost between the pieces of an append', () => {
  for (const alignment of [1, 512, 4096]) {
    test(`leaves a torn tail, which a Fill completes; blocks of ${alignment} bytes`, async () => {
      for (let seed = 1; seed <= 20; seed++) {
        const sim = new SimStore(seed);
        await sim.boot(alignment);
        const writer = new ZoneWriter({ shard: 0, zoneSize: simZoneSize, alignment });
        assert.equal(await sim.outcome({ kind: 'append', item: writer.filled(3_000) }), 'appended');
        const start = writer.offset;
        const whole = writer.filled(60_000);
        const pieces = piecesOf(whole, 8 * 1024).slice(0, 1 + (seed % 7));
        for (const item of pieces) assert.equal(await sim.outcome({ kind: 'append', item }), 'appended');
        sim.disk.crash();
        await sim.boot(alignment);
        let seal: MachineAnswer | undefined;
        sim.ask(sealOf(0, 2), (answer) => (seal = answer));
        await sim.run(1_000);
        assert.ok(seal?.kind === 'sealed' && !('code' in seal.answer));
        const { length, doubtful, tail } = seal.answer;
        assert.deepEqual({ length, doubtful }, { length: start, doubtful: false }, `seed ${seed}`);
        assert.notEqual(tail, 'damaged');
        const { shard, zone, offset, bytes } = whole;
        const fill: StoreCall = { kind: 'fill', item: { shard, zone, by: testWriter(2), offset, bytes } };
        assert.equal(await sim.outcome(fill), 'filled');
        assert.equal(sim.store.report(undefined)[0]?.length, writer.offset);
      }
    });
  }

  test('and a piece without space takes the others back from a device that has none left', async () => {
    const sim = new SimStore(5);
    const metadata = metadataSpace(simZoneSize);
    await sim.boot(1, 256 * 1024 + metadata.zones * metadata.bytes);
    const [first, ...others] = [0, 1, 2].map((shard) => writerOf(shard));
    assert.ok(first);
    const whole = first.filled(150_000);
    const [head, ...rest] = piecesOf(whole, 16 * 1024);
    assert.ok(head);
    assert.equal(await sim.outcome({ kind: 'append', item: head }), 'appended');
    for (const other of others) await sim.outcome({ kind: 'append', item: other.filled(40_000) });
    const occupied = sim.device?.occupiedBytes ?? 0;
    const outcomes: string[] = [];
    for (const item of rest) outcomes.push(await sim.outcome({ kind: 'append', item }));
    assert.ok(outcomes.includes('device-full'), outcomes.join());
    assert.ok((sim.device?.occupiedBytes ?? 0) < occupied);
    // Its space is free when that is stable.
    await sim.run(100);
    const instead = writerOf(0);
    assert.equal(await sim.outcome({ kind: 'append', item: instead.filled(10) }), 'appended');
    assert.equal(sim.failures, 0);
  });
});

describe('S17 a failed sync or write', () => {
  for (const failure of ['sync', 'write'] as const) {
    test(`of a ${failure} is final, and is told once`, async () => {
      const sim = await booted(2);
      const writer = writerOf(0);
      assert.equal(await sim.outcome({ kind: 'append', item: writer.filled(100) }), 'appended');
      const stable = writer.offset;
      if (failure === 'sync') sim.disk.faults.failSyncs = 1;
      else sim.disk.faults.failWrites = true;
      assert.equal(await sim.outcome({ kind: 'append', item: writer.filled(100) }), 'device-failed');
      sim.disk.faults.failWrites = false;
      assert.equal(await sim.outcome({ kind: 'append', item: writer.filled(100) }), 'device-failed');
      assert.equal(await sim.outcome(sealOf(0, 2)), 'device-failed');
      assert.equal(sim.store.confirm(writer.place), 'device-failed');
      assert.equal(sim.failures, 1);
      assert.equal(sim.store.readable(writer.shard, writer.zone, 0, stable).kind, 'ok');
      sim.disk.crash();
      await sim.boot();
      assert.ok((sim.store.report(undefined)[0]?.length ?? 0) >= stable);
      assert.equal(
        await sim.outcome({ kind: 'append', item: writerOf(0, 2).filled(1) }),
        'appended',
        'a restart heals it',
      );
    });
  }
});

describe('S19 a Fill on a device', () => {
  const taker = testWriter(2);
  const fillOf = ({ shard, zone, offset, bytes }: AppendItem): StoreCall => ({
    kind: 'fill',
    item: { shard, zone, by: taker, offset, bytes },
  });

  /** Bytes that the logger holds of the zone, whatever their length is said to be. */
  function held(sim: SimStore, { shard, zone }: ZoneWriter, length: number): Buffer {
    const readable = sim.store.readable(shard, zone, 0, 0);
    assert.ok(readable.kind === 'ok' && sim.device !== undefined);
    return asBuffer(sim.device.readNow(readable.deviceZone, 0, length));
  }

  /** A store with these batches, whose process was killed. */
  async function written(seed: number, items: readonly AppendItem[]): Promise<SimStore> {
    const sim = await booted(seed);
    for (const item of items) assert.equal(await sim.outcome({ kind: 'append', item }), 'appended');
    sim.files?.kill();
    return sim;
  }

  for (const end of ['crash', 'kill'] as const) {
    test(`S3 what was answered is there after a ${end}, in a zone that was found open`, async () => {
      const writer = writerOf(0);
      const items = [writer.filled(3_000), writer.filled(3_000), writer.filled(5_000)];
      const sim = await written(21, items.slice(0, 1));
      await sim.boot();
      assert.equal(await sim.outcome(sealOf(0, 2)), 'sealed');
      for (const item of items.slice(1)) assert.equal(await sim.outcome(fillOf(item)), 'filled');
      if (end === 'crash') sim.disk.crash();
      else sim.files?.kill();
      await sim.boot();
      assert.equal(sim.store.report(undefined)[0]?.length, writer.offset);
      assert.deepEqual(held(sim, writer, writer.offset), Buffer.concat(items.map(({ bytes }) => bytes)));
      assert.equal(await sim.outcome(fillOf(items[0] ?? assert.fail())), 'filled', 'the fence is there, too');
      assert.equal(await sim.outcome({ kind: 'append', item: writer.filled(1) }), 'fenced');
    });
  }

  for (const batch of [1, 2]) {
    test(`replaces only what it carries: damage in batch ${batch} is mended, what follows stays`, async () => {
      const writer = writerOf(0);
      const items = [writer.filled(3_000), writer.filled(3_000), writer.filled(5_000), writer.filled(700)];
      const sim = await written(22, items);
      const file = await sim.wait(sim.disk.process().open(devicePath, {}));
      const start = asBuffer(await sim.wait(file.read(0, file.size()))).indexOf('KVZ1');
      const item = items[batch];
      assert.ok(item);
      sim.disk.rot(devicePath, start + item.offset + 1_000);
      await sim.boot();
      assert.equal(sim.store.report(undefined)[0]?.length, item.offset);
      assert.equal(await sim.outcome(sealOf(0, 2)), 'sealed');
      assert.equal(await sim.outcome(fillOf(item)), 'filled');
      assert.equal(sim.store.report(undefined)[0]?.length, item.offset + item.bytes.length);
      assert.deepEqual(held(sim, writer, writer.offset), Buffer.concat(items.map(({ bytes }) => bytes)));
      sim.disk.crash();
      await sim.boot();
      assert.equal(sim.store.report(undefined)[0]?.length, writer.offset, 'what follows is intact');
    });
  }

  test('creates a zone that was never seen here', async () => {
    const writer = writerOf(0, 7);
    const items = [writer.filled(3_000), writer.filled(100)];
    const sim = await booted(23);
    assert.equal(await sim.outcome(sealOf(0, 2)), 'sealed');
    for (const item of items) assert.equal(await sim.outcome(fillOf(item)), 'filled');
    sim.disk.crash();
    await sim.boot();
    assert.equal(sim.store.report(undefined)[0]?.length, writer.offset);
    assert.deepEqual(held(sim, writer, writer.offset), Buffer.concat(items.map(({ bytes }) => bytes)));
  });

  test('finish never destroys an intact batch past the sealed length; reset does', async () => {
    const writer = writerOf(0);
    const items = [writer.filled(20_000), writer.filled(50_000), writer.filled(40_000)];
    const all = Buffer.concat(items.map(({ bytes }) => bytes));
    const length = items[1]?.offset ?? 0;
    const sim = await booted(24);
    for (const item of items) assert.equal(await sim.outcome({ kind: 'append', item }), 'appended');
    const { shard, zone } = writer;
    assert.equal(await sim.outcome(sealOf(0, 2)), 'sealed');
    assert.equal(await sim.outcome({ kind: 'finish', shard, zone, length }), 'done');
    for (const end of ['no', 'crash', 'kill'] as const) {
      if (end === 'crash') sim.disk.crash();
      if (end === 'kill') sim.files?.kill();
      if (end !== 'no') await sim.boot();
      const status = sim.store.report(undefined)[0];
      assert.deepEqual([status?.state, status?.length], ['finished', length]);
      assert.deepEqual(held(sim, writer, all.length), all, `after ${end} restart`);
      assert.equal(sim.store.readable(shard, zone, 0, length + 1).kind, 'refused', 'nobody is given it');
    }
    const copyId = sim.store.report(undefined)[0]?.copyId ?? '';
    assert.equal(await sim.outcome({ kind: 'reset', shard, zone, copyId }), 'done');
    assert.deepEqual(sim.store.report(undefined), []);
  });
});

describe('a full device', () => {
  test('takes deletes within the reserve, in open zones and new ones, and still writes its metadata', async () => {
    const sim = new SimStore(4);
    await sim.boot(1, 1280 * 1024);
    const writers = Array.from({ length: 30 }, (_, shard) => writerOf(shard));
    for (let refused = 0, at = 0; refused < 40; at += 1) {
      const writer = writers[at % writers.length] ?? writerOf(0);
      const before = writer.offset;
      const outcome = await sim.outcome({ kind: 'append', item: writer.next([put('k', Buffer.alloc(9_000, 1))]) });
      if (outcome === 'appended') continue;
      assert.equal(outcome, 'device-full');
      writer.offset = before;
      refused += 1;
    }
    let deleted = 0;
    for (const writer of [...writers, ...writers.map(({ shard }) => writerOf(shard + 100))]) {
      const item = writer.next([{ ...put('k', Buffer.alloc(0)), kind: recordKind.delete }]);
      if ((await sim.outcome({ kind: 'append', item })) === 'appended') deleted += 1;
    }
    assert.ok(deleted >= 30, `${deleted} deletes`);
    for (let shard = 1_000; shard < 1_100; shard += 1)
      assert.equal(
        await sim.outcome({ kind: 'seal', at: { shard: shardId(shard), zone: zoneId(1), ...testWriter(2) } }),
        'sealed',
        'the half of the reserve that is kept for the metadata',
      );
    assert.equal(sim.failures, 0);
  });

  test('refuses appends with a clear code, still seals, finishes and resets, and takes appends again', async () => {
    const sim = new SimStore(3);
    await sim.boot(1, 1024 * 1024);
    const writers = Array.from({ length: 30 }, (_, shard) => writerOf(shard));
    const full: number[] = [];
    for (let round = 0; round < 10 && full.length === 0; round += 1) {
      for (const writer of writers) {
        const before = writer.offset;
        const outcome = await sim.outcome({ kind: 'append', item: writer.next([put('k', Buffer.alloc(15_000, 1))]) });
        if (outcome === 'appended') continue;
        assert.equal(outcome, 'device-full');
        writer.offset = before;
        full.push(writer.shard);
      }
    }
    assert.ok(full.length > 0, 'the device became full');
    for (let shard = 100; shard < 200; shard += 1) assert.equal(await sim.outcome(sealOf(shard, 2)), 'sealed');
    // Several: what the metadata took of the reserve is given back to it first.
    for (const { shard, zone, offset } of writers.slice(0, 5)) {
      assert.equal(await sim.outcome({ kind: 'finish', shard, zone, length: offset }), 'done');
      const copyId = sim.store.report(shard)[0]?.copyId ?? '';
      assert.equal(await sim.outcome({ kind: 'reset', shard, zone, copyId }), 'done');
    }
    await sim.run(1_000);
    assert.equal(
      await sim.outcome({ kind: 'append', item: writerOf(0, 2).next([put('k', Buffer.alloc(1_000, 1))]) }),
      'appended',
    );
    sim.disk.crash();
    await sim.boot(1, 1024 * 1024);
    assert.equal(sim.store.confirm({ shard: shardId(150), zone: zoneId(1), ...testWriter(1) }), 'fenced');
  });
});

describe('the metadata log', () => {
  test('goes round: checkpoint, other zone, and all fences survive many turns and crashes', async () => {
    const sim = await booted(4);
    let at = 1;
    for (let restart = 0; restart < 3; restart += 1) {
      for (let count = 0; count < 1_500; count += 1) {
        at += 1;
        const answered = sim.outcome(sealOf(count % 200, at));
        if (count % 50 === 0) assert.equal(await answered, 'sealed');
      }
      await sim.run(1_000);
      const last = at;
      sim.disk.crash();
      await sim.boot();
      for (let shard = 0; shard < 200; shard += 1) {
        const fence = last - ((1_499 - shard) % 200);
        assert.equal(
          sim.store.confirm({ shard: shardId(shard), zone: zoneId(1), ...testWriter(fence - 1) }),
          'fenced',
          `shard ${shard}`,
        );
        assert.equal(
          sim.store.confirm({ shard: shardId(shard), zone: zoneId(1), ...testWriter(fence) }),
          undefined,
          `shard ${shard}`,
        );
      }
    }
  });

  test('S4 damage to acknowledged metadata is an error line; the fences come from the coordinator', async () => {
    const sim = await booted(5);
    for (let shard = 0; shard < 5; shard += 1) assert.equal(await sim.outcome(sealOf(shard, 3)), 'sealed');
    sim.files?.kill();
    const file = await sim.wait(sim.disk.process().open(devicePath, {}));
    const bytes = asBuffer(await sim.wait(file.read(0, file.size())));
    // The newest checkpoint, and the second of the frames behind its copy.
    const starts = [];
    for (let start = bytes.indexOf('KVL1'); start >= 0; start = bytes.indexOf('KVL1', start + 1)) starts.push(start);
    const checkpoint = starts.find((start) =>
      [0, 1].some((zone) => {
        const result = readMetadataZone(bytes.subarray(start), zone);
        return result.kind === 'state' && result.frames.length >= 5;
      }),
    );
    assert.notEqual(checkpoint, undefined);
    sim.disk.rot(devicePath, (checkpoint ?? 0) + 4096 + 128 + 128 + 85, 4);
    sim.owners = Array.from({ length: 5 }, (_, shard) => ({
      shard: shardId(shard),
      owner: testWriter(3),
      openZone: zoneId(1),
    }));
    await sim.boot();
    assert.ok(sim.lines.some((line) => line.startsWith('metadata are damaged')));
    for (let shard = 0; shard < 5; shard += 1) {
      const refused = sim.store.confirm({ shard: shardId(shard), zone: zoneId(9), ...testWriter(2) });
      assert.equal(refused, 'fenced', `shard ${shard}`);
    }
  });

  test('S16 a device with data but without metadata does not pass for a new logger', async () => {
    const sim = await booted(6);
    assert.equal(await sim.outcome({ kind: 'append', item: writerOf(0).filled(100) }), 'appended');
    const { device } = sim;
    device?.reset(0);
    device?.reset(1);
    await sim.wait(device?.sync() ?? Promise.resolve());
    sim.files?.kill();
    await assert.rejects(sim.boot(), (error: unknown) => error instanceof KvError && error.code === 'data-damaged');
  });

  test('a damaged zone is found at the start, its intact part is served, and its seal is doubtful', async () => {
    const sim = await booted(7);
    const writer = writerOf(0);
    for (let count = 0; count < 5; count += 1) {
      writer.committed = writer.offset;
      assert.equal(await sim.outcome({ kind: 'append', item: writer.filled(3_000) }), 'appended');
    }
    sim.files?.kill();
    const file = await sim.wait(sim.disk.process().open(devicePath, {}));
    const bytes = asBuffer(await sim.wait(file.read(0, file.size())));
    const start = bytes.indexOf('KVZ1');
    sim.disk.rot(devicePath, start + 5_000);
    await sim.boot();
    const status = sim.store.report(undefined)[0];
    assert.equal(status?.state, 'restarted');
    assert.ok(status.length > 0 && status.length < 5_000);
    assert.equal(status.seen, writer.committed);
    let doubtful: unknown;
    sim.ask(
      sealOf(writer.shard, 2),
      (answer) => (doubtful = answer.kind === 'sealed' && 'doubtful' in answer.answer && answer.answer.doubtful),
    );
    await sim.run(100);
    assert.equal(doubtful, true);
    assert.equal(
      sim.store.readable(writer.shard, writer.zone, writer.committed - 10, 10).kind,
      'ok',
      'single batches behind the damage may be read',
    );
    sim.disk.crash();
    await sim.boot();
    assert.deepEqual(sim.store.report(undefined)[0]?.length, status.length, 'the evidence stays');
    assert.equal(sim.store.report(undefined)[0]?.seen, status.seen);
  });

  test('an unreadable medium is an error of the device', async () => {
    const sim = await booted(8);
    sim.files?.kill();
    sim.disk.faults.failReads = true;
    await assert.rejects(sim.boot(), (error: unknown) => error instanceof DeviceError);
  });
});
