/** Which appends a logger takes, by their form: tried on a machine with the smallest possible device. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientId, epoch, requestNumber, shardId, zoneId } from '../../../src/base/ids.ts';
import { encodeZoneHeader } from '../../../src/codec/log-format.ts';
import { put } from '../../logger/zone-writer.ts';
import { Rig, sealAnswer, ZoneWriter } from './rig.ts';

describe('what an append must be', () => {
  const refused = (rig: Rig, item: Parameters<Rig['append']>[0]): string => rig.outcome(rig.append(item));

  test('a zone begins at offset 0 with its own header', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    const first = writer.filled(10);
    const second = writer.filled(10);
    assert.equal(refused(rig, second), 'unknown-zone');
    assert.equal(refused(rig, { ...first, bytes: first.bytes.subarray(64) }), 'malformed');
    assert.equal(refused(rig, { ...first, bytes: first.bytes.subarray(0, 64) }), 'malformed', 'no batch');
    assert.equal(refused(rig, { ...first, shard: shardId(1) }), 'malformed');
    assert.equal(refused(rig, { ...first, zone: zoneId(2) }), 'malformed');
    assert.equal(refused(rig, { ...first, epoch: epoch(2) }), 'malformed');
    assert.equal(refused(rig, new ZoneWriter({ cluster: 'd'.repeat(32) as never }).filled(10)), 'malformed');
    assert.equal(refused(rig, new ZoneWriter({ zoneSize: 2 * 1024 * 1024 }).filled(10)), 'malformed');
    assert.equal(rig.persisted.length, 0);
    assert.equal(rig.data.size, 0);
  });

  test('batches that follow have good headers for their places', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    const first = writer.filled(10);
    rig.append(first);
    const item = writer.filled(10);
    assert.equal(refused(rig, { ...item, bytes: Buffer.concat([item.bytes, Buffer.alloc(1)]) }), 'malformed');
    assert.equal(refused(rig, { ...item, bytes: item.bytes.subarray(0, item.bytes.length - 1) }), 'malformed');
    assert.equal(
      refused(rig, { ...item, bytes: Buffer.concat([item.bytes, item.bytes]) }),
      'malformed',
      'the second copy is at a wrong place',
    );
    assert.equal(refused(rig, { ...item, bytes: Buffer.alloc(0) }), 'malformed');
    const twice = { ...item, bytes: Buffer.concat([item.bytes, writer.filled(10).bytes]) };
    const fine = rig.append(twice);
    rig.settle();
    assert.equal(rig.outcome(fine), 'ok');
    assert.equal(rig.zone(0, 1)?.batches, 3);
  });

  test('a committed length beyond the batch is refused: it would make every seal doubtful', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    writer.committed = 1_000_000;
    assert.equal(refused(rig, writer.filled(10)), 'malformed');
  });

  test('S9 the highest committed length in the headers is what the seal calls seen', () => {
    const rig = new Rig();
    const writer = new ZoneWriter();
    rig.append(writer.filled(10));
    writer.committed = writer.offset;
    rig.append(writer.filled(10));
    const seen = writer.committed;
    writer.committed = 64;
    rig.append(writer.filled(10));
    const seal = rig.seal(0, 1, 2);
    rig.settle();
    assert.deepEqual(sealAnswer(rig, seal), { length: writer.offset, seen, doubtful: false, tail: 'clean' });
  });

  test('offset and length are multiples of the alignment', () => {
    const rig = new Rig({ alignment: 512 });
    assert.equal(refused(rig, new ZoneWriter({ alignment: 1 }).filled(10)), 'misaligned');
    const coarser = rig.append(new ZoneWriter({ alignment: 4096 }).filled(10));
    rig.settle();
    assert.equal(rig.outcome(coarser), 'ok');
  });

  test('an append that ends beyond the zone is refused', () => {
    const rig = new Rig({ zoneSize: 64 * 1024 });
    const writer = new ZoneWriter({ zoneSize: 64 * 1024 });
    rig.append(writer.filled(40_000));
    assert.equal(refused(rig, writer.filled(40_000)), 'zone-full');
    assert.equal(
      refused(rig, writer.next([{ ...put('k', Buffer.alloc(1)), client: clientId(1), number: requestNumber(1) }])),
      'not-at-write-pointer',
    );
  });

  test('without space nothing changes, and a zone that could not be created is not there', () => {
    const rig = new Rig({ deviceZones: [2] });
    rig.full = true;
    const writer = new ZoneWriter();
    const item = writer.filled(10);
    assert.equal(refused(rig, item), 'device-full');
    assert.deepEqual(rig.persisted, []);
    rig.full = false;
    const fine = rig.append(item);
    rig.settle();
    assert.equal(rig.outcome(fine), 'ok');
    assert.equal(refused(rig, new ZoneWriter({ shard: 1 }).filled(10)), 'device-full', 'no device zone is left');
  });

  test('the zone header says the alignment, which may be coarser than the device, never finer', () => {
    const header = encodeZoneHeader({
      ...new ZoneWriter().place,
      alignment: 1,
      zoneSize: 1024 * 1024,
      createdMs: 0 as never,
    });
    const rig = new Rig({ alignment: 64 });
    const writer = new ZoneWriter({ alignment: 64 });
    const item = writer.filled(10);
    assert.equal(
      rig.outcome(rig.append({ ...item, bytes: Buffer.concat([header, item.bytes.subarray(64)]) })),
      'malformed',
    );
  });
});
