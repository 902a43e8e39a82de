/** S15: its rules one by one, then lives of a shard with retries, duplicates, evictions, take-overs and snapshots. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssertionFailure } from '../../../src/base/assert.ts';
import type { ClientId, RequestNumber } from '../../../src/base/ids.ts';
import { clientId, requestNumber, version } from '../../../src/base/ids.ts';
import type { RecordKind } from '../../../src/codec/log-format.ts';
import { recordKind } from '../../../src/codec/log-format.ts';
import type { OnceResult } from '../../../src/core/once/once-client.ts';
import type { OnceLimits } from '../../../src/core/once/once-table.ts';
import { OnceTable } from '../../../src/core/once/once-table.ts';
import type { SeededRandom } from '../index/index-support.ts';
import { seededRandom } from '../index/index-support.ts';

/** Without ranges above the floor, so that every forgotten id raises it. */
const small: OnceLimits = {
  window: 16,
  clientsMax: 4,
  bytesMax: 1 << 20,
  replyBytesMax: 1_000,
  forgottenRangesMax: 0,
};
const id = clientId;
const no = requestNumber;

function result(at: number, kind: RecordKind = recordKind.put, reply?: Uint8Array): OnceResult {
  return { kind, version: version(at), reply };
}

function kindOf(table: OnceTable, client: number, number: number, first: number): string {
  return table.check(id(client), no(number), no(first)).kind;
}

test('S15 a number is new, then in flight, then done with its first result', () => {
  const table = new OnceTable<string>(small);
  assert.equal(kindOf(table, 7, 1, 1), 'new');
  table.begin(id(7), no(1), no(1), 'token');
  assert.deepEqual(table.check(id(7), no(1), no(1)), { kind: 'in-flight', token: 'token' });
  assert.throws(() => table.begin(id(7), no(1), no(1), 'again'), AssertionFailure);
  const first = result(100, recordKind.refusal, Uint8Array.of(1, 2));
  table.complete(id(7), no(1), no(1), first);
  table.complete(id(7), no(1), no(1), result(200));
  assert.deepEqual(table.check(id(7), no(1), no(1)), { kind: 'done', result: first });
  assert.equal(kindOf(table, 7, 2, 1), 'new');
});

test('S15 results below the first incomplete number are forgotten and such numbers refused, also out of order', () => {
  const table = new OnceTable(small);
  table.complete(id(1), no(1), no(1), result(10));
  table.complete(id(1), no(5), no(4), result(50));
  assert.equal(kindOf(table, 1, 3, 1), 'superseded');
  assert.equal(kindOf(table, 1, 1, 1), 'superseded');
  assert.equal(kindOf(table, 1, 4, 1), 'new');
  table.complete(id(1), no(4), no(1), result(60));
  assert.equal(kindOf(table, 1, 4, 4), 'done');
  table.complete(id(1), no(2), no(2), result(70));
  assert.equal(kindOf(table, 1, 2, 2), 'superseded');
  assert.equal(table.resultCount, 2);
  assert.equal(kindOf(table, 1, 6, 7), 'superseded');
});

test('an abandoned number is new again; the last one of a client leaves nothing behind', () => {
  const table = new OnceTable<string>(small);
  table.begin(id(1), no(3), no(3), 'a');
  table.abandon(id(1), no(3));
  table.abandon(id(1), no(3));
  table.abandon(id(9), no(3));
  assert.equal(kindOf(table, 1, 3, 3), 'new');
  assert.deepEqual([table.clientCount, table.memoryBytes], [0, 0]);
  table.begin(id(1), no(3), no(3), 'a');
  table.begin(id(1), no(4), no(3), 'b');
  table.complete(id(1), no(3), no(3), result(1));
  table.abandonAll();
  assert.deepEqual([kindOf(table, 1, 3, 3), kindOf(table, 1, 4, 3)], ['done', 'new']);
});

test('numbers in flight are limited by the window, and bytes of replies by theirs', () => {
  const table = new OnceTable(small);
  assert.equal(kindOf(table, 1, 17, 1), 'window-exceeded');
  assert.equal(kindOf(table, 1, 16, 1), 'new');
  for (let number = 1; number <= 16; number++) table.complete(id(1), no(number), no(1), result(number));
  assert.equal(kindOf(table, 1, 17, 1), 'window-exceeded');
  assert.equal(kindOf(table, 1, 17, 2), 'new');
  table.complete(id(2), no(1), no(1), result(1, recordKind.put, new Uint8Array(1_001)));
  assert.equal(kindOf(table, 2, 2, 1), 'window-exceeded');
  table.complete(id(2), no(2), no(2), result(2));
  assert.equal(kindOf(table, 2, 3, 2), 'new');
  assert.throws(() => table.complete(id(1), no(100), no(1), result(1)), AssertionFailure);
});

