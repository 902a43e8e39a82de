import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instanceId, shardId, uuid } from '../../../src/base/ids.ts';
import { silent } from '../../../src/base/log.ts';
import { readHeartbeat, writeReports } from '../../../src/codec/heartbeat.ts';
import { times } from '../../../src/base/times.ts';
import type { ShardReport } from '../../../src/codec/heartbeat.ts';
import { writeMemberHello } from '../../../src/codec/member-hello.ts';
import type { MessageReader } from '../../../src/codec/message-reader.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';
import { Heartbeats } from '../../../src/gateway/peers/heartbeats.ts';
import type { RpcChannel } from '../../../src/rpc/channel-types.ts';
import { rpcWorld, serverAddress } from '../../support/rpc-world.ts';

const cluster = uuid('c'.repeat(32));
const self = { cluster, gateway: 0, node: uuid('1'.repeat(32)), instance: instanceId('2'.repeat(16)) };
const peer = { cluster, gateway: 1, node: uuid('3'.repeat(32)), instance: instanceId('4'.repeat(16)) };
const mine: readonly ShardReport[] = [{ shard: shardId(0), epoch: 5, condition: 'serving' }];
const theirs: readonly ShardReport[] = [{ shard: shardId(1), epoch: 7, condition: 'stuck' }];

/** Heartbeats of gateway 0, and what they ask a gateway 1 that answers. */
async function meet(): Promise<{ heartbeats: Heartbeats; asked: ShardReport[][]; run(ms: number): Promise<void> }> {
  const asked: ShardReport[][] = [];
  const onRequest = (channel: RpcChannel, id: number, method: string, params: MessageReader): void => {
    if (method === 'heartbeat') asked.push(readHeartbeat(params));
    const out = channel.beginAnswer(id);
    if (method === 'heartbeat') writeReports(out, theirs);
    else writeMemberHello(out, peer);
    channel.endAnswer();
    channel.flush();
  };
  const { client, clock, run: pass } = await rpcWorld({ onRequest });
  const random = new SimulatedRandom(1);
  const world = { clock, random, network: client };
  const suspicion = { leastMs: 200, mostMs: 500 };
  const nothing = (): void => undefined;
  const heartbeats = new Heartbeats({ world, log: silent, self, suspicion, reports: () => mine, onNews: nothing });
  const { node, instance } = peer;
  const addresses = { peerAddress: serverAddress, clientAddress: serverAddress };
  heartbeats.update(new Map([[1, { uuid: node, instance, ...addresses }]]));
  // As the shards' tick does.
  const run = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += times.shardTickMs) {
      heartbeats.tick(times.shardTickMs);
      await pass(times.shardTickMs);
    }
  };
  return { heartbeats, asked, run };
}

test('question and answer of a heartbeat both tell of shards', async () => {
  const { heartbeats, asked, run } = await meet();
  await run(150);
  assert.deepEqual(asked[0], mine);
  assert.equal(heartbeats.peers.get(1)?.verdict, 'alive');
  assert.equal(heartbeats.peers.get(1)?.condition(shardId(1), 7), 'stuck');
  heartbeats.close();
});

test('a gateway that is asked all the time does not ask, and asks again when the other falls silent', async () => {
  const { heartbeats, asked, run } = await meet();
  await run(150);
  const before = asked.length;
  for (let turn = 0; turn < 20; turn++) {
    heartbeats.heard(peer.instance, mine);
    await run(50);
  }
  assert.equal(asked.length, before);
  assert.equal(heartbeats.peers.get(1)?.condition(shardId(0), 5), 'serving', 'what it says unasked counts');
  await run(1_000);
  assert.ok(asked.length >= before + 9, `${asked.length - before} questions in a second`);
  heartbeats.close();
});

test('what another process says is not heard from the one that is listed', async () => {
  const { heartbeats, run } = await meet();
  await run(150);
  heartbeats.heard(instanceId('9'.repeat(16)), mine);
  assert.equal(heartbeats.peers.get(1)?.condition(shardId(0), 5), undefined);
  heartbeats.close();
});
