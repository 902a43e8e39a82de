/** Snapshots: fuzzy, replayed, damaged. The golden file and the bytes are in test/codec/index-snapshot.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, millis, requestNumber, shardId, uuid, version } from '../../../src/base/ids.ts';
import { loadSnapshot, SnapshotLoader } from '../../../src/core/index/index-loader.ts';
import type { SnapshotSource } from '../../../src/core/index/index-snapshot.ts';
import { IndexSnapshot } from '../../../src/core/index/index-snapshot.ts';
import { KeyIndex } from '../../../src/core/index/key-index.ts';
import { OnceTable } from '../../../src/core/once/once-table.ts';
import type { SeededRandom } from './index-support.ts';
import { seededRandom } from './index-support.ts';

const place = { cluster: uuid('00112233445566778899aabbccddeeff'), shard: shardId(3), zoneSize: 2 ** 20 };
const once = { window: 64, clientsMax: 20, bytesMax: 1 << 20, replyBytesMax: 1 << 16 };

/** Keys long enough that segments of the arena fill, become sparse and are compacted. */
function keyBytes(name: number): Uint8Array {
  const key = new Uint8Array(8 + (name % 64) * 15).fill(name & 0xff);
  new DataView(key.buffer).setFloat64(0, name);
  return key;
}

/** A record of the log, as far as index and once-only table look at it. */
type LogRecord =
  | {
      readonly kind: 'put';
      readonly name: number;
      readonly version: number;
      readonly lba: number;
      readonly length: number;
    }
  | { readonly kind: 'delete'; readonly name: number; readonly version: number }
  | {
      readonly kind: 'write';
      readonly client: number;
      readonly number: number;
      readonly first: number;
      readonly version: number;
      readonly reply: Uint8Array | undefined;
    }
  | { readonly kind: 'floor'; readonly client: number };

function apply(index: KeyIndex, table: OnceTable, record: LogRecord): void {
  switch (record.kind) {
    case 'put': {
      const key = keyBytes(record.name);
      index.put(key, 0, key.length, record.version, record.lba, record.length, record.length - 40, record.name);
      return;
    }
    case 'delete': {
      const key = keyBytes(record.name);
      index.delete(key, 0, key.length, record.version);
      return;
    }
    case 'write':
      table.complete(clientId(record.client), requestNumber(record.number), requestNumber(record.first), {
        kind: 1,
        version: version(record.version),
        reply: record.reply,
      });
      return;
    case 'floor':
      table.applyFloor(clientId(record.client));
  }
}

/** A shard that makes its own log and applies it. */
class Shard {
  readonly index = new KeyIndex({ low: 5, high: 6 });
  readonly table = new OnceTable(once);
  readonly log: LogRecord[] = [];
  readonly #random: SeededRandom;
  readonly #keyCount: number;
  readonly #numbers = new Map<number, number>();
  #lba = 1;
  constructor(random: SeededRandom, keyCount: number) {
    this.#random = random;
    this.#keyCount = keyCount;
  }

  step(): void {
    const choice = this.#random.below(20);
    this.#lba += 1 + this.#random.below(50);
    if (choice < 8)
      this.#append({
        kind: 'put',
        name: this.#random.below(this.#keyCount),
        version: this.#lba,
        lba: this.#lba,
        length: 40 + this.#random.below(90),
      });
    else if (choice < 14)
      this.#append({ kind: 'delete', name: this.#random.below(this.#keyCount), version: this.#lba });
    else if (choice < 16) this.#relocate();
    else this.#write();
    const evicted = this.table.overfull();
    if (evicted !== undefined) this.#append({ kind: 'floor', client: evicted });
  }

  #append(record: LogRecord): void {
    this.log.push(record);
    apply(this.index, this.table, record);
  }

  /** Cleaning: the record moves, its version stays. */
  #relocate(): void {
    const name = this.#random.below(this.#keyCount);
    const key = keyBytes(name);
    const id = this.index.find(key, 0, key.length);
    if (id !== -1)
      this.#append({
        kind: 'put',
        name,
        version: this.index.versionOf(id),
        lba: this.#lba,
        length: this.index.lengthOf(id),
      });
  }

  #write(): void {
    const client = 1 + this.#random.below(40);
    const last = this.#numbers.get(client) ?? 1;
    const number = last + this.#random.below(5);
    this.#numbers.set(client, Math.max(last, number));
    const reply = this.#random.below(3) === 0 ? new Uint8Array(this.#random.below(300)).fill(number) : undefined;
    this.#append({
      kind: 'write',
      client,
      number,
      first: Math.max(1, number - this.#random.below(30)),
      version: this.#lba,
      reply,
    });
  }

  get source(): SnapshotSource {
    return {
      ...place,
      index: this.index,
      once: this.table,
      position: { zone: 1, offset: this.log.length },
      shardTimeMs: millis(1_700_000_000_000),
    };
  }
}

