/** Gateways, loggers and the SDK together, in one process, over real sockets and files. */
import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import { silent } from '../../src/base/log.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import { startLogger } from '../../src/logger/logger.ts';
import type { LoggerNode } from '../../src/logger/logger.ts';
import type { Cluster, ClusterOptions } from '../../src/server/index.ts';
import { startCluster } from '../../src/server/index.ts';
import { repositoryRoot } from '../support/repository.ts';

const KIB = 1024;
const device = { capacityBytes: 256 * KIB * KIB, alignment: 512 };

class Harness {
  readonly cluster: Cluster;
  readonly folder: string;
  readonly #options: ClusterOptions;
  /** Loggers that were started again. */
  readonly restarted: LoggerNode[] = [];

  private constructor(cluster: Cluster, options: ClusterOptions) {
    this.cluster = cluster;
    this.folder = options.folder;
    this.#options = options;
  }

  static async start(context: TestContext, options: Partial<ClusterOptions> = {}): Promise<Harness> {
    const folder = await mkdtemp(path.join(tmpdir(), 'kv-filelog-'));
    const all: ClusterOptions = {
      folder,
      gateways: 3,
      loggers: 3,
      shards: 3,
      zoneSize: KIB * KIB,
      device,
      coordinator: new MemoryCoordinator().client(),
      environment: realEnvironment(),
      ...options,
    };
    const harness = new Harness(await startCluster(all), all);
    context.after(async () => {
      await harness.cluster.close();
      for (const logger of harness.restarted) await logger.close();
      await rm(folder, { recursive: true, force: true });
    });
    return harness;
  }

  client(options: Parameters<typeof connect>[1] = {}): Promise<Client> {
    return connect(this.cluster.endpoints, { timeoutMs: 30_000, ...options });
  }

  async stopLogger(number: number): Promise<void> {
    await this.cluster.loggers[number]?.close();
  }

  /** A new process of the logger on its old disk; on other ports, which the coordinator tells. */
  async restartLogger(number: number): Promise<LoggerNode> {
    const { folder, coordinator, environment } = this.#options;
    assert.ok(coordinator !== undefined && environment !== undefined);
    const { cluster, zoneSize } = this.cluster.record;
    const options = {
      id: number,
      folder: path.join(folder, `logger-${number}`),
      cluster,
      zoneSize,
      readAddress: '127.0.0.1:0',
      writeAddress: '127.0.0.1:0',
      device,
    };
    const logger = await startLogger(options, { ...environment, coordinator, log: silent });
    this.restarted.push(logger);
    return logger;
  }

