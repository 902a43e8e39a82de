/** Starts on damage: metadata that rot, zones that no metadata mention, zones cut short, bad sectors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardId, zoneId } from '../../src/base/ids.ts';
import type { MachineAnswer } from '../../src/core/logger/machine-events.ts';
import { frameUnitBytes, metadataZones } from '../../src/core/logger/metadata-format.ts';
import type { SealAnswer } from '../../src/codec/logger-protocol.ts';
import type { KnownOwner } from '../../src/logger/known-owners.ts';
import { findMetadata } from '../../src/logger/metadata-log.ts';
import { devicePath, SimStore, simZoneSize } from './sim-store.ts';
import { put, testWriter, ZoneWriter } from './zone-writer.ts';

async function answerTo(at: SimStore, request: Parameters<SimStore['ask']>[0]): Promise<MachineAnswer> {
  let answer: MachineAnswer | undefined;
  at.ask(request, (got) => (answer = got));
  await at.clock.runUntil(() => answer !== undefined);
  assert.ok(answer);
  return answer;
}

/** Offset in the file of the last frame of changes of a generation of the metadata log. */
async function lastFrame(at: SimStore): Promise<number> {
  assert.ok(at.device);
  const before = await at.wait(findMetadata(at.device, 'test'));
  assert.ok(before.kind === 'found' && metadataZones.some((zone) => zone === before.zone));
  await at.run(1_000);
  at.files?.kill();
  const bytes = await contents(at);
  let found = -1;
  for (let offset = 0; offset + 80 <= bytes.length; offset += frameUnitBytes) {
    const isFrame = bytes.readUInt32LE(offset) === 0x314c564b && bytes.readUInt8(offset + 10) === 2;
    if (isFrame && bytes.readUIntLE(offset + 24, 6) === before.generation) found = offset;
  }
  assert.ok(found > 0, 'the last frame');
  return found;
}

/** Offsets in the file of all frames of the metadata log. */
async function framesOf(at: SimStore): Promise<number[]> {
  const bytes = await contents(at);
  const found: number[] = [];
  for (let offset = 0; offset + 80 <= bytes.length; offset += frameUnitBytes)
    if (bytes.readUInt32LE(offset) === 0x314c564b) found.push(offset);
  return found;
}

async function contents(at: SimStore): Promise<Buffer> {
  const process = at.disk.process();
  const file = await at.wait(process.open(devicePath, { readOnly: true }));
  const bytes = Buffer.from(file.readNow(0, file.size()));
  process.kill();
  return bytes;
}

/** A store with a zone of acknowledged batches. */
async function withZone(seed: number, batches: number): Promise<{ at: SimStore; writer: ZoneWriter }> {
  const at = new SimStore(seed);
  await at.boot(512);
  const writer = new ZoneWriter({ zoneSize: simZoneSize, alignment: 512 });
  for (let number = 0; number < batches; number += 1) {
    writer.committed = writer.offset;
    assert.equal(await at.outcome({ kind: 'append', item: writer.filled(300) }), 'appended');
  }
  return { at, writer };
}

/** Head whose owner has `number` for its epoch, and whose open zone is `zone`. */
function owner(shard: number, number: number, zone: number): KnownOwner {
  return { shard: shardId(shard), owner: testWriter(number), openZone: zoneId(zone) };
}

async function sealOf(at: SimStore, writer: ZoneWriter, epoch: number): Promise<SealAnswer | undefined> {
  const answer = await answerTo(at, { kind: 'seal', at: { ...writer.place, ...testWriter(epoch) } });
  return answer.kind === 'sealed' && 'length' in answer.answer ? answer.answer : undefined;
}

for (const batches of [1, 40]) {
  test(`S9 a zone with ${batches} acknowledged batches is held still when its frame rots, and takes no append`, async () => {
    const { at, writer } = await withZone(7, batches);
    at.disk.rot(devicePath, (await lastFrame(at)) + 90, 4);
    at.owners = [owner(0, 1, 1)];
    await at.boot(512);
    writer.committed = writer.offset;
    assert.equal(await at.outcome({ kind: 'append', item: new ZoneWriter(writer).filled(10) }), 'restarted');
    const seal = await sealOf(at, writer, 2);
    assert.deepEqual([seal?.length, seal?.doubtful], [writer.offset, false]);
    at.files?.kill();
    await at.boot(512);
    assert.equal((await sealOf(at, writer, 3))?.length, writer.offset, 'it is in the metadata by now');
  });
}

