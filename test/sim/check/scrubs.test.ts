import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CleanRounds } from '../../../sim/check/scrubs.ts';

type Statuses = Parameters<CleanRounds['isEverywhere']>[1];

/** Status of the one owner, with the members that count. */
function owner(scrub: Partial<Statuses[number]['shards'][number]['scrub']>, instance = 'a'): Statuses {
  const line = { passes: 0, underWay: false, checked: 0, unreached: 0, damaged: 0, ...scrub };
  const shards = [{ shard: 0, role: 'owner', owner: 1, scrub: line }];
  // Only these are looked at.
  return [{ gateway: 1, instance, shards }] as unknown as Statuses;
}

test('a round counts that began behind the first look, and met no damage', () => {
  const rounds = new CleanRounds();
  assert.equal(rounds.isEverywhere(1, owner({ passes: 1, underWay: true })), false);
  assert.equal(rounds.isEverywhere(1, owner({ passes: 2 })), false, 'that one was under way');
  assert.equal(rounds.isEverywhere(1, owner({ passes: 3, damaged: 1 })), false);
  assert.equal(rounds.isEverywhere(1, owner({ passes: 4, damaged: 1 })), true);
});

test('a round of another owner does not count', () => {
  const rounds = new CleanRounds();
  assert.equal(rounds.isEverywhere(1, owner({})), false);
  assert.equal(rounds.isEverywhere(1, owner({ passes: 1 })), true);
  assert.equal(rounds.isEverywhere(1, owner({ passes: 2 }, 'b')), false);
});

test('progress is a copy that was read or a round that ended', () => {
  const rounds = new CleanRounds();
  rounds.isEverywhere(1, owner({ checked: 1 }));
  rounds.isEverywhere(1, owner({ checked: 1 }));
  assert.equal(rounds.hasProgress, false);
  rounds.isEverywhere(1, owner({ checked: 2 }));
  assert.equal(rounds.hasProgress, true);
});