function contentOf(index: KeyIndex): Map<number, string> {
  const content = new Map<number, string>();
  for (const id of index.entries(0, index.entryIdEnd)) {
    const key = index.keyOf(id);
    assert.equal(index.find(key, 0, key.length), id, 'each entry is found by its key');
    const name = Buffer.from(key).readDoubleBE(0);
    assert.deepEqual(key, keyBytes(name));
    content.set(
      name,
      [index.versionOf(id), index.lbaOf(id), index.lengthOf(id), index.valueLengthOf(id), index.expiresAtOf(id)].join(),
    );
  }
  assert.equal(content.size, index.size);
  return content;
}

function contentOfOnce(table: OnceTable): unknown {
  return {
    floor: table.floor,
    ranges: table.forgottenRanges,
    clients: table.clientIds().map((client) => table.stateOf(client)),
  };
}

function wholeSnapshot(source: SnapshotSource): Uint8Array[] {
  const snapshot = new IndexSnapshot(source);
  const chunks: Uint8Array[] = [];
  for (let chunk = snapshot.next(); chunk !== undefined; chunk = snapshot.next()) chunks.push(chunk);
  return chunks;
}

for (let round = 1; round <= 6; round++) {
  test(`S12 a snapshot taken while the index changes, replayed from its watermark, is the live index (seed ${round})`, () => {
    const random = seededRandom(round);
    const shard = new Shard(random, round % 3 === 0 ? 60 : 12_000);
    for (let step = 0; step < 30_000; step++) shard.step();
    const start = shard.log.length;
    const snapshot = new IndexSnapshot(shard.source);
    const chunks: Uint8Array[] = [];
    for (let chunk = snapshot.next(); chunk !== undefined; chunk = snapshot.next()) {
      assert.ok(chunk.length <= 1024 * 1024, 'a chunk is at most 1 MiB');
      chunks.push(chunk);
      for (let step = random.below(2_000); step > 0; step--) shard.step();
    }
    const result = loadSnapshot(chunks, place, { onceLimits: once });
    assert.equal(result.kind, 'loaded');
    if (result.kind !== 'loaded') return;
    assert.deepEqual(result.header.watermark, { zone: 1, offset: start });
    for (const record of shard.log.slice(result.header.watermark.offset)) apply(result.index, result.once, record);
    assert.deepEqual(contentOf(result.index), contentOf(shard.index));
    assert.deepEqual(contentOfOnce(result.once), contentOfOnce(shard.table));
    // Both go on from there alike: the rebuilt free entries, pages and arena work.
    const from = shard.log.length;
    for (let step = 0; step < 10_000; step++) shard.step();
    for (const record of shard.log.slice(from)) apply(result.index, result.once, record);
    assert.deepEqual(contentOf(result.index), contentOf(shard.index));
    assert.deepEqual(contentOfOnce(result.once), contentOfOnce(shard.table));
  });
}

test('a key deleted and put again into an earlier or later entry is in the snapshot once, in its newest form', () => {
  const index = new KeyIndex({ low: 1, high: 1 });
  const shard = { ...place, index, once: new OnceTable(), position: { zone: 1, offset: 0 }, shardTimeMs: millis(0) };
  const put = (name: number, at: number): void =>
    void index.put(keyBytes(name), 0, keyBytes(name).length, at, at, 50, 5, 0);
  // Two segments of entries; the first entry is a free one.
  for (let name = 0; name < 9_000; name++) put(name, 10);
  const snapshot = new IndexSnapshot(shard);
  const chunks = [snapshot.next(), snapshot.next()];
  // The first segment is copied with key 0 in it. Now it moves to the second segment.
  index.delete(keyBytes(8_999), 0, keyBytes(8_999).length, 20);
  put(9_999, 21);
  index.delete(keyBytes(9_999), 0, keyBytes(9_999).length, 22);
  index.delete(keyBytes(0), 0, keyBytes(0).length, 23);
  put(12_345, 24);
  put(0, 25);
  for (let chunk = snapshot.next(); chunk !== undefined; chunk = snapshot.next()) chunks.push(chunk);
  const result = loadSnapshot(
    chunks.filter((chunk) => chunk !== undefined),
    place,
  );
  assert.equal(result.kind, 'loaded');
  if (result.kind !== 'loaded') return;
  const key = keyBytes(0);
  assert.equal(contentOf(result.index).get(0), '25,25,50,5,0');
  assert.equal(result.index.versionOf(result.index.find(key, 0, key.length)), 25);
});