  file(...names: string[]): string {
    return path.join(this.#options.folder, ...names);
  }
}

/** Writes values that say what they are, until told to stop; gives what was acknowledged. */
async function writeUntil(
  client: Client,
  writer: number,
  stop: { now: boolean },
  onPut: () => void,
): Promise<Map<string, string>> {
  const acknowledged = new Map<string, string>();
  for (let number = 0; !stop.now; number++) {
    const key = `writer-${writer}-${number % 50}`;
    const value = `${writer}/${number}/${'x'.repeat((number * 37) % 3_000)}`;
    await client.put(key, value);
    onPut();
    acknowledged.set(key, value);
  }
  return acknowledged;
}

async function untilWritten(acknowledged: () => number, count: number): Promise<void> {
  while (acknowledged() < count) await new Promise((resolve) => setImmediate(resolve));
}

test('every gateway serves every key: what it does not own it forwards', async (context) => {
  const harness = await Harness.start(context);
  await using writer = await harness.client();
  for (let number = 0; number < 30; number++) await writer.put(`key${number}`, `value${number}`);
  for (const endpoint of harness.cluster.endpoints) {
    await using reader = await connect(endpoint, { direct: false });
    for (let number = 0; number < 30; number++)
      assert.equal((await reader.get(`key${number}`))?.text, `value${number}`);
    const { existed } = await reader.delete('nobody');
    assert.equal(existed, false);
    await assert.rejects(reader.put('key0', 'x', { ifAbsent: true }), {
      code: 'condition-failed',
      outcome: 'not-applied',
    });
  }
});

for (const stopped of [[1], [0, 2]]) {
  test(`loggers ${stopped.join(' and ')} stop while 16 clients write: writes go on, and what was acknowledged stays readable when they return`, async (context) => {
    const harness = await Harness.start(context);
    await using client = await harness.client();
    const stop = { now: false };
    let puts = 0;
    const onPut = (): void => {
      puts += 1;
    };
    const writers = Promise.all(Array.from({ length: 16 }, (_, writer) => writeUntil(client, writer, stop, onPut)));
    await untilWritten(() => puts, 200);
    for (const number of stopped) await harness.stopLogger(number);
    await untilWritten(() => puts, puts + 400);
    for (const number of stopped) await harness.restartLogger(number);
    await untilWritten(() => puts, puts + 400);
    stop.now = true;
    const acknowledged = new Map((await writers).flatMap((map) => [...map]));
    for (const [key, value] of acknowledged) assert.equal((await client.get(key))?.text, value);
    const shards = harness.cluster.gateways.map((gateway) => gateway.status().shards);
    assert.ok(
      shards[0]?.every(({ sealedZones }) => sealedZones > 0),
      'each shard changed its zone',
    );
  });
}

test('a gateway takes its own shards first and loads those of others behind them; reads of any state wait for that', async (context) => {
  const coordinator = new MemoryCoordinator();
  const first = await Harness.start(context, { coordinator: coordinator.client() });
  const client = await first.client();
  for (let number = 0; number < 60; number++) await client.put(`key${number}`, `value${number}`);
  await client.close();
  await first.cluster.close();
  const again = await Harness.start(context, { coordinator: coordinator.client(), folder: first.folder });
  const reader = await again.client({ direct: false });
  for (let number = 0; number < 60; number++) {
    const stale = await reader.get(`key${number}`, { consistency: 'stale' });
    assert.ok(stale === undefined || stale.text === `value${number}`, 'a stale read may miss a write, no more');
    assert.equal((await reader.get(`key${number}`))?.text, `value${number}`);
  }
  await reader.close();
  const roles = (): string[] =>
    again.cluster.gateways.map((gateway) =>
      String(
        gateway
          .status()
          .shards.map(({ role }) => role)
          .sort(),
      ),
    );
  for (let tries = 0; tries < 500 && roles().some((line) => line !== 'follower,follower,owner'); tries++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(
    roles(),
    Array.from({ length: 3 }, () => 'follower,follower,owner'),
  );
  for (const { shards } of again.cluster.gateways.map((gateway) => gateway.status()))
    assert.equal(
      shards.reduce((sum, { keys }) => sum + keys, 0),
      60,
    );
});

test('a returned logger is used by new zones again', async (context) => {
  const harness = await Harness.start(context, { shards: 1, gateways: 1 });
  await using client = await harness.client();
  await client.put('a', '1');
  await harness.stopLogger(2);
  await client.put('b', '2');
  const replicas = (): number => harness.cluster.gateways[0]?.status().shards[0]?.replicas.length ?? 0;
  assert.equal(replicas(), 2);
  await harness.restartLogger(2);
  while (replicas() < 3) await client.put('c', '3');
  assert.equal((await client.get('c'))?.text, '3');
});

test('replicas are equal byte for byte, also of zones that were closed early', async (context) => {
  const harness = await Harness.start(context, { shards: 2, gateways: 2 });
  await using client = await harness.client();
  await Promise.all(
    Array.from({ length: 4_000 }, (_, number) => client.put(`key${number}`, 'v'.repeat(number % 1_900))),
  );
  const reports = harness.cluster.loggers.map((logger) =>
    logger.zones().map(({ shard, zone, epoch, length }) => ({ shard, zone, epoch, length })),
  );
  assert.deepEqual(reports[1], reports[0]);
  assert.deepEqual(reports[2], reports[0]);
  assert.ok((reports[0]?.length ?? 0) > 2);
});

test('a damaged replica is never served: the next one has the bytes (S16)', async (context) => {
  const harness = await Harness.start(context, { valueCacheBytes: 0, shards: 1, gateways: 1 });
  await using client = await harness.client();
  const value = 'intact '.repeat(500);
  for (let number = 0; number < 20; number++) await client.put(`key${number}`, `${number} ${value}`);
  const file = await open(harness.file('logger-1', 'device'), 'r+');
  const bytes = await file.readFile();
  let at = bytes.indexOf('intact intact');
  let damaged = 0;
  for (; at !== -1; at = bytes.indexOf('intact intact', at + 3_000)) {
    await file.write('DAMAGE', at + 100);
    damaged += 1;
  }
  await file.close();
  assert.ok(damaged >= 20);
  for (let round = 0; round < 5; round++) {
    for (let number = 0; number < 20; number++)
      assert.equal((await client.get(`key${number}`))?.text, `${number} ${value}`);
  }
});

test('large and empty values, keys of any bytes up to the limit', async (context) => {
  const harness = await Harness.start(context, { shards: 1, gateways: 1, zoneSize: 32 * KIB * KIB });
  await using client = await harness.client();
  const large = Buffer.alloc(16 * KIB * KIB, 'large');
  const key = Uint8Array.from({ length: 1_024 }, (_, index) => index % 256);
  await client.put(key, large);
  await client.put('empty', '');
  assert.ok(Buffer.from((await client.get(key))?.value ?? []).equals(large));
  assert.equal((await client.get('empty'))?.value.length, 0);
  await assert.rejects(client.put(new Uint8Array(1_025), 'x'), { code: 'key-too-long' });
  await assert.rejects(client.put('', 'x'), { code: 'key-empty' });
  await assert.rejects(client.put('key', new Uint8Array(16 * KIB * KIB + 1)), { code: 'value-too-large' });
});

test('a full disk: puts are refused and nothing is lost; reads and deletes go on', async (context) => {
  const harness = await Harness.start(context, {
    shards: 1,
    gateways: 1,
    device: { capacityBytes: 24 * KIB * KIB, alignment: 512 },
    zoneSize: 4 * KIB * KIB,
  });
  await using client = await harness.client();
  const acknowledged: string[] = [];
  const value = 'x'.repeat(100 * KIB);
  let refusal: unknown;
  for (let number = 0; number < 1_000 && refusal === undefined; number++) {
    await client.put(`key${number}`, value).then(
      () => acknowledged.push(`key${number}`),
      (error: unknown) => {
        refusal = error;
      },
    );
  }
  assert.ok(refusal instanceof Error && 'code' in refusal && refusal.code === 'disk-full', String(refusal));
  assert.ok(acknowledged.length > 50);
  for (const key of acknowledged) assert.equal((await client.get(key))?.value.length, value.length);
});

// --- the testbed's clients and strangers -----------------------------------------------------------------------------

/** Sends raw bytes and reads until so many came back. */
function exchange(address: string, request: Uint8Array, length: number): Promise<Buffer> {
  const [host = '', port = ''] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ host, port: Number(port) }, () => socket.write(request));
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => {
      pieces.push(piece);
      const all = Buffer.concat(pieces);
      if (all.length >= length) {
        socket.destroy();
        resolve(all);
      }
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(pieces)));
  });
}

