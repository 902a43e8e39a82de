import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checksum } from '../../../src/base/checksum.ts';
import { epoch, instanceId, shardId, uuid, zoneId } from '../../../src/base/ids.ts';
import type { FrameHeader, MetadataEntry } from '../../../src/core/logger/metadata-format.ts';
import {
  decodeFrame,
  encodeFrame,
  entryBytes,
  frameLength,
  readMetadataZone,
} from '../../../src/core/logger/metadata-format.ts';
import { foldFrames } from '../../../src/core/logger/restored-state.ts';
import { repositoryRoot } from '../../support/repository.ts';

const base = {
  cluster: uuid('c'.repeat(32)),
  logger: uuid('1'.repeat(32)),
  zoneSize: 1024 * 1024,
  alignment: 1,
  deviceZone: 1,
  generation: 7,
};
const zone: MetadataEntry = {
  kind: 'zone',
  shard: shardId(3),
  zone: zoneId(2 ** 40),
  epoch: epoch(2 ** 33),
  instance: instanceId('a1b2c3d4e5f60718'),
  deviceZone: 12,
  copyId: '0123456789abcdef',
  state: 'finished',
  length: 2 ** 31,
  batches: 17,
};
const [first, second] = [instanceId('1'.repeat(16)), instanceId('2'.repeat(16))];
const checkpointEntries: readonly MetadataEntry[] = [
  { kind: 'fence', shard: shardId(1), epoch: epoch(9), instance: first },
  { kind: 'zone-floor', shard: shardId(1), zone: zoneId(4) },
  zone,
];
const changes: readonly (readonly MetadataEntry[])[] = [
  [{ kind: 'fence', shard: shardId(1), epoch: epoch(10), instance: second }],
  [
    { kind: 'removed', shard: shardId(3), zone: zoneId(2 ** 40) },
    { kind: 'zone-floor', shard: shardId(3), zone: zoneId(2 ** 40) },
  ],
  [{ kind: 'fence', shard: shardId(2), epoch: epoch(1), instance: first }],
];
/** Bytes of the checkpoint without its padding. */
const checkpointBytes = 80 + entryBytes.fence + entryBytes['zone-floor'] + entryBytes.zone;

/** A metadata zone: a checkpoint and three frames of changes, each written when what lies before was stable. */
function metadataZone(
  alignment: number,
  more: Partial<FrameHeader> = {},
): { readonly bytes: Buffer; readonly ends: number[] } {
  const frames: Buffer[] = [];
  const ends: number[] = [];
  let offset = 0;
  for (const entries of [checkpointEntries, ...changes]) {
    const kind = offset === 0 ? 'checkpoint' : 'changes';
    frames.push(encodeFrame({ ...base, kind, offset, stable: offset, ...more, alignment }, entries));
    offset += frameLength(entries, alignment);
    ends.push(offset);
  }
  return { bytes: Buffer.concat(frames), ends };
}

describe('the metadata log', () => {
  for (const alignment of [1, 512]) {
    test(`alignment ${alignment}: golden bytes`, () => {
      const golden = readFileSync(
        join(repositoryRoot, 'test', 'fixtures', 'log-v1', `metadata-alignment-${alignment}.bin`),
      );
      assert.ok(metadataZone(alignment).bytes.equals(golden));
      const result = readMetadataZone(golden, 1);
      assert.equal(result.kind, 'state');
      if (result.kind !== 'state') return;
      assert.equal(result.end, golden.length);
      assert.deepEqual(
        result.frames.map((frame) => frame.entries),
        [checkpointEntries, ...changes],
      );
      const state = foldFrames(result.frames);
      assert.deepEqual(
        [...state.fences],
        [
          [1, { epoch: 10, instance: second }],
          [2, { epoch: 1, instance: first }],
        ],
      );
      assert.deepEqual(
        [...state.zoneFloors],
        [
          [1, 4],
          [3, 2 ** 40],
        ],
      );
      assert.deepEqual(state.zones, []);
    });
  }

  test('a torn last frame is ignored, whatever is left of it', () => {
    const { bytes, ends } = metadataZone(1);
    const last = ends[2] ?? 0;
    for (let cut = last; cut < bytes.length; cut += 1) {
      const torn = Buffer.concat([bytes.subarray(0, cut), Buffer.alloc(4096)]);
      const result = readMetadataZone(torn, 1);
      assert.equal(result.kind, 'state', `cut at ${cut}`);
      // The frame ends in zeros, which cannot be torn off.
      const whole = torn.subarray(0, bytes.length).equals(bytes);
      assert.equal(result.kind === 'state' ? result.end : undefined, whole ? bytes.length : last, `cut at ${cut}`);
    }
  });

  test('S4 damage before something that was stable is an error at its offset, for every bit of every frame but the last', () => {
    const { bytes, ends } = metadataZone(1);
    // Padding belongs to nothing.
    const covered = [
      checkpointBytes,
      (ends[0] ?? 0) + 80 + entryBytes.fence,
      (ends[1] ?? 0) + 80 + 2 * entryBytes.removed,
    ];
    for (let bit = 0; bit < (ends[2] ?? 0) * 8; bit += 1) {
      const at = Math.floor(bit / 8);
      const frame = ends.findIndex((end) => at < end);
      if (at >= (covered[frame] ?? 0)) continue;
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << (bit % 8));
      assert.deepEqual(
        readMetadataZone(changed, 1),
        { kind: 'damaged', offset: frame === 0 ? 0 : ends[frame - 1], generation: 7 },
        `bit ${bit % 8} of byte ${at}`,
      );
    }
  });

  test('frames that were never stable may be missing in any subset: the log ends before the first', () => {
    const { bytes, ends } = metadataZone(1, { stable: 0 });
    const missing = Buffer.from(bytes).fill(0, ends[0], ends[1]);
    const result = readMetadataZone(missing, 1);
    assert.ok(result.kind === 'state' && result.end === ends[0]);
  });

  test('S16 frames are good in their own device zone, at their own offset, of their own logger and generation only', () => {
    const { bytes, ends } = metadataZone(1);
    assert.equal(decodeFrame(bytes, 0, 0).kind, 'none');
    const first = bytes.subarray(0, ends[0]);
    assert.equal(readMetadataZone(Buffer.concat([first, first]), 1).kind, 'state');
    assert.equal(decodeFrame(Buffer.concat([first, first]), ends[0] ?? 0, 1).kind, 'none');
    const other = metadataZone(1, { generation: 6 }).bytes;
    const mixed = readMetadataZone(Buffer.concat([first, other.subarray(ends[0])]), 1);
    assert.ok(mixed.kind === 'state' && mixed.end === ends[0], 'an older generation behind the end is not this log');
  });

  test('a newer format is told apart from damage', () => {
    const { bytes } = metadataZone(1);
    bytes.writeUInt16LE(2, 8);
    assert.notEqual(readMetadataZone(bytes, 1).kind, 'newer-format');
    const place = checksum(Buffer.from(`${base.logger}/1/7`, 'latin1'));
    bytes.writeUInt32LE(checksum(bytes.subarray(8, checkpointBytes), place), 4);
    assert.deepEqual(readMetadataZone(bytes, 1), { kind: 'newer-format', format: 2 });
  });

  test('readers never throw, whatever the bytes', () => {
    const { bytes } = metadataZone(1);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(bytes.length - 1), (noise, at) => {
        readMetadataZone(noise, 1);
        const changed = Buffer.from(bytes);
        changed.set(noise.subarray(0, changed.length - at), at);
        readMetadataZone(changed, 1);
      }),
      { seed: 1, numRuns: 2_000 },
    );
  });
});
