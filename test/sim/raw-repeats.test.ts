/** Writes that a client without the SDK sends again after they ended. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenWrites } from '../../sim/raw-repeats.ts';
import { WrongAnswer } from '../../sim/recorder.ts';
import { KvError } from '../../src/base/errors.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';

const random = new SimulatedRandom(1);

/** Numbers of a client, with one write that ended so. */
function after(countMax: number, done: { readonly version?: number; readonly error?: KvError }) {
  const open = new OpenWrites(countMax);
  const terms = { condition: -1, client: 7, ...open.next() };
  open.ended({ key: 'a', value: new Uint8Array(0), terms }, { process: 0, version: done.version, ...done });
  return open;
}

test('S15: as many numbers stay incomplete as the client keeps, and only those are sent again', () => {
  const open = after(2, { version: 100 });
  assert.deepEqual(open.next(), { number: 2, firstIncomplete: 1 });
  const write = open.draw(random);
  assert.deepEqual(write === undefined ? undefined : open.again(write.terms), {
    condition: -1,
    client: 7,
    number: 1,
    firstIncomplete: 1,
  });
  assert.deepEqual(open.next(), { number: 3, firstIncomplete: 2 });
  assert.equal(open.draw(random), undefined);
});

test('S15: every answer to a number is the first one', () => {
  const put = after(9, { version: 100 }).draw(random);
  put?.answered({ kind: 'put', version: 100 });
  assert.throws(() => put?.answered({ kind: 'put', version: 200 }), WrongAnswer);
  assert.throws(() => put?.answered({ kind: 'refused' }), /S15 request 1 of client 7 for a was told version 100/);
  const refused = after(9, { error: new KvError('condition-failed', '') }).draw(random);
  refused?.answered({ kind: 'refused' });
  assert.throws(() => refused?.answered({ kind: 'put', version: 200 }), WrongAnswer);
  const unknown = after(9, { error: new KvError('timeout', '', { outcome: 'unknown' }) }).draw(random);
  unknown?.answered({ kind: 'put', version: 200 });
  assert.throws(() => unknown?.answered({ kind: 'put', version: 300 }), WrongAnswer);
});

test('what was told not applied is not sent again, nor what a client keeps nothing of', () => {
  const error = new KvError('not-owner', '', { outcome: 'not-applied' });
  assert.equal(after(9, { error }).draw(random), undefined);
  assert.equal(after(1, { version: 100 }).draw(random), undefined);
});