test('numbers are safe integers of any size', () => {
  const table = new OnceTable(small);
  const large = Number.MAX_SAFE_INTEGER - 20;
  for (let number = large; number < large + 12; number++) table.complete(id(1), no(number), no(large), result(number));
  for (let number = large; number < large + 12; number++) {
    assert.deepEqual(table.check(id(1), no(number), no(large)), { kind: 'done', result: result(number) });
  }
});

test('S15 the client silent for longest, in the order of the log, is forgotten first; smaller ids that are known stay', () => {
  const table = new OnceTable(small);
  for (const client of [30, 10, 20, 40]) table.complete(id(client), no(1), no(1), result(client));
  assert.equal(table.overfull(), undefined);
  table.complete(id(30), no(2), no(1), result(99));
  table.complete(id(50), no(1), no(1), result(50));
  assert.equal(table.overfull(), 10);
  assert.equal(table.overfull(), undefined, 'named once');
  table.applyFloor(id(10));
  assert.equal(kindOf(table, 10, 1, 1), 'forgotten');
  assert.equal(kindOf(table, 9, 1, 1), 'forgotten');
  assert.equal(kindOf(table, 11, 1, 1), 'new');
  table.complete(id(60), no(1), no(1), result(60));
  assert.equal(table.overfull(), 20);
  table.applyFloor(id(20));
  table.complete(id(15), no(1), no(1), result(61));
  table.applyFloor(id(40));
  assert.deepEqual(
    [kindOf(table, 30, 1, 1), kindOf(table, 30, 3, 1), kindOf(table, 35, 1, 1), kindOf(table, 41, 1, 1)],
    ['done', 'new', 'forgotten', 'new'],
  );
});

test('S15 a client that races with its floor is partial: what committed since is known, all else of it is forgotten', () => {
  const owner = new OnceTable<string>(small);
  const standby = new OnceTable<string>(small);
  for (const table of [owner, standby]) table.complete(id(5), no(1), no(1), result(10));
  owner.begin(id(5), no(2), no(1), 'in flight while the floor commits');
  owner.begin(id(4), no(1), no(1), 'the first of its client');
  for (const table of [owner, standby]) {
    table.applyFloor(id(5));
    table.complete(id(5), no(2), no(1), result(20));
    table.complete(id(4), no(1), no(1), result(21));
    assert.equal(kindOf(table, 5, 2, 1), 'done');
    assert.equal(kindOf(table, 5, 1, 1), 'forgotten', 'it was applied: to take it for new would apply it twice');
    assert.equal(kindOf(table, 5, 3, 1), 'forgotten');
    assert.equal(kindOf(table, 4, 1, 1), 'done');
    assert.equal(kindOf(table, 4, 2, 1), 'forgotten');
  }
  assert.deepEqual(
    owner.clientIds().map((client) => owner.stateOf(client)),
    standby.clientIds().map((client) => standby.stateOf(client)),
  );
});

test('clients with something in flight are not named', () => {
  const table = new OnceTable<string>({ ...small, clientsMax: 1 });
  table.complete(id(1), no(1), no(1), result(1));
  table.complete(id(2), no(1), no(1), result(2));
  table.begin(id(1), no(2), no(1), 'x');
  assert.equal(table.overfull(), 2);
  table.abandonAll();
  assert.equal(table.overfull(), 1);
});

test('memory is bounded: clients with large windows are forgotten before the table outgrows its bytes', () => {
  const table = new OnceTable({ window: 4_096, clientsMax: 1_000, bytesMax: 500_000, replyBytesMax: 1 << 20 });
  for (let client = 1; client <= 100; client++) {
    for (let number = 1; number <= 4_000; number += 7) table.complete(id(client), no(number), no(1), result(number));
    for (let evicted = table.overfull(); evicted !== undefined; evicted = table.overfull()) table.applyFloor(evicted);
    assert.ok(table.memoryBytes <= 500_000);
  }
  assert.ok(table.clientCount >= 3);
});

test('the floor of a snapshot is restored', () => {
  const table = new OnceTable(small);
  table.restore({ client: id(3), first: 2, partial: false, results: [{ number: 4, ...result(4) }] });
  table.restore({ client: id(3), first: 3, partial: false, results: [{ number: 5, ...result(5) }] });
  table.restoreFloor(8);
  assert.deepEqual(
    [kindOf(table, 3, 2, 1), kindOf(table, 3, 4, 1), kindOf(table, 3, 5, 1), kindOf(table, 3, 6, 1)],
    ['superseded', 'done', 'done', 'new'],
  );
  assert.deepEqual([kindOf(table, 8, 1, 1), kindOf(table, 9, 1, 1)], ['forgotten', 'new']);
});

// --- lives of a shard ------------------------------------------------------------------------------------------------

