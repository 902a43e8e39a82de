import assert from 'node:assert/strict';
import { test } from 'node:test';
import { version } from '../../../src/base/ids.ts';
import type { Failure, WriteResult } from '../../../src/core/shard/requests.ts';
import { ShardRead, ShardWrite } from '../../../src/core/shard/requests.ts';
import { Session } from '../../../src/gateway/doors/session.ts';
import { ask, openClient, rpcWorld } from '../../support/rpc-world.ts';

/** What a client is answered when `reply` answers its request. */
async function answered(reply: (session: Session, id: number) => void): Promise<unknown> {
  const world = await rpcWorld({ onRequest: (channel, id) => reply(new Session(channel), id) });
  const channel = openClient(world);
  await world.run(10);
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'any', []);
  await world.run(10);
  return outcomes[0];
}

function writeAnswer(result: WriteResult): Promise<unknown> {
  return answered((session, id) => session.written(new ShardWrite(session, id, 'put'), result));
}

function failureOf(failure: Pick<Failure, 'code' | 'owner'>): Failure {
  return { kind: 'failed', message: 'why', outcome: 'not-applied', ...failure };
}

test('results of writes are answered in the form of their method', async () => {
  assert.equal(await writeAnswer({ kind: 'put', version: version(300) }), 300);
  assert.deepEqual(await writeAnswer({ kind: 'deleted', existed: true, version: version(301) }), [true, 301]);
});

test('a refused condition says which version there is', async () => {
  assert.deepEqual(await writeAnswer({ kind: 'refused', currentVersion: version(0) }), {
    error: ['condition-failed', 'the condition does not hold: the key is absent', 'not-applied', 0],
  });
  assert.deepEqual(await writeAnswer({ kind: 'refused', currentVersion: version(300) }), {
    error: ['condition-failed', 'the condition does not hold: the key has version 300', 'not-applied', 300],
  });
});

test('not-owner names the owner where it is known, and no other failure does', async () => {
  assert.deepEqual(await writeAnswer(failureOf({ code: 'not-owner', owner: 2 })), {
    error: ['not-owner', 'why', 'not-applied', 2],
  });
  assert.deepEqual(await writeAnswer(failureOf({ code: 'not-owner' })), {
    error: ['not-owner', 'why', 'not-applied', -1],
  });
  assert.deepEqual(await writeAnswer(failureOf({ code: 'unavailable' })), {
    error: ['unavailable', 'why', 'not-applied', 0],
  });
  const failed = await answered((session, id) =>
    session.failed(new ShardRead(session, id, true), failureOf({ code: 'not-owner', owner: 0 })),
  );
  assert.deepEqual(failed, { error: ['not-owner', 'why', 'not-applied', 0] });
});

test('a read is answered by nil, by the value, or by the length of it', async () => {
  const answerTo = (found: Partial<ShardRead>): Promise<unknown> =>
    answered((session, id) => session.found(Object.assign(new ShardRead(session, id, true), found)));
  assert.equal(await answerTo({}), null);
  assert.deepEqual(await answerTo({ version: version(300), valueLength: 7 }), [300, 0, 7]);
  assert.deepEqual(await answerTo({ version: version(300), value: Uint8Array.of(1, 2) }), [
    300,
    0,
    Buffer.from([1, 2]),
  ]);
});
