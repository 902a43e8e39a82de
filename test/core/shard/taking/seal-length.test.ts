import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Uuid } from '../../../../src/base/ids.ts';
import type { SealAnswer } from '../../../../src/codec/logger-protocol.ts';
import { sealLength } from '../../../../src/core/shard/taking/seal-length.ts';
import { loggerName } from '../harness.ts';

const answer = (length: number, seen: number, doubtful = false): SealAnswer => ({
  length,
  seen,
  doubtful,
  tail: doubtful ? 'damaged' : 'clean',
});
const answers = (...list: SealAnswer[]): Map<Uuid, SealAnswer> =>
  new Map(list.map((one, number) => [loggerName(number), one]));
const none: ReadonlySet<Uuid> = new Set();

test('S9 the length is the smallest that is not doubtful', () => {
  assert.deepEqual(sealLength(answers(answer(300, 100), answer(200, 200), answer(250, 100)), none, 0, true), {
    kind: 'length',
    length: 200,
    holders: [loggerName(0), loggerName(1), loggerName(2)],
  });
});

test('S9 an answer below the watermark or below a committed length that any answer saw is doubtful', () => {
  const decision = sealLength(answers(answer(100, 100), answer(300, 200)), none, 0, false);
  assert.deepEqual(decision, { kind: 'length', length: 300, holders: [loggerName(1)] });
  assert.deepEqual(sealLength(answers(answer(100, 100), answer(300, 100)), none, 150, false), {
    kind: 'length',
    length: 300,
    holders: [loggerName(1)],
  });
});

test('S9 all doubtful and one replica silent: the shard waits', () => {
  assert.equal(sealLength(answers(answer(100, 100, true)), none, 0, false).kind, 'wait');
});

test('S9 all doubtful and all answered: the largest, unless it lies below what was committed', () => {
  assert.deepEqual(sealLength(answers(answer(100, 90, true), answer(150, 90, true)), none, 0, true), {
    kind: 'length',
    length: 150,
    holders: [loggerName(1)],
  });
  assert.equal(sealLength(answers(answer(100, 200, true), answer(150, 90, true)), none, 0, true).kind, 'wait');
});

test('S9 a doubtful answer with an intact [0, L) stays a holder; one that proved unsound does not', () => {
  const decision = sealLength(answers(answer(300, 100, true), answer(200, 100)), none, 0, true);
  assert.deepEqual(decision, { kind: 'length', length: 200, holders: [loggerName(0), loggerName(1)] });
  const without = sealLength(answers(answer(300, 100), answer(200, 100)), new Set([loggerName(1)]), 0, true);
  assert.deepEqual(without, { kind: 'length', length: 300, holders: [loggerName(0)] });
});
