/**
 * Random work on a logger's store over the simulated disk, with power losses (unsynced sectors kept, dropped or torn in
 * any subset), kills and failed syncs in between; after each, everything that was acknowledged must be there, and
 * nothing that was refused for ever may come back.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shardId, zoneId } from '../../src/base/ids.ts';
import { KvError } from '../../src/base/errors.ts';
import type { ZoneStatus } from '../../src/codec/logger-protocol.ts';
import type { MachineAnswer } from '../../src/core/logger/machine-events.ts';
import { frameUnitBytes } from '../../src/core/logger/metadata-format.ts';
import { below } from '../../src/env/random.ts';
import { devicePath, SimStore, simZoneSize } from './sim-store.ts';
import { testWriter, ZoneWriter } from './zone-writer.ts';

/** What was acknowledged of a zone. */
interface Known {
  readonly writer: ZoneWriter;
  readonly sent: Buffer[];
  /** Bytes from the start that were acknowledged. */
  acknowledged: number;
  /** Takes no more appends, for the test's part. */
  closed: boolean;
  finished: number | undefined;
  copyId: string;
}

class World extends SimStore {
  readonly alignment: number;
  uuid: string | undefined;
  readonly zones = new Map<string, Known>();
  readonly fences = new Map<number, number>();
  readonly resets: { readonly shard: number; readonly zone: number }[] = [];
  readonly nextZone = new Map<number, number>();
  readonly epochs = new Map<number, number>();
  checks = 0;
  fills = 0;

  constructor(seed: number) {
    super(seed);
    this.disk.faults.syncDelaySpreadMs = 2;
    this.alignment = [1, 512, 4096][below(this.random, 3)] ?? 1;
  }

  chance(percent: number): boolean {
    return below(this.random, 100) < percent;
  }

  async start(): Promise<void> {
    await this.boot(this.alignment);
    const logger = this.opened?.identity.logger;
    this.uuid ??= logger;
    assert.equal(logger, this.uuid, 'S16 it is the same logger');
  }

  /** The coordinator's heads, for the next start: it knows of each claim before a logger does. */
  learnHeads(): void {
    this.owners = [...this.nextZone].map(([shard, next]) => ({
      shard: shardId(shard),
      owner: testWriter(this.epochs.get(shard) ?? 1),
      openZone: zoneId(next - 1),
    }));
  }

  // --- random work ---------------------------------------------------------------------------------------------------

  act(): void {
    const shard = below(this.random, 3);
    const die = below(this.random, 100);
    const open = [...this.zones.values()].filter((zone) => zone.writer.shard === shard && !zone.closed);
    const zone = open.at(-1);
    if (zone === undefined) this.create(shard);
    else if (die < 70) this.append(zone);
    else if (die < 76) this.seal(zone);
    else if (die < 82) this.sealAgain(shard);
    else if (die < 90) this.finish(shard);
    else if (die < 95) this.reset(shard);
    else zone.closed = true;
  }

  create(shard: number): void {
    const zone = this.nextZone.get(shard) ?? 1;
    this.nextZone.set(shard, zone + 1 + below(this.random, 2));
    const at = Math.max(this.epochs.get(shard) ?? 1, this.fences.get(shard) ?? 1);
    this.epochs.set(shard, at);
    const writer = new ZoneWriter({ shard, zone, epoch: at, zoneSize: simZoneSize, alignment: this.alignment });
    const known: Known = { writer, sent: [], acknowledged: 0, closed: false, finished: undefined, copyId: '' };
    this.zones.set(`${shard}/${zone}`, known);
    this.append(known);
  }

  append(zone: Known): void {
    const { writer } = zone;
    writer.committed = Math.min(zone.acknowledged, writer.offset);
    const item = writer.filled(below(this.random, this.chance(20) ? 20_000 : 600));
    zone.sent.push(Buffer.from(item.bytes));
    const end = item.offset + item.bytes.length;
    this.ask({ kind: 'append', item }, (answer) => {
      if (answer.kind === 'appended') zone.acknowledged = Math.max(zone.acknowledged, end);
      else zone.closed = true;
    });
  }

  seal(zone: Known): void {
    const { writer } = zone;
    const at = (this.epochs.get(writer.shard) ?? 1) + 1;
    this.epochs.set(writer.shard, at);
    zone.closed = true;
    const accepted = zone.acknowledged;
    const { shard, zone: id } = writer;
    this.ask({ kind: 'seal', at: { shard, zone: id, ...testWriter(at) } }, (answer) => {
      if (answer.kind !== 'sealed' || 'code' in answer.answer) return;
      this.fences.set(writer.shard, Math.max(at, this.fences.get(writer.shard) ?? 0));
      assert.ok(answer.answer.length >= accepted, 'S3 the seal counts what was acknowledged before');
      assert.ok(answer.answer.length >= zone.acknowledged, 'S3 nothing is acknowledged that the seal does not count');
      if (this.chance(60)) this.fill(zone, at, answer.answer.length);
    });
  }

