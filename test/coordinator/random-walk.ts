/**
 * Random transactions, reads and watches of several clients beside a model, run on every implementation: one suite, the
 * same walk of the same seed. Most steps wait for their answer, which must be the model's; some are sent all at once,
 * and then an order must exist that explains all answers.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Change, Compare, Coordinator, Revision, Watch, Write } from '../../src/coordinator/coordinator.ts';
import { below } from '../../src/env/random.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { pick } from '../../sim/pick.ts';
import type { CoordinatorSetup } from './conformance.ts';

const clientCount = 3;
const stepsMax = 120;
const prefixes = ['', 'a/', 'b/', 'a/1'];
const keys = ['a/1', 'a/10', 'a/2', 'b/1', 'b/2', 'c'];

interface State {
  readonly value: string;
  readonly revision: Revision;
}

/** The store as it should be. */
class Model {
  readonly entries = new Map<string, State>();
  readonly changes: { readonly key: string; readonly value: string | undefined; readonly revision: Revision }[] = [];
  revision: Revision = 0;

  revisionOf(key: string): Revision {
    return this.entries.get(key)?.revision ?? 0;
  }

  holds(compares: readonly Compare[]): boolean {
    return compares.every(({ key, revision }) => this.revisionOf(key) === revision);
  }

  /** Gives the revision afterwards. */
  apply(writes: readonly Write[]): Revision {
    const changing = writes.filter(({ key, value }) => value !== undefined || this.entries.has(key));
    if (changing.length === 0) return this.revision;
    this.revision += 1;
    for (const { key, value } of changing) {
      const shown = value === undefined ? undefined : textOf(value);
      this.changes.push({ key, value: shown, revision: this.revision });
      if (shown === undefined) this.entries.delete(key);
      else this.entries.set(key, { value: shown, revision: this.revision });
    }
    return this.revision;
  }

  listed(prefix: string): (readonly [string, string, Revision])[] {
    return [...this.entries]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, { value, revision }]) => [key, value, revision]);
  }
}

/** A watch, and what it has told. */
class Watching {
  readonly prefix: string;
  readonly after: Revision;
  readonly calls: (readonly Change[])[] = [];
  #watch: Watch | undefined;
  #wanted = Number.POSITIVE_INFINITY;
  #resolve: () => void = () => undefined;

  constructor(prefix: string, after: Revision) {
    this.prefix = prefix;
    this.after = after;
  }

  open(client: Coordinator): void {
    const onLost = (): void => assert.fail('the history is there');
    this.#watch = client.watch(this.prefix, this.after, (changes) => this.#told(changes), onLost);
  }