interface Copy {
  readonly client: ClientId;
  readonly number: RequestNumber;
  readonly first: RequestNumber;
}

type LogRecord =
  | (Copy & { readonly kind: 'write'; readonly version: number })
  | { readonly kind: 'floor'; readonly client: ClientId };

function applyTo(table: OnceTable<string>, record: LogRecord): void {
  if (record.kind === 'floor') table.applyFloor(record.client);
  else table.complete(record.client, record.number, record.first, result(record.version));
}

class Client {
  readonly id: ClientId;
  readonly waiting = new Set<number>();
  next = 1;
  constructor(client: number) {
    this.id = id(client);
  }

  get first(): number {
    return this.waiting.size === 0 ? this.next : Math.min(...this.waiting);
  }
}

/** One owner after another, a network that copies and reorders, clients that repeat. */
class Life {
  readonly random: SeededRandom;
  readonly counts = {
    new: 0,
    done: 0,
    'in-flight': 0,
    superseded: 0,
    forgotten: 0,
    'window-exceeded': 0,
    takeOvers: 0,
    floors: 0,
  };
  readonly log: LogRecord[] = [];
  readonly applied = new Map<string, number>();
  readonly clients: Client[] = [];
  network: Copy[] = [];
  pending: LogRecord[] = [];
  owner: OnceTable<string>;
  /** A snapshot in the making: the log's length and forgotten ids at its start, the clients still to copy. */
  snapshot:
    | {
        start: number;
        floor: number;
        ranges: OnceTable['forgottenRanges'];
        left: ClientId[];
        states: ReturnType<OnceTable['stateOf']>[];
      }
    | undefined;
  finished: NonNullable<Life['snapshot']> | undefined;
  lastVersion = 0;
  nextClient = 100;
  readonly bounds: OnceLimits;

  constructor(seed: number, forgottenRangesMax: number) {
    this.bounds = { ...small, forgottenRangesMax };
    this.owner = new OnceTable<string>(this.bounds);
    this.random = seededRandom(seed);
    for (let count = 0; count < 7; count++) this.addClient();
  }

  addClient(): void {
    // Ids are leased in blocks: not in the order in which clients appear.
    this.nextClient += 1;
    this.clients.push(new Client(this.nextClient + (this.random.below(2) === 0 ? 0 : -50 * this.random.below(2))));
    const last = this.clients.at(-1);
    if (this.clients.some((client) => client !== last && client.id === last?.id)) this.clients.pop();
  }

  step(): void {
    const choice = this.random.below(100);
    if (choice < 30) this.send();
    else if (choice < 70) this.receive();
    else if (choice < 88) this.commit();
    else if (choice < 90) this.abandon();
    else if (choice < 96) this.copyClient();
    else if (choice < 98) this.addClient();
    else this.takeOver();
  }

  send(): void {
    const client = this.clients[Math.max(0, this.clients.length - 1 - this.random.below(9))];
    if (client === undefined) return;
    const waiting = [...client.waiting];
    const number =
      waiting.length > 0 && this.random.below(2) === 0
        ? (waiting[this.random.below(waiting.length)] ?? 1)
        : client.next++;
    client.waiting.add(number);
    for (let copies = this.random.below(3); copies >= 0; copies--)
      this.network.push({ client: client.id, number: no(number), first: no(client.first) });
  }

  receive(): void {
    const copy = this.network[this.random.below(this.network.length)];
    if (copy === undefined) return;
    // Some copies stay in the network and arrive again much later.
    if (this.random.below(4) !== 0) this.network = this.network.filter((other) => other !== copy);
    const check = this.owner.check(copy.client, copy.number, copy.first);
    this.counts[check.kind]++;
    const client = this.clients.find((one) => one.id === copy.client);
    if (check.kind === 'new') this.begin(copy);
    if (check.kind === 'in-flight') assert.equal(check.token, `${copy.client}/${copy.number}`);
    if (check.kind === 'done') {
      assert.equal(check.result.version, this.applied.get(`${copy.client}/${copy.number}`));
      client?.waiting.delete(copy.number);
    }
    if (check.kind === 'superseded')
      assert.ok(client?.waiting.has(copy.number) !== true, 'only what its client has given up is refused');
    if (check.kind === 'forgotten') client?.waiting.delete(copy.number);
  }

  begin(copy: Copy): void {
    this.owner.begin(copy.client, copy.number, copy.first, `${copy.client}/${copy.number}`);
    this.pending.push({ kind: 'write', ...copy, version: ++this.lastVersion });
    const evicted = this.owner.overfull();
    if (evicted === undefined) return;
    this.counts.floors++;
    this.pending.push({ kind: 'floor', client: evicted });
  }

  commit(): void {
    for (let count = this.random.below(4); count > 0; count--) {
      const record = this.pending.shift();
      if (record === undefined) return;
      this.append(record);
      applyTo(this.owner, record);
    }
  }

