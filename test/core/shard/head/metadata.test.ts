import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, instanceId, shardId, uuid, zoneId } from '../../../../src/base/ids.ts';
import type { Head, OpenZone, SealedZone } from '../../../../src/core/shard/head/metadata.ts';
import {
  decodeHead,
  decodeSealedZone,
  encodeMetadata,
  sameOwner,
  zoneKey,
} from '../../../../src/core/shard/head/metadata.ts';

const logger = uuid('1'.repeat(32));
const writer = { epoch: epoch(3), instance: instanceId('b'.repeat(16)) };
const open: OpenZone = {
  zone: zoneId(9),
  ...writer,
  replicas: [logger],
  processes: [instanceId('d'.repeat(16))],
};
const head: Head = {
  epoch: epoch(3),
  owner: { gateway: 1, node: uuid('a'.repeat(32)), instance: writer.instance },
  openZone: open,
  nextZone: zoneId(10),
  change: 17,
};
const sealed: SealedZone = { zone: zoneId(8), ...writer, length: 4_096, replicas: [logger], former: [] };

test('heads and zones come back as they were written', () => {
  assert.deepEqual(decodeHead(encodeMetadata(head)), head);
  assert.deepEqual(decodeSealedZone(encodeMetadata(sealed)), sealed);
  for (const doubt of ['restarted', 'cut'] as const) {
    const doubtful = { ...sealed, doubt };
    assert.deepEqual(decodeSealedZone(encodeMetadata(doubtful)), doubtful);
  }
});

test('what is no head or zone is refused, never guessed', () => {
  for (const text of [
    '',
    '[]',
    'null',
    '{"epoch": 0}',
    JSON.stringify({ ...head, epoch: 1.5 }),
    JSON.stringify({ ...head, owner: { ...head.owner, node: 'x' } }),
    JSON.stringify({ ...head, openZone: { ...open, instance: 'x' } }),
    JSON.stringify({ ...head, openZone: { ...open, processes: [] } }),
  ]) {
    assert.throws(() => decodeHead(Buffer.from(text)), text);
  }
  assert.throws(() => decodeSealedZone(Buffer.from(JSON.stringify({ ...sealed, replicas: 'all' }))), TypeError);
  assert.throws(() => decodeSealedZone(Buffer.from(JSON.stringify({ ...sealed, doubt: 'some' }))), TypeError);
});

test('S1 an owner is a process: the same gateway started again is another', () => {
  assert.ok(sameOwner(head.owner, { ...head.owner, gateway: 5 }));
  assert.ok(!sameOwner(head.owner, { ...head.owner, instance: instanceId('c'.repeat(16)) }));
});

test('zones sort by their ids in the coordinator', () => {
  const keys = [9, 10, 100, 2 ** 40].map((zone) => zoneKey(shardId(0), zoneId(zone)));
  assert.deepEqual([...keys].sort(), keys);
});

test('fields that a newer version wrote are kept when they are written again', () => {
  const parsed = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());
  const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
  const newer = { ...head, layout: { level: 2 }, openZone: { ...head.openZone, tier: 'fast' } };
  const decoded = decodeHead(bytes(newer));
  assert.deepEqual(parsed(encodeMetadata({ ...decoded, change: 18 })), { ...newer, change: 18 });
  const zone = { ...sealed, bytesLive: 7 };
  assert.deepEqual(parsed(encodeMetadata(decodeSealedZone(bytes(zone)))), zone);
});
