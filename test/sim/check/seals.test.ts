import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SealWatch } from '../../../sim/check/seals.ts';
import type { Violation } from '../../../sim/check/violation.ts';
import { epoch, instanceId, millis, shardId, type Uuid, uuid, zoneId } from '../../../src/base/ids.ts';
import type { SealAnswer } from '../../../src/codec/logger-protocol.ts';
import type { LogRead } from '../../../src/core/shard/events.ts';
import { encodeMetadata, type SealedZone, zoneKey } from '../../../src/core/shard/head/metadata.ts';

const shard = shardId(3);
const zone = zoneId(7);
const [one, two, three] = [1, 2, 3].map((digit) => uuid(String(digit).repeat(32))) as [Uuid, Uuid, Uuid];
const instance = instanceId('9'.repeat(16));
const sound = (length: number): SealAnswer => ({
  length,
  seen: 0,
  doubtful: false,
  tail: 'clean',
  process: instance,
  known: { fence: undefined, zones: [] },
});

/** A take-over whose seals are answered so, and which wants `length` and `replicas` recorded. */
function takeOver(
  answers: readonly (readonly [Uuid, SealAnswer])[],
  length: number,
  replicas: readonly Uuid[],
  between: (watch: SealWatch) => void = () => undefined,
): readonly string[] {
  const violations: Violation[] = [];
  const watched = { state: { shard, position: { zone: 0, offset: 0 } }, status: { step: 'sealing' } };
  const watch = new SealWatch(watched, (violation) => violations.push(violation));
  watch.after({ effect: 'seal', zone, epoch: epoch(5), instance, loggers: [one, two, three] });
  for (const [logger, answer] of answers) watch.before({ event: 'sealed', logger, zone, epoch: epoch(5), answer });
  between(watch);
  watched.status.step = 'closing';
  const former = [one, two, three].filter((logger) => !replicas.includes(logger));
  const sealed: SealedZone = { zone, epoch: epoch(4), instance, length, replicas, former };
  watch.after({
    effect: 'transact',
    purpose: 'close',
    compares: [],
    writes: [{ key: zoneKey(shard, zone), value: encodeMetadata(sealed) }],
  });
  return violations.map(({ message }) => message);
}

const lengths = [
  [one, sound(4096)],
  [two, sound(8192)],
] as const;
const filled =
  (logger: Uuid, length: number) =>
  (watch: SealWatch): void =>
    watch.before({ event: 'filled', logger, zone, epoch: epoch(5), answer: { kind: 'filled', length } });

/** Logger `one` does not give a part of the log. */
const notRead =
  (reader: LogRead['reader']) =>
  (watch: SealWatch): void => {
    const request: LogRead = { reader, number: 1, zone, epoch: epoch(4), offset: 0, length: 100, logger: one };
    watch.before({ event: 'log-read', request, bytes: undefined });
    watch.after({ effect: 'note', level: 'warn', text: 'log not read', fields: { shard, logger: one, offset: 0 } });
  };

test('what a standby could not read of a logger says nothing about its answer', () => {
  const between = (watch: SealWatch): void => {
    notRead('heal')(watch);
    watch.before({ event: 'tick', nowMs: millis(1) });
  };
  assert.deepEqual(takeOver([[one, sound(8192)]], 8192, [one], between), []);
});

test('the longest length, on who held it and who was completed, is as it should be', () => {
  assert.deepEqual(takeOver(lengths, 8192, [two, one], filled(one, 8192)), []);
  assert.deepEqual(takeOver(lengths, 8192, [two]), [], 'a Fill may be too slow');
});

test('S9 a shorter length cuts what somebody holds', () => {
  assert.deepEqual(takeOver(lengths, 4096, [one, two]), [
    `shard 3 zone 7: S9 sealed at 4096, below the 8192 bytes that logger ${two} holds`,
  ]);
});

test('S10 S19 who was not completed is not listed, nor who was completed to less', () => {
  const expected = [`shard 3 zone 7: S10 sealed at 8192 on logger ${one}, which holds 4096 and was not completed`];
  assert.deepEqual(takeOver(lengths, 8192, [two, one]), expected);
  const [line] = takeOver(lengths, 8192, [two, one], filled(one, 6000));
  assert.equal(line, `shard 3 zone 7: S10 sealed at 8192 on logger ${one}, which holds 6000 and was not completed`);
});

test('S9 who answered soundly that it holds all is listed', () => {
  const both = [
    [one, sound(8192)],
    [two, sound(8192)],
  ] as const;
  assert.deepEqual(takeOver(both, 8192, [two]), [
    `shard 3 zone 7: S9 sealed at 8192 without logger ${one}, which answered soundly that it holds 8192`,
  ]);
});

test('whoever is doubtful, lacks what was committed, or did not give the tail need not be listed', () => {
  const answers = [
    [one, { ...sound(8192), doubtful: true, tail: 'damaged' }],
    [two, sound(4096)],
    [three, { ...sound(8192), seen: 8192 }],
  ] as const;
  assert.deepEqual(takeOver(answers, 8192, [three]), []);
  const failed = notRead('tail');
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
  const again = (watch: SealWatch): void => {
    watch.after({ effect: 'seal', zone, epoch: epoch(5), instance, loggers: [one, two, three] });
    watch.before({ event: 'sealed', logger: two, zone, epoch: epoch(5), answer: sound(8192) });
  };
  assert.deepEqual(takeOver([[one, sound(8192)]], 8192, [two], again), []);
});

test('answers of an earlier round do not count when sealing begins anew, though who gave them cannot be asked again', () => {
  const status = { step: 'sealing' };
  const violations: Violation[] = [];
  const watch = new SealWatch({ state: { shard, position: { zone: 0, offset: 0 } }, status }, (violation) =>
    violations.push(violation),
  );
  watch.after({ effect: 'seal', zone, epoch: epoch(5), instance, loggers: [one] });
  watch.before({ event: 'sealed', logger: one, zone, epoch: epoch(5), answer: sound(8192) });
  status.step = 'loading';
  watch.before({ event: 'metadata', metadata: { head: undefined, headRevision: 9, zones: [] }, loaded: true });
  status.step = 'sealing';
  watch.after({ effect: 'seal', zone, epoch: epoch(5), instance, loggers: [two] });
  watch.before({ event: 'sealed', logger: two, zone, epoch: epoch(5), answer: sound(8192) });
  status.step = 'closing';
  const sealed: SealedZone = { zone, epoch: epoch(4), instance, length: 8192, replicas: [two], former: [] };
  watch.after({
    effect: 'transact',
    purpose: 'close',
    compares: [],
    writes: [{ key: zoneKey(shard, zone), value: encodeMetadata(sealed) }],
  });
  assert.deepEqual(violations, []);
});
