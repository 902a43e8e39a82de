import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchRefusals } from '../../../sim/check/refusals.ts';
import type { Plan } from '../../../sim/plan.ts';
import type { ErrorCode } from '../../../src/base/errors.ts';
import { clientId, requestNumber } from '../../../src/base/ids.ts';
import type { ShardEffect } from '../../../src/core/shard/events.ts';
import { ShardWrite } from '../../../src/core/shard/requests.ts';
import type { Shard } from '../../../src/core/shard/shard.ts';

function writeOf(client: number, number: number, firstIncomplete: number): ShardWrite {
  const write = new ShardWrite({ outlet: undefined, written: () => undefined }, 1, 'put');
  write.client = clientId(client);
  write.number = requestNumber(number);
  write.firstIncomplete = requestNumber(firstIncomplete);
  return write;
}

function owner(shard: number): Shard {
  return { state: { shard }, role: 'owner' } as unknown as Shard; // What the check looks at.
}

/** Violations when shards 1 and 2 were sent `sent`, and shard 1 refuses `refused` with `code`, in a calm life. */
function violations(sent: readonly (readonly [number, ShardWrite])[], refused: ShardWrite, code: ErrorCode): string[] {
  const found: string[] = [];
  const calm = { faults: [], cluster: { knobs: {} } } as unknown as Plan; // What the check looks at.
  const trace = watchRefusals(calm, ({ message }) => found.push(message));
  for (const [shard, write] of sent) {
    trace.before(owner(shard), write);
    trace.after(owner(shard), write, []);
  }
  const result = { kind: 'failed', code, message: 'no', outcome: 'unknown' } as const;
  const effect: ShardEffect = { effect: 'answer-write', write: refused, result };
  trace.before(owner(1), refused);
  trace.after(owner(1), refused, [effect]);
  return found;
}

const late = writeOf(2, 205, 205);
const unexplained = ['promise 3: shard 1 refuses without a reason: no'];

test('S15: a copy that comes after its client said that the number is over may be refused as superseded', () => {
  assert.deepEqual(violations([[1, writeOf(2, 207, 207)]], late, 'request-superseded'), []);
});

test('promise 3: a number that its client has not said to be over is not refused as superseded', () => {
  assert.deepEqual(violations([[1, writeOf(2, 207, 205)]], late, 'request-superseded'), unexplained);
  assert.deepEqual(violations([[1, writeOf(3, 207, 207)]], late, 'request-superseded'), unexplained, 'another client');
  assert.deepEqual(violations([[2, writeOf(2, 207, 207)]], late, 'request-superseded'), unexplained, 'another shard');
});

test('promise 3: no other refusal is explained by a number that is over', () => {
  assert.deepEqual(violations([[1, writeOf(2, 207, 207)]], late, 'client-forgotten'), unexplained);
});
