/**
 * The in-memory parts of a gateway: `node --expose-gc --import tsx bench/index.ts [--large]`. Index at 10^4 and 10^6
 * keys of 20 bytes (10^7 with --large): bytes and nanoseconds; snapshots; once-only table; value cache, beside a plain
 * LRU in the order of a Map. All times are CPU time of the process, pauses included, compilation mostly not: a first
 * round is not reported.
 */
import { lba, clientId, millis, requestNumber, shardId, uuid, version } from '../src/base/ids.ts';
import { loadSnapshot } from '../src/core/index/index-loader.ts';
import { IndexSnapshot } from '../src/core/index/index-snapshot.ts';
import { KeyIndex } from '../src/core/index/key-index.ts';
import { OnceTable } from '../src/core/once/once-table.ts';
import { ValueCache } from '../src/gateway/shards/value-cache.ts';

const cluster = uuid('0123456789abcdef0123456789abcdef');
const place = { cluster, shard: shardId(0), zoneSize: 2 ** 28 };
const keyBytes = 20;

/** Of this process: other work on the machine must not count. */
function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1_000;
}

let silent = true;

function report(what: string, value: number, unit: string): void {
  if (silent) return;
  process.stdout.write(`${what.padEnd(58)} ${value.toFixed(value < 100 ? 2 : 0).padStart(10)} ${unit}\n`);
}

function collect(): void {
  if (globalThis.gc !== undefined) globalThis.gc();
}

/** A permutation of 0..count-1 without memory: `step` and `count` have no common divisor. */
function scattered(index: number, count: number): number {
  return (index * 7_368_787) % count;
}

function makeKeys(count: number): Buffer {
  const keys = Buffer.alloc(count * keyBytes);
  for (let index = 0; index < count; index++)
    keys.write(`user:${String(scattered(index, count)).padStart(15, '0')}`, index * keyBytes, 'latin1');
  return keys;
}

function benchIndex(count: number): void {
  const keys = makeKeys(count);
  const warm = new KeyIndex({ low: 3, high: 4 });
  for (let at = 0; at < 300_000; at++) {
    const start = (at % count) * keyBytes;
    warm.put(keys, start, keyBytes, 100 + at, 100 + at, 136, 100, 0);
    if (warm.find(keys, start, keyBytes) === -1) throw new Error('the index lost a key');
    if (at % 3 === 0) warm.delete(keys, start, keyBytes, 100 + at);
  }
  collect();
  const before = process.memoryUsage();
  const index = new KeyIndex({ low: 1, high: 2 });
  let worst = 0;
  const start = cpuNs();
  for (let at = 0; at < count; at += 1_000) {
    const stepStart = cpuNs();
    for (let key = at; key < at + 1_000; key++)
      index.put(keys, key * keyBytes, keyBytes, 100 + key, 100 + key, 136, 100, 0);
    worst = Math.max(worst, cpuNs() - stepStart);
  }
  report(`${count} keys: put new`, (cpuNs() - start) / count, 'ns');
  report('  slowest 1,000 puts', worst / 1e6, 'ms');
  collect();
  const after = process.memoryUsage();
  report('  memoryBytes a key', index.memoryBytes / count, 'bytes');
  report('  array buffers a key', (after.arrayBuffers - before.arrayBuffers) / count, 'bytes');
  report('  heap used a key', (after.heapUsed - before.heapUsed) / count, 'bytes');
  benchLookups(index, keys, count);
  benchSnapshot(index, count);
}

function benchLookups(index: KeyIndex, keys: Buffer, count: number): void {
  const rounds = Math.max(1, Math.floor(1_000_000 / count));
  let start = cpuNs();
  let found = 0;
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < count; at++)
      if (index.find(keys, ((at * 5_000_011) % count) * keyBytes, keyBytes) !== -1) found++;
  }
  report('  find, random', (cpuNs() - start) / (rounds * count), 'ns');
  start = cpuNs();
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < count; at++) if (index.find(keys, at * keyBytes, keyBytes - 1) !== -1) found++;
  }
  report('  find, absent', (cpuNs() - start) / (rounds * count), 'ns');
  start = cpuNs();
  for (let at = 0; at < count; at++) {
    const key = (at * 5_000_011) % count;
    index.put(keys, key * keyBytes, keyBytes, 1e10 + at, 1e10 + at, 136, 100, 0);
  }
  report('  put again, random', (cpuNs() - start) / count, 'ns');
  if (found !== rounds * count) throw new Error('the index lost keys');
}

