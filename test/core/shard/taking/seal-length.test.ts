import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Uuid } from '../../../../src/base/ids.ts';
import { instanceId } from '../../../../src/base/ids.ts';
import type { SealAnswer } from '../../../../src/codec/logger-protocol.ts';
import type { SealEvidence } from '../../../../src/core/shard/taking/seal-length.ts';
import { sealLength } from '../../../../src/core/shard/taking/seal-length.ts';
import { loggerName } from '../harness.ts';

const first = instanceId('1'.repeat(16));
const later = instanceId('2'.repeat(16));
const names = [0, 1, 2].map(loggerName);

type Answer = Pick<SealAnswer, 'length' | 'seen' | 'doubtful' | 'tail' | 'process' | 'known'>;

function answer(length: number, seen: number, more: Partial<Answer> = {}): Answer {
  const isDoubtful = more.doubtful ?? false;
  return {
    length,
    seen,
    doubtful: isDoubtful,
    tail: isDoubtful ? 'damaged' : 'clean',
    process: first,
    known: { fence: undefined, zones: [] },
    ...more,
  };
}

const doubtful = { doubtful: true };
const restarted = { process: later };

/** Answers of loggers 0, 1, ... of a zone that was opened on as many as `replicas`. */
function evidence(list: readonly (Answer | undefined)[], more: Partial<SealEvidence> = {}): SealEvidence {
  const replicas = names.slice(0, list.length);
  const answers = new Map<Uuid, SealAnswer>();
  for (const [number, one] of list.entries()) if (one !== undefined) answers.set(loggerName(number), one);
  const opened = { replicas, processes: replicas.map(() => first) };
  return { answers, opened, committed: 0, fillEnd: 0, lost: [], waitsForFirstHand: false, ...more };
}

const holders = (...numbers: number[]): Uuid[] => numbers.map(loggerName);

test('S9 the length is the largest: a shorter copy never shortens the zone', () => {
  assert.deepEqual(sealLength(evidence([answer(300, 100), answer(200, 200), answer(250, 100)])), {
    kind: 'length',
    length: 300,
    holders: holders(0),
    proof: 'sound',
  });
});

test('S9 a doubtful answer counts with its intact prefix once another is sound', () => {
  const decision = sealLength(evidence([answer(300, 100, doubtful), answer(200, 100)]));
  assert.deepEqual(decision, { kind: 'length', length: 300, holders: holders(0), proof: 'sound' });
});

test('S9 an answer below the watermark or below a committed length that any answer saw is doubtful', () => {
  const below = evidence([answer(100, 100), undefined], { committed: 150 });
  assert.equal(sealLength(below).kind, 'wait');
  assert.deepEqual(sealLength(evidence([answer(100, 100), answer(300, 200), undefined])), {
    kind: 'length',
    length: 300,
    holders: holders(1),
    proof: 'sound',
  });
});

test('S9 all doubtful and one replica silent: the shard waits, however long', () => {
  const decision = sealLength(evidence([answer(100, 0, doubtful), undefined]));
  assert.ok(decision.kind === 'wait' && decision.reason.includes(loggerName(1)));
});

test('S9 all doubtful and all answered: the largest, which may cut; below what was committed the shard waits', () => {
  assert.deepEqual(sealLength(evidence([answer(100, 90, doubtful), answer(150, 90, doubtful)])), {
    kind: 'length',
    length: 150,
    holders: holders(1),
    proof: 'cut',
  });
  const decision = sealLength(evidence([answer(100, 200, doubtful), answer(150, 90, doubtful)]));
  assert.ok(decision.kind === 'wait' && decision.reason.includes('committed up to 200'));
});

test('S9 without a first-hand answer the taker waits for every replica, and goes on in the end', () => {
  const list = [answer(100, 50, restarted), undefined];
  const decision = sealLength(evidence(list, { waitsForFirstHand: true }));
  assert.ok(decision.kind === 'wait' && decision.reason.includes('first-hand'));
  const late = sealLength(evidence(list));
  assert.deepEqual(late, { kind: 'length', length: 100, holders: holders(0), proof: 'restarted' });
});

test('S9 nobody is first-hand but all replicas have answered: nothing to wait for', () => {
  const decision = sealLength(
    evidence([answer(100, 50, restarted), answer(80, 50, restarted)], { waitsForFirstHand: true }),
  );
  assert.deepEqual(decision, { kind: 'length', length: 100, holders: holders(0), proof: 'sound' });
});

test('S9 one first-hand answer is enough, and a doubtful one is none', () => {
  const sound = sealLength(evidence([answer(100, 50), undefined], { waitsForFirstHand: true }));
  assert.equal(sound.kind, 'length');
  const torn = [answer(100, 50, doubtful), answer(90, 50, restarted), undefined];
  assert.equal(sealLength(evidence(torn, { waitsForFirstHand: true })).kind, 'wait');
});

test('S9 never below the end of a Fill that was sent', () => {
  const decision = sealLength(evidence([answer(200, 100), undefined], { fillEnd: 300 }));
  assert.ok(decision.kind === 'wait' && decision.reason.includes('300'));
  assert.equal(sealLength(evidence([answer(300, 100), undefined], { fillEnd: 300 })).kind, 'length');
});

test('S9 a replica that is lost is not waited for, and the length is in doubt without its answer', () => {
  const lost = [loggerName(1)];
  assert.deepEqual(sealLength(evidence([answer(100, 90, doubtful), undefined], { lost })), {
    kind: 'length',
    length: 100,
    holders: holders(0),
    proof: 'cut',
  });
  const list = [answer(100, 50, restarted), undefined];
  const decision = sealLength(evidence(list, { lost, waitsForFirstHand: true }));
  assert.deepEqual(decision, { kind: 'length', length: 100, holders: holders(0), proof: 'restarted' });
  const first = [answer(100, 50), undefined];
  assert.deepEqual(sealLength(evidence(first, { lost })), {
    kind: 'length',
    length: 100,
    holders: holders(0),
    proof: 'sound',
  });
});

test('S9 of replicas that are all lost, or silent, no length is known', () => {
  const decision = sealLength(evidence([undefined, undefined], { lost: holders(0, 1) }));
  assert.equal(decision.kind, 'wait');
});
