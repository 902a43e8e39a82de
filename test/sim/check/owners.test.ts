/** The check that an owner commits, answers and refuses only what its replicas allow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnerWitness } from '../../../sim/check/owners.ts';
import { Coverage } from '../../../sim/coverage.ts';
import type { Uuid } from '../../../src/base/ids.ts';
import { epoch, instanceId, millis, uuid, zoneId } from '../../../src/base/ids.ts';
import type { ShardEffect } from '../../../src/core/shard/events.ts';
import type { Failure } from '../../../src/core/shard/requests.ts';
import { ShardRead, ShardWrite } from '../../../src/core/shard/requests.ts';

const [one, other] = [uuid('1'.repeat(32)), uuid('2'.repeat(32))];
const loggers = [one, other];
const by = { epoch: epoch(1), instance: instanceId('3'.repeat(16)) };

const append = (zone: number, offset: number, bytes: Uint8Array): ShardEffect => ({
  effect: 'append',
  zone: zoneId(zone),
  ...by,
  offset,
  bytes,
  loggers,
});

const committed = (zone: number, end: number): ShardEffect => {
  const place = { zone: zoneId(zone), ...by, offset: 0, end, recordsStart: 0, recordCount: 0, bytes: Buffer.alloc(0) };
  const before = { previousZone: -1, previousLength: 0 };
  return { effect: 'committed', ...place, ...before, shardTimeMs: millis(0), own: [], writes: [], results: [] };
};

const zoneChanged: ShardEffect = { effect: 'note', level: 'info', text: 'zone changed', fields: {} };

function witnessed() {
  const coverage = new Coverage();
  const witness = new OwnerWitness(coverage);
  return {
    coverage,
    witness,
    appended: (logger: Uuid, zone: number, end: number) =>
      witness.told({ event: 'appended', logger, zone: zoneId(zone), end }),
    confirmed: (logger: Uuid, number: number) => witness.told({ event: 'confirmed', logger, zone: zoneId(1), number }),
    confirm: (number: number) => witness.wants({ effect: 'confirm', zone: zoneId(1), ...by, number, loggers }),
  };
}

const nobody = { found: () => undefined, failed: () => undefined, written: () => undefined };

test('S5: a batch commits when every replica has acknowledged the zone up to its end, not an earlier zone', () => {
  const { witness, appended, coverage } = witnessed();
  witness.wants(append(1, 0, new Uint8Array(100)));
  appended(one, 1, 100);
  assert.match(witness.wants(committed(1, 100)) ?? '', /S5 .* logger 2+ has acknowledged 0/);
  witness.wants(append(2, 0, new Uint8Array(50)));
  appended(one, 2, 50);
  appended(other, 1, 100);
  assert.match(witness.wants(committed(2, 50)) ?? '', /S5 .* logger 2+ has acknowledged 0/);
  assert.equal(coverage.counts['answer that belongs to an earlier zone'], 1);
  appended(other, 2, 50);
  assert.equal(witness.wants(committed(2, 50)), undefined);
});

test('S7: a read is answered when every replica has answered what was sent since it was called', () => {
  const { witness, appended, confirm, confirmed } = witnessed();
  const read = new ShardRead(nobody, 1, true);
  confirm(1);
  witness.told(read);
  confirm(2);
  for (const logger of loggers) confirmed(logger, 1);
  assert.match(witness.wants({ effect: 'release', read }) ?? '', /S7 .* logger 1+ has confirmed nothing/);
  confirmed(one, 2);
  assert.match(witness.wants({ effect: 'release', read }) ?? '', /S7 .* logger 2+ has confirmed nothing/);
  witness.wants(append(1, 0, new Uint8Array(100)));
  appended(other, 1, 100);
  assert.equal(witness.wants({ effect: 'release', read }), undefined, 'a later append confirms, too');
});

test('S7: a stale read needs nobody', () => {
  const { witness } = witnessed();
  const read = new ShardRead(nobody, 1, true);
  read.stale = true;
  witness.told(read);
  assert.equal(witness.wants({ effect: 'release', read }), undefined);
});

test('S9: what was sent is not told not applied, unless its zone was seen closed or had no space for it', () => {
  const failed = (outcome: Failure['outcome']): Failure => ({
    kind: 'failed',
    code: 'not-owner',
    message: '',
    outcome,
  });
  const { witness, appended } = witnessed();
  const write = new ShardWrite(nobody, 1, 'put');
  const refuse = (outcome: Failure['outcome']) =>
    witness.wants({ effect: 'answer-write', write, result: failed(outcome) });
  assert.equal(refuse('not-applied'), undefined, 'never sent');
  const bytes = new Uint8Array(100);
  write.source = bytes;
  witness.wants(append(1, 0, bytes));
  appended(one, 1, 100);
  assert.equal(refuse('unknown'), undefined);
  assert.match(refuse('not-applied') ?? '', /S9 a write that was sent/);
  witness.wants(zoneChanged);
  assert.equal(refuse('not-applied'), undefined, 'it is not in the zone that was closed');
  witness.wants(append(2, 0, bytes));
  const reason = { kind: 'refused', code: 'device-full' } as const;
  witness.told({ event: 'append-failed', logger: one, zone: zoneId(2), reason });
  assert.equal(refuse('not-applied'), undefined, 'it was taken back');
});
