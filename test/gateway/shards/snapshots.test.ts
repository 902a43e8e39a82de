import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientId, instanceId, millis, requestNumber, shardId, uuid, version } from '../../../src/base/ids.ts';
import type { Log } from '../../../src/base/log.ts';
import { silent } from '../../../src/base/log.ts';
import type { ShardState } from '../../../src/core/shard/following/apply.ts';
import { shardDefaults } from '../../../src/core/shard/events.ts';
import { Shard } from '../../../src/core/shard/shard.ts';
import { SimulatedClock } from '../../../src/env/simulated/clock.ts';
import { SimulatedDisk } from '../../../src/env/simulated/files.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';
import type { SnapshotOptions } from '../../../src/gateway/shards/snapshots.ts';
import { Snapshots } from '../../../src/gateway/shards/snapshots.ts';

const MIB = 1024 * 1024;
const shard = shardId(3);
const file = '/data/shard-3.snapshot';
const record = { format: 1, cluster: uuid('c'.repeat(32)), zoneSize: MIB, shardCount: 8 };
const owner = { gateway: 0, node: uuid('a'.repeat(32)), instance: instanceId('1'.repeat(16)) };

/** A machine on which gateways run, one after the other. */
class Machine {
  readonly clock = new SimulatedClock();
  readonly disk = new SimulatedDisk({ random: new SimulatedRandom('disk'), clock: this.clock });
  readonly logged: string[] = [];

  async start(changes: Partial<SnapshotOptions> = {}): Promise<Snapshots> {
    const random = new SimulatedRandom('gateway');
    const files = this.disk.process();
    await files.makeFolder('/data');
    const log: Log = (level, event) => (level === 'warn' ? this.logged.push(event) : silent(level, event));
    return new Snapshots(
      { folder: '/data', cluster: record, snapshotEveryBytes: 64 * MIB, ...changes },
      { clock: this.clock, random, files, log },
    );
  }

  /** Lets time pass, with all that happens in it. */
  async pass(durationMs: number): Promise<void> {
    await this.clock.runUntil(this.clock.now() + durationMs);
  }

