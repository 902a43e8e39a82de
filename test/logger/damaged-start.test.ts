/** Starts on damage: metadata that rot, zones that no metadata mention, zones cut short, bad sectors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardId, zoneId } from '../../src/base/ids.ts';
import type { MachineAnswer } from '../../src/core/logger/machine-events.ts';
import { frameUnitBytes, metadataZones } from '../../src/core/logger/metadata-format.ts';
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

for (const batches of [1, 40]) {
  test(`S9 a zone with ${batches} acknowledged batches is not taken for one that never was when its frame rots`, async () => {
    const { at } = await withZone(7, batches);
    at.disk.rot(devicePath, (await lastFrame(at)) + 90, 4);
    await assert.rejects(at.boot(512), { code: 'data-damaged' });
  });
}

test('S4 a fence whose frame rots is not forgotten in silence', async () => {
  const { at, writer } = await withZone(9, 1);
  assert.equal(await at.outcome({ kind: 'seal', at: { ...writer.place, ...testWriter(2) } }), 'sealed');
  at.disk.rot(devicePath, (await lastFrame(at)) + 82, 4);
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
  const tellsWhatToDo = /cannot be read: check the disk and start the logger again; only if that stays so/;
  await assert.rejects(within.at.boot(512), { code: 'data-damaged', message: tellsWhatToDo });
});
