/** Reads share memory fairly, by connection; nobody waits for one that asks for too much, or that is gone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { times } from '../../../src/base/times.ts';
import { ShardRead } from '../../../src/core/shard/requests.ts';
import type { Outlet, ReadReply } from '../../../src/core/shard/requests.ts';
import { SimulatedClock } from '../../../src/env/simulated/clock.ts';
import { ReadBudget } from '../../../src/gateway/shards/read-budget.ts';

const budgetLimits = { smallBytes: 10, largeBytesPerConnection: 100, bytesPerConnection: 300, bytesMax: 400 };

class Connection implements Outlet, ReadReply {
  isOpen = true;
  waitingBytes = 0;
  readonly outlet = this;
  readonly failures: string[] = [];

  found(): void {
    // Only the budget is of interest.
  }

  failed(_: ShardRead, { code }: { readonly code: string }): void {
    this.failures.push(code);
  }
}

class World {
  readonly clock = new SimulatedClock();
  readonly budget = new ReadBudget(this.clock, budgetLimits);
  /** Reads that have begun, in order. */
  readonly begun: ShardRead[] = [];
  readonly #names = new Map<ShardRead, string>();

  ask(name: string, connection: Connection, bytes: number): ShardRead {
    const read = new ShardRead(connection, 0, false);
    this.#names.set(read, name);
    if (this.budget.tryBegin(read, bytes)) this.begun.push(read);
    else this.budget.wait(read, bytes, () => this.begun.push(read));
    return read;
  }

  get names(): string {
    return this.begun.map((read) => this.#names.get(read)).join(' ');
  }

  async run(durationMs: number): Promise<void> {
    await this.clock.runUntil(this.clock.now() + durationMs);
  }
}

describe('reads of one connection', () => {
  test('begin while there is room, in their order, and as others are answered', () => {
    const world = new World();
    const one = new Connection();
    for (const name of ['a', 'b', 'c', 'd']) world.ask(name, one, 50);
    assert.equal(world.names, 'a b');
    world.begun[0]?.confirm();
    assert.equal(world.names, 'a b c');
    assert.equal(world.budget.bytes, 100);
    world.begun[2]?.fail({ kind: 'failed', code: 'damaged', message: '', outcome: 'not-applied' });
    assert.equal(world.names, 'a b c d');
  });

  test('wait for the socket to take what was answered', async () => {
    const world = new World();
    const one = new Connection();
    one.waitingBytes = 100;
    world.ask('a', one, 50);
    await world.run(50);
    assert.equal(world.names, '');
    one.waitingBytes = 20;
    await world.run(50);
    assert.equal(world.names, 'a');
  });

  test('one value is always allowed', () => {
    const world = new World();
    world.ask('a', new Connection(), 1_000);
    assert.equal(world.names, 'a');
  });

  test('small values do not wait behind large ones', () => {
    const world = new World();
    const one = new Connection();
    for (const name of ['a', 'b', 'c']) world.ask(name, one, 100);
    one.waitingBytes = 100;
    world.ask('small', one, 10);
    assert.equal(world.names, 'a small');
  });

  test('are refused as overloaded after a while', async () => {
    const world = new World();
    const one = new Connection();
    one.waitingBytes = 150;
    world.ask('a', one, 100);
    await world.run(times.readWaitMs + 20);
    assert.deepEqual(one.failures, ['overloaded']);
    assert.equal(world.budget.waiting, 0);
  });
});

describe('connections', () => {
  test('take turns', () => {
    const world = new World();
    const [greedy, other] = [new Connection(), new Connection()];
    for (let read = 0; read < 1_000; read += 1) world.ask('greedy', greedy, 100);
    world.ask('other', other, 100);
    assert.equal(world.names, 'greedy other');
  });

  test('share what there is for all, each in turn', () => {
    const world = new World();
    const [full, one, two] = [new Connection(), new Connection(), new Connection()];
    const first = world.ask('first', full, 300);
    for (const name of ['a', 'b', 'c']) world.ask(name, one, 100);
    for (const name of ['d', 'e']) world.ask(name, two, 100);
    assert.equal(world.names, 'first');
    first.confirm();
    assert.equal(world.names, 'first a d');
    for (let at = 1; at < world.begun.length; at += 1) world.begun[at]?.confirm();
    assert.equal(world.names, 'first a d b e c');
    assert.equal(world.budget.bytes, 0);
  });

  test('that are gone: what they asked for is dropped', async () => {
    const world = new World();
    const [gone, other] = [new Connection(), new Connection()];
    for (let read = 0; read < 1_000; read += 1) world.ask('gone', gone, 100);
    gone.isOpen = false;
    world.begun[0]?.confirm();
    await world.run(20);
    assert.equal(world.budget.waiting, 0);
    world.ask('other', other, 100);
    assert.equal(world.names, 'gone other');
  });
});
