import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId } from '../../src/base/ids.ts';
import type { Entry } from '../../src/coordinator/coordinator.ts';
import { clientIdsKey } from '../../src/coordinator/client-ids.ts';
import { LeasedIds } from '../../src/gateway/leased-ids.ts';

/** Counter that stands at `end`: ids below it were given out. */
const counter = (end: number): Entry => ({
  key: clientIdsKey,
  value: Buffer.from(JSON.stringify({ next: end })),
  revision: 1,
});

test('S15 an id is judged by a read that began after it was asked for: it may have been leased just before', async () => {
  const answers: ((entry: Entry | undefined) => void)[] = [];
  const get = (): Promise<Entry | undefined> => new Promise((resolve) => answers.push(resolve));
  const ids = new LeasedIds({ get }, { clientIdsEnd: 0 });
  const told = new Map<number, string>();
  const ask = (id: number): void =>
    ids.ask(clientId(id), 1, (failure) => told.set(id, failure === undefined ? 'taken' : failure.code));
  ask(5);
  ask(150);
  assert.equal(answers.length, 1);
  answers[0]?.(counter(10));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([...told], [[5, 'taken']]);
  assert.equal(answers.length, 2, 'the other is asked for anew');
  answers[1]?.(counter(200));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(told.get(150), 'taken');
});
