import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Fences, provablyOlder } from '../../../sim/faults/metadata-back.ts';
import { isElsewhere } from '../../../sim/faults/sound.ts';
import type { ShardEntries } from '../../../sim/faults/shard-entries.ts';
import { epoch, instanceId, type Uuid, uuid, zoneId } from '../../../src/base/ids.ts';

const [a, b] = [uuid('a'.repeat(32)), uuid('b'.repeat(32))];
const instance = instanceId('1'.repeat(16));

interface Zone {
  readonly zone: number;
  readonly of: number;
  readonly on: readonly Uuid[];
}

/** Metadata of shard 0: zones that ended, and the open one. */
function shard(open: Zone, ended: readonly Zone[] = [], claimed = open.of): ReadonlyMap<number, ShardEntries> {
  const writer = ({ zone, of }: Zone) => ({ zone: zoneId(zone), epoch: epoch(of), instance });
  const head = {
    epoch: epoch(claimed),
    owner: { gateway: 0, node: a, instance },
    openZone: { ...writer(open), replicas: open.on, processes: open.on.map(() => instance) },
    nextZone: zoneId(open.zone + 1),
    change: 1,
  };
  const zones = ended.map((zone) => ({ ...writer(zone), length: 100, replicas: zone.on, former: [] }));
  return new Map([[0, { head, zones }]]);
}

test('a logger may be put back only where another one holds each of its zones', () => {
  const both = [a, b];
  assert.equal(isElsewhere(a, shard({ zone: 2, of: 1, on: both }, [{ zone: 1, of: 1, on: both }])), true);
  assert.equal(isElsewhere(a, shard({ zone: 2, of: 1, on: [a] }, [{ zone: 1, of: 1, on: both }])), false);
  assert.equal(isElsewhere(a, shard({ zone: 2, of: 1, on: both }, [{ zone: 1, of: 1, on: [a] }])), false);
  assert.equal(isElsewhere(a, shard({ zone: 2, of: 1, on: both }, [{ zone: 1, of: 1, on: [b] }])), true);
  assert.equal(isElsewhere(a, shard({ zone: 2, of: 1, on: both }), new Set([b])), false, 'what it was once');
});

describe('older metadata is provably older when each replica of its open zone', () => {
  const older = shard({ zone: 1, of: 1, on: [a, b] });

  test('holds a zone that it knows nothing of', () => {
    const ended = [1, 2].map((zone) => ({ zone, of: 1, on: [a, b] }));
    assert.deepEqual(provablyOlder(older, shard({ zone: 3, of: 1, on: [a, b] }, ended), new Fences()), [0]);
  });

  test('was sealed for a later epoch, or for another owner of its epoch', () => {
    const ended = [{ zone: 1, of: 1, on: [a, b] }];
    const newest = shard({ zone: 2, of: 2, on: [a, b] }, ended);
    const sealed = (number: number, by = instance): Fences => {
      const fences = new Fences();
      fences.raised(a, 0, { epoch: epoch(2), instance: by });
      fences.raised(b, 0, { epoch: epoch(number), instance: by });
      return fences;
    };
    assert.deepEqual(provablyOlder(older, newest, sealed(2)), [0]);
    assert.deepEqual(provablyOlder(older, newest, sealed(1)), []);
    assert.deepEqual(provablyOlder(older, newest, sealed(1, instanceId('2'.repeat(16)))), [0]);
    assert.deepEqual(provablyOlder(older, newest, new Fences()), []);
  });

  test('not where one of them holds none', () => {
    const ended = [1, 2].map((zone) => ({ zone, of: 1, on: zone === 1 ? [a, b] : [a] }));
    assert.deepEqual(provablyOlder(older, shard({ zone: 3, of: 1, on: [a] }, ended), new Fences()), []);
  });

  test('not by a claim alone, nor by a zone that was opened and holds nothing yet', () => {
    assert.deepEqual(provablyOlder(older, shard({ zone: 1, of: 1, on: [a, b] }, [], 2), new Fences()), []);
    const ended = [{ zone: 1, of: 1, on: [a, b] }];
    assert.deepEqual(provablyOlder(older, shard({ zone: 2, of: 1, on: [a, b] }, ended), new Fences()), []);
  });

  test('not where a zone that ended empty lies between', () => {
    const ended = [{ zone: 1, of: 1, on: [a, b] }];
    assert.deepEqual(provablyOlder(older, shard({ zone: 3, of: 2, on: [a, b] }, ended), new Fences()), []);
  });
});
