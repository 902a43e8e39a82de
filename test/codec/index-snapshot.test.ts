/**
 * The bytes of snapshots: the golden file of format 1, the worked example of the docs, and decoders fed with nonsense.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { AssertionFailure } from '../../src/base/assert.ts';
import { clientId, millis, requestNumber, shardId, uuid, version } from '../../src/base/ids.ts';
import {
  ChunkChecker,
  ChunkEncoder,
  decodeForgotten,
  encodeForgotten,
  chunkHeadBytes,
  chunkKind,
  decodeChunkHead,
  decodeOnceClients,
  decodeSnapshotHeader,
  encodeOnceClient,
  encodeSnapshotHeader,
  onceClientBytes,
  onceResultBytes,
  snapshotFormat,
} from '../../src/codec/index-snapshot.ts';
import { recordKind } from '../../src/codec/log-format.ts';
import { loadSnapshot } from '../../src/core/index/index-loader.ts';
import { IndexSnapshot } from '../../src/core/index/index-snapshot.ts';
import { KeyIndex } from '../../src/core/index/key-index.ts';
import { OnceTable } from '../../src/core/once/once-table.ts';
import { seededRandom } from '../core/index/index-support.ts';

const place = { cluster: uuid('00112233445566778899aabbccddeeff'), shard: shardId(3), zoneSize: 2 ** 28 };
const golden = readFileSync(new URL('../fixtures/snapshot-v1/small.snapshot', import.meta.url));

/** What the golden file was recorded from. */
function goldenSource(): IndexSnapshot {
  const index = new KeyIndex({ low: 0x01020304, high: 0xfffefdfc });
  const once = new OnceTable();
  const put = (key: string, at: number, expiresAt: number): boolean =>
    index.put(Buffer.from(key), 0, Buffer.byteLength(key), at, at + 4_096, 60, 40, expiresAt);
  put('user:1', 2 ** 28 + 64, 0);
  put('gone', 2 ** 28 + 128, 0);
  put('user:2', 2 ** 40 + 192, 1_700_000_000_123);
  put('k', 2 ** 28 + 256, 0);
  index.delete(Buffer.from('gone'), 0, 4, 2 ** 28 + 320);
  once.restoreFloor(4);
  once.complete(clientId(9), requestNumber(7), requestNumber(5), {
    kind: recordKind.put,
    version: version(2 ** 28 + 64),
    reply: undefined,
  });
  once.complete(clientId(9), requestNumber(8), requestNumber(7), {
    kind: recordKind.refusal,
    version: version(2 ** 28 + 384),
    reply: Uint8Array.of(1, 2, 3),
  });
  once.complete(clientId(2), requestNumber(1), requestNumber(1), {
    kind: recordKind.delete,
    version: version(2 ** 28 + 320),
    reply: new Uint8Array(0),
  });
  return new IndexSnapshot({
    ...place,
    index,
    once,
    position: { zone: 4_096, offset: 448 },
    shardTimeMs: millis(1_699_999_999_999),
  });
}

