import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { condition } from '../../src/codec/client-requests.ts';
import type { Welcome } from '../../src/codec/client-protocol.ts';
import type { LinkOwner } from '../../src/client/link.ts';
import { Link } from '../../src/client/link.ts';
import { DeleteRequest } from '../../src/client/request.ts';
import { WriteIdentity } from '../../src/client/write-identity.ts';
import { SimulatedClock } from '../../src/env/simulated/clock.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { MemoryNetwork } from './memory-network.ts';

const nobody: LinkOwner = {
  cluster: '',
  wantsClientId: () => false,
  welcomed: () => undefined,
  clientIdRefused: () => undefined,
  mapChanged: () => undefined,
  down: () => undefined,
};

interface World {
  readonly clock: SimulatedClock;
  readonly identity: WriteIdentity;
  /** Links that are never opened. */
  readonly links: readonly [Link, Link];
}

function world(): World {
  const clock = new SimulatedClock();
  const parts = { clock, random: new SimulatedRandom(1), network: new MemoryNetwork(clock) };
  const link = (address: string): Link => new Link(parts, nobody, address);
  return { clock, identity: new WriteIdentity(clock), links: [link('a:1'), link('b:1')] };
}

function write(): DeleteRequest {
  const noop = (): void => undefined;
  return new DeleteRequest(noop, noop, Buffer.from('key'), condition.none);
}

function welcome(client: number, clientWindow = 2): Welcome {
  const map = { revision: 1, shards: 1, owners: [0], gateways: [''] };
  const limits = { keyBytesMax: 1, valueBytesMax: 1, clientWindow };
  return { cluster: 'c', protocol: 1, gateway: 0, node: 'n', instance: 'i', client, map, ...limits };
}

test('one link is asked for an id at a time, and not more often than every 100 ms', async () => {
  const { clock, identity, links } = world();
  const [first, second] = links;
  assert.ok(identity.shouldAsk(first));
  assert.ok(!identity.shouldAsk(second));
  await clock.runUntil(100);
  assert.ok(!identity.shouldAsk(second), 'the first has not answered');
  identity.answered(second);
  assert.ok(!identity.shouldAsk(second), 'nor has it by what another says');
  identity.answered(first);
  assert.ok(identity.shouldAsk(second));
  identity.welcomed(second, welcome(0));
  assert.ok(!identity.shouldAsk(first), 'too soon');
  await clock.runUntil(200);
  assert.ok(identity.shouldAsk(first));
  identity.welcomed(first, welcome(7));
  await clock.runUntil(1_000);
  assert.ok(!identity.shouldAsk(first), 'there is one');
  assert.equal(identity.client, 7);
});

test('S15 writes get numbers as far as the window goes, and the reason when they get none', () => {
  const { identity, links } = world();
  assert.ok(!identity.number(write()));
  assert.equal(identity.missing.code, 'unavailable');
  identity.welcomed(links[0], welcome(7));
  const writes = [write(), write(), write()] as const;
  assert.deepEqual(
    writes.map((one) => identity.number(one)),
    [true, true, false],
  );
  assert.deepEqual(
    writes.map(({ client, number, firstIncomplete }) => [client, number, firstIncomplete]),
    [
      [7, 1, 1],
      [7, 2, 1],
      [0, 0, 0],
    ],
  );
  assert.equal(identity.missing.code, 'window-exceeded');
  writes[0].window?.end(writes[0].number);
  assert.ok(identity.number(writes[2]));
  assert.deepEqual([writes[2].number, writes[2].firstIncomplete], [3, 2]);
});

test('S15 a second id does not replace the one there is; a forgotten one is given up, and other writes keep theirs', () => {
  const { identity, links } = world();
  identity.welcomed(links[0], welcome(7));
  identity.welcomed(links[1], welcome(8));
  assert.equal(identity.client, 7);
  const [forgotten, other, late] = [write(), write(), write()];
  identity.number(forgotten);
  identity.number(other);
  identity.forgotten(forgotten);
  assert.deepEqual([forgotten.window, identity.client], [undefined, 0]);
  identity.welcomed(links[1], welcome(9));
  identity.forgotten(other);
  assert.equal(identity.client, 9, 'that the old id is forgotten says nothing of the new one');
  assert.ok(identity.number(late));
  assert.deepEqual([late.client, late.number], [9, 1]);
});
