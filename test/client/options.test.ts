import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { KvError } from '../../src/base/errors.ts';
import { settingsOf } from '../../src/client/arguments.ts';
import type { Client } from '../../src/client/client.ts';
import { World } from './world.ts';

/** Calls a method as a program without types may, with `this` and arguments of any kind. */
async function call(client: Client, method: keyof Client, ...parameters: readonly unknown[]): Promise<unknown> {
  const found: unknown = Reflect.get(client, method);
  assert.ok(typeof found === 'function');
  return await Reflect.apply(found, client, [...parameters]);
}

/** The same for connect. */
function connecting(world: World, ...parameters: readonly unknown[]): Promise<unknown> {
  const connect = world.connecting.bind(world);
  const attempt: unknown = Reflect.apply(connect, undefined, [...parameters]);
  assert.ok(attempt instanceof Promise);
  return attempt;
}

async function refusal(world: World, promise: Promise<unknown>, pattern: RegExp): Promise<void> {
  const error = await world.failure(promise);
  assert.deepEqual([error.code, error.outcome, error.retryable], ['bad-argument', 'not-applied', false]);
  assert.match(error.message, pattern);
}

class Condition {
  get ifVersion(): number {
    return 77;
  }
}

test('an option that a method does not have is refused, and nothing is sent', async () => {
  const world = await World.started();
  const client = await world.client();
  const wrong: readonly (readonly [method: keyof Client, parameters: readonly unknown[], pattern: RegExp])[] = [
    ['put', ['k', 'v', { ifVerison: 5 }], /put: found unknown names "ifVerison"; allowed: ifVersion, ifAbsent, /],
    ['put', ['k', 'v', { ifversion: 5 }], /"ifversion"/],
    ['put', ['k', 'v', { timeout: 5, ttl: 1 }], /"timeout", "ttl"/],
    ['put', ['k', 'v', Object.create({ ifVerison: 5 })], /"ifVerison"/],
    ['delete', ['k', { ifAbsent: true }], /"ifAbsent"/],
    ['get', ['k', { ifVersion: 5 }], /get: .*"ifVersion"; allowed: consistency, timeoutMs, signal/],
    ['has', ['k', { consistency: 'stale' }], /"consistency"/],
    ['getMany', [['k'], { timeout: 5 }], /getMany: .*"timeout"/],
    ['putMany', [[['k', 'v']], { ifAbsent: true }], /putMany: .*"ifAbsent"/],
    ['close', [{ timeout: 5 }], /close: .*"timeout"/],
  ];
  for (const [method, parameters, pattern] of wrong) await refusal(world, call(client, method, ...parameters), pattern);
  assert.equal(world.cluster.calls.length, 0);
  assert.equal(client.status().state, 'open', 'a close with wrong options closes nothing');
});

test('options that are no options, or hold values of another type or range, are refused', async () => {
  const world = await World.started();
  const client = await world.client();
  const noOptions = ['ifAbsent', null, 5, true, [], () => undefined, new Map([['ifVersion', 5]]), Promise.resolve({})];
  for (const options of [...noOptions, new AbortController().signal])
    await refusal(world, call(client, 'put', 'k', 'v', options), /the options of put must be an object/);
  const wrong: readonly (readonly [options: unknown, pattern: RegExp])[] = [
    [{ ifVersion: '5' }, /ifVersion, an option of put, must be a version .*, found "5"/],
    [{ ifVersion: 1.5 }, /found 1.5/],
    [{ ifVersion: -1 }, /found -1/],
    [{ ifVersion: 2 ** 53 }, /ifVersion/],
    [{ ifVersion: 5n }, /found a bigint/],
    [{ ifVersion: null }, /found null/],
    [{ ifVersion: undefined }, /left out, found undefined/],
    [{ ifAbsent: 'yes' }, /ifAbsent, .*true or false, found "yes"/],
    [{ ifAbsent: 1 }, /ifAbsent/],
    [{ ifAbsent: true, ifVersion: 0 }, /exclude each other/],
    [{ timeoutMs: 0 }, /an integer from 1 to 86400000, found 0/],
    [{ timeoutMs: 1.5 }, /found 1.5/],
    [{ timeoutMs: '100' }, /found "100"/],
    [{ timeoutMs: Number.NaN }, /found NaN/],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, /found Infinity/],
    [{ signal: {} }, /signal, .*an AbortSignal, found an object/],
    [{ signal: new AbortController() }, /AbortSignal/],
    [{ signal: null }, /AbortSignal, found null/],
    [Object.defineProperty({}, 'ifVersion', { enumerable: true, get: () => assert.fail('a getter') }), /a getter/],
  ];
  for (const [options, pattern] of wrong) await refusal(world, call(client, 'put', 'k', 'v', options), pattern);
  await refusal(world, call(client, 'get', 'k', { consistency: 'stael' }), /'linearizable' or 'stale', found "stael"/);
  for (const timeoutMs of [-1, '5', Number.NaN, null])
    await refusal(world, call(client, 'close', { timeoutMs }), /timeoutMs/);
  assert.equal(world.cluster.calls.length, 0);
});

test('options may come from a class, be undefined, or be undefined one by one', async () => {
  const world = await World.started();
  const client = await world.client();
  const failed = await world.failure(client.put('k', 'v', new Condition()));
  assert.equal(failed.code, 'condition-failed', 'a getter of a class counts');
  await world.run(call(client, 'put', 'k', 'v', undefined));
  await world.run(call(client, 'put', 'k', 'v', { timeoutMs: undefined, signal: undefined, ifAbsent: undefined }));
  await world.run(call(client, 'get', 'k', { consistency: undefined }));
  assert.equal(world.cluster.store.get('k')?.value, 'v');
});