test('S4 a fence whose frame rots is taken from the coordinator, and is on the disk again', async () => {
  const { at, writer } = await withZone(9, 1);
  assert.equal(await at.outcome({ kind: 'seal', at: { ...writer.place, ...testWriter(2) } }), 'sealed');
  at.disk.rot(devicePath, (await lastFrame(at)) + 82, 4);
  at.owners = [owner(0, 2, 1)];
  for (let start = 0; start < 2; start += 1) {
    await at.boot(512);
    const late = new ZoneWriter({ zone: 2, zoneSize: simZoneSize, alignment: 512 });
    assert.equal(await at.outcome({ kind: 'append', item: late.filled(10) }), 'fenced');
    assert.equal(at.store.confirm({ ...writer.place }), 'fenced');
    at.files?.kill();
    at.owners = [];
  }
});

test('S4 a zone that was reset is not held again, and its id stays retired, when the frame that said so rots', async () => {
  const { at, writer } = await withZone(21, 3);
  const [status] = at.store.report(undefined);
  assert.ok(status);
  const { shard, zone } = writer;
  assert.equal(await at.outcome({ kind: 'reset', shard, zone, copyId: status.copyId }), 'done');
  at.disk.rot(devicePath, (await lastFrame(at)) + 82, 4);
  at.owners = [owner(0, 1, 2)];
  await at.boot(512);
  assert.deepEqual(at.store.report(undefined), []);
  const again = new ZoneWriter({ zoneSize: simZoneSize, alignment: 512 });
  assert.equal(await at.outcome({ kind: 'append', item: again.filled(10) }), 'retired-zone');
});

test('a device zone that was used again belongs to the zone that lies there, when all frames in between rot', async () => {
  const { at, writer } = await withZone(23, 3);
  // A start: the zone is in the checkpoint.
  at.files?.kill();
  await at.boot(512);
  const [status] = at.store.report(undefined);
  assert.ok(status);
  const { shard, zone } = writer;
  assert.equal(await at.outcome({ kind: 'reset', shard, zone, copyId: status.copyId }), 'done');
  await at.run(100);
  const next = new ZoneWriter({ zone: 2, zoneSize: simZoneSize, alignment: 512 });
  assert.equal(await at.outcome({ kind: 'append', item: next.filled(700) }), 'appended');
  const last = await lastFrame(at);
  for (const frame of [last - 512, last]) at.disk.rot(devicePath, frame + 90, 4);
  at.owners = [owner(0, 1, 2)];
  await at.boot(512);
  const held = at.store.report(undefined);
  assert.deepEqual(
    held.map((each) => [each.zone, each.state, each.length]),
    [[2, 'restarted', next.offset]],
  );
});

for (const hit of ['checkpoint', 'every frame but one'] as const) {
  test(`finished zones and open ones are served though ${hit} of the metadata log is lost`, async () => {
    const { at, writer } = await withZone(25, 20);
    const finished = new ZoneWriter({ shard: 1, zoneSize: simZoneSize, alignment: 512 });
    assert.equal(
      await at.outcome({ kind: 'append', item: finished.next([put('k', Buffer.alloc(900, 3))]) }),
      'appended',
    );
    const { shard, zone, offset: length } = finished;
    assert.equal(await at.outcome({ kind: 'finish', shard, zone, length }), 'done');
    const last = await lastFrame(at);
    const frames = await framesOf(at);
    const lost = hit === 'checkpoint' ? frames.slice(0, 1) : frames.filter((frame) => frame !== last);
    for (const frame of lost) {
      if (hit === 'checkpoint') at.disk.spoil(devicePath, frame, 512);
      else at.disk.rot(devicePath, frame + 90, 4);
    }
    at.owners = [owner(0, 1, 1), owner(1, 1, 2)];
    const { logger } = at.opened?.identity ?? {};
    for (let start = 0; start < 2; start += 1) {
      await at.boot(512);
      assert.equal(at.opened?.identity.logger, logger);
      assert.equal(at.store.readable(shard, zone, 0, length).kind, 'ok');
      assert.equal(await at.outcome({ kind: 'finish', shard, zone, length }), 'done');
      assert.equal((await sealOf(at, writer, 2 + start))?.length, writer.offset);
      at.files?.kill();
    }
  });
}

