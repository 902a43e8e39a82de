import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forbidden, watchRegressedLoggers } from '../../../sim/check/regressed.ts';
import type { Violation } from '../../../sim/check/violation.ts';
import { Reversals } from '../../../sim/reversals.ts';
import { shardId, uuid, zoneId } from '../../../src/base/ids.ts';
import type { MachineEvent } from '../../../src/core/logger/machine-events.ts';
import type { ShardEffect } from '../../../src/core/shard/events.ts';

const finish: ShardEffect = { effect: 'finish', zone: zoneId(4), length: 10, loggers: [uuid('1'.repeat(32))] };
const note: ShardEffect = { effect: 'note', level: 'error', text: 'metadata went back', fields: {} };

test('S20: a shard whose metadata went back is neither served nor finished; to stop and to say so is right', () => {
  assert.equal(forbidden({ effect: 'role', role: 'owner' }), 'is served');
  assert.equal(forbidden(finish), 'has zone 4 finished');
  assert.equal(forbidden({ effect: 'role', role: 'stopped' }), undefined);
  assert.equal(forbidden(note), undefined);
});

test('S20: no logger is told to finish a zone of such a shard; before and afterwards it may be', () => {
  const found: Violation[] = [];
  const reversals = new Reversals();
  const trace = watchRegressedLoggers(reversals, (violation) => found.push(violation));
  const machine = { failed: false, report: () => [], snapshot: () => [] };
  const event: MachineEvent<unknown> = { kind: 'finish', ticket: 1, shard: shardId(0), zone: zoneId(4), length: 10 };
  trace.after(machine, event, []);
  reversals.metadataBack([0], 7);
  trace.after(machine, { ...event, shard: shardId(1) }, []);
  assert.deepEqual(found, []);
  trace.after(machine, event, []);
  assert.match(found.join(), /S20 zone 4 of shard 0: a logger is told to finish it/);
  reversals.metadataRestored(8);
  trace.after(machine, event, []);
  assert.equal(found.length, 1);
});