test('connect refuses misspelt and wrong options', async () => {
  const wrong: readonly (readonly [options: unknown, pattern: RegExp])[] = [
    [{ timeOutMs: 5 }, /connect: found unknown names "timeOutMs"; allowed: timeoutMs, connectTimeoutMs, /],
    [{ direct: 'false' }, /direct, .*true or false, found "false"/],
    [{ requestsMax: 1.5 }, /requestsMax, .*an integer from 1 to /],
    [{ connectionsPerGateway: 9 }, /from 1 to 8, found 9/],
    [{ bytesMax: '64MiB' }, /bytesMax/],
    [null, /an object, found null/],
    ['127.0.0.1:1', /an object/],
  ];
  const world = new World();
  for (const [options, pattern] of wrong) {
    assert.throws(() => Reflect.apply(settingsOf, undefined, [options]), pattern);
    await refusal(world, connecting(world, options), pattern);
  }
  assert.equal(world.holds, 0);
});

test('getMany and putMany give a result for each item, also for those that are none', async () => {
  const world = await World.started();
  const client = await world.client();
  const puts = await world.run(
    call(client, 'putMany', [['a', '1'], undefined, ['b'], 'cd', ['e', '2', { ifAbsent: true }], null, ['f', '3']]),
  );
  assert.deepEqual(outcomes(puts), ['ok', ...Array<string>(5).fill('bad-argument'), 'ok']);
  const sparse: unknown[] = ['a'];
  sparse[2] = 'f';
  assert.deepEqual(outcomes(await world.run(call(client, 'getMany', sparse))), ['ok', 'bad-argument', 'ok']);
  const many: unknown[] = [...Array<undefined>(600), 'a', null, 5, 'f'];
  const gets = outcomes(await world.run(call(client, 'getMany', many)));
  assert.equal(gets.length, 604);
  assert.deepEqual(gets.slice(599), ['bad-argument', 'ok', 'bad-argument', 'bad-argument', 'ok']);
});

function outcomes(results: unknown): string[] {
  assert.ok(Array.isArray(results));
  // Not `map`: it would pass over holes.
  return Array.from(results, (result: unknown) => {
    assert.ok(typeof result === 'object' && result !== null && 'key' in result && 'ok' in result);
    if (result.ok === true) return 'ok';
    assert.ok('error' in result && result.error instanceof KvError);
    return result.error.code;
  });
}

test('getMany and putMany refuse what cannot be iterated over, and what nobody means by it', async () => {
  const world = await World.started();
  const client = await world.client();
  const broken = {
    *[Symbol.iterator](): Generator<string> {
      yield 'a';
      throw new Error('broken off');
    },
  };
  for (const method of ['getMany', 'putMany'] as const) {
    for (const items of [undefined, null, 5, {}, 'abc', Buffer.from('abc'), broken])
      await refusal(world, call(client, method, items), /Many/);
  }
  assert.equal(world.cluster.calls.length, 0);
});

test('many requests are no more at a time than the client may have', async () => {
  const world = await World.started();
  const client = await world.client({ requestsMax: 3 });
  const results = await world.run(client.getMany(Array.from({ length: 50 }, (_, index) => `k${index}`)));
  assert.ok(results.every(({ ok }) => ok));
});

test('keys and values whose memory was given away are refused', async () => {
  const world = await World.started();
  const client = await world.client();
  const bytes = new Uint8Array(8);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  await refusal(world, client.put('k', bytes), /transferred/);
  await refusal(world, client.get(bytes), /transferred/);
  await world.run(client.put('k', new Uint8Array(0)));
});

test('bytes of another realm are bytes, and what only looks like bytes is none', async () => {
  const world = await World.started();
  const client = await world.client();
  const foreign: unknown = runInNewContext('new Uint8Array([107])');
  await world.run(call(client, 'put', foreign, 'v'));
  assert.equal(world.cluster.store.get('k')?.value, 'v');
  for (const none of [new Proxy(new Uint8Array(1), {}), new Uint16Array(1), new ArrayBuffer(1), ['k'], 5])
    await refusal(world, call(client, 'get', none), /a key must be a string or a Uint8Array/);
});

test('endpoints that are none are refused', async () => {
  const world = await World.started();
  const sparse: unknown[] = ['gateway-0:7000'];
  sparse[2] = 'gateway-1:7000';
  for (const endpoints of [undefined, null, 5, {}, sparse]) {
    const attempt = connecting(world, {}, endpoints === undefined ? [undefined] : endpoints);
    assert.equal((await world.failure(attempt)).code, 'bad-argument');
  }
  assert.equal((await world.failure(world.connecting({}, ['a:1,b:2']))).code, 'address-invalid');
});

test('one signal for many requests has one listener, and settles them all', async () => {
  const world = await World.started();
  const client = await world.client();
  let listeners = 0;
  let most = 0;
  const control = new AbortController();
  const { signal } = control;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  Object.assign(signal, {
    addEventListener: (...parameters: Parameters<typeof add>) => {
      most = Math.max(most, ++listeners);
      add(...parameters);
    },
    removeEventListener: (...parameters: Parameters<typeof remove>) => {
      listeners--;
      remove(...parameters);
    },
  });
  const keys = Array.from({ length: 40 }, (_, index) => `k${index}`);
  await world.run(client.getMany(keys, { signal }));
  assert.deepEqual([most, listeners], [1, 0]);
  world.cluster.script = () => ({ kind: 'hang' });
  const waiting = world.run(client.getMany(keys, { signal }));
  await Promise.resolve();
  control.abort(new Error('enough'));
  for (const result of await waiting) assert.equal(result.ok ? 'ok' : result.error.code, 'aborted');
  assert.deepEqual([most, listeners], [1, 0]);
  assert.equal(client.status().requests, 0);
});
