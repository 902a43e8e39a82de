import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, requestNumber } from '../../src/base/ids.ts';
import { times } from '../../src/base/times.ts';
import { writeError } from '../../src/codec/client-protocol.ts';
import type { ShardEvent, ShardRole } from '../../src/core/shard/events.ts';
import type { Failure, ReadReply, WriteReply, WriteResult } from '../../src/core/shard/requests.ts';
import { ShardRead, ShardWrite } from '../../src/core/shard/requests.ts';
import { ReadBudget } from '../../src/gateway/shards/read-budget.ts';
import { Router } from '../../src/gateway/router.ts';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import type { RpcWorld } from '../support/rpc-world.ts';
import { newest, openClient, rpcWorld } from '../support/rpc-world.ts';

const self = 0;
const other = 1;

type Answer = (channel: RpcChannel, id: number) => void;

/** A router at gateway 0, with a connection to gateway 1. */
class Gateways {
  readonly world: RpcWorld;
  readonly router: Router;
  /** Role of this gateway's shard; undefined: not loaded. */
  role: ShardRole | undefined = 'follower';
  owner = other;
  isConnected = true;
  /** What the shard of this gateway was given. */
  readonly here: string[] = [];
  /** What the shard of this gateway does with them. */
  onHere: (request: ShardEvent) => void = () => undefined;
  /** What came of requests. */
  readonly results: unknown[] = [];

  private constructor(world: RpcWorld, channel: RpcChannel) {
    this.world = world;
    this.router = new Router({
      runner: {
        shardCount: 1,
        shard: () => (this.role === undefined ? undefined : { role: this.role }),
        dispatch: (_, event) => {
          this.here.push(event.event);
          this.onHere(event);
        },
      },
      store: { ownerOf: () => this.owner },
      peers: { channel: (gateway) => (gateway === other && this.isConnected ? channel : undefined) },
      budget: new ReadBudget(world.clock),
      self,
      clock: world.clock,
    });
  }

  /** `asked`: the requests that gateway 1 is sent. */
  static async start(asked: unknown[] = [], answer: Answer = () => undefined): Promise<Gateways> {
    const world = await rpcWorld({
      onRequest: (channel, id, method, params) => {
        asked.push([method, params.value()]);
        answer(channel, id);
      },
    });
    const channel = openClient(world);
    await world.run(10);
    return new Gateways(world, channel);
  }

  write(operation: 'put' | 'delete', forward = true, client = 7): void {
    const replyTo: WriteReply = { written: (_, result) => this.results.push(shown(result)) };
    const write = new ShardWrite(replyTo, 1, operation);
    write.source = Buffer.from('.key.value.');
    write.keyStart = 1;
    write.keyLength = 3;
    write.valueStart = 5;
    write.wantedLength = 5;
    write.condition = 300;
    write.client = clientId(client);
    write.number = requestNumber(9);
    write.firstIncomplete = requestNumber(8);
    this.router.write(write, forward);
  }

  read(wantsValue: boolean, stale = false, forward = true): void {
    const replyTo: ReadReply = {
      found: ({ version, expiresAt, valueLength, value }) =>
        this.results.push(['found', version, expiresAt, value === undefined ? valueLength : String(value)]),
      failed: (_, failure) => this.results.push(shown(failure)),
    };
    const read = new ShardRead(replyTo, 1, wantsValue);
    read.source = Buffer.from('.key.');
    read.keyStart = 1;
    read.keyLength = 3;
    read.stale = stale;
    this.router.read(read, forward);
  }
}

function shown(result: WriteResult | Failure): unknown {
  if (result.kind !== 'failed') return result;
  const { code, outcome, owner } = result;
  return owner === undefined ? [code, outcome] : [code, outcome, owner];
}

const key = Buffer.from('key');

test('a shard that this gateway serves, or is taking over, is given its requests', async () => {
  const asked: unknown[] = [];
  const gateways = await Gateways.start(asked);
  for (const role of ['owner', 'taking'] as const) {
    gateways.role = role;
    gateways.write('put');
    gateways.read(true, false, false);
  }
  await gateways.world.run(10);
  assert.deepEqual(gateways.here, ['write', 'read', 'write', 'read']);
  assert.deepEqual(asked, []);
});