function bytesOf(snapshot: IndexSnapshot): Buffer {
  const chunks: Uint8Array[] = [];
  for (let chunk = snapshot.next(); chunk !== undefined; chunk = snapshot.next()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('format 1: the golden file loads', () => {
  const result = loadSnapshot([golden], place);
  assert.equal(result.kind, 'loaded');
  if (result.kind !== 'loaded') return;
  const { header, index, once } = result;
  assert.deepEqual(header, {
    ...place,
    watermark: { zone: 4_096, offset: 448 },
    shardTimeMs: 1_699_999_999_999,
    floor: 4,
    seed: { low: 0x01020304, high: 0xfffefdfc },
    entrySegments: 1,
  });
  assert.equal(index.size, 3);
  const id = index.find(Buffer.from('user:2'), 0, 6);
  assert.deepEqual(
    [index.versionOf(id), index.lbaOf(id), index.lengthOf(id), index.valueLengthOf(id), index.expiresAtOf(id)],
    [2 ** 40 + 192, 2 ** 40 + 4_288, 60, 40, 1_700_000_000_123],
  );
  assert.equal(index.find(Buffer.from('gone'), 0, 4), -1);
  assert.notEqual(index.find(Buffer.from('k'), 0, 1), -1);
  assert.deepEqual(once.stateOf(clientId(9)), {
    client: 9,
    first: 7,
    partial: false,
    results: [
      { number: 7, kind: 1, version: 2 ** 28 + 64, reply: undefined },
      { number: 8, kind: 3, version: 2 ** 28 + 384, reply: Uint8Array.of(1, 2, 3) },
    ],
  });
  assert.deepEqual(once.stateOf(clientId(2)), {
    client: 2,
    first: 1,
    partial: true,
    results: [{ number: 1, kind: 2, version: 2 ** 28 + 320, reply: new Uint8Array(0) }],
  });
});

test('format 1: what is written today is the golden file, byte for byte', () => {
  assert.deepEqual(bytesOf(goldenSource()), golden);
});

test('a newer format is told apart from damage, an older reader does not use it', () => {
  const payload = Buffer.from(encodeSnapshotHeader(goldenSource().header));
  payload.writeUInt16LE(snapshotFormat + 1, 4);
  const chunk = new ChunkEncoder().encode(chunkKind.header, 0, payload);
  assert.deepEqual(loadSnapshot([chunk], place), { kind: 'newer-format', format: snapshotFormat + 1 });
});

test('a chunk has a limit and its place', () => {
  const encoder = new ChunkEncoder();
  assert.throws(() => encoder.encode(chunkKind.entries, 0, new Uint8Array(4)), AssertionFailure);
  assert.throws(() => encoder.encode(chunkKind.header, 0, new Uint8Array(1024 * 1024 + 1)), AssertionFailure);
  const chunk = encoder.encode(chunkKind.header, 0, Uint8Array.of(1, 2, 3));
  const head = decodeChunkHead(chunk);
  assert.ok(typeof head !== 'string');
  if (typeof head === 'string') return;
  const checker = new ChunkChecker();
  assert.equal(checker.check(chunk.subarray(0, chunkHeadBytes), head, Uint8Array.of(1, 2, 4)), 'chunk: wrong checksum');
  assert.equal(checker.check(chunk.subarray(0, chunkHeadBytes), head, chunk.subarray(chunkHeadBytes)), undefined);
  assert.equal(
    checker.check(chunk.subarray(0, chunkHeadBytes), head, chunk.subarray(chunkHeadBytes)),
    'chunk: the header is not the first',
  );
});

test('clients of the once-only table come back; nonsense is an answer, never an exception', () => {
  const state = {
    client: 2 ** 50,
    first: 2 ** 51,
    partial: true,
    results: [{ number: 2 ** 51 + 9, kind: recordKind.refusal, version: 2 ** 52, reply: Uint8Array.of(9, 8) }],
  };
  const bytes = Buffer.alloc(onceClientBytes + onceResultBytes(state.results[0]?.reply));
  assert.equal(encodeOnceClient(bytes, 0, state), bytes.length);
  assert.deepEqual(decodeOnceClients(bytes, 16), [state]);
  assert.equal(decodeOnceClients(bytes, 9), 'once: impossible result');
  for (let length = 1; length < bytes.length; length++)
    assert.equal(typeof decodeOnceClients(bytes.subarray(0, length), 16), 'string');
  const random = seededRandom(8);
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const mutated = Buffer.from(bytes);
    for (let count = 1 + random.below(3); count > 0; count--) mutated[random.below(mutated.length)] = random.below(256);
    if (typeof decodeOnceClients(mutated, 16) === 'string') refused++;
  }
  assert.ok(refused > 5_000);
});

test('forgotten client ids come back; ranges that are out of order are an answer, never an exception', () => {
  const ranges = [
    { low: 6, high: 9 },
    { low: 2 ** 40, high: 2 ** 48 - 1 },
  ];
  const bytes = Buffer.from(encodeForgotten(ranges));
  assert.deepEqual(decodeForgotten(bytes, 4), ranges);
  assert.equal(decodeForgotten(bytes, 6), 'forgotten: ranges out of order');
  assert.equal(decodeForgotten(bytes.subarray(1), 4), 'forgotten: a range is cut off');
  const random = seededRandom(9);
  for (let round = 0; round < 5_000; round++) {
    const mutated = Buffer.from(bytes);
    for (let count = 1 + random.below(3); count > 0; count--) mutated[random.below(mutated.length)] = random.below(256);
    const decoded = decodeForgotten(mutated, 4);
    if (typeof decoded !== 'string') for (const { low, high } of decoded) assert.ok(low <= high && low > 4);
  }
});

test('headers of nonsense are damage', () => {
  const payload = encodeSnapshotHeader(goldenSource().header);
  const decoded = decodeSnapshotHeader(payload);
  assert.ok(!('kind' in decoded));
  for (let length = 0; length < payload.length; length++)
    assert.ok('kind' in decodeSnapshotHeader(payload.subarray(0, length)));
  const large = Buffer.from(payload);
  large.fill(0xff, 32, 40);
  assert.deepEqual(decodeSnapshotHeader(large), {
    kind: 'damaged',
    reason: 'header: a number out of range',
    offset: chunkHeadBytes,
  });
});

/** Right checksums around wrong content: a bug of another version, say. */
function snapshotOf(entry: (bytes: Buffer) => void): Uint8Array[] {
  const parts: { readonly kind: number; readonly number: number; readonly payload: Buffer }[] = [];
  for (let at = 0; at < golden.length; ) {
    const length = golden.readUInt32LE(at + 4);
    parts.push({
      kind: golden.readUInt32LE(at + 8),
      number: golden.readUInt32LE(at + 12),
      payload: Buffer.from(golden.subarray(at + chunkHeadBytes, at + chunkHeadBytes + length)),
    });
    at += chunkHeadBytes + length;
  }
  const encoder = new ChunkEncoder();
  const chunks: Uint8Array[] = [];
  for (const kind of [chunkKind.header, chunkKind.entries, chunkKind.keys, chunkKind.once]) {
    for (const part of parts.filter((one) => one.kind === kind)) {
      if (kind === chunkKind.entries) entry(part.payload);
      chunks.push(encoder.encode(kind, part.number, part.payload));
    }
  }
  return [...chunks, encoder.end()];
}

test('entries that point nowhere or have impossible fields are damage, even under right checksums', () => {
  assert.equal(
    loadSnapshot(
      snapshotOf(() => undefined),
      place,
    ).kind,
    'loaded',
  );
  const cases: [string, (bytes: Buffer) => void][] = [
    ['entry: no such key (entry 0)', (bytes) => bytes.writeUInt32LE(0xffffffff, 24)],
    ['entry: no such key (entry 0)', (bytes) => bytes.writeUInt32LE(1, 24)],
    ['entry: no such key (entry 0)', (bytes) => bytes.writeUInt16LE(7, 36)],
    ['entry: no such key (entry 0)', (bytes) => bytes.writeUInt16LE(1_025, 36)],
    ['entry: impossible version (entry 0)', (bytes) => bytes.writeDoubleLE(Number.NaN, 0)],
    ['entry: impossible version (entry 0)', (bytes) => bytes.writeDoubleLE(0.5, 0)],
    ['entry: impossible version (entry 0)', (bytes) => bytes.writeDoubleLE(-1, 0)],
    ['entry: impossible LBA (entry 0)', (bytes) => bytes.writeDoubleLE(1e300, 8)],
    ['entry: impossible LBA (entry 0)', (bytes) => bytes.writeDoubleLE(1, 8)],
  ];
  for (const [reason, change] of cases) {
    const result = loadSnapshot(snapshotOf(change), place);
    assert.ok(result.kind === 'damaged' && result.reason === reason, `${reason}: ${JSON.stringify(result)}`);
  }
});