  append(record: LogRecord): void {
    this.log.push(record);
    if (record.kind === 'floor') return;
    const name = `${record.client}/${record.number}`;
    assert.ok(!this.applied.has(name), `S15 ${name} is applied once`);
    this.applied.set(name, record.version);
  }

  abandon(): void {
    const record = this.pending.at(-1);
    if (record?.kind !== 'write') return;
    this.pending.pop();
    this.owner.abandon(record.client, record.number);
  }

  /** One call of a fuzzy snapshot. */
  copyClient(): void {
    const { floor, forgottenRanges } = this.owner;
    this.snapshot ??= {
      start: this.log.length,
      floor,
      ranges: [...forgottenRanges],
      left: this.owner.clientIds(),
      states: [],
    };
    const next = this.snapshot.left.shift();
    if (next !== undefined) this.snapshot.states.push(this.owner.stateOf(next));
    if (this.snapshot.left.length > 0) return;
    this.finished = this.snapshot;
    this.snapshot = undefined;
  }

  /** The owner dies; of what was in flight some made it into the log. */
  takeOver(): void {
    this.counts.takeOvers++;
    for (let count = this.random.below(this.pending.length + 1); count > 0; count--) {
      const record = this.pending.shift();
      if (record !== undefined) this.append(record);
    }
    this.pending = [];
    const replayed = this.replay();
    if (this.finished !== undefined) {
      const restarted = new OnceTable<string>(this.bounds);
      for (const state of this.finished.states) if (state !== undefined) restarted.restore(state);
      restarted.restoreFloor(this.finished.floor, this.finished.ranges);
      for (const record of this.log.slice(this.finished.start)) applyTo(restarted, record);
      this.sameKnowledge(restarted, replayed);
      this.owner = this.random.below(2) === 0 ? restarted : replayed;
    } else this.owner = replayed;
    this.snapshot = undefined;
    this.finished = undefined;
  }

  replay(): OnceTable<string> {
    const table = new OnceTable<string>(this.bounds);
    for (const record of this.log) applyTo(table, record);
    return table;
  }

  /**
   * `first` may be ahead where the owner that made the snapshot had begun a write that never committed: it refuses
   * more, never less.
   */
  sameKnowledge(restarted: OnceTable<string>, replayed: OnceTable<string>): void {
    assert.equal(restarted.floor, replayed.floor);
    assert.deepEqual(restarted.forgottenRanges, replayed.forgottenRanges);
    assert.deepEqual(restarted.clientIds(), replayed.clientIds());
    for (const client of replayed.clientIds()) {
      const ours = restarted.stateOf(client);
      const theirs = replayed.stateOf(client);
      assert.equal(ours?.partial, theirs?.partial);
      assert.ok((ours?.first ?? 0) >= (theirs?.first ?? 0));
      assert.deepEqual(
        ours?.results,
        theirs?.results.filter(({ number }) => number >= (ours?.first ?? 0)),
      );
    }
  }
}

for (const rangesMax of [0, 3, 1_000]) {
  test(`S15 whatever the order of retries, duplicates, evictions, take-overs and snapshots, a number is applied at most once (${rangesMax} ranges)`, () => {
    const total: Record<string, number> = {};
    for (let seed = 1; seed <= 60; seed++) {
      const life = new Life(seed, rangesMax);
      for (let step = 0; step < 1_500; step++) life.step();
      for (const [name, count] of Object.entries(life.counts)) total[name] = (total[name] ?? 0) + count;
    }
    // Every situation was reached.
    for (const [name, count] of Object.entries(total))
      if (name !== 'window-exceeded') assert.ok(count > 50, `${name}: ${count}`);
  });
}

test('S15 the floor goes by order: one large id makes no smaller one a forgotten one', () => {
  const table = new OnceTable({ ...small, clientsMax: 3, forgottenRangesMax: 8 });
  const write = (client: number): void => {
    assert.equal(kindOf(table, client, 1, 1), 'new', `client ${client}`);
    table.complete(id(client), no(1), no(1), result(client));
    for (let evicted = table.overfull(); evicted !== undefined; evicted = table.overfull()) table.applyFloor(evicted);
  };
  write(2 ** 48 - 1);
  // A block that one gateway leased early and gives out late.
  for (let client = 2_001; client < 2_500; client++) write(client);
  for (let client = 1_001; client < 1_500; client++) write(client);
  for (const client of [2 ** 48 - 1, 2_001, 2_400, 1_001, 1_400])
    assert.equal(kindOf(table, client, 1, 1), 'forgotten', `client ${client} was here`);
  for (const client of [1, 1_000, 1_500, 2_000, 2_500, 2 ** 48 - 2])
    assert.equal(kindOf(table, client, 1, 1), 'new', `client ${client} was never here`);
});
