/** Writes that hang at one shard do not stop those of the same client to others. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { keyOfShard } from './keys.ts';
import { World } from './world.ts';

/** Puts of 100 writers, one after another; gives how many were done after 5 s. */
async function putsDone(world: World, put: (number: number) => Promise<unknown>): Promise<number> {
  let done = 0;
  const started = world.clock.now();
  const writer = async (): Promise<void> => {
    for (let number = 0; number < 100; number++) {
      await put(number);
      done++;
    }
  };
  const all = Promise.all(Array.from({ length: 100 }, writer));
  all.catch(() => undefined);
  await world.clock.runUntil(() => done === 10_000 || world.clock.now() > started + 5_000, 3_000_000);
  return done;
}

test('one write that hangs does not stop the writes of the same client to healthy shards', async () => {
  const world = await World.started();
  const client = await world.client({ timeoutMs: 10_000 });
  world.cluster.script = (call) => (call.gateway === 1 && call.method === 'put' ? { kind: 'hang' } : undefined);
  client.put(keyOfShard(1), 'x').catch(() => undefined);
  assert.equal(await putsDone(world, (number) => client.put(keyOfShard(0), `v${number}`)), 10_000);
  await world.run(client.close());
});

test('nor does a whole window of them, with more that wait behind it', async () => {
  const world = await World.started();
  const client = await world.client({ timeoutMs: 10_000 });
  world.cluster.script = (call) => (call.gateway === 1 && call.method === 'put' ? { kind: 'hang' } : undefined);
  for (let write = 0; write < 5_000; write++) client.put(keyOfShard(1), 'x').catch(() => undefined);
  assert.equal(await putsDone(world, (number) => client.put(keyOfShard(0), `v${number}`)), 10_000);
  await world.run(client.close());
});