test('requests for a shard of another gateway go there, and its answers come back', async () => {
  const asked: unknown[] = [];
  const answers: unknown[] = [400, [true, 401], null, [300, 0, Buffer.from('value')], [300, 0, 5], null];
  const gateways = await Gateways.start(asked, (channel, id) => {
    channel.beginAnswer(id).value(answers[asked.length - 1]);
    channel.endAnswer();
  });
  gateways.write('put');
  gateways.write('delete');
  gateways.read(true);
  gateways.read(true);
  gateways.read(false);
  gateways.read(false);
  await gateways.world.run(10);
  assert.deepEqual(asked, [
    ['put', [key, Buffer.from('value'), 300, 0, 7, 9, 8]],
    ['delete', [key, 300, 7, 9, 8]],
    ['get', [key, 0]],
    ['get', [key, 0]],
    ['has', [key]],
    ['has', [key]],
  ]);
  assert.deepEqual(gateways.results, [
    { kind: 'put', version: 400 },
    { kind: 'deleted', existed: true, version: 401 },
    ['found', 0, 0, 0],
    ['found', 300, 0, 'value'],
    ['found', 300, 0, 5],
    ['found', 0, 0, 0],
  ]);
  assert.deepEqual(gateways.here, []);
});

test("the owner's refusals come back as they are; a condition is refused with the version there is", async () => {
  let condition = true;
  const gateways = await Gateways.start([], (channel, id) => {
    channel.answerError(id, (out) =>
      condition
        ? writeError(out, 'condition-failed', 'why', 'not-applied', 299)
        : writeError(out, 'disk-full', 'why', 'unknown'),
    );
  });
  gateways.write('put');
  await gateways.world.run(10);
  condition = false;
  gateways.write('put');
  gateways.read(true);
  await gateways.world.run(10);
  assert.deepEqual(gateways.results, [
    { kind: 'refused', currentVersion: 299 },
    ['disk-full', 'unknown'],
    ['disk-full', 'not-applied'],
  ]);
});

test('a write that was forwarded and not answered is unknown, one that was not sent is not applied (S15)', async () => {
  const gateways = await Gateways.start();
  gateways.write('put');
  gateways.read(true);
  await gateways.world.run(10);
  newest(gateways.world).close('gone');
  await gateways.world.run(200);
  assert.deepEqual(gateways.results, [
    ['connection-lost', 'not-applied'],
    ['connection-lost', 'unknown'],
  ]);
  gateways.write('put');
  await gateways.world.run(200);
  assert.deepEqual(gateways.results[2], ['connection-lost', 'not-applied']);
});

test('what an owner that went away has not answered goes to the next one (S15: numbered writes only)', async () => {
  const gateways = await Gateways.start();
  gateways.write('put');
  gateways.write('put', true, 0);
  gateways.read(true);
  await gateways.world.run(10);
  gateways.isConnected = false;
  newest(gateways.world).close('gone');
  await gateways.world.run(10);
  assert.deepEqual(gateways.results, [['connection-lost', 'unknown']], 'the one without a number');
  gateways.owner = self;
  gateways.role = 'owner';
  await gateways.world.run(20);
  assert.deepEqual(gateways.here, ['write', 'read']);
});

test('a write that was sent to an owner which went away is never told `not-applied`', async () => {
  const gateways = await Gateways.start();
  gateways.write('put');
  await gateways.world.run(10);
  gateways.isConnected = false;
  newest(gateways.world).close('gone');
  await gateways.world.run(times.requestHeldMs + 1_000);
  assert.deepEqual(gateways.results, [['unavailable', 'unknown']]);
});

test('S15 nobody is told `client-forgotten` of a write that an earlier owner may have applied: it is not sent anew', async () => {
  const gateways = await Gateways.start();
  gateways.onHere = (request) => {
    const failure = { kind: 'failed', code: 'client-forgotten', message: 'who?', outcome: 'not-applied' } as const;
    if (request.event === 'write') request.answer(failure);
  };
  gateways.write('put');
  await gateways.world.run(10);
  gateways.isConnected = false;
  newest(gateways.world).close('gone');
  gateways.owner = self;
  gateways.role = 'owner';
  await gateways.world.run(30);
  assert.deepEqual(gateways.results, [['connection-lost', 'unknown']]);
});

