import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetadataWatch } from '../../../sim/check/metadata.ts';
import { Reversals } from '../../../sim/reversals.ts';
import type { Violation } from '../../../sim/check/violation.ts';
import { epoch, instanceId, shardId, type Uuid, uuid, zoneId } from '../../../src/base/ids.ts';
import type { Change, Coordinator } from '../../../src/coordinator/coordinator.ts';
import { encodeMetadata, type Head, headKey, type SealedZone, zoneKey } from '../../../src/core/shard/head/metadata.ts';

const shard = shardId(3);
const loggers = [1, 2, 3].map((digit) => uuid(String(digit).repeat(32)));
const processes = [4, 5, 6].map((digit) => instanceId(String(digit).repeat(16)));
const owner = (gateway: number, start: number): Head['owner'] => ({
  gateway,
  node: uuid(String(gateway).repeat(32)),
  instance: instanceId(String(start).repeat(16)),
});

interface Step {
  readonly head: Head;
  readonly sealed?: readonly SealedZone[];
}

const head = (change: number, of: number, zone: number, rest: Partial<Head> = {}): Head => ({
  epoch: epoch(of),
  owner: owner(of, 1),
  openZone: { zone: zoneId(zone), epoch: epoch(of), instance: owner(of, 1).instance, replicas: loggers, processes },
  nextZone: zoneId(zone + 1),
  change,
  ...rest,
});
const seal = (zone: number, of: number, replicas: readonly Uuid[] = loggers, length = 4096): SealedZone => ({
  zone: zoneId(zone),
  epoch: epoch(of),
  instance: owner(of, 1).instance,
  length,
  replicas,
  former: [],
});

/** What the watch says of the transactions, each at a revision of its own, in one call. */
function watched(steps: readonly Step[], reversals = new Reversals()): readonly string[] {
  const violations: Violation[] = [];
  let send: ((changes: readonly Change[]) => void) | undefined;
  const refuse = (): never => {
    throw new Error('the watch only watches');
  };
  const coordinator: Coordinator = {
    source: 'a test',
    get: refuse,
    list: refuse,
    transact: refuse,
    hint: refuse,
    close: refuse,
    watch: (_prefix, _after, onChanges) => {
      send = onChanges;
      return { close: () => undefined };
    },
  };
  new MetadataWatch(
    coordinator,
    { reversals, wantedReplicas: 2 },
    (violation) => violations.push(violation),
    () => undefined,
  );
  send?.(
    steps.flatMap(({ head: written, sealed = [] }, index) => [
      { key: headKey(shard), value: encodeMetadata(written), revision: index + 1 },
      ...sealed.map((zone) => ({ key: zoneKey(shard, zone.zone), value: encodeMetadata(zone), revision: index + 1 })),
    ]),
  );
  return violations.map(({ message }) => message);
}

const first: Step = { head: head(1, 1, 1) };
/** A claim keeps the old open zone. */
const claim: Step = { head: { ...head(2, 1, 1), epoch: epoch(2), owner: owner(2, 1) } };

test('a life of a shard is right: a zone change, a claim, a take-over, a claim after a restart', () => {
  const change: Step = { head: head(2, 1, 2), sealed: [seal(1, 1)] };
  const claimed: Step = { head: { ...head(3, 1, 2), epoch: epoch(3), owner: owner(3, 1) } };
  const taken: Step = { head: head(4, 3, 3), sealed: [seal(2, 1, loggers.slice(1))] };
  const again: Step = { head: { ...head(5, 3, 3), epoch: epoch(5), owner: owner(3, 2) } };
  assert.deepEqual(watched([first, change, claimed, taken, again]), []);
});

const wrong: Readonly<Record<string, readonly [readonly Step[], RegExp]>> = {
  'S1 a change that does not count': [[first, { head: head(1, 1, 1) }], /S1 .*change 1 follows 1/],
  'S1 a change that was overwritten': [[first, { head: head(3, 1, 1) }], /S1 .*change 3 follows 1/],
  'S2 an epoch with two owners': [[first, { head: head(2, 1, 1, { owner: owner(2, 1) }) }], /epoch 1 has two owners/],
  'S2 an epoch resumed by a restarted process': [
    [first, { head: head(2, 1, 1, { owner: owner(1, 2) }) }],
    /epoch 1 has two owners/,
  ],
  'S2 an epoch that goes back': [[first, claim, { head: head(3, 1, 1) }], /epoch 1 follows 2/],
  'S2 an epoch that was left out': [[first, { head: { ...claim.head, epoch: epoch(3) } }], /epoch 3 follows 1/],
  'S2 a zone with two epochs': [[first, claim, { head: head(3, 2, 1) }], /zone 1 has two epochs, 1 and 2/],
  'S2 a zone that is used again': [
    [first, { head: head(2, 1, 2), sealed: [seal(1, 1)] }, { head: head(3, 1, 1), sealed: [seal(2, 1)] }],
    /zone 1 was used before/,
  ],
  'S2 the next zone is the open one': [[{ head: head(1, 1, 1, { nextZone: zoneId(1) }) }], /next zone 1 is not above/],
  'S8 a zone sealed that was not open': [
    [first, { head: head(2, 1, 2), sealed: [seal(7, 1)] }],
    /zone 7 is sealed but was not the open one/,
  ],
  'S10 a sealed zone that nobody holds': [
    [first, { head: head(2, 1, 2), sealed: [seal(1, 1, [])] }],
    /S10 .*zone 1 is sealed as/,
  ],
  'S10 a sealed zone of another epoch': [
    [first, { head: head(2, 1, 2), sealed: [seal(1, 2)] }],
    /S10 .*zone 1 is sealed as/,
  ],
  'S10 a logger listed that never held the zone': [
    [first, { head: head(2, 1, 2), sealed: [seal(1, 1, [uuid('9'.repeat(32))])] }],
    /lists loggers that never held it/,
  ],
  'S5 an open zone without replicas': [
    [{ head: head(1, 1, 1, { openZone: { ...head(1, 1, 1).openZone, replicas: [], processes: [] } }) }],
    /zone 1 has no replica/,
  ],
};

for (const [name, [steps, message]] of Object.entries(wrong)) {
  test(`the watch of metadata finds: ${name}`, () => {
    const [found = ''] = watched(steps);
    assert.match(found, message);
  });
}

test('S20: older metadata is changed by nobody; the exchange itself is no transaction', () => {
  const back = (to?: number): Reversals => {
    const reversals = new Reversals();
    reversals.metadataBack([shard], 3);
    if (to !== undefined) reversals.metadataRestored(to);
    return reversals;
  };
  const newest = { head: head(2, 1, 2), sealed: [seal(1, 1)] };
  const before = [{ head: head(1, 1, 1) }, newest, { head: head(1, 1, 1) }];
  const claim = { head: head(2, 1, 1, { epoch: epoch(2), owner: owner(2, 1) }) };
  assert.deepEqual(watched([...before, newest, { head: head(3, 1, 3), sealed: [seal(2, 1)] }], back(4)), []);
  for (const change of [claim, newest, { head: head(2, 2, 2) }])
    assert.match(watched([...before, change], back()).join(), /S20 shard 3: .* was written, though the metadata/);
});