  /** A zone that takes no appends any more, found open by a restart or not: what a second take-over does. */
  sealAgain(shard: number): void {
    const zones = [...this.zones.values()];
    const zone = zones.find((each) => each.writer.shard === shard && each.closed && each.finished === undefined);
    if (zone !== undefined) this.seal(zone);
  }

  /** What other copies hold behind `offset`: what was sent to this one and is not there, or a batch that never was. */
  fill(zone: Known, at: number, offset: number): void {
    const { writer, sent } = zone;
    let next = 0;
    let end = 0;
    while (end < offset) end += sent[next++]?.length ?? Number.POSITIVE_INFINITY;
    assert.equal(end, offset, 'S9 an intact length is the end of a batch');
    if (next === sent.length) {
      writer.offset = offset;
      sent.push(Buffer.from(writer.filled(below(this.random, 9_000)).bytes));
    }
    const bytes = sent[next] ?? assert.fail();
    const { shard, zone: id } = writer;
    const item = { shard, zone: id, by: testWriter(at), offset, bytes };
    this.ask({ kind: 'fill', item }, (answer) => {
      if (answer.kind !== 'filled') return;
      assert.ok(answer.length >= offset + bytes.length, 'S19 the new intact length');
      zone.acknowledged = Math.max(zone.acknowledged, answer.length);
      this.fills += 1;
    });
  }

  finish(shard: number): void {
    const zone = [...this.zones.values()].find(
      (each) => each.writer.shard === shard && each.closed && each.finished === undefined && each.acknowledged > 0,
    );
    if (zone === undefined) return;
    const length = zone.acknowledged;
    this.ask({ kind: 'finish', shard: zone.writer.shard, zone: zone.writer.zone, length }, (answer) => {
      if (answer.kind === 'done') zone.finished = length;
    });
  }

  reset(shard: number): void {
    const zone = [...this.zones.values()].find((each) => each.writer.shard === shard && each.finished !== undefined);
    if (zone === undefined) return;
    const { copyId } = this.status(zone) ?? { copyId: 'f'.repeat(16) };
    const { writer } = zone;
    this.zones.delete(`${writer.shard}/${writer.zone}`);
    this.ask({ kind: 'reset', shard: writer.shard, zone: writer.zone, copyId }, (answer) => {
      if (answer.kind === 'done') this.resets.push({ shard: writer.shard, zone: writer.zone });
    });
  }

  status(zone: Known): ZoneStatus | undefined {
    return this.store.report(zone.writer.shard).find((each) => each.zone === zone.writer.zone);
  }

  // --- what must hold after a restart --------------------------------------------------------------------------------

  async check(): Promise<void> {
    for (const [shard, fence] of this.fences) {
      if (fence > 1)
        assert.equal(
          this.store.confirm({ shard: shardId(shard), zone: zoneId(1_000), ...testWriter(fence - 1) }),
          'fenced',
          `S4 the fence of shard ${shard}`,
        );
    }
    for (const { shard, zone } of this.resets) {
      const writer = new ZoneWriter({ shard, zone, epoch: 1_000, zoneSize: simZoneSize, alignment: this.alignment });
      let answer: MachineAnswer | undefined;
      this.ask({ kind: 'append', item: writer.filled(1) }, (got) => (answer = got));
      assert.equal(
        answer?.kind === 'refused' ? answer.code : answer?.kind,
        'retired-zone',
        'S4 a reset zone is never created again',
      );
    }
    for (const zone of this.zones.values()) await this.checkZone(zone);
  }

  async checkZone(zone: Known): Promise<void> {
    const status = this.status(zone);
    zone.closed = true;
    if (zone.acknowledged === 0) return;
    assert.ok(status, `S3 zone ${zone.writer.shard}/${zone.writer.zone} is there`);
    assert.ok(
      status.length >= (zone.finished ?? zone.acknowledged),
      `S3 ${status.length} of ${zone.acknowledged} bytes of zone ${zone.writer.shard}/${zone.writer.zone} are left`,
    );
    if (zone.finished !== undefined) assert.deepEqual([status.state, status.length], ['finished', zone.finished]);
    const readable = this.store.readable(zone.writer.shard, zone.writer.zone, 0, status.length);
    assert.ok(readable.kind === 'ok' && this.device !== undefined);
    const held = await this.wait(this.device.read(readable.deviceZone, 0, status.length));
    assert.ok(Buffer.concat(zone.sent).subarray(0, status.length).equals(held), 'S11 what is held is what was sent');
    this.checks += 1;
    // What the scan found is acknowledged from now on: a seal would count it.
    zone.acknowledged = status.length;
  }
}