test('a gateway that does not own the shard any more is asked again, where the shard is now', async () => {
  const asked: unknown[] = [];
  const gateways = await Gateways.start(asked, (channel, id) => {
    channel.answerError(id, (out) => writeError(out, 'not-owner', 'why', 'not-applied', -1));
  });
  gateways.write('put');
  gateways.read(true);
  await gateways.world.run(15);
  gateways.owner = self;
  gateways.role = 'taking';
  await gateways.world.run(20);
  assert.deepEqual([gateways.here, gateways.results], [['write', 'read'], []]);
});

test('what waited at an owner here that handed the shard over is brought to the next one', async () => {
  const asked: unknown[] = [];
  const gateways = await Gateways.start(asked);
  const waiting: (ShardWrite | ShardRead)[] = [];
  gateways.role = 'owner';
  gateways.onHere = (event) => {
    if (event.event === 'write' || event.event === 'read') waiting.push(event);
  };
  gateways.write('put');
  gateways.read(true);
  gateways.write('put', false);
  gateways.role = 'follower';
  const failure = { kind: 'failed', code: 'not-owner', message: 'moved', outcome: 'not-applied' } as const;
  const [write, read, forwarded] = waiting;
  assert.ok(write !== undefined && read !== undefined && forwarded !== undefined);
  assert.ok(gateways.router.takesBack(write, failure) && gateways.router.takesBack(read, failure));
  assert.equal(gateways.router.takesBack(forwarded, failure), false, 'who forwarded it brings it there');
  const unknown = { ...failure, outcome: 'unknown' } as const;
  assert.equal(gateways.router.takesBack(write, unknown), false, 'what may be applied is answered');
  // The value that was fetched here before is nobody's answer any more.
  if (read.event === 'read') read.confirm();
  await gateways.world.run(15);
  assert.deepEqual([asked.length, gateways.results, gateways.router.held], [2, [], 0]);
});

test('an answer that can not be understood leaves a write unknown', async () => {
  for (const answer of ['text', -1, [true]]) {
    const gateways = await Gateways.start([], (channel, id) => {
      channel.beginAnswer(id).value(answer);
      channel.endAnswer();
    });
    gateways.write('put');
    gateways.write('delete');
    gateways.read(true);
    await gateways.world.run(10);
    assert.deepEqual(gateways.results, [
      ['protocol-error', 'unknown'],
      ['protocol-error', 'unknown'],
      ['protocol-error', 'not-applied'],
    ]);
  }
});

test('what was forwarded already is refused at once, with the owner', async () => {
  const gateways = await Gateways.start();
  gateways.write('put', false);
  gateways.read(true, false, false);
  gateways.owner = -1;
  gateways.write('put', false);
  assert.deepEqual(gateways.results, [
    ['not-owner', 'not-applied', 1],
    ['not-owner', 'not-applied', 1],
    ['not-owner', 'not-applied', -1],
  ]);
});

test('a request waits for an owner in reach, and is refused when none comes', async () => {
  const gateways = await Gateways.start();
  const { world, results, here } = gateways;
  gateways.owner = -1;
  gateways.write('put');
  gateways.read(true);
  await world.run(1_000);
  assert.deepEqual([results, here], [[], []]);
  gateways.role = 'taking';
  await world.run(20);
  assert.deepEqual(here, ['write', 'read']);
  gateways.role = 'follower';
  gateways.owner = other;
  gateways.isConnected = false;
  gateways.write('put');
  gateways.owner = self; // As the map says until its take-over has begun.
  gateways.read(true);
  await world.run(times.requestHeldMs + 20);
  assert.deepEqual(results, [
    ['unavailable', 'not-applied'],
    ['unavailable', 'not-applied'],
  ]);
});

test('a stale read is answered here by any role, once the index is loaded', async () => {
  const asked: unknown[] = [];
  const gateways = await Gateways.start(asked);
  gateways.read(true, true);
  assert.deepEqual(gateways.here, ['read']);
  gateways.role = undefined;
  gateways.read(true, true);
  await gateways.world.run(100);
  assert.deepEqual([gateways.here.length, gateways.results.length, asked.length], [1, 0, 0]);
  gateways.role = 'follower';
  await gateways.world.run(20);
  assert.deepEqual(gateways.here, ['read', 'read']);
});

test('closing refuses what is held', async () => {
  const gateways = await Gateways.start();
  gateways.isConnected = false;
  gateways.write('delete');
  gateways.router.close();
  assert.deepEqual(gateways.results, [['unavailable', 'not-applied']]);
});
