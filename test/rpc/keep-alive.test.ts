/** One whose work takes long is told apart from one that is gone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import { KeepAlive } from '../../src/rpc/keep-alive.ts';
import { ask, openClient, Recorder, type RpcWorld, rpcWorld } from '../support/rpc-world.ts';

/** A server that answers pings and nothing else, unless it hangs; requests of `work` are answered by `work`. */
async function busyWorld(isHanging: () => boolean, work: (() => void)[] = []): Promise<RpcWorld> {
  return rpcWorld({
    onRequest: (channel, id, method) => {
      const answer = (): void => {
        channel.beginAnswer(id).nil();
        channel.endAnswer();
      };
      if (method === 'work') work.push(answer);
      else if (!isHanging()) answer();
    },
  });
}

function keptAlive(world: RpcWorld, channel: RpcChannel, patienceMs: number): KeepAlive {
  return new KeepAlive({
    clock: world.clock,
    periodMs: 250,
    patienceMs,
    channel: () => (channel.isOpen ? channel : undefined),
    ping: (done) => channel.request('ping', (out) => out.array(0), done),
  });
}

test('work that takes longer than the silence that is allowed is waited for while pings are answered', async () => {
  const work: (() => void)[] = [];
  const world = await busyWorld(() => false, work);
  const channel = openClient(world, new Recorder(), { progressTimeoutMs: 1_000 });
  const kept = keptAlive(world, channel, 30_000);
  await world.run(10);
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'work', []);
  await world.run(25_000);
  assert.deepEqual(outcomes, []);
  work[0]?.();
  await world.run(10);
  assert.deepEqual(outcomes, [null]);
  kept.close();
});

test('not for ever: who answers nothing but pings for patienceMs is left', async () => {
  const world = await busyWorld(() => false);
  const channel = openClient(world, new Recorder(), { progressTimeoutMs: 1_000 });
  const kept = keptAlive(world, channel, 5_000);
  await world.run(10);
  ask(channel, [], 'work', []);
  await world.run(4_900);
  assert.equal(channel.isOpen, true);
  await world.run(2_000);
  assert.equal(channel.isOpen, false);
  kept.close();
});

test('who answers no pings is left as before', async () => {
  const world = await busyWorld(() => true);
  const channel = openClient(world, new Recorder(), { progressTimeoutMs: 1_000 });
  const kept = keptAlive(world, channel, 30_000);
  await world.run(10);
  ask(channel, [], 'work', []);
  await world.run(1_500);
  assert.equal(channel.isOpen, false);
  kept.close();
});

test('nothing is asked while nothing is owed, nor after the end', async () => {
  const world = await busyWorld(() => false);
  const channel = openClient(world, new Recorder(), { progressTimeoutMs: 1_000 });
  const kept = keptAlive(world, channel, 30_000);
  await world.run(20_000);
  assert.deepEqual(world.server.events, ['open']);
  ask(channel, [], 'work', []);
  kept.close();
  await world.run(900);
  assert.deepEqual(world.server.events, ['open', 'request work']);
});