type Hex = string | readonly (string | { readonly repeat: string; readonly times: number })[];
interface Vector {
  readonly name: string;
  readonly hex?: Hex;
}

async function wireVectors(): Promise<readonly Vector[]> {
  return JSON.parse(
    await readFile(path.join(repositoryRoot, 'test/fixtures/wire-vectors.json'), 'utf8'),
  ) as readonly Vector[];
}

function bytesOf(hex: Hex | undefined): Buffer {
  const pieces = typeof hex === 'string' ? [hex] : (hex ?? []);
  return Buffer.from(
    pieces.map((piece) => (typeof piece === 'string' ? piece : piece.repeat.repeat(piece.times))).join(''),
    'hex',
  );
}

test("the testbed's client writes and reads in its own wire forms, and our clients read what it wrote", async (context) => {
  const harness = await Harness.start(context);
  const vectors = await wireVectors();
  const vector = (name: string): Buffer => bytesOf(vectors.find((one) => one.name === name)?.hex);
  const [first = '', second = ''] = harness.cluster.endpoints;
  const exchanges: readonly (readonly [string, string, string])[] = [
    ['get.request', 'get.response.missing', first],
    ['put.request', 'put.response', first],
    ['get.request', 'get.response.found', second],
    ['del.request', 'del.response', second],
    ['get.request', 'get.response.missing', first],
    ['put.request.value_4079_bytes', 'put.response', first],
    ['error.unknown_function.request', 'error.unknown_function.response', first],
    ['error.wrong_arity.request', 'error.wrong_arity.response', first],
    ['accepted.bin_value.request', 'accepted.bin_value.response', second],
    ['accepted.short_array.request', 'accepted.short_array.response', second],
  ];
  for (const [request, response, endpoint] of exchanges) {
    const expected = vector(response);
    assert.ok(expected.length > 0, response);
    assert.deepEqual(await exchange(endpoint, vector(request), expected.length), expected, request);
  }
  await exchange(first, vector('put.request'), 12);
  await using client = await harness.client();
  assert.equal((await client.get('12345'))?.text, 'hello');
  await client.put('12345', 'y'.repeat(4_081));
  const tooLarge = await exchange(first, vector('get.request'), 60);
  assert.equal(tooLarge[3] === 0xc0, false, 'an error, not a result');
});

test('an outage is an RPC error for the testbed, never "Success"', async (context) => {
  const harness = await Harness.start(context, { shards: 1, gateways: 1, loggers: 1, loggerTimeoutMs: 200 });
  await harness.stopLogger(0);
  const vectors = await wireVectors();
  const answer = exchange(
    harness.cluster.endpoints[0] ?? '',
    bytesOf(vectors.find(({ name }) => name === 'put.request')?.hex),
    20,
  );
  const text = (await answer).toString('latin1');
  assert.match(text, /kv-filelog: unavailable/);
});

test('garbage on the ports never ends a gateway, and others are served meanwhile', async (context) => {
  const harness = await Harness.start(context);
  let seed = 7;
  const random = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed >>> 16;
  };
  await using client = await harness.client();
  const ports = [...harness.cluster.endpoints, ...harness.cluster.gateways.map(({ peerAddress }) => peerAddress)];
  const valid = Buffer.from('940001ab48616e646c655772697465919302cd3039a568656c6c6f', 'hex');
  for (let round = 0; round < 60; round++) {
    const bytes =
      round % 2 === 0
        ? Buffer.from(valid)
        : Buffer.from(Array.from({ length: 1 + (random() % 200) }, () => random() % 256));
    if (round % 2 === 0) bytes[random() % bytes.length] = random() % 256;
    const [host = '', port = ''] = (ports[round % ports.length] ?? '').split(':');
    await new Promise<void>((resolve) => {
      const socket = connectSocket({ host, port: Number(port) }, () => socket.end(bytes));
      socket.resume();
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
    });
    await client.put(`key${round}`, 'still here');
  }
  assert.equal((await client.get('key59'))?.text, 'still here');
});
