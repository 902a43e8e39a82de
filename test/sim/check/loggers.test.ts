import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ZoneCopy } from '../../../sim/check/loggers.ts';
import { LoggerPromises } from '../../../sim/check/loggers.ts';

/** What the check says of `events`. */
function violations(events: (promises: LoggerPromises, copy: ZoneCopy) => void): string[] {
  const found: string[] = [];
  const promises = new LoggerPromises(({ message }) => found.push(message));
  events(promises, promises.created(0, 7, 'a1'));
  return found;
}

test('S3: appends, a restart, two seals of the same length: nothing to say', () => {
  const found = violations((promises, copy) => {
    promises.appended(copy, 100, true);
    promises.appended(copy, 200, true);
    promises.sealed(copy, 200, 2);
    assert.equal(promises.find('a1'), copy, 'the copy is known by its id');
    promises.sealed(copy, 200, 2);
  });
  assert.deepEqual(found, []);
});

test('S3: a seal below what was acknowledged before', () => {
  const found = violations((promises, copy) => {
    promises.appended(copy, 200, true);
    promises.sealed(copy, 100, 2);
  });
  assert.match(
    found.join(),
    /^S3 shard 0 zone 7, copy a1: a seal was answered with 100, though 200 bytes are acknowledged$/,
  );
});

test('S3: an append that was queued when the seal was answered, and is acknowledged afterwards', () => {
  const found = violations((promises, copy) => {
    promises.sealed(copy, 100, 2);
    promises.appended(copy, 200, true);
  });
  assert.match(found.join(), /a seal was answered with 100, though 200 bytes are acknowledged/);
});

test('S3: a tail that was told of and is gone after the next restart', () => {
  const found = violations((promises, copy) => {
    promises.sealed(copy, 200, 2);
    promises.sealed(copy, 100, 2);
  });
  assert.match(found.join(), /seals were answered with 200 and with 100/);
});

test('S3: an append acknowledged by a process that found the zone open', () => {
  const found = violations((promises, copy) => promises.appended(copy, 100, false));
  assert.match(found.join(), /acknowledged by a process that had found the zone when it started/);
});

test('S10: an order to finish the zone makes it shorter', () => {
  const found = violations((promises, copy) => {
    promises.appended(copy, 200, true);
    promises.finished(copy);
    promises.sealed(copy, 100, 2);
  });
  assert.deepEqual(found, []);
});

test('S4: the fence of an answered seal stands after a restart', () => {
  const found = violations((promises, copy) => {
    promises.sealed(copy, 0, 3);
    promises.restarted('a1', 3, 0);
    promises.restarted('another copy', 0, 0);
    promises.restarted('a1', 2, 0);
  });
  assert.deepEqual(found, [
    'S3 shard 0 zone 7, copy a1: the fence is 2 after a restart, though a seal of epoch 3 was answered',
  ]);
});

test('S3, S19: what was acknowledged, or filled, is there after a restart', () => {
  const found = violations((promises, copy) => {
    promises.appended(copy, 200, true);
    promises.restarted('a1', 0, 200);
    promises.filled(copy, 300);
    promises.restarted('a1', 0, 200);
    promises.finished(copy);
    promises.restarted('a1', 0, 100);
  });
  assert.deepEqual(found, [
    'S3 shard 0 zone 7, copy a1: 200 bytes are there after a restart, though 300 are acknowledged',
  ]);
});

test('S3: a copy on a disk that was put back may be shorter; what is promised from then on counts again', () => {
  const found = violations((promises, copy) => {
    promises.appended(copy, 200, true);
    promises.forget(['a1']);
    assert.equal(promises.find('a1'), undefined);
    const again = promises.created(0, 7, 'a1');
    promises.sealed(again, 100, 2);
    promises.sealed(again, 50, 2);
  });
  assert.deepEqual(found, ['S3 shard 0 zone 7, copy a1: seals were answered with 100 and with 50']);
});