  #told(changes: readonly Change[]): void {
    assert.ok(this.#watch !== undefined, 'nothing is told before the watch, or after its end');
    this.calls.push(changes);
    if ((changes.at(-1)?.revision ?? 0) >= this.#wanted) this.#resolve();
  }

  close(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  /** Resolves when the change of `revision` has been told. */
  async reached(revision: Revision): Promise<void> {
    if ((this.calls.at(-1)?.at(-1)?.revision ?? 0) >= revision) return;
    this.#wanted = revision;
    await new Promise<void>((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** `isWhole`: everything that the model knows must have been told. */
  check(model: Model, isWhole: boolean): void {
    const told = this.calls.flat();
    const revisions = told.map(({ revision }) => revision);
    assert.deepEqual(
      revisions,
      [...revisions].sort((a, b) => a - b),
      'in order',
    );
    const firsts = this.calls.slice(1).map((call) => call[0]?.revision ?? 0);
    const lasts = this.calls.map((call) => call.at(-1)?.revision ?? 0);
    assert.ok(
      firsts.every((first, index) => first > (lasts[index] ?? 0)),
      'a transaction is not split, and nothing is told twice',
    );
    const known = model.changes.filter(({ key, revision }) => key.startsWith(this.prefix) && revision > this.after);
    const names = new Set(known.map(nameOf));
    for (const { key, value, revision } of told)
      assert.ok(names.has(nameOf({ key, value: value && textOf(value), revision })), `${key} at ${revision}`);
    if (!isWhole) return;
    const newest = new Map(told.map(({ key, revision }) => [key, revision]));
    for (const { key, revision } of known) assert.ok((newest.get(key) ?? 0) >= revision, `${key} at ${revision}`);
  }
}

function nameOf({ key, value, revision }: { key: string; value: string | undefined; revision: Revision }): string {
  return `${key}@${revision}=${value ?? 'deleted'}`;
}

class Walk {
  readonly #setup: CoordinatorSetup;
  readonly #random: SimulatedRandom;
  readonly #clients: Coordinator[] = [];
  readonly #model = new Model();
  readonly #open: { readonly watching: Watching; readonly client: Coordinator }[] = [];
  #values = 0;

  constructor(setup: CoordinatorSetup, random: SimulatedRandom) {
    this.#setup = setup;
    this.#random = random;
  }

  async run(): Promise<void> {
    for (let count = 0; count < clientCount; count += 1) this.#clients.push(await this.#setup.client());
    try {
      for (let count = 0; count < stepsMax; count += 1) await this.#step();
      await this.#end();
    } finally {
      for (const client of this.#clients) await client.close();
      await this.#setup.close();
    }
  }

  async #step(): Promise<void> {
    const kinds = ['transact', 'transact', 'transact', 'burst', 'get', 'list', 'watch', 'close', 'reopen', 'hint'];
    const client = pick(this.#random, this.#clients);
    switch (pick(this.#random, kinds)) {
      case 'transact':
        return this.#transact(client);
      case 'burst':
        return this.#burst();
      case 'get':
        return this.#get(client, pick(this.#random, keys));
      case 'list':
        return this.#list(client, pick(this.#random, prefixes));
      case 'watch':
        return this.#watch(client);
      case 'close':
        return this.#closeOne();
      case 'reopen':
        return this.#reopen();
      default:
        client.hint();
    }
  }

  #write(key: string): Write {
    this.#values += 1;
    const value = below(this.#random, 4) === 0 ? undefined : Buffer.from(`v${this.#values}`);
    return { key, value };
  }

  /** Compares of which each holds, or, one time in three, does not. */
  #compares(): Compare[] {
    const some = keys.filter(() => below(this.#random, 3) === 0);
    const wrong = below(this.#random, 3) === 0 ? pick(this.#random, keys) : '';
    return some.map((key) => ({ key, revision: this.#model.revisionOf(key) + (key === wrong ? 1 : 0) }));
  }

  async #transact(client: Coordinator): Promise<void> {
    const compares = this.#compares();
    const some = keys.filter(() => below(this.#random, 3) === 0);
    const writes = (some.length === 0 && compares.length === 0 ? ['c'] : some).map((key) => this.#write(key));
    const holds = this.#model.holds(compares);
    const expected = holds ? { kind: 'applied', revision: this.#model.apply(writes) } : { kind: 'refused' };
    assert.deepEqual(await client.transact(compares, writes), expected);
  }

  /** Of all clients at once: puts, so that each that is applied has a revision of its own. */
  async #burst(): Promise<void> {
    const sent = this.#clients.flatMap((client) =>
      Array.from({ length: 1 + below(this.#random, 3) }, () => {
        const key = pick(this.#random, keys);
        const revision = this.#model.revisionOf(key);
        this.#values += 1;
        const writes = [{ key, value: Buffer.from(`v${this.#values}`) }];
        const compares = below(this.#random, 2) === 0 ? [] : [{ key, revision }];
        return { compares, writes, done: client.transact(compares, writes) };
      }),
    );
    const results = await Promise.all(
      sent.map(async ({ compares, writes, done }) => ({ compares, writes, result: await done })),
    );
    // States that a refused compare may have met: one of them must differ.
    const refused = new Set(results.filter(({ result }) => result.kind === 'refused'));
    const explain = (): void => {
      for (const one of refused) if (!this.#model.holds(one.compares)) refused.delete(one);
    };
    explain();
    const applied = results.flatMap(({ compares, writes, result }) =>
      result.kind === 'applied' ? [{ compares, writes, revision: result.revision }] : [],
    );
    for (const { compares, writes, revision } of applied.sort((a, b) => a.revision - b.revision)) {
      assert.ok(this.#model.holds(compares), `what was applied as ${revision} held then`);
      assert.equal(this.#model.apply(writes), revision);
      explain();
    }
    assert.equal(refused.size, 0, 'each refusal has a moment at which its compares did not hold');
  }

  async #get(client: Coordinator, key: string): Promise<void> {
    const entry = await client.get(key);
    const expected = this.#model.entries.get(key);
    assert.deepEqual(entry && { value: textOf(entry.value), revision: entry.revision }, expected);
  }

  async #list(client: Coordinator, prefix: string): Promise<void> {
    const { entries, revision } = await client.list(prefix);
    assert.equal(revision, this.#model.revision);
    assert.deepEqual(
      entries.map(({ key, value, revision: at }) => [key, textOf(value), at]),
      this.#model.listed(prefix),
    );
  }

  #watch(client: Coordinator): void {
    const watching = new Watching(pick(this.#random, prefixes), below(this.#random, this.#model.revision + 1));
    watching.open(client);
    this.#open.push({ watching, client });
  }

  #closeOne(): void {
    const [one] = this.#open.splice(below(this.#random, this.#open.length + 1), 1);
    one?.watching.close();
    one?.watching.check(this.#model, false);
  }

  /** One client ends, with its watches, and another comes. */
  async #reopen(): Promise<void> {
    const index = below(this.#random, this.#clients.length);
    const old = this.#clients[index];
    for (const one of this.#open.filter(({ client }) => client === old)) {
      one.watching.close();
      one.watching.check(this.#model, false);
      this.#open.splice(this.#open.indexOf(one), 1);
    }
    await old?.close();
    this.#clients[index] = await this.#setup.client();
  }

  /** A last change of every key: who has been told of it has been told of all. */
  async #end(): Promise<void> {
    const writes = keys.map((key) => ({ key, value: Buffer.from('end') }));
    const last = this.#model.apply(writes);
    assert.deepEqual(await pick(this.#random, this.#clients).transact([], writes), { kind: 'applied', revision: last });
    for (const client of this.#clients) await this.#list(client, '');
    for (const { watching } of this.#open) await watching.reached(last);
    for (const { watching } of this.#open) watching.check(this.#model, true);
    for (const { watching } of this.#open) watching.close();
  }
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value).toString('latin1');
}

/** The walks of `seeds` on stores that `setUp` makes. */
export function coordinatorRandomWalk(
  name: string,
  setUp: () => Promise<CoordinatorSetup>,
  seeds: readonly number[],
): void {
  describe(`${name}: random walks of transactions and watches`, () => {
    for (const seed of seeds) it(`seed ${seed}`, async () => new Walk(await setUp(), new SimulatedRandom(seed)).run());
  });
}
