import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { millis } from '../../../src/base/ids.ts';
import type { Clock } from '../../../src/env/clock.ts';
import { CoordinatorError, type Change } from '../../../src/coordinator/coordinator.ts';
import { MemoryCoordinator, type Fate } from '../../../src/coordinator/memory/memory.ts';
import type { CoordinatorSetup } from '../conformance.ts';
import { coordinatorConformance } from '../conformance.ts';
import { coordinatorRandomWalk } from '../random-walk.ts';

function setUpStore(): Promise<CoordinatorSetup> {
  const store = new MemoryCoordinator();
  let count = 0;
  return Promise.resolve({
    client: () => Promise.resolve(store.client(`client ${count++}`)),
    close: () => Promise.resolve(),
  });
}

coordinatorConformance('memory', setUpStore);
coordinatorRandomWalk(
  'memory',
  setUpStore,
  Array.from({ length: 30 }, (_, index) => index + 1),
);

/** A clock that a test moves. */
class ManualClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly callback: () => void }[] = [];
  now = () => millis(this.#now);
  wall = () => millis(this.#now);
  after(delayMs: number, callback: () => void) {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }
  endOfTurn(callback: () => void): void {
    void Promise.resolve().then(callback);
  }
  async advance(toMs: number): Promise<void> {
    for (;;) {
      for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
      const next = this.#timers.filter((timer) => timer.at <= toMs).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = toMs;
  }
}

const value = new Uint8Array([1]);
const write = [{ key: 'a', value }];

function setUp(fate: (kind: string) => Fate) {
  const clock = new ManualClock();
  const store = new MemoryCoordinator({ clock, fate: (request) => fate(request.kind), watchDelayMs: () => 5 });
  return { clock, store, client: store.client('one') };
}

/** What a promise has come to so far. */
function follow(promise: Promise<unknown>): { state: string } {
  const seen = { state: 'waiting' };
  promise.then(
    () => (seen.state = 'answered'),
    (error: unknown) => (seen.state = error instanceof CoordinatorError ? error.outcome : String(error)),
  );
  return seen;
}

describe('memory: fates of requests (S1)', () => {
  it('a lost request is unknown and never applied', async () => {
    const { clock, store, client } = setUp(() => ({ kind: 'sent', requestDelayMs: 'lost', timeoutMs: 50 }));
    const told = follow(client.transact([], write));
    await clock.advance(49);
    assert.equal(told.state, 'waiting');
    await clock.advance(1_000);
    assert.equal(told.state, 'unknown');
    assert.deepEqual(store.snapshot(), []);
  });

  it('a lost answer is unknown and applied', async () => {
    const { clock, store, client } = setUp(() => ({ kind: 'sent', answerDelayMs: 'lost', timeoutMs: 50 }));
    const told = follow(client.transact([], write));
    await clock.advance(50);
    assert.equal(told.state, 'unknown');
    assert.equal(store.snapshot().length, 1);
  });

  it('a late request is applied after its sender was told unknown, if its compares still hold', async () => {
    const { clock, store, client } = setUp(() => ({ kind: 'sent', requestDelayMs: 80, timeoutMs: 50 }));
    const told = follow(client.transact([{ key: 'a', revision: 0 }], write));
    await clock.advance(60);
    assert.equal(told.state, 'unknown');
    assert.deepEqual(store.snapshot(), []);
    await clock.advance(80);
    assert.equal(store.snapshot().length, 1);
  });

  it('an unavailable coordinator changes nothing; a lost read is not-applied', async () => {
    const { clock, store, client } = setUp((kind) =>
      kind === 'get' ? { kind: 'sent', answerDelayMs: 'lost' } : { kind: 'unavailable' },
    );
    const [first, second] = [follow(client.transact([], write)), follow(client.get('a'))];
    await clock.advance(1);
    assert.deepEqual([first.state, second.state], ['not-applied', 'not-applied']);
    assert.deepEqual(store.snapshot(), []);
  });

  it('a client that is cut off is refused and hears nothing until it is healed, then everything once', async () => {
    const { clock, store, client } = setUp(() => ({ kind: 'sent' }));
    const heard: Change[] = [];
    client.watch('', 0, (changes) => heard.push(...changes));
    store.cut('one');
    const told = follow(client.get('a'));
    const other = store.client('two');
    await other.transact([], write);
    await other.transact([], write);
    await clock.advance(100);
    assert.equal(told.state, 'not-applied');
    assert.equal(heard.length, 0);
    store.heal('one');
    await clock.advance(200);
    assert.deepEqual(
      heard.map((change) => change.revision),
      [1, 2],
    );
  });

  it('watches hear after their delay, or at once when hinted', async () => {
    const { clock, store, client } = setUp(() => ({ kind: 'sent' }));
    const heard: Change[] = [];
    client.watch('', 0, (changes) => heard.push(...changes));
    await clock.advance(1);
    await store.client('two').transact([], write);
    await clock.advance(5);
    assert.equal(heard.length, 0);
    await clock.advance(6);
    assert.equal(heard.length, 1);
    await store.client('two').transact([], write);
    client.hint();
    await clock.advance(6);
    assert.equal(heard.length, 2);
  });
});
