import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SealWatch } from '../../../sim/check/seals.ts';
import type { Violation } from '../../../sim/check/violation.ts';
import { epoch, shardId, type Uuid, uuid, zoneId } from '../../../src/base/ids.ts';
import type { SealAnswer } from '../../../src/codec/logger-protocol.ts';
import { encodeMetadata, type SealedZone, zoneKey } from '../../../src/core/shard/head/metadata.ts';

const shard = shardId(3);
const zone = zoneId(7);
const [one, two, three] = [1, 2, 3].map((digit) => uuid(String(digit).repeat(32))) as [Uuid, Uuid, Uuid];
const sound = (length: number): SealAnswer => ({ length, seen: 0, doubtful: false, tail: 'clean' });

/** A take-over whose seals are answered so, and which wants `length` and `replicas` recorded. */
function takeOver(
  answers: readonly (readonly [Uuid, SealAnswer])[],
  length: number,
  replicas: readonly Uuid[],
  between: (watch: SealWatch) => void = () => undefined,
): readonly string[] {
  const violations: Violation[] = [];
  const watched = { state: { shard }, status: { step: 'sealing' } };
  const watch = new SealWatch(watched, (violation) => violations.push(violation));
  watch.after({ effect: 'seal', zone, epoch: epoch(5), loggers: [one, two, three] });
  for (const [logger, answer] of answers) watch.before({ event: 'sealed', logger, zone, epoch: epoch(5), answer });
  between(watch);
  watched.status.step = 'closing';
  const sealed: SealedZone = { zone, epoch: epoch(4), length, replicas, former: [] };
  watch.after({
    effect: 'transact',
    purpose: 'close',
    compares: [],
    writes: [{ key: zoneKey(shard, zone), value: encodeMetadata(sealed) }],
  });
  return violations.map(({ message }) => message);
}

test('the smallest sound length, held by all who answered, is as it should be', () => {
  const answers = [
    [one, sound(4096)],
    [two, sound(8192)],
  ] as const;
  assert.deepEqual(takeOver(answers, 4096, [one, two]), []);
});

test('S9 a longer length leaves out one who answered soundly', () => {
  const answers = [
    [one, sound(4096)],
    [two, sound(8192)],
  ] as const;
  assert.deepEqual(takeOver(answers, 8192, [two]), [
    `S9 shard 3 zone 7: sealed at 8192 without logger ${one}, which answered soundly that it holds 4096`,
  ]);
});

test('whoever is doubtful, lacks what was committed, or did not give the tail need not be listed', () => {
  const answers = [
    [one, { ...sound(8192), doubtful: true, tail: 'damaged' }],
    [two, sound(4096)],
    [three, { ...sound(8192), seen: 8192 }],
  ] as const;
  assert.deepEqual(takeOver(answers, 8192, [three]), []);
  const failed = (watch: SealWatch): void =>
    watch.after({ effect: 'note', level: 'warn', text: 'log not read', fields: { shard, logger: one } });
  assert.deepEqual(
    takeOver(
      [
        [one, sound(8192)],
        [two, sound(8192)],
      ],
      8192,
      [two],
      failed,
    ),
    [],
  );
});

test('answers of an earlier round do not count when all are asked again', () => {
  const again = (watch: SealWatch): void =>
    watch.after({ effect: 'seal', zone, epoch: epoch(5), loggers: [one, two, three] });
  assert.deepEqual(takeOver([[one, sound(8192)]], 8192, [two], again), []);
});

test('answers of an earlier round do not count when sealing begins anew, though who gave them cannot be asked again', () => {
  const status = { step: 'sealing' };
  const violations: Violation[] = [];
  const watch = new SealWatch({ state: { shard }, status }, (violation) => violations.push(violation));
  watch.after({ effect: 'seal', zone, epoch: epoch(5), loggers: [one] });
  watch.before({ event: 'sealed', logger: one, zone, epoch: epoch(5), answer: sound(8192) });
  status.step = 'loading';
  watch.before({ event: 'metadata', metadata: { head: undefined, headRevision: 9, zones: [] }, loaded: true });
  status.step = 'sealing';
  watch.after({ effect: 'seal', zone, epoch: epoch(5), loggers: [two] });
  watch.before({ event: 'sealed', logger: two, zone, epoch: epoch(5), answer: sound(8192) });
  status.step = 'closing';
  const sealed: SealedZone = { zone, epoch: epoch(4), length: 8192, replicas: [two], former: [] };
  watch.after({
    effect: 'transact',
    purpose: 'close',
    compares: [],
    writes: [{ key: zoneKey(shard, zone), value: encodeMetadata(sealed) }],
  });
  assert.deepEqual(violations, []);
});
