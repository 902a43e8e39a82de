import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, instanceId, millis, shardId, uuid, zoneId } from '../../../src/base/ids.ts';
import { limits } from '../../../src/base/limits.ts';
import { times } from '../../../src/base/times.ts';
import type { ShardCondition } from '../../../src/codec/heartbeat.ts';
import type { Verdict } from '../../../src/core/members/detector.ts';
import type { Decisions, PeerView, ShardView } from '../../../src/core/ownership/ownership.ts';
import { homeShards, Ownership } from '../../../src/core/ownership/ownership.ts';
import { rendezvousOrder } from '../../../src/core/rendezvous.ts';
import type { Head, Owner } from '../../../src/core/shard/head/metadata.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';
import { below } from '../../../src/env/random.ts';

const shard = shardId(0);

function processOf(gateway: number, life = 0): Owner {
  const digits = (gateway * 100 + life).toString(16);
  return { gateway, node: uuid(digits.padStart(32, '0')), instance: instanceId(digits.padStart(16, '0')) };
}

function headOf(owner: Owner, number = 1): Head {
  const at = epoch(number);
  const openZone = { zone: zoneId(number), epoch: at, instance: owner.instance, replicas: [], processes: [] };
  return { epoch: at, owner, openZone, nextZone: zoneId(number + 1), change: number };
}

interface Peer {
  verdict: Verdict;
  life: number;
  condition: ShardCondition | undefined;
}

/** Gateway `self` of three, and what it sees. */
class Scene {
  readonly self: Owner;
  readonly ownership: Ownership;
  readonly peers = new Map<number, Peer>();
  role: ShardView['role'] = 'follower';
  head: Head | undefined;
  nowMs = 0;
  lag = 0;
  isLeaving = false;
  listed: Owner;

  constructor(
    self: number,
    head: Head | undefined,
    others = [0, 1, 2].filter((one) => one !== self),
    firstHandWaitMs = 30_000,
  ) {
    this.self = processOf(self);
    this.listed = this.self;
    this.head = head;
    for (const other of others) this.peers.set(other, { verdict: 'alive', life: 0, condition: 'serving' });
    this.ownership = new Ownership(this.self, [0, 1, 2], firstHandWaitMs);
  }

  peer(number: number): Peer {
    const peer = this.peers.get(number);
    assert.ok(peer !== undefined);
    return peer;
  }

  look(): Decisions {
    const peers = new Map<number, PeerView>(
      [...this.peers].map(([number, { verdict, life, condition }]) => [
        number,
        { verdict, instance: processOf(number, life).instance, condition: () => condition },
      ]),
    );
    const { head, role, lag, isLeaving } = this;
    const shards = [{ shard, head, role, lag }];
    const listed = this.listed.instance;
    return this.ownership.step({ nowMs: millis(this.nowMs), listed, isLeaving, peers, shards });
  }

  /** Milliseconds until it asks the owner for the shard. */
  asksAfter(withinMs = 60_000): number | undefined {
    const from = this.nowMs;
    for (; this.nowMs <= from + withinMs; this.nowMs += 10) if (this.look().wishes.length > 0) return this.nowMs - from;
    return undefined;
  }

  /** Milliseconds until it claims, at steps of 10 ms; undefined: not within `withinMs`. */
  claimsAfter(withinMs = 20_000): number | undefined {
    const from = this.nowMs;
    for (; this.nowMs <= from + withinMs; this.nowMs += 10) if (this.look().claims.length > 0) return this.nowMs - from;
    return undefined;
  }
}

/** Candidates for the shard when `owner` is gone, the first one first. */
function successors(owner: number): number[] {
  return rendezvousOrder(String(shard), ['0', '1', '2'])
    .map(Number)
    .filter((gateway) => gateway !== owner);
}

/** The two of them, with the time that each waits. */
function inTurn(owner: number): readonly (readonly [gateway: number, waitMs: number])[] {
  const [first = -1, second = -1] = successors(owner);
  return [
    [first, 0],
    [second, times.takeOverStepMs],
  ];
}

test('a shard that is served well is left alone, for ever', () => {
  const scene = new Scene(1, headOf(processOf(0)));
  assert.equal(scene.claimsAfter(600_000), undefined);
});

test('a shard that nobody has owned is begun by whom it is at home with, and by others after a while', () => {
  const home = [0, 1, 2].find((gateway) => homeShards([0, 1, 2], gateway, [shard]).length > 0) ?? -1;
  assert.equal(new Scene(home, undefined).claimsAfter(), 0);
  assert.ok((new Scene((home + 1) % 3, undefined).claimsAfter() ?? 0) >= times.gatewayReturnMs);
});

