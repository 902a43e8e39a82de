/** Loggers with very many zones: those that ended empty leave no trace, and reports come in pages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardId, zoneId } from '../../src/base/ids.ts';
import { limits } from '../../src/base/limits.ts';
import type { ZoneStatus } from '../../src/codec/logger-protocol.ts';
import { nextReport, readReportAnswer, writeReportAnswer } from '../../src/codec/logger-reports.ts';
import { MessageReader } from '../../src/codec/message-reader.ts';
import { MessageScanner } from '../../src/codec/message-scanner.ts';
import { MessageWriter } from '../../src/codec/message-writer.ts';
import { SimStore } from './sim-store.ts';
import { testWriter, ZoneWriter } from './zone-writer.ts';

test('a thousand zones that were closed empty leave room for the next one', async () => {
  const at = new SimStore(3);
  await at.boot(512); // 8 MiB in extents of 16 KiB: 512 device zones.
  for (let zone = 1; zone <= 1_000; zone += 1) {
    const writer = new ZoneWriter({ zone, zoneSize: 256 * 1024, alignment: 512 });
    const appended = await at.outcome({ kind: 'append', item: writer.filled(100) });
    assert.equal(appended, 'appended', `zone ${zone}: ${appended}, ${at.device?.occupiedBytes} bytes occupied`);
    assert.equal(await at.outcome({ kind: 'finish', shard: shardId(0), zone: zoneId(zone), length: 0 }), 'done');
  }
  assert.equal(
    await at.outcome({ kind: 'seal', at: { shard: shardId(0), zone: zoneId(2_000), ...testWriter(2) } }),
    'sealed',
  );
  const late = new ZoneWriter({ zone: 1_000, zoneSize: 256 * 1024, alignment: 512 });
  assert.equal(await at.outcome({ kind: 'append', item: late.filled(100) }), 'fenced');
  assert.equal(at.store.report(undefined).length, 0);
});

test('S9 a zone that is finished at 0 although something in it was known to be committed is kept', async () => {
  const at = new SimStore(4);
  await at.boot(512);
  const writer = new ZoneWriter({ zoneSize: 256 * 1024, alignment: 512 });
  for (let batch = 0; batch < 2; batch += 1) {
    writer.committed = writer.offset;
    assert.equal(await at.outcome({ kind: 'append', item: writer.filled(100) }), 'appended');
  }
  assert.equal(await at.outcome({ kind: 'finish', shard: writer.shard, zone: writer.zone, length: 0 }), 'done');
  assert.equal(at.store.report(undefined)[0]?.state, 'finished');
});

function zoneStatus(index: number): ZoneStatus {
  return {
    shard: shardId(index % 3),
    zone: zoneId(index + 1),
    ...testWriter(5),
    state: 'finished',
    length: 268_000_000,
    seen: 268_000_000,
    capacity: 268_435_456,
    occupied: 268_435_456,
    copyId: '0123456789abcdef',
    batches: 100_000,
    digest: undefined,
  };
}

test('the report of a logger with 65,534 zones comes in pages that the other side takes', () => {
  const zones = Array.from({ length: 65_534 }, (_, index) => zoneStatus(index));
  const got: ZoneStatus[] = [];
  for (let more = true; more; ) {
    const out = new MessageWriter();
    writeReportAnswer(out, zones.slice(got.length));
    const bytes = Buffer.concat(out.take());
    assert.ok(bytes.length < limits.frameBytesMax, 'it is short enough to be sent');
    const scanner = new MessageScanner(limits);
    scanner.push(bytes);
    assert.ok(scanner.next());
    const page = readReportAnswer(new MessageReader(bytes));
    got.push(...page);
    more = nextReport(page) !== undefined;
  }
  assert.deepEqual(
    got.map(({ zone }) => zone),
    zones.map(({ zone }) => zone),
  );
});