  /** Runs until the promise is settled. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const done = (): void => {
      isSettled = true;
    };
    promise.then(done, done);
    await this.clock.runUntil(() => isSettled);
    return promise;
  }

  async load(snapshots: Snapshots): Promise<ShardState> {
    return this.settled(snapshots.load(shard));
  }

  async bytes(): Promise<Uint8Array | undefined> {
    const files = this.disk.process();
    if (!(await files.list('/data')).includes('shard-3.snapshot')) return undefined;
    const opened = await files.open(file, { readOnly: true });
    const bytes = await this.settled(opened.read(0, opened.size()));
    await opened.close();
    return bytes;
  }
}

/** Applies so much log that names so many keys. */
function apply(state: ShardState, keys: number, logBytes: number): void {
  for (let name = 0; name < keys; name++) {
    const key = Buffer.from(`key ${name}`);
    state.index.put(key, 0, key.length, name + 1, name + 1, 100, 50, 0);
  }
  state.once.complete(clientId(9), requestNumber(4), requestNumber(1), {
    kind: 1,
    version: version(7),
    reply: undefined,
  });
  state.position = { zone: state.position.zone + 1, offset: 500 };
  state.shardTimeMs = millis(1_234);
  state.appliedBytes += logBytes;
}

function machineOf(state: ShardState): Shard {
  return new Shard(state, owner, { ...shardDefaults, zoneSize: MIB, replicas: 1 }, millis(0));
}

/** A gateway that runs with a state loaded from the disk. */
async function running(machine: Machine, changes: Partial<SnapshotOptions> = {}) {
  const snapshots = await machine.start(changes);
  const state = await machine.load(snapshots);
  snapshots.add(machineOf(state));
  return { snapshots, state };
}

test('without a snapshot a shard begins empty, at the start of its log', async () => {
  const machine = new Machine();
  const { snapshots, state } = await running(machine);
  assert.deepEqual(
    [state.index.size, state.position, snapshots.positionOf(shard)],
    [0, state.position, state.position],
  );
  assert.deepEqual(state.position, { zone: 0, offset: 0 });
  assert.deepEqual(machine.logged, []);
  await machine.settled(snapshots.close());
});

test('what was applied is there at the next start, up to the position that the snapshot says', async () => {
  const machine = new Machine();
  const { snapshots, state } = await running(machine);
  apply(state, 500, MIB);
  await machine.settled(snapshots.close());
  const next = await machine.start();
  const loaded = await machine.load(next);
  assert.deepEqual([loaded.index.size, loaded.position, loaded.shardTimeMs], [500, { zone: 1, offset: 500 }, 1_234]);
  assert.deepEqual(next.positionOf(shard), { zone: 1, offset: 500 });
  assert.equal(loaded.once.check(clientId(9), requestNumber(4), requestNumber(1)).kind, 'done', 'S15 results, too');
  assert.equal(loaded.appliedBytes, 0, 'what is to be replayed counts from here');
});

describe('a snapshot is taken', () => {
  test('when so much log was applied since the last one, and not before', async () => {
    const machine = new Machine();
    const { snapshots, state } = await running(machine, { snapshotEveryBytes: 4 * MIB });
    apply(state, 10, 4 * MIB - 1);
    await machine.pass(3_000);
    assert.equal(await machine.bytes(), undefined);
    apply(state, 10, 1);
    await machine.pass(3_000);
    assert.ok(await machine.bytes());
    assert.deepEqual(snapshots.positionOf(shard), { zone: 2, offset: 500 });
    apply(state, 10, 4 * MIB - 1);
    await machine.pass(3_000);
    assert.deepEqual(snapshots.positionOf(shard), { zone: 2, offset: 500 }, 'counted from the last one');
    await machine.settled(snapshots.close());
  });

  test('of a small index earlier than the setting says: its tail is kept short', async () => {
    const machine = new Machine();
    const { snapshots, state } = await running(machine, { snapshotEveryBytes: 1024 * MIB });
    apply(state, 10, 15 * MIB);
    await machine.pass(3_000);
    assert.equal(await machine.bytes(), undefined);
    apply(state, 10, 2 * MIB);
    await machine.pass(3_000);
    assert.ok(await machine.bytes());
    await machine.settled(snapshots.close());
  });

  test('at the end only of what has changed', async () => {
    const machine = new Machine();
    const first = await running(machine);
    apply(first.state, 10, MIB);
    await machine.settled(first.snapshots.close());
    const before = await machine.bytes();
    assert.ok(before);
    machine.disk.faults.failWrites = true;
    const second = await running(machine);
    await machine.settled(second.snapshots.close());
    assert.deepEqual([await machine.bytes(), machine.logged], [before, []], 'nothing was written');
  });

  test('of one shard after the other', async () => {
    const machine = new Machine();
    const { snapshots, state } = await running(machine, { snapshotEveryBytes: MIB });
    const other = await machine.settled(snapshots.load(shardId(5)));
    snapshots.add(machineOf(other));
    for (const one of [state, other]) apply(one, 10, MIB);
    await machine.pass(3_000);
    assert.deepEqual([snapshots.positionOf(shard), snapshots.positionOf(shardId(5))], [state.position, other.position]);
    await machine.settled(snapshots.close());
  });
});

describe('a snapshot that is no use costs the time to read the log', () => {
  async function afterSnapshot(): Promise<Machine> {
    const machine = new Machine();
    const { snapshots, state } = await running(machine);
    apply(state, 50, MIB);
    await machine.settled(snapshots.close());
    return machine;
  }

  async function assertUnusable(machine: Machine, changes: Partial<SnapshotOptions> = {}): Promise<void> {
    const snapshots = await machine.start(changes);
    const state = await machine.load(snapshots);
    assert.deepEqual([state.index.size, state.position], [0, { zone: 0, offset: 0 }]);
    assert.deepEqual(machine.logged, ['snapshot not usable: the index is rebuilt from the log']);
  }

  test('damaged anywhere', async () => {
    const bytes = (await (await afterSnapshot()).bytes())?.length ?? 0;
    assert.ok(bytes > 100);
    for (let offset = 0; offset < bytes; offset += 97) {
      const machine = await afterSnapshot();
      machine.disk.rot(file, offset);
      await assertUnusable(machine);
    }
  });

  test('of another cluster, or with zones of another size', async () => {
    await assertUnusable(await afterSnapshot(), { cluster: { ...record, cluster: uuid('d'.repeat(32)) } });
    await assertUnusable(await afterSnapshot(), { cluster: { ...record, zoneSize: 2 * MIB } });
  });

  test('unreadable', async () => {
    const machine = await afterSnapshot();
    machine.disk.faults.failReads = true;
    const snapshots = await machine.start();
    assert.equal((await machine.load(snapshots)).index.size, 0);
    assert.deepEqual(machine.logged, ['snapshot not read']);
  });
});

describe('a snapshot that cannot be written', () => {
  test('leaves the one before, is said, and is tried again when the next is due', async () => {
    const machine = new Machine();
    const { snapshots, state } = await running(machine, { snapshotEveryBytes: MIB });
    apply(state, 10, MIB);
    await machine.pass(2_000);
    const before = await machine.bytes();
    assert.ok(before);
    const position = snapshots.positionOf(shard);
    machine.disk.faults.failSyncs = 1;
    apply(state, 20, MIB);
    await machine.pass(2_000);
    assert.deepEqual(machine.logged, ['snapshot not written']);
    assert.deepEqual([await machine.bytes(), snapshots.positionOf(shard)], [before, position]);
    apply(state, 30, MIB);
    await machine.pass(2_000);
    assert.deepEqual(snapshots.positionOf(shard), state.position);
    await machine.settled(snapshots.close());
  });

  test('for want of power leaves the one before, or is the new one', async () => {
    const seen = new Set<number>();
    for (let turns = 0; turns < 12; turns++) {
      const machine = new Machine();
      const { state } = await running(machine, { snapshotEveryBytes: MIB });
      apply(state, 10, MIB);
      await machine.pass(2_000);
      machine.disk.faults.syncDelayMs = 5;
      apply(state, 20, MIB);
      await machine.pass(400 + 20 * turns);
      machine.disk.crash();
      const loaded = await machine.load(await machine.start());
      assert.deepEqual(machine.logged, []);
      seen.add(loaded.index.size);
      assert.equal(loaded.position.zone, loaded.index.size / 10);
    }
    assert.deepEqual([...seen], [10, 20], 'power was lost before and after');
  });
});
