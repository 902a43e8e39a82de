/** Checker of keys that a cut has lost: what it must find, and what is right. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDamaged, OwedKeys, withoutGuesses } from '../../../sim/check/lost-keys.ts';
import { Violation } from '../../../sim/check/violation.ts';
import { del, failed, get, history, key, put, unknownOf, type Drafts } from './events.ts';

function isViolation(message: RegExp) {
  return (error: unknown): boolean => error instanceof Violation && message.test(error.message);
}

const cut = (...keys: readonly string[]) => ({ lost: { keys: keys.map((name) => Buffer.from(name)) } });

test('S9 the first batch behind a cut names the keys that it lost, all of them and nothing else', () => {
  const right = new OwedKeys();
  right.batch('1', 3, []);
  right.ended('1', cut('a', 'b'));
  right.ended('2', {});
  right.batch('3', 2, ['b', 'a']);
  right.batch('3', 1, []);
  const owing = (): OwedKeys => {
    const owed = new OwedKeys();
    owed.ended('1', cut('a', 'b'));
    return owed;
  };
  assert.throws(() => owing().batch('2', 1, []), isViolation(/does not name a/));
  assert.throws(() => owing().batch('2', 1, ['a']), isViolation(/does not name b/));
  assert.throws(() => owing().batch('2', 3, ['a', 'b', 'c']), isViolation(/c is named as lost, and was not cut/));
  assert.throws(() => owing().batch('2', 3, ['a', 'b']), isViolation(/3 records in the batch that names 2/));
  assert.throws(() => owing().ended('2', cut('b')), isViolation(/forgets a/));
  assert.throws(() => right.batch('3', 1, ['a']), isViolation(/a is named as lost/));
});

test('S9 whether a lost key was there nobody knows: what a delete says of it decides nothing', () => {
  const events = history(put(1, 'p1', 40), del(2, true));
  assert.deepEqual(withoutGuesses(events, new Set()), events);
  const told = withoutGuesses(events, new Set([key])).filter(({ f, type }) => f === 'del' && type === 'ok');
  assert.deepEqual(
    told.map(({ version }) => version),
    [undefined],
  );
});

test('S9 damaged is told of a key that the log names lost, and not after it was written again', () => {
  const damaged = (process: number): Drafts => {
    const { invoke, end } = failed(get(process, null));
    return { invoke, end: { ...end, error: 'damaged' } };
  };
  const lost = new Map([[key, [50]]]);
  checkDamaged(history(put(1, 'p1', 40), unknownOf(put(2, 'p2')), damaged(3)), lost);
  assert.throws(() => checkDamaged(history(put(1, 'p1', 40), damaged(3)), new Map()), isViolation(/told damaged/));
  assert.throws(() => checkDamaged(history(put(1, 'p1', 60), damaged(3)), lost), isViolation(/no record since 60/));
  const open = damaged(3);
  checkDamaged(history(open.invoke, put(1, 'p1', 60), open.end), lost);
  assert.throws(() => checkDamaged(history(get(1, null)), lost), isViolation(/nobody wrote it/));
});
