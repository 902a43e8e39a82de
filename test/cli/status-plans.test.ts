/** What `status` tells an operator of loggers that are to leave, and of waits for loggers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineOf, planOf, waitsOf } from '../../src/cli/status-plans.ts';
import type { ShardLine } from '../../src/codec/node-status.ts';
import { gatewayStatus } from '../support/gateway-status.ts';

const view = { gateways: [{ ok: false }, { ok: true, value: gatewayStatus }] } as const;
const [known] = gatewayStatus.loggers;
const [shard] = gatewayStatus.shards;
assert.ok(known && shard);

test('a logger that is to leave: how far it is, and when it may be removed', () => {
  assert.equal(lineOf(view, known.number), known);
  const said = (standing: string, listedZones: number): string => planOf({ ...known, standing, listedZones });
  assert.deepEqual(
    [said('member', 2), said('draining', 1), said('draining', 2), said('draining', 0), said('lost', 2)],
    ['', 'draining, 1 zone to go', 'draining, 2 zones to go', 'drained: may be removed', 'lost'],
  );
  assert.equal(planOf(undefined), '');
});

test('a take-over that waits: in which shard, for whom, why, and the command', () => {
  const waiting = (...waitsFor: string[]): ShardLine => ({ ...shard, waiting: 'no answer', waitsFor });
  const said = (...shards: ShardLine[]): readonly string[] => waitsOf(view, shards, 'kv');
  assert.deepEqual(said({ ...shard, waiting: '', waitsFor: [] }), []);
  assert.deepEqual(said(waiting(known.uuid)), [
    `shard 0 waits for logger ${known.number}: no answer\nIf it will never return: \`kv logger lost ${known.number}\``,
  ]);
  const strange = 'f'.repeat(32);
  assert.match(said(waiting(strange))[0] ?? '', /logger ffffffff: .*\n.*`kv logger lost ffffffff`/);
  assert.match(said(waiting(strange, known.uuid))[0] ?? '', /`kv logger lost <number or UUID>`/);
  assert.deepEqual(said(waiting()), ['shard 0 waits for loggers: no answer']);
});
