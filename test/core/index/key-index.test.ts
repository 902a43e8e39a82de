/** KeyIndex against a Map, and its parts on their own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssertionFailure } from '../../../src/base/assert.ts';
import { EntryTable } from '../../../src/core/index/index-entries.ts';
import { hashKey } from '../../../src/core/index/index-hash.ts';
import { IndexTable } from '../../../src/core/index/index-table.ts';
import { KeyIndex } from '../../../src/core/index/key-index.ts';
import { keyBytes, seededRandom } from './index-support.ts';

const seed = { low: 17, high: 4711 };

function putKey(index: KeyIndex, key: Uint8Array, version: number, lba = version): boolean {
  return index.put(key, 0, key.length, version, lba, 50 + key.length, 7, 0);
}

test('the hash is HalfSipHash-1-3: the vectors of Linux hsiphash on 32-bit machines', () => {
  const input = Uint8Array.from({ length: 64 }, (_, at) => at);
  const hashes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 63].map((length) => hashKey(input, 0, length, 0x03020100, 0x07060504));
  assert.deepEqual(
    hashes,
    [
      0x5814c896, 0xe7e864ca, 0xbc4b0e30, 0x01539939, 0x7e059ea6, 0x88e3d89b, 0xa0080b65, 0x9d38d9d6, 0x577999b1,
      0x87178304,
    ],
  );
});

test('the hash looks at the range alone', () => {
  const input = Uint8Array.from({ length: 64 }, (_, at) => at);
  for (let length = 0; length <= 40; length++) {
    assert.equal(hashKey(input, 11, length, 1, 2), hashKey(input.slice(11, 11 + length), 0, length, 1, 2));
  }
});

test('every field comes back as it was put, up to its limit', () => {
  const index = new KeyIndex(seed);
  const key = Buffer.from('..a key..');
  assert.equal(index.put(key, 2, 5, 2 ** 52, Number.MAX_SAFE_INTEGER, 2 ** 32 - 1, 2 ** 24, 2 ** 48 - 1), true);
  const id = index.find(Buffer.from('a key'), 0, 5);
  assert.equal(index.versionOf(id), 2 ** 52);
  assert.equal(index.lbaOf(id), Number.MAX_SAFE_INTEGER);
  assert.equal(index.lengthOf(id), 2 ** 32 - 1);
  assert.equal(index.valueLengthOf(id), 2 ** 24);
  assert.equal(index.expiresAtOf(id), 2 ** 48 - 1);
  assert.equal(index.keyLengthOf(id), 5);
  assert.deepEqual(Buffer.from(index.keyOf(id)).toString(), 'a key');
  assert.equal(index.find(key, 2, 4), -1);
  assert.equal(index.find(key, 1, 5), -1);
});

test('S12 an entry never gets an older version, but the next key of a freed entry begins anew', () => {
  const entries = new EntryTable();
  const id = entries.allocate();
  entries.setRecord(id, 20, 20, 50, 7, 0);
  entries.setRecord(id, 20, 30, 50, 7, 0);
  assert.throws(() => entries.setRecord(id, 19, 40, 50, 7, 0), /S12/);
  entries.free(id);
  assert.equal(entries.allocate(), id);
  entries.setRecord(id, 1, 1, 50, 7, 0);
  assert.equal(entries.version(id), 1);
});

test('S12 a version is never beyond its record', () => {
  assert.throws(() => putKey(new KeyIndex(seed), Buffer.from('k'), 2, 1), /S12/);
});

test('a key is 1..1,024 bytes', () => {
  const index = new KeyIndex(seed);
  const key = new Uint8Array(1_025).fill(9);
  assert.throws(() => index.put(key, 0, 0, 1, 1, 1, 1, 0), AssertionFailure);
  assert.throws(() => index.put(key, 0, 1_025, 1, 1, 1, 1, 0), AssertionFailure);
  assert.equal(index.put(key, 0, 1_024, 1, 1, 1, 1, 0), true);
  assert.equal(index.put(key, 0, 1, 1, 1, 1, 1, 0), true);
  assert.equal(index.keyOf(index.find(key, 0, 1_024)).length, 1_024);
});

test('S12 newer version wins: older puts and deletes change nothing, equal ones (relocation, replay) apply', () => {
  const replaced: number[][] = [];
  const index = new KeyIndex(seed, (lba, length) => replaced.push([lba, length]));
  const key = Buffer.from('k');
  assert.equal(putKey(index, key, 100), true);
  assert.equal(putKey(index, key, 99), false);
  assert.equal(putKey(index, key, 99, 500), false);
  assert.equal(index.delete(key, 0, 1, 99), false);
  assert.deepEqual([index.versionOf(0), index.lbaOf(0), index.size], [100, 100, 1]);
  assert.deepEqual(replaced, []);
  assert.equal(putKey(index, key, 100, 700), true);
  assert.deepEqual([index.versionOf(0), index.lbaOf(0)], [100, 700]);
  assert.equal(putKey(index, key, 800), true);
  assert.equal(index.delete(key, 0, 1, 900), true);
  assert.equal(index.find(key, 0, 1), -1);
  assert.equal(index.delete(key, 0, 1, 901), false);
  assert.deepEqual(replaced, [
    [100, 51],
    [700, 51],
    [800, 51],
  ]);
  assert.equal(index.size, 0);
});

test('a put without expiry takes an earlier expiry away', () => {
  const index = new KeyIndex(seed);
  const key = Buffer.from('k');
  index.put(key, 0, 1, 1, 1, 20, 3, 2 ** 41 + 5);
  assert.equal(index.expiresAtOf(0), 2 ** 41 + 5);
  index.put(key, 0, 1, 2, 2, 20, 3, 0);
  assert.equal(index.expiresAtOf(0), 0);
  assert.equal(index.keyLengthOf(0), 1);
});

test('random puts and deletes agree with a Map; onReplaced keeps live bytes right; memory is reused', () => {
  const random = seededRandom(1);
  let live = 0;
  const index = new KeyIndex(seed, (_, length) => (live -= length));
  const model = new Map<number, { version: number; lba: number; length: number }>();
  const keyCount = 30_000;
  let version = 1;
  for (let step = 0; step < 300_000; step++) {
    // Waves: first many puts, then many deletes, so that pages split, segments become sparse and are compacted.
    const wave = Math.floor(step / 50_000) % 2 === 0 ? 0.9 : 0.25;
    const name = random.below(keyCount);
    const key = keyBytes(name);
    version += 1 + random.below(3);
    const used = random.below(10) === 0 ? Math.max(1, version - 5_000) : version;
    const known = model.get(name);
    const applies = known === undefined || used >= known.version;
    if (random.fraction() < wave) {
      const length = 100 + random.below(100);
      assert.equal(index.put(key, 0, key.length, used, version, length, 1, 0), applies);
      if (!applies) continue;
      live += length;
      model.set(name, { version: used, lba: version, length });
    } else {
      assert.equal(index.delete(key, 0, key.length, used), known !== undefined && applies);
      if (known !== undefined && applies) model.delete(name);
    }
  }
  assert.equal(index.size, model.size);
  for (let name = 0; name < keyCount; name++) {
    const key = keyBytes(name);
    const id = index.find(key, 0, key.length);
    const known = model.get(name);
    assert.equal(id !== -1, known !== undefined);
    if (known === undefined) continue;
    assert.deepEqual(
      [index.versionOf(id), index.lbaOf(id), index.lengthOf(id)],
      [known.version, known.lba, known.length],
    );
    assert.deepEqual(index.keyOf(id), key);
  }
  assert.equal(
    live,
    [...model.values()].reduce((sum, { length }) => sum + length, 0),
  );
  assert.ok(index.entryIdEnd <= keyCount, 'entries of deleted keys are used again');
});

test('key memory of deleted keys comes back', () => {
  const index = new KeyIndex(seed);
  let most = 0;
  for (let round = 0; round < 30; round++) {
    for (let name = 0; name < 10_000; name++) {
      const key = keyBytes(round * 10_000 + name);
      putKey(index, key, 1 + round);
      if (round > 0) {
        const old = keyBytes((round - 1) * 10_000 + name);
        assert.equal(index.delete(old, 0, old.length, 100), true);
      }
      most = Math.max(most, index.memoryBytes);
    }
  }
  // 10,000 to 20,000 keys of 24 bytes at a time: without compaction the arena alone would have 300,000 of them.
  assert.equal(index.size, 10_000);
  assert.ok(most < 5_000_000, `${most} bytes`);
});

test('entries() sees each key that stays exactly once while others come and go', () => {
  const index = new KeyIndex(seed);
  const random = seededRandom(2);
  for (let name = 0; name < 20_000; name++) putKey(index, keyBytes(name), 10);
  const seen = new Map<string, number>();
  for (let from = 0; from < index.entryIdEnd; from += 1_000) {
    for (const id of index.entries(from, 1_000)) {
      const key = Buffer.from(index.keyOf(id)).toString('hex');
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    for (let count = 0; count < 300; count++) {
      const name = 10_000 + random.below(10_000);
      const key = keyBytes(name);
      if (random.below(2) === 0) index.delete(key, 0, key.length, 20);
      else putKey(index, key, 15);
    }
  }
  for (let name = 0; name < 10_000; name++) assert.equal(seen.get(Buffer.from(keyBytes(name)).toString('hex')), 1);
});

test('keys whose hashes are all equal are found: a page that cannot split grows', () => {
  const table = new IndexTable();
  const sameHash = 0xdeadbeef;
  for (let id = 0; id < 6_000; id++) table.insert(sameHash, id);
  table.insert(1, 6_000);
  for (let id = 0; id < 6_000; id += 2) table.remove(sameHash, id);
  const left = new Set<number>();
  const page = table.pageOf(sameHash);
  for (let slot = 0; slot < page.length - 2; slot += 2) if (page[slot] !== 0) left.add((page[slot] ?? 0) - 1);
  assert.equal(left.size, 3_000);
  assert.ok([...left].every((id) => id % 2 === 1));
  assert.throws(() => table.remove(sameHash, 0), AssertionFailure);
});

test('200,000 keys of 20 bytes take at most 120 bytes each', () => {
  const index = new KeyIndex(seed);
  const count = 200_000;
  const key = Buffer.alloc(20);
  for (let name = 0; name < count; name++) {
    key.writeUIntBE(name, 14, 6);
    index.put(key, 0, 20, 1 + name, 1 + name, 100, 60, 0);
  }
  assert.equal(index.size, count);
  assert.ok(index.memoryBytes / count <= 120, `${index.memoryBytes / count} bytes a key`);
});
