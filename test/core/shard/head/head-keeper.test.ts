import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AssertionFailure } from '../../../../src/base/assert.ts';
import { instanceId, shardId, uuid, zoneId } from '../../../../src/base/ids.ts';
import type { ShardEffect } from '../../../../src/core/shard/events.ts';
import { begun, claimed, relisted, zoneChanged } from '../../../../src/core/shard/head/head-edits.ts';
import { HeadKeeper } from '../../../../src/core/shard/head/head-keeper.ts';
import type { Head, Owner, ReplicaSet } from '../../../../src/core/shard/head/metadata.ts';
import { decodeHead } from '../../../../src/core/shard/head/metadata.ts';

const logger = uuid('1'.repeat(32));
const owner = (digit: string): Owner => ({
  gateway: 0,
  node: uuid(digit.repeat(32)),
  instance: instanceId(digit.repeat(16)),
});
const alone: ReplicaSet = { replicas: [logger], processes: [instanceId('1'.repeat(16))] };
const first = begun(owner('a'), alone).head;

class Kept {
  readonly effects: ShardEffect[] = [];
  readonly keeper = new HeadKeeper(shardId(0), this.effects);

  constructor() {
    this.holds(first, 5);
  }

  /** The coordinator holds `head` at `revision`. */
  holds(head: Head, revision: number): boolean {
    return this.keeper.learn({ head, headRevision: revision, zones: [] });
  }

  get kinds(): readonly string[] {
    return this.effects.map(({ effect }) => effect);
  }
}

test('S1 a transaction compares the head that is known and rewrites the whole of it', () => {
  const { keeper, effects } = new Kept();
  keeper.propose('claim', claimed(first, owner('b')));
  const [effect] = effects;
  assert.ok(effect?.effect === 'transact');
  assert.equal(effect.purpose, 'claim');
  assert.deepEqual(effect.compares, [{ key: 'shard/0/head', revision: 5 }]);
  assert.deepEqual(decodeHead(effect.writes[0]?.value ?? new Uint8Array(0)).change, 2);
});

test('S1 whatever a transaction is answered, the head is read, and one is under way at a time', () => {
  const kept = new Kept();
  const { keeper } = kept;
  keeper.propose('claim', claimed(first, owner('b')));
  assert.throws(() => keeper.propose('zone-change', zoneChanged(first, 64, alone)), AssertionFailure);
  assert.ok(keeper.transacted());
  assert.deepEqual(kept.kinds, ['transact', 'load']);
  assert.throws(() => keeper.propose('zone-change', zoneChanged(first, 64, alone)), /one transaction at a time/);
  assert.ok(keeper.loaded());
  keeper.propose('claim', claimed(first, owner('b')));
});

test('S1 a listing gives way to a change of the zone, and is not taken for it when it came first', () => {
  const kept = new Kept();
  const { keeper } = kept;
  const sealed = { zone: zoneId(1), epoch: first.epoch, instance: first.owner.instance, length: 64, former: [] };
  const head = zoneChanged(first, 64, alone).head;
  keeper.learn({ head, headRevision: 6, zones: [{ ...sealed, replicas: [logger] }] });
  const listing = relisted(head, { ...sealed, replicas: [logger] }, [logger, uuid('2'.repeat(32))]);
  keeper.propose('relist', listing);
  keeper.propose('zone-change', zoneChanged(head, 64, alone));
  assert.equal(keeper.purpose, 'zone-change');
  kept.holds(listing.head, 7);
  assert.equal(keeper.fate, 'unknown', 'one change more, but of the same open zone');
  assert.ok(keeper.transacted() && keeper.loaded());
  const again = zoneChanged(listing.head, 64, alone);
  keeper.propose('zone-change', again);
  kept.holds(again.head, 8);
  assert.equal(keeper.fate, 'seen');
});

test('S1 a listing does not come between a change of the zone and its end', () => {
  const { keeper } = new Kept();
  keeper.propose('zone-change', zoneChanged(first, 64, alone));
  const sealed = { zone: zoneId(1), epoch: first.epoch, instance: first.owner.instance, length: 64, former: [] };
  const edit = relisted(first, { ...sealed, replicas: [logger] }, [logger]);
  assert.throws(() => keeper.propose('relist', edit), /one transaction at a time/);
});

test('an answer that belongs to no transaction, and a load that nobody waits for, change nothing', () => {
  const kept = new Kept();
  assert.ok(!kept.keeper.transacted());
  assert.ok(!kept.keeper.loaded());
  kept.keeper.propose('claim', claimed(first, owner('b')));
  assert.ok(!kept.keeper.loaded(), 'a load of before the transaction says nothing about it');
  assert.deepEqual(kept.kinds, ['transact']);
});

test('what is older than what is known is not learnt', () => {
  const kept = new Kept();
  const newer = claimed(first, owner('b')).head;
  assert.ok(kept.holds(newer, 7));
  assert.ok(!kept.holds(first, 5));
  assert.equal(kept.keeper.head, newer);
});

describe('what became of a proposal', () => {
  const claim = claimed(first, owner('b')).head;
  const rival = claimed(first, owner('c')).head;
  const cases: readonly (readonly [name: string, head: Head, fate: string])[] = [
    ['the head is as it was', first, 'unknown'],
    ['the head holds it', claim, 'seen'],
    [
      'a later change of the same owner',
      zoneChanged({ ...claim, openZone: { ...claim.openZone, epoch: claim.epoch } }, 64, alone).head,
      'seen',
    ],
    ['another process claimed the epoch', rival, 'lost'],
    ['another process claimed a later epoch', claimed(claim, owner('c')).head, 'lost'],
    ['the owner before changed its zone', zoneChanged(first, 64, alone).head, 'unknown'],
  ];
  for (const [name, head, fate] of cases)
    test(`${name}: ${fate}`, () => {
      const kept = new Kept();
      kept.keeper.propose('claim', claimed(first, owner('b')));
      kept.holds(head, 9);
      assert.equal(kept.keeper.fate, fate);
      kept.keeper.settle();
      assert.equal(kept.keeper.fate, 'unknown', 'nothing is proposed any more');
    });
});