function benchSnapshot(index: KeyIndex, count: number): void {
  const position = { zone: 1, offset: 0 };
  const snapshot = new IndexSnapshot({ ...place, index, once: new OnceTable(), position, shardTimeMs: millis(1) });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let worst = 0;
  const start = cpuNs();
  for (let from = cpuNs(), chunk = snapshot.next(); chunk !== undefined; from = cpuNs(), chunk = snapshot.next()) {
    worst = Math.max(worst, cpuNs() - from);
    bytes += chunk.length;
    chunks.push(chunk);
  }
  report('  snapshot: all chunks', (cpuNs() - start) / 1e6, 'ms');
  report('  snapshot: slowest chunk', worst / 1e6, 'ms');
  report('  snapshot: size', bytes / 1e6, 'MB');
  collect();
  const loadStart = cpuNs();
  const loaded = loadSnapshot(chunks, place);
  if (loaded.kind !== 'loaded' || loaded.index.size !== count) throw new Error('the snapshot does not load');
  report('  snapshot: load', (cpuNs() - loadStart) / 1e6, 'ms');
}

function benchOnce(clients: number): void {
  const table = new OnceTable<object>();
  const token = {};
  const count = 1_000_000;
  let start = 0;
  for (let round = 0; round < 2; round++) {
    start = cpuNs();
    for (let at = 0; at < count; at++) {
      const client = clientId(1 + (at % clients));
      const number = requestNumber(64 + round * count + Math.floor(at / clients));
      const first = requestNumber(number - 63);
      if (table.check(client, number, first).kind !== 'new') throw new Error('not new');
      table.begin(client, number, first, token);
      table.complete(client, number, first, { kind: 1, version: version(at), reply: undefined });
    }
  }
  report(`once-only: check, begin, complete; ${clients} clients`, (cpuNs() - start) / count, 'ns');
}

/** What the cache is measured against. */
class MapLru {
  readonly #values = new Map<string, Uint8Array>();
  readonly #capacity: number;
  #bytes = 0;
  constructor(capacity: number) {
    this.#capacity = capacity;
  }
  get(shard: number, address: number): Uint8Array | undefined {
    const key = `${shard}:${address}`;
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }
  set(shard: number, address: number, bytes: Uint8Array): void {
    this.#values.set(`${shard}:${address}`, new Uint8Array(bytes));
    this.#bytes += bytes.length + 256;
    for (const [key, value] of this.#values) {
      if (this.#bytes <= this.#capacity) break;
      this.#values.delete(key);
      this.#bytes -= value.length + 256;
    }
  }
}

/** Reads of 100,000 addresses, few of them often; what is missed is set. */
function benchCache(
  name: string,
  cache: { get(shard: number, address: number): unknown; set(shard: number, address: number, bytes: Uint8Array): void },
): void {
  const value = new Uint8Array(1_024);
  const count = 500_000;
  let hits = 0;
  let hitNs = 0;
  let state = 12345;
  const start = cpuNs();
  for (let at = 0; at < count; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const address = 5_000_000_000 + Math.floor(100_000 * (state / 2 ** 32) ** 4) * 1_100;
    if (cache.get(at & 3, address) !== undefined) hits++;
    else cache.set(at & 3, address, value);
  }
  const total = cpuNs() - start;
  for (let at = 0; at < 64; at++) cache.set(0, 7e12 + at, value);
  const hitStart = cpuNs();
  for (let at = 0; at < count; at++) cache.get(0, 7e12 + (at & 63));
  hitNs = cpuNs() - hitStart;
  report(`${name}: get, set after a miss`, total / count, 'ns');
  report(`${name}: hit`, hitNs / count, 'ns');
  report(`${name}: hits, skewed`, (100 * hits) / count, '%');
}

for (let round = 0; round < 3; round++) benchIndex(100_000);
silent = false;
benchIndex(10_000);
benchIndex(1_000_000);
if (process.argv.includes('--large')) benchIndex(10_000_000);
benchOnce(1);
benchOnce(64);
for (const capacity of [16, 64]) {
  const cache = new ValueCache(capacity * 2 ** 20);
  benchCache(`value cache ${capacity} MiB (SIEVE)`, {
    get: (shard, at) => cache.get(shardId(shard), lba(at)),
    set: (shard, at, bytes) => cache.set(shardId(shard), lba(at), bytes),
  });
  benchCache(`plain Map LRU ${capacity} MiB`, new MapLru(capacity * 2 ** 20));
}