test('S9 an open zone that nobody can name, since header and entry are lost, is not answered for, and its bytes stay', async () => {
  const { at, writer } = await withZone(27, 3);
  at.disk.rot(devicePath, (await lastFrame(at)) + 90, 4);
  const header = (await contents(at)).indexOf(Buffer.from('KVZ1'));
  at.disk.rot(devicePath, header + 20, 4);
  at.owners = [owner(0, 1, 1), owner(1, 1, 1)];
  for (let start = 0; start < 2; start += 1) {
    await at.boot(512);
    for (const shard of [0, 1]) {
      const place = { ...writer.place, shard: shardId(shard), ...testWriter(2) };
      assert.equal(await at.outcome({ kind: 'seal', at: place }), 'zone-lost');
    }
    const late = new ZoneWriter({ shard: 1, epoch: 2, zoneSize: simZoneSize, alignment: 512 });
    assert.equal(await at.outcome({ kind: 'append', item: late.filled(10) }), 'zone-lost');
    // Neither used for another zone nor reset.
    const other = new ZoneWriter({ shard: 5 + start, zoneSize: simZoneSize, alignment: 512 });
    assert.equal(await at.outcome({ kind: 'append', item: other.filled(300) }), 'appended');
    assert.equal(at.device?.reportZone(2).state, 'full');
    at.files?.kill();
    at.owners = [];
  }
  assert.ok((await contents(at)).includes(Buffer.from('key-')));
});

for (const state of ['open', 'finished'] as const) {
  test(`S9 a zone that was ${state} and that nobody could name at one start is held again when its header can be read`, async () => {
    const { at, writer } = await withZone(51, 3);
    const { shard, zone, offset: length } = writer;
    if (state === 'finished') assert.equal(await at.outcome({ kind: 'finish', shard, zone, length }), 'done');
    await lastFrame(at);
    for (const frame of (await framesOf(at)).slice(1)) at.disk.rot(devicePath, frame + 90, 4);
    const header = (await contents(at)).indexOf(Buffer.from('KVZ1'));
    at.disk.rot(devicePath, header + 20, 4);
    // The shard went on: ids up to this zone's are retired.
    at.owners = [owner(0, 1, 2)];
    await at.boot(512);
    assert.deepEqual(at.store.report(undefined), []);
    at.files?.kill();
    at.disk.rot(devicePath, header + 20, 4);
    at.owners = [];
    await at.boot(512);
    assert.deepEqual(
      at.store.report(undefined).map((held) => [held.shard, held.zone, held.length]),
      [[shard, zone, length]],
    );
    assert.equal(at.store.readable(shard, zone, 0, length).kind, 'ok');
    at.files?.kill();
  });
}

test('a zone that is open and empty is answered for when all that lies here has a name', async () => {
  const { at } = await withZone(29, 3);
  at.disk.rot(devicePath, (await lastFrame(at)) + 90, 4);
  at.owners = [owner(0, 1, 1), owner(1, 1, 1)];
  await at.boot(512);
  const empty = new ZoneWriter({ shard: 1, zoneSize: simZoneSize, alignment: 512 });
  assert.equal((await sealOf(at, empty, 2))?.length, 0);
});

test('power lost again and again during the start on damaged metadata loses nothing more', async () => {
  for (let count = 0; count < 12; count += 1) {
    const { at, writer } = await withZone(31 + count, 5);
    at.disk.rot(devicePath, (await lastFrame(at)) + 90, 4);
    at.owners = [owner(0, 1, 1)];
    const start = at.boot(512);
    start.catch(() => undefined);
    await at.run(count / 2);
    at.files?.kill();
    at.disk.crash();
    await at.boot(512);
    assert.equal((await sealOf(at, writer, 2))?.length, writer.offset, `after ${count / 2} ms`);
  }
});