test('the shards of a dead owner are claimed at once by the next in rendezvous order, by the k-th k steps later', () => {
  for (const [gateway, waitMs] of inTurn(0)) {
    const scene = new Scene(gateway, headOf(processOf(0)));
    scene.peer(0).verdict = 'dead';
    assert.equal(scene.claimsAfter(), waitMs);
  }
});

test('a candidate that is suspected itself is passed over', () => {
  const [first = -1, second = -1] = successors(0);
  const scene = new Scene(second, headOf(processOf(0)));
  scene.peer(0).verdict = 'dead';
  scene.peer(first).verdict = 'silent';
  assert.equal(scene.claimsAfter(), 0);
});

test('a gateway that was started again claims what it owned before, if nobody else has', () => {
  const scene = new Scene(0, headOf(processOf(0, 7)));
  assert.equal(scene.claimsAfter(), 0);
  const late = new Scene(0, headOf(processOf(1)));
  assert.equal(late.claimsAfter(600_000), undefined, 'what somebody else serves well is left to him');
});

test('others leave an owner that was started again the time to claim', () => {
  const [first = -1] = successors(0);
  const scene = new Scene(first, headOf(processOf(0)));
  scene.peer(0).life = 1;
  assert.equal(scene.claimsAfter(), times.gatewayReturnMs);
});

test('an owner that was never met may be starting', () => {
  const [first = -1] = successors(0);
  const scene = new Scene(first, headOf(processOf(0)));
  scene.peer(0).verdict = 'unmet';
  assert.equal(scene.claimsAfter(), times.gatewayUnmetMs);
});

test('an owner that lives and cannot commit for a while is replaced; one that waits for the operator is not', () => {
  const [first = -1] = successors(0);
  const stuck = new Scene(first, headOf(processOf(0)));
  stuck.peer(0).condition = 'stuck';
  assert.equal(stuck.claimsAfter(), times.ownerStuckMs);
  const brief = new Scene(first, headOf(processOf(0)));
  for (let change = 0; change < 100; change++) {
    brief.peer(0).condition = 'stuck';
    assert.equal(brief.claimsAfter(500), undefined);
    brief.peer(0).condition = 'serving';
    brief.look();
  }
  const stopped = new Scene(first, headOf(processOf(0)));
  stopped.peer(0).condition = 'stopped';
  assert.equal(stopped.claimsAfter(60_000), undefined, 'S20');
});

test('a taker that does not finish is followed by the next', () => {
  const [first = -1] = successors(0);
  const scene = new Scene(first, headOf(processOf(0)));
  scene.peer(0).condition = 'taking';
  assert.equal(scene.claimsAfter(), times.ownerTakingMs);
});

test('S9 a taker that waits for copies is left its wait, for ever where it waits for the operator', () => {
  const [first = -1] = successors(0);
  const scene = new Scene(first, headOf(processOf(0)));
  scene.peer(0).condition = 'waiting';
  assert.equal(scene.claimsAfter(120_000), times.ownerTakingMs + 30_000);
  const patient = new Scene(first, headOf(processOf(0)), undefined, 0);
  patient.peer(0).condition = 'waiting';
  assert.equal(patient.claimsAfter(600_000), undefined);
});

test('S9 a taker whose wait for copies has ended is left the time to take the shard, and no more', () => {
  const [first = -1] = successors(0);
  const scene = new Scene(first, headOf(processOf(0)));
  scene.peer(0).condition = 'waiting';
  assert.equal(scene.claimsAfter(29_990), undefined);
  scene.peer(0).condition = 'taking';
  assert.equal(scene.claimsAfter(), times.ownerTakingMs - 10);
});

test('gateways that do not see one another take shards from each other ever more seldom', () => {
  const [first = -1, second = -1] = successors(0);
  const scene = new Scene(first, headOf(processOf(second)));
  scene.look();
  const waits: number[] = [];
  for (let number = 2; number < 9; number += 2) {
    scene.head = headOf(processOf(first), number);
    scene.look();
    scene.head = headOf(processOf(second), number + 1);
    scene.peer(second).verdict = 'silent';
    waits.push(scene.claimsAfter(60_000) ?? Number.NaN);
  }
  assert.deepEqual(
    waits,
    [...waits].sort((a, b) => a - b),
  );
  assert.ok((waits.at(-1) ?? 0) >= 50 * times.takeOverStepMs, waits.join());
  scene.nowMs += times.ownersRememberedMs * 10;
  scene.peer(second).verdict = 'alive';
  for (let look = 0; look < 10; look++) scene.look();
  scene.peer(second).verdict = 'silent';
  assert.ok((scene.claimsAfter() ?? Number.NaN) <= times.takeOverStepMs, 'what was long ago counts no more');
});

test('that a shard was begun, or claimed again by the gateway that had it, makes nobody wait', () => {
  const [first = -1] = successors(0);
  const scene = new Scene(first, undefined);
  scene.look();
  for (const number of [1, 2]) {
    scene.head = headOf(processOf(0), number);
    scene.look();
  }
  scene.nowMs += times.claimAgainMs;
  scene.peer(0).verdict = 'silent';
  assert.equal(scene.claimsAfter(), 0);
});

