import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NewestWrites } from '../../../../src/core/shard/serving/newest-writes.ts';
import { ShardWrite } from '../../../../src/core/shard/requests.ts';

const replyTo = { written: () => undefined };

/** Of keys 0..7 two each have the same hash, and two each of these another one in the same chain. */
function writeOf(key: number): ShardWrite {
  const write = new ShardWrite(replyTo, 0, 'put');
  write.source = Buffer.from(`key ${key}`);
  write.keyLength = write.source.length;
  write.valueStart = write.keyLength;
  write.keyHash = (key & 1) + ((key & 2) << 12);
  return write;
}

const step = fc.record({ key: fc.nat(7), kind: fc.constantFrom('put', 'settle newest', 'settle oldest') });

test('S12 the newest write in flight of each key is found, also among keys of one hash', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const newest = new NewestWrites();
      const model = new Map<number, ShardWrite[]>();
      for (const { key, kind } of steps) {
        const inFlight = model.get(key) ?? [];
        model.set(key, inFlight);
        if (kind === 'put') {
          const write = writeOf(key);
          newest.put(write, newest.find(write));
          inFlight.push(write);
        } else {
          const settled = kind === 'settle oldest' ? inFlight.shift() : inFlight.pop();
          if (settled === undefined) continue;
          newest.remove(settled);
          // One that was not the newest any more changes nothing; nor is an older one the newest again.
          if (kind === 'settle newest') inFlight.length = 0;
        }
        for (const [known, writes] of model) assert.equal(newest.find(writeOf(known)), writes.at(-1));
        assert.equal(newest.size, [...model.values()].filter((writes) => writes.length > 0).length);
      }
    }),
  );
});