async function scenario(seed: number, rounds: number): Promise<World> {
  const world = new World(seed);
  await world.start();
  for (let round = 0; round < rounds; round += 1) {
    const failing = world.chance(15);
    for (let step = below(world.random, 60); step >= 0; step -= 1) {
      world.act();
      if (world.chance(40)) await world.run(below(world.random, 4));
      if (failing && step === 5) world.disk.faults.failSyncs = 1;
    }
    if (world.chance(30)) await world.run(100);
    // A killed process leaves its cache: what the next one finds there and answers for must survive the power loss that
    // comes later (S3).
    if (world.chance(40)) world.files?.kill();
    else world.disk.crash();
    world.disk.faults.failSyncs = 0;
    await world.start();
    await world.check();
  }
  return world;
}

/** A life on a file system that is full now and again, to the page. */
async function tightScenario(seed: number): Promise<number> {
  const world = new World(seed);
  await world.start();
  for (let round = 0; round < 6; round += 1) {
    for (let step = below(world.random, 60); step >= 0; step -= 1) {
      if (world.chance(20))
        world.disk.capacityBytes = world.chance(30)
          ? Number.POSITIVE_INFINITY
          : world.disk.usedBytes + 4096 * below(world.random, 12);
      world.act();
      if (world.chance(40)) await world.run(below(world.random, 4));
    }
    await world.run(100);
    assert.equal(world.failures, 0, 'want of space is no failure of the device');
    world.files?.kill();
    await world.start();
    await world.check();
  }
  return world.checks;
}

/** Flips a bit of a frame of the metadata log, any that is there. False: there was none. */
async function rotMetadata(world: World): Promise<boolean> {
  const process = world.disk.process();
  const file = await world.wait(process.open(devicePath, { readOnly: true }));
  const bytes = Buffer.from(file.readNow(0, file.size()));
  process.kill();
  const frames: { readonly at: number; readonly length: number }[] = [];
  for (let at = 0; at + 80 <= bytes.length; at += frameUnitBytes)
    if (bytes.readUInt32LE(at) === 0x314c564b) frames.push({ at, length: 80 + bytes.readUInt32LE(at + 12) });
  const frame = frames[below(world.random, Math.max(1, frames.length))];
  if (frame === undefined) return false;
  world.disk.rot(devicePath, frame.at + below(world.random, frame.length), 1 << below(world.random, 8));
  return true;
}

test('a file system that is full at any moment costs nothing that was acknowledged, and fails nothing', async () => {
  let checks = 0;
  for (let seed = 1; seed <= 12; seed += 1) checks += await tightScenario(seed);
  assert.ok(checks > 12, `${checks} zones were checked`);
});

test('S4, S9 one flipped bit in any frame of the metadata log: nothing is forgotten', async () => {
  let damaged = 0;
  for (let seed = 1; seed <= 120; seed += 1) {
    const world = new World(seed);
    await world.start();
    for (let step = below(world.random, 60); step >= 0; step -= 1) {
      world.act();
      if (world.chance(40)) await world.run(below(world.random, 4));
    }
    if (world.chance(50)) await world.run(100);
    if (world.chance(50)) world.files?.kill();
    else world.disk.crash();
    if (!(await rotMetadata(world))) continue;
    world.learnHeads();
    await world.start();
    damaged += world.lines.filter((line) => line.startsWith('metadata are damaged')).length;
    await world.check();
    world.owners = [];
    world.disk.crash();
    await world.start();
    await world.check();
  }
  assert.ok(damaged > 60, `${damaged} of 120 starts were on damaged metadata`);
});

describe('S3, S4, S11, S19 after any crash everything acknowledged is there', () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    test(`seed ${seed}`, async () => {
      const { checks, fills } = await scenario(seed, 8);
      assert.ok(checks > 0 && fills > 0, 'something was filled and checked');
    });
  }

  test('the check notices a disk whose syncs do nothing', async () => {
    let noticed = 0;
    for (let seed = 1; seed <= 4; seed += 1) {
      const world = new World(seed);
      await world.start();
      const { device } = world;
      assert.ok(device);
      device.sync = () => Promise.resolve();
      for (let step = 0; step < 40; step += 1) {
        world.act();
        await world.run(2);
      }
      world.disk.crash();
      try {
        await world.start();
        await world.check();
      } catch (error) {
        if (!(error instanceof assert.AssertionError) && !(error instanceof KvError)) throw error;
        noticed += 1;
      }
    }
    assert.ok(noticed >= 3, `only ${noticed} of 4 were noticed`);
  });
});
