/** Writes without numbers are the gateway's own (S15), also when a shard has forgotten the gateway. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvError } from '../../src/base/errors.ts';
import { clientId, version } from '../../src/base/ids.ts';
import { limits } from '../../src/base/limits.ts';
import { CoordinatorError } from '../../src/coordinator/coordinator.ts';
import type { WriteResult } from '../../src/core/shard/requests.ts';
import { ShardWrite } from '../../src/core/shard/requests.ts';
import { Numbering } from '../../src/gateway/numbering.ts';
import { keyOfShard } from '../client/keys.ts';

const shards = 3;
const forgotten: WriteResult = { kind: 'failed', code: 'client-forgotten', message: '', outcome: 'unknown' };
const done: WriteResult = { kind: 'put', version: version(1) };

class World {
  ids = 7;
  idFailure: Error | undefined;
  readonly numbering = new Numbering(
    clientId(this.ids),
    {
      take: async () => {
        if (this.idFailure !== undefined) throw this.idFailure;
        this.ids += 1;
        return clientId(this.ids);
      },
    },
    shards,
  );
  readonly sent: ShardWrite[] = [];
  readonly results: WriteResult[] = [];

  put(shard: number): void {
    const write = new ShardWrite({ written: (_, result) => this.results.push(result) }, 1, 'put');
    write.source = Buffer.from(keyOfShard(shard));
    write.keyLength = write.source.length;
    this.numbering.send(write, (numbered) => this.sent.push(numbered));
  }

  /** Answers what was sent by `answer`. */
  async answer(answer: (write: ShardWrite) => WriteResult): Promise<void> {
    for (const write of this.sent.splice(0)) write.answer(answer(write));
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  }
}

test('writes of a forgotten gateway are sent again under one new id, and the caller sees nothing of it', async () => {
  const world = new World();
  for (let write = 0; write < 5; write += 1) world.put(0);
  await world.answer(() => forgotten);
  assert.deepEqual(
    world.sent.map(({ client, number, keyLength }) => [client, number, keyLength > 0]),
    [1, 2, 3, 4, 5].map((number) => [8, number, true]),
  );
  await world.answer(() => done);
  assert.deepEqual(world.results, Array(5).fill(done));
  world.put(1);
  assert.equal(world.sent[0]?.client, 8);
});

test('a shard that forgets every id: not applied, in the end', async () => {
  const world = new World();
  world.put(0);
  for (let round = 0; round < 5; round += 1) await world.answer(() => forgotten);
  assert.deepEqual(
    world.results.map((result) => (result.kind === 'failed' ? [result.code, result.outcome] : [])),
    [['client-forgotten', 'not-applied']],
  );
});

test('without the coordinator there is no new id: not applied', async () => {
  const world = new World();
  world.idFailure = new CoordinatorError('not-applied', 'away');
  world.put(0);
  await world.answer(() => forgotten);
  assert.deepEqual(
    world.results.map((result) => (result.kind === 'failed' ? [result.code, result.outcome] : [])),
    [['client-forgotten', 'not-applied']],
  );
  world.idFailure = undefined;
  world.put(0);
  await world.answer(() => forgotten);
  await world.answer(() => done);
  assert.deepEqual(world.results.at(-1), done);
});

test('writes that hang at one shard fill its window, not those of others', () => {
  const world = new World();
  for (let write = 0; write < limits.clientWindow; write += 1) world.put(1);
  assert.throws(
    () => world.put(1),
    (error) => error instanceof KvError && error.code === 'overloaded',
  );
  world.put(0);
  assert.equal(world.sent.at(-1)?.firstIncomplete, limits.clientWindow + 1);
});
