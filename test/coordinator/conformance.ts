/** What every coordinator promises: one suite, run on every implementation. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  CoordinatorError,
  coordinatorLimits,
  type Change,
  type Coordinator,
  type Revision,
  type TransactionResult,
} from '../../src/coordinator/coordinator.ts';

export interface CoordinatorSetup {
  /** One more client of the same store, as another process has it. */
  client(): Promise<Coordinator>;
  /** Ends the store; the clients are closed already. */
  close(): Promise<void>;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const show = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);

function revisionOf(result: TransactionResult): Revision {
  assert.equal(result.kind, 'applied');
  return result.kind === 'applied' ? result.revision : 0;
}

async function put(coordinator: Coordinator, key: string, value: string): Promise<Revision> {
  return revisionOf(await coordinator.transact([], [{ key, value: text(value) }]));
}

/** Collects a watch's changes; `reached` waits, without a timer, until one of `revision` or later has come. */
class Collected {
  readonly calls: (readonly Change[])[] = [];
  #waiting: { readonly revision: Revision; readonly resolve: () => void }[] = [];

  readonly onChanges = (changes: readonly Change[]): void => {
    this.calls.push(changes);
    const newest = changes.at(-1)?.revision ?? 0;
    for (const { revision, resolve } of this.#waiting) if (newest >= revision) resolve();
    this.#waiting = this.#waiting.filter(({ revision }) => revision > newest);
  };

  get changes(): Change[] {
    return this.calls.flat();
  }

  async reached(revision: Revision): Promise<void> {
    if ((this.changes.at(-1)?.revision ?? 0) >= revision) return;
    await new Promise<void>((resolve) => this.#waiting.push({ revision, resolve }));
  }

  check(): void {
    const revisions = this.changes.map((change) => change.revision);
    assert.deepEqual(
      revisions,
      [...revisions].sort((a, b) => a - b),
      'in order of revision',
    );
    const names = this.changes.map((change) => `${change.key} ${change.revision}`);
    assert.equal(new Set(names).size, names.length, 'none twice');
    const firsts = this.calls.map((call) => call[0]?.revision ?? 0);
    const lasts = this.calls.map((call) => call.at(-1)?.revision ?? 0);
    for (let index = 1; index < firsts.length; index += 1)
      assert.ok((firsts[index] ?? 0) > (lasts[index - 1] ?? 0), 'a transaction is not split');
  }
}

export function coordinatorConformance(name: string, setUp: () => Promise<CoordinatorSetup>): void {
  async function withClients(
    count: number,
    body: (clients: readonly [Coordinator, Coordinator, ...Coordinator[]]) => Promise<void>,
  ): Promise<void> {
    const setup = await setUp();
    const clients: Coordinator[] = [];
    try {
      for (let index = 0; index < Math.max(2, count); index += 1) clients.push(await setup.client());
      const [first, second, ...others] = clients;
      assert.ok(first !== undefined && second !== undefined);
      await body([first, second, ...others]);
    } finally {
      for (const client of clients) await client.close();
      await setup.close();
    }
  }
  const one = (title: string, body: (mine: Coordinator, others: Coordinator) => Promise<void>): void => {
    it(title, () => withClients(2, ([mine, others]) => body(mine, others)));
  };

  describe(`${name}: entries and revisions`, () => {
    one('an absent key has no entry; a written one is there for every client', async (mine, others) => {
      assert.equal(await mine.get('a'), undefined);
      const revision = await put(mine, 'a', 'one');
      for (const client of [mine, others]) {
        const entry = await client.get('a');
        assert.deepEqual([entry?.key, show(entry?.value), entry?.revision], ['a', 'one', revision]);
      }
    });

    one('values are bytes: empty ones and all 256 come back', async (mine, others) => {
      const all = Uint8Array.from({ length: 256 }, (_, index) => index);
      await mine.transact(
        [],
        [
          { key: 'empty', value: new Uint8Array(0) },
          { key: 'all', value: all },
        ],
      );
      const [empty, back] = [await others.get('empty'), await others.get('all')];
      assert.equal(empty?.value.length, 0);
      assert.deepEqual([...(back?.value ?? [])], [...all]);
    });

    one(
      'a revision grows with every change, one for all keys changed together, none for what changes nothing',
      async (mine, others) => {
        const first = await put(mine, 'a', '1');
        const second = revisionOf(
          await others.transact(
            [],
            [
              { key: 'a', value: text('1') },
              { key: 'b', value: text('2') },
            ],
          ),
        );
        assert.ok(second > first);
        assert.equal((await mine.get('a'))?.revision, second);
        assert.equal((await mine.get('b'))?.revision, second);
        const none = await mine.transact([{ key: 'a', revision: second }], [{ key: 'absent', value: undefined }]);
        assert.equal(revisionOf(none), second);
        assert.equal(revisionOf(await mine.transact([{ key: 'a', revision: second }], [])), second);
        assert.equal((await mine.list('')).revision, second);
      },
    );

    one('a deleted key is absent, and comes back with a new revision', async (mine, others) => {
      const first = await put(mine, 'a', '1');
      const deleted = revisionOf(
        await mine.transact([{ key: 'a', revision: first }], [{ key: 'a', value: undefined }]),
      );
      assert.ok(deleted > first);
      assert.equal(await others.get('a'), undefined);
      assert.deepEqual((await others.list('')).entries, []);
      assert.deepEqual(await mine.transact([{ key: 'a', revision: first }], [{ key: 'a', value: text('x') }]), {
        kind: 'refused',
      });
      assert.deepEqual(await mine.transact([{ key: 'a', revision: deleted }], [{ key: 'a', value: text('x') }]), {
        kind: 'refused',
      });
      const again = revisionOf(await others.transact([{ key: 'a', revision: 0 }], [{ key: 'a', value: text('2') }]));
      assert.ok(again > deleted);
    });

    one(
      'list has the keys of the prefix only, sorted by their bytes, with the revision it saw',
      async (mine, others) => {
        const keys = ['p/', 'p/1', 'p/10', 'p/2', 'p/\u{10ffff}', 'p/\uffff', 'p/\ud7ff', 'p0', 'p', 'q', 'o/1'];
        let revision = 0;
        for (const key of keys) revision = await put(mine, key, key);
        const listing = await others.list('p/');
        assert.deepEqual(
          listing.entries.map((entry) => entry.key),
          ['p/', 'p/1', 'p/10', 'p/2', 'p/\ud7ff', 'p/\uffff', 'p/\u{10ffff}'],
        );
        assert.equal(listing.revision, revision);
        assert.equal((await others.list('')).entries.length, keys.length);
        assert.deepEqual(
          (await others.list('p/\ud7ff')).entries.map((entry) => entry.key),
          ['p/\ud7ff'],
        );
        assert.deepEqual((await others.list('none')).entries, []);
      },
    );
  });

  describe(`${name}: transactions`, () => {
    one('compare with 0 holds exactly when the key is absent', async (mine, others) => {
      assert.equal(
        (await mine.transact([{ key: 'a', revision: 0 }], [{ key: 'a', value: text('mine') }])).kind,
        'applied',
      );
      assert.deepEqual(await others.transact([{ key: 'a', revision: 0 }], [{ key: 'a', value: text('other') }]), {
        kind: 'refused',
      });
      assert.equal(show((await others.get('a'))?.value), 'mine');
    });

    one('one compare that fails refuses all writes', async (mine) => {
      const a = await put(mine, 'a', '1');
      const b = await put(mine, 'b', '1');
      const writes = [
        { key: 'a', value: text('2') },
        { key: 'b', value: undefined },
        { key: 'c', value: text('2') },
      ];
      const compares = [
        { key: 'a', revision: a },
        { key: 'b', revision: b + 1 },
      ];
      assert.deepEqual(await mine.transact(compares, writes), { kind: 'refused' });
      assert.deepEqual(
        (await mine.list('')).entries.map((entry) => [entry.key, entry.revision]),
        [
          ['a', a],
          ['b', b],
        ],
      );
      const revision = revisionOf(
        await mine.transact(
          [
            { key: 'a', revision: a },
            { key: 'b', revision: b },
            { key: 'c', revision: 0 },
          ],
          writes,
        ),
      );
      assert.deepEqual(
        (await mine.list('')).entries.map((entry) => [entry.key, entry.revision]),
        [
          ['a', revision],
          ['c', revision],
        ],
      );
    });

    one('what was asked for is written, also when the caller changes its arrays afterwards', async (mine, others) => {
      // A view into a larger buffer, as Node's own buffers are.
      const value = Buffer.from('..before..').subarray(2, 8);
      const answer = mine.transact([], [{ key: 'a', value }]);
      value.fill(0);
      await answer;
      assert.equal(show((await others.get('a'))?.value), 'before');
    });

    it('increments by compare-and-set of several clients at once are exact', () =>
      withClients(4, async (clients) => {
        const [count, each] = [clients.length, 25];
        const increment = async (client: Coordinator): Promise<void> => {
          for (let done = 0; done < each; ) {
            const entry = await client.get('counter');
            const next = Number(show(entry?.value) ?? '0') + 1;
            const compare = { key: 'counter', revision: entry?.revision ?? 0 };
            if ((await client.transact([compare], [{ key: 'counter', value: text(String(next)) }])).kind === 'applied')
              done += 1;
          }
        };
        await Promise.all(clients.map(increment));
        assert.equal(show((await clients[0].get('counter'))?.value), String(count * each));
      }));

    one('transactions sent together are applied in the order they were sent', async (mine) => {
      const results = await Promise.all(Array.from({ length: 100 }, (_, index) => put(mine, 'a', String(index))));
      assert.deepEqual(
        results,
        [...results].sort((a, b) => a - b),
      );
      assert.equal(new Set(results).size, 100);
      assert.equal(show((await mine.get('a'))?.value), '99');
    });
  });

  describe(`${name}: limits`, () => {
    one('malformed requests are RangeErrors and change nothing', async (mine) => {
      const value = text('v');
      const long = 'é'.repeat(coordinatorLimits.keyBytesMax / 2) + 'x';
      const keys = ['', long, 'a\0b', '\ud800'];
      for (const key of keys) {
        await assert.rejects(mine.get(key), RangeError);
        await assert.rejects(mine.transact([], [{ key, value }]), RangeError);
        await assert.rejects(mine.transact([{ key, revision: 0 }], [{ key: 'a', value }]), RangeError);
      }
      await assert.rejects(mine.list('\0'), RangeError);
      assert.throws(() => mine.watch('\ud800', 0, () => undefined), RangeError);
      assert.throws(() => mine.watch('', -1, () => undefined), RangeError);
      await assert.rejects(mine.transact([], []), RangeError);
      await assert.rejects(
        mine.transact(
          [],
          [
            { key: 'a', value },
            { key: 'a', value: undefined },
          ],
        ),
        /'a' twice/,
      );
      for (const revision of [-1, 0.5, NaN])
        await assert.rejects(mine.transact([{ key: 'a', revision }], []), RangeError);
      await assert.rejects(
        mine.transact([], [{ key: 'a', value: new Uint8Array(coordinatorLimits.valueBytesMax + 1) }]),
        RangeError,
      );
      const many = Array.from({ length: coordinatorLimits.transactionItemsMax }, (_, index) => ({
        key: `k${index}`,
        value,
      }));
      await assert.rejects(mine.transact([{ key: 'a', revision: 0 }], many), RangeError);
      assert.deepEqual((await mine.list('')).entries, []);
    });

    one('what is just within the limits is accepted', async (mine, others) => {
      const key = 'é'.repeat(coordinatorLimits.keyBytesMax / 2);
      const value = new Uint8Array(coordinatorLimits.valueBytesMax).fill(7);
      await mine.transact([], [{ key, value }]);
      assert.deepEqual((await others.get(key))?.value.length, value.length);
      const many = Array.from({ length: coordinatorLimits.transactionItemsMax }, (_, index) => ({
        key: `k${index}`,
        value: text('v'),
      }));
      await mine.transact([], many);
      assert.equal((await others.list('k')).entries.length, many.length);
    });

    one('after close every request fails, not applied', async (mine, others) => {
      await mine.close();
      await mine.close();
      await assert.rejects(mine.get('a'), CoordinatorError);
      await assert.rejects(mine.list(''), CoordinatorError);
      const refused = (error: unknown): boolean => error instanceof CoordinatorError && error.outcome === 'not-applied';
      await assert.rejects(mine.transact([], [{ key: 'a', value: text('1') }]), refused);
      mine.hint();
      mine.watch('', 0, () => undefined).close();
      assert.equal(await others.get('a'), undefined);
    });
  });

  describe(`${name}: watch`, () => {
    one(
      'a watch opened at the present hears of changes by itself and by others, under its prefix only',
      async (mine, others) => {
        const before = await put(mine, 'w/old', '0');
        const collected = new Collected();
        const watch = mine.watch('w/', before, collected.onChanges);
        const a = await put(mine, 'w/a', '1');
        await put(mine, 'v', 'no');
        const b = await put(others, 'w/b', '2');
        await collected.reached(b);
        const deleted = revisionOf(await others.transact([], [{ key: 'w/a', value: undefined }]));
        await collected.reached(deleted);
        watch.close();
        collected.check();
        const seen = collected.changes.map((change) => [change.key, show(change.value), change.revision]);
        // `w/a` may arrive as its newest state alone.
        assert.deepEqual(
          seen.filter(([key]) => key === 'w/b'),
          [['w/b', '2', b]],
        );
        assert.deepEqual(seen.at(-1), ['w/a', undefined, deleted]);
        assert.ok(seen.every(([key, , revision]) => key !== 'w/a' || revision === a || revision === deleted));
      },
    );

    one(
      'a watch opened in the past hears of everything since, deletes included, whole transactions together',
      async (mine, others) => {
        const before = await put(mine, 'w/a', '0');
        await put(others, 'w/b', '1');
        const deleted = revisionOf(
          await others.transact(
            [],
            [
              { key: 'w/a', value: undefined },
              { key: 'w/c', value: text('2') },
            ],
          ),
        );
        const collected = new Collected();
        mine.watch('w/', before, collected.onChanges);
        await collected.reached(deleted);
        collected.check();
        assert.deepEqual(collected.changes.map((change) => `${change.key} ${show(change.value)}`).sort(), [
          'w/a undefined',
          'w/b 1',
          'w/c 2',
        ]);
        const all = new Collected();
        mine.watch('', 0, all.onChanges);
        await all.reached(deleted);
        all.check();
      },
    );

    one('after close no call follows', async (mine, others) => {
      let calls = 0;
      const closed = mine.watch('', 0, () => (calls += 1));
      const collected = new Collected();
      mine.watch('', 0, (changes) => {
        closed.close();
        collected.onChanges(changes);
      });
      const first = await put(others, 'a', '1');
      await collected.reached(first);
      const callsThen = calls;
      const second = await put(others, 'a', '2');
      await collected.reached(second);
      assert.equal(calls, callsThen);
      closed.close();
    });

    one('after hint a change is told without waiting for the next look', async (mine, others) => {
      const collected = new Collected();
      mine.watch('', 0, collected.onChanges);
      const revision = await put(others, 'a', '1');
      mine.hint();
      await collected.reached(revision);
      collected.check();
    });

    it('watches of several clients lose nothing and see nothing twice while all write', () =>
      withClients(4, async (clients) => {
        const [rounds, last] = [40, new Map<string, Revision>()];
        const early = clients.map((client) => {
          const collected = new Collected();
          client.watch('k/', 0, collected.onChanges);
          return collected;
        });
        await Promise.all(
          clients.map(async (client, number) => {
            for (let round = 0; round < rounds; round += 1) {
              const own = `k/${number}/${round % 5}`;
              const value = round % 7 === 6 ? undefined : text(String(round));
              const revision = revisionOf(
                await client.transact(
                  [],
                  [
                    { key: own, value },
                    { key: `k/${number}/both`, value: text(String(round)) },
                  ],
                ),
              );
              last.set(own, revision);
              last.set(`k/${number}/both`, revision);
            }
          }),
        );
        const newest = Math.max(...last.values());
        const late = clients.map((client) => {
          const collected = new Collected();
          client.watch('k/', 0, collected.onChanges);
          return collected;
        });
        for (const collected of [...early, ...late]) {
          await collected.reached(newest);
          collected.check();
          const state = new Map(collected.changes.map((change) => [change.key, change]));
          for (const [key, change] of state) {
            const entry = await clients[0].get(key);
            assert.equal(change.revision, last.get(key), key);
            assert.equal(show(change.value), show(entry?.value), key);
          }
          assert.equal(state.size, last.size);
        }
      }));

    one('more changes than one step takes arrive all', async (mine, others) => {
      let revision = 0;
      for (let round = 0; round < 12; round += 1) {
        const writes = Array.from({ length: 100 }, (_, index) => ({ key: `n/${round}/${index}`, value: text('v') }));
        revision = revisionOf(await others.transact([], writes));
      }
      const collected = new Collected();
      mine.watch('n/', 0, collected.onChanges);
      await collected.reached(revision);
      collected.check();
      assert.equal(collected.changes.length, 1_200);
    });
  });
}