test('metadata of which nothing is left say so, and the logger does not start', async () => {
  const { at } = await withZone(33, 3);
  await lastFrame(at);
  for (const frame of await framesOf(at)) at.disk.spoil(devicePath, frame, 512);
  await assert.rejects(at.boot(512), { code: 'data-damaged' });
});

test('a zone of this cluster that no metadata mention is taken up, not dropped', async () => {
  const { at, writer } = await withZone(11, 5);
  const frame = await lastFrame(at);
  // Lost without a trace, as if it had never been written.
  const process = at.disk.process();
  const file = await at.wait(process.open(devicePath, {}));
  file.write(frame, Buffer.alloc(512));
  await at.wait(file.sync());
  process.kill();
  await at.boot(512);
  const answer = await answerTo(at, { kind: 'seal', at: { ...writer.place, ...testWriter(2) } });
  assert.ok(answer.kind === 'sealed' && 'length' in answer.answer);
  assert.equal(answer.answer.length, writer.offset);
  assert.equal(
    await at.outcome({ kind: 'finish', shard: writer.shard, zone: writer.zone, length: writer.offset }),
    'done',
  );
  at.files?.kill();
  await at.boot(512);
  assert.equal(at.store.report(undefined)[0]?.length, writer.offset, 'it is in the metadata by now');
});

test('a finished zone whose device zone is shorter than recorded, or gone, is damaged and stops nothing', async () => {
  const { at, writer } = await withZone(13, 20);
  const { shard, zone, offset: length } = writer;
  assert.equal(await at.outcome({ kind: 'finish', shard, zone, length }), 'done');
  assert.ok(at.device);
  // Behind the logger's back.
  at.device.reset(2);
  await at.wait(at.device.sync());
  at.files?.kill();
  for (let start = 0; start < 2; start += 1) {
    await at.boot(512);
    const [status] = at.store.report(undefined);
    assert.deepEqual([status?.state, status?.length], ['finished', length]);
    const other = new ZoneWriter({ shard: 5 + start, zoneSize: simZoneSize, alignment: 512 });
    assert.equal(await at.outcome({ kind: 'append', item: other.filled(300) }), 'appended');
    at.files?.kill();
  }
});

test('a bad sector in an open zone makes its tail doubtful; finished zones are served', async () => {
  const { at, writer } = await withZone(15, 20);
  const finished = new ZoneWriter({ shard: 1, zoneSize: simZoneSize, alignment: 512 });
  assert.equal(await at.outcome({ kind: 'append', item: finished.next([put('k', Buffer.alloc(900, 3))]) }), 'appended');
  const { shard, zone, offset: length } = finished;
  assert.equal(await at.outcome({ kind: 'finish', shard, zone, length }), 'done');
  await at.run(1_000);
  at.files?.kill();
  const place = (await contents(at)).indexOf(Buffer.from('key-'));
  at.disk.spoil(devicePath, Math.floor(place / 512) * 512, 512);
  await at.boot(512);
  const readable = at.store.readable(shardId(1), zoneId(1), 0, length);
  assert.equal(readable.kind, 'ok');
  const answer = await answerTo(at, { kind: 'seal', at: { ...writer.place, ...testWriter(2) } });
  assert.ok(answer.kind === 'sealed' && 'length' in answer.answer && answer.answer.doubtful, JSON.stringify(answer));
});

test('a bad sector in the metadata log is damage where a frame lies, and nothing where none does', async () => {
  const beyond = await withZone(17, 3);
  beyond.at.disk.spoil(devicePath, (await lastFrame(beyond.at)) + 4096 * 2, 512);
  await beyond.at.boot(512);
  assert.equal(beyond.at.store.report(undefined).length, 1);
  const within = await withZone(19, 3);
  within.at.disk.spoil(devicePath, await lastFrame(within.at), 512);
  await within.at.boot(512);
  assert.deepEqual(
    within.at.store.report(undefined).map(({ state, length }) => [state, length]),
    [['restarted', within.writer.offset]],
  );
});
