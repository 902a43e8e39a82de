import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkVersions } from '../../../sim/check/versions.ts';
import { Violation } from '../../../sim/check/violation.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';
import { cas, del, get, history, put, refused, together, unknownOf } from './events.ts';
import { linearizableLife } from './register-life.ts';

test('versions of lives of a linearizable register are right', () => {
  const options = {
    processes: 8,
    calls: 500,
    keys: 5,
    unknownPercent: 10,
    hasVersions: true,
    values: 'distinct',
  } as const;
  for (let life = 0; life < 50; life++) checkVersions(linearizableLife(new SimulatedRandom(life), options));
});

const good = {
  'a read that began before the newer version was told': history(
    put(1, 'a', 10),
    get(3, 'a', 10).invoke,
    put(2, 'b', 20),
    get(3, 'a', 10).end,
  ),
  'two writes at once, told in the other order': history(...together(put(1, 'a', 20), put(2, 'b', 10))),
  'nothing is there after a deletion': history(put(1, 'a', 10), del(2, true), get(3, null, 0), cas(3, 0, 'b', 20)),
};

for (const [name, events] of Object.entries(good)) test(`versions are right: ${name}`, () => checkVersions(events));

const bad = {
  'a read of a version older than one that was told': [
    history(put(1, 'a', 10), put(2, 'b', 20), get(3, 'a', 10)),
    /version 10, though 20 was known/,
  ],
  'a write below one that was told': [history(put(1, 'a', 20), put(2, 'b', 10)), /version 10, though 20 was known/],
  'a conditional write at a version that was told': [history(put(1, 'a', 10), cas(2, 10, 'b', 10)), /version 10/],
  'a refusal that names an older version': [
    history(put(1, 'a', 10), put(2, 'b', 20), refused(3, 5, 'c', 10)),
    /version 10, though 20 was known/,
  ],
  'a version that goes back over a deletion': [
    history(put(1, 'a', 20), del(2, true), put(3, 'b', 10)),
    /version 10, though 20 was known/,
  ],
  'a version of two values': [history(...together(put(1, 'a', 10), get(2, 'b', 10))), /version 10 is a and b/],
  'an unknown write that was applied twice': [
    history(unknownOf(put(1, 'a')), get(3, 'a', 10), get(3, 'a', 30)),
    /S15 .*applied twice, as version 10 and 30/,
  ],
} as const;

for (const [name, [events, message]] of Object.entries(bad)) {
  test(`versions are wrong: ${name}`, () => {
    assert.throws(
      () => checkVersions(events),
      (error) => error instanceof Violation && message.test(error.message),
    );
  });
}