test('a dead owner is replaced at once, however often the shard changed its owner', () => {
  const [first = -1] = successors(0);
  const scene = new Scene(first, headOf(processOf(0)));
  for (let number = 2; number < 10; number += 1) {
    scene.head = headOf(processOf(number % 2), number);
    scene.look();
  }
  scene.head = headOf(processOf(0), 20);
  scene.look();
  scene.peer(0).verdict = 'dead';
  assert.equal(scene.claimsAfter(), 0);
});

test('an owner that is cut off from all loggers is replaced at once', () => {
  for (const [gateway, waitMs] of inTurn(0)) {
    const scene = new Scene(gateway, headOf(processOf(0)));
    assert.equal(scene.claimsAfter(1_000), undefined);
    scene.peer(0).condition = 'cut-off';
    assert.equal(scene.claimsAfter(), waitMs);
  }
});

test('a process whose place among the members another one has takes nothing', () => {
  const scene = new Scene(1, headOf(processOf(0)));
  scene.peer(0).verdict = 'dead';
  scene.listed = processOf(1, 1);
  assert.equal(scene.claimsAfter(60_000), undefined);
});

test('a take-over that has not claimed is withdrawn when the owner is heard again', () => {
  const scene = new Scene(1, headOf(processOf(0)));
  scene.peer(0).verdict = 'silent';
  assert.notEqual(scene.claimsAfter(), undefined);
  scene.role = 'taking';
  assert.deepEqual(scene.look().withdrawn, []);
  scene.peer(0).verdict = 'alive';
  assert.deepEqual(scene.look().withdrawn, [shard]);
});

test('the shards of an owner that is about to stop are asked for by the next in order, by the k-th k steps later', () => {
  for (const [gateway, waitMs] of inTurn(0)) {
    const scene = new Scene(gateway, headOf(processOf(0)));
    scene.peer(0).condition = 'leaving';
    assert.equal(scene.asksAfter(), waitMs);
    assert.deepEqual(scene.look().claims, [], 'it serves until it has handed over');
  }
});

test('who is about to stop itself asks for nothing and claims nothing', () => {
  const scene = new Scene(1, headOf(processOf(0)));
  scene.isLeaving = true;
  scene.peer(0).condition = 'leaving';
  assert.equal(scene.asksAfter(), undefined);
  scene.peer(0).verdict = 'dead';
  assert.equal(scene.claimsAfter(), undefined);
});

test('the home of a shard asks for it when it has been served elsewhere for a while, the longer the more it moved', () => {
  const home = [0, 1, 2].find((gateway) => homeShards([0, 1, 2], gateway, [shard]).length > 0) ?? -1;
  const other = (home + 1) % 3;
  const scene = new Scene(home, headOf(processOf(other)));
  assert.equal(scene.asksAfter(), times.homeAfterMs);
  assert.equal(new Scene((home + 2) % 3, headOf(processOf(other))).asksAfter(600_000), undefined, 'nobody else does');
  scene.head = headOf(processOf(home), 2);
  scene.look();
  scene.head = headOf(processOf(other), 3);
  assert.equal(scene.asksAfter(), 4 * times.homeAfterMs, 'two changes of owner');
});

test('a standby that lacks much of the log asks for nothing until it has applied it', () => {
  const [first = -1] = successors(0);
  const scene = new Scene(first, headOf(processOf(0)));
  scene.peer(0).condition = 'leaving';
  scene.lag = limits.handOverLagBytes + 1;
  assert.equal(scene.asksAfter(), undefined);
  scene.lag = limits.handOverLagBytes;
  assert.notEqual(scene.asksAfter(), undefined);
});

test('model: of gateways that see the same, one claims first and alone', () => {
  const random = new SimulatedRandom(16);
  for (let life = 0; life < 500; life++) {
    const owner = below(random, 3);
    const verdicts = [0, 1, 2].map(
      (): Verdict => (['alive', 'alive', 'dead', 'silent'] as const)[below(random, 4)] ?? 'alive',
    );
    verdicts[owner] = below(random, 2) === 0 ? 'dead' : 'silent';
    const live = [0, 1, 2].filter((gateway) => verdicts[gateway] === 'alive');
    const waits = live.map((self) => {
      const scene = new Scene(self, headOf(processOf(owner)));
      for (const [number, peer] of scene.peers) peer.verdict = verdicts[number] ?? 'alive';
      return scene.claimsAfter();
    });
    if (live.length > 0)
      assert.deepEqual(
        waits.filter((ms) => ms === 0),
        [0],
        waits.join(),
      );
    assert.equal(new Set(waits).size, waits.length, waits.join());
  }
});