test('S9 a lost key is lost in a snapshot, too, until it is written', () => {
  const index = new KeyIndex({ low: 1, high: 2 });
  const key = keyBytes(1);
  index.put(key, 0, key.length, 100, 100, 60, 20, 0);
  index.lose(key, 0, key.length, 300, 40);
  assert.ok(!index.put(key, 0, key.length, 200, 200, 60, 20, 0), 'S12 an older record changes nothing');
  const source = { ...place, index, once: new OnceTable(), position: { zone: 1, offset: 0 }, shardTimeMs: millis(0) };
  const result = loadSnapshot(wholeSnapshot(source), place);
  assert.ok(result.kind === 'loaded');
  const { index: loaded } = result;
  const id = loaded.find(key, 0, key.length);
  assert.deepEqual([loaded.isLost(id), loaded.versionOf(id), loaded.lengthOf(id)], [true, 300, 40]);
  loaded.put(key, 0, key.length, 400, 400, 60, 20, 0);
  assert.ok(!loaded.isLost(id));
});

test('an abandoned snapshot lets keys move again', () => {
  const shard = new Shard(seededRandom(9), 50);
  const snapshot = new IndexSnapshot(shard.source);
  snapshot.next();
  snapshot.close();
  snapshot.close();
  assert.equal(snapshot.next(), undefined);
  assert.throws(() => shard.index.unpin());
});

test('an empty index makes a snapshot that loads', () => {
  const shard = new Shard(seededRandom(1), 1);
  const result = loadSnapshot(wholeSnapshot(shard.source), place);
  assert.equal(result.kind, 'loaded');
  if (result.kind === 'loaded') assert.equal(result.index.size, 0);
});

function smallSnapshot(): Buffer {
  const shard = new Shard(seededRandom(4), 40);
  for (let step = 0; step < 400; step++) shard.step();
  return Buffer.concat(wholeSnapshot(shard.source));
}

test('a snapshot loads from pieces of any size', () => {
  const whole = smallSnapshot();
  const expected = loadSnapshot([whole], place, { onceLimits: once });
  assert.equal(expected.kind, 'loaded');
  for (const size of [1, 3, 17, 1_000]) {
    const loader = new SnapshotLoader(place, { onceLimits: once });
    for (let at = 0; at < whole.length; at += size) assert.equal(loader.push(whole.subarray(at, at + size)), undefined);
    const result = loader.finish();
    assert.equal(result.kind, 'loaded');
    if (result.kind === 'loaded' && expected.kind === 'loaded')
      assert.deepEqual(contentOf(result.index), contentOf(expected.index));
  }
});

test('no flipped bit, no cut and no addition goes unnoticed', () => {
  const whole = smallSnapshot();
  for (let at = 0; at < whole.length; at += 1 + (at % 23)) {
    const copy = Buffer.from(whole);
    copy[at] = (copy[at] ?? 0) ^ (1 << (at & 7));
    const result = loadSnapshot([copy], place, { onceLimits: once });
    assert.equal(result.kind, 'damaged', `bit flipped in byte ${at}`);
    assert.equal(loadSnapshot([whole.subarray(0, at)], place, { onceLimits: once }).kind, 'damaged', `cut at ${at}`);
  }
  assert.equal(loadSnapshot([whole, new Uint8Array(1)], place, { onceLimits: once }).kind, 'damaged');
  assert.equal(loadSnapshot([new Uint8Array(100_000)], place, { onceLimits: once }).kind, 'damaged');
});

test('a chunk that is missing, doubled, swapped or from another snapshot is damage', () => {
  const shard = new Shard(seededRandom(5), 2_000);
  for (let step = 0; step < 10_000; step++) shard.step();
  const chunks = wholeSnapshot(shard.source);
  shard.step();
  const others = wholeSnapshot(shard.source);
  assert.ok(chunks.length >= 5);
  const load = (list: readonly Uint8Array[]): string => loadSnapshot(list, place, { onceLimits: once }).kind;
  assert.equal(load(chunks), 'loaded');
  for (let at = 0; at < chunks.length; at++) {
    assert.equal(load(chunks.toSpliced(at, 1)), 'damaged');
    assert.equal(load(chunks.with(at, others[at] ?? new Uint8Array(0))), 'damaged', `chunk ${at} of another snapshot`);
    assert.equal(load(chunks.toSpliced(at, 0, chunks[at] ?? new Uint8Array(0))), 'damaged');
    const next = chunks[at + 1];
    if (next !== undefined) assert.equal(load(chunks.with(at, next).with(at + 1, chunks[at] ?? next)), 'damaged');
  }
});

test('S16 a snapshot of another cluster, shard or zone size is not used', () => {
  const whole = smallSnapshot();
  const other = { cluster: uuid('f'.repeat(32)), shard: shardId(4), zoneSize: 2 ** 21 };
  for (const expected of [
    { ...place, cluster: other.cluster },
    { ...place, shard: other.shard },
    { ...place, zoneSize: other.zoneSize },
  ]) {
    const result = loadSnapshot([whole], expected, { onceLimits: once });
    assert.ok(result.kind === 'damaged' && /another cluster/.test(result.reason));
  }
});
