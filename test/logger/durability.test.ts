/**
 * Durability on the real device: what the system calls of a logger's process say (S3, S17). A process that is killed
 * keeps its page cache, so that no kill test could tell a logger that syncs from one that doesn't.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isZero } from '../../src/base/bytes.ts';
import { MessageReader } from '../../src/codec/message-reader.ts';
import { connectTo, outcomes, sealed, value, withFolder, world } from './support.ts';
import type { TestClient } from './support.ts';
import type { Harness, TraceEvent } from './traced-logger.ts';
import { parseTrace, startHarness, straceMissing } from './traced-logger.ts';
import { testWriter, ZoneWriter } from './zone-writer.ts';

const missing = straceMissing();
if (missing !== undefined)
  console.error(`SKIPPED, LOUDLY: the durability of the real device is not checked here: ${missing}`);
const skip = missing === undefined ? {} : { skip: missing };

const deviceMap = 'KVFM';
const pipelinedCount = 72;
const totalCount = pipelinedCount + 10;

async function traced(
  mode: 'honest' | 'cheat',
  work: (client: TestClient) => Promise<void>,
  inject?: string,
): Promise<TraceEvent[]> {
  let events: TraceEvent[] = [];
  await withFolder(async (folder) => {
    const output = join(folder, 'trace');
    const harness = await startHarness(join(folder, 'logger'), mode, {
      output,
      ...(inject === undefined ? {} : { inject }),
    });
    await talk(harness, work);
    events = fromReady(parseTrace(readFileSync(output, 'utf8')), harness.addresses.writeAddress);
  });
  return events;
}

async function talk(harness: Harness, work: (client: TestClient) => Promise<void>): Promise<void> {
  const client = connectTo(harness.addresses, world());
  try {
    await work(client);
  } finally {
    client.close();
    await harness.stop();
  }
}

/** Only what was sent from the write port matters. */
function fromReady(events: readonly TraceEvent[], writeAddress: string): TraceEvent[] {
  const port = writeAddress.split(':').at(-1);
  return events.filter((event) => event.kind !== 'sent' || event.port === port);
}

/** The ids of the answers in what was sent, in order, at the event that completed them; `ok`: not an error. */
function answersOf(events: readonly TraceEvent[]): Map<TraceEvent, { readonly id: number; readonly ok: boolean }[]> {
  const answers = new Map<TraceEvent, { id: number; ok: boolean }[]>();
  for (const event of events) {
    if (event.kind !== 'sent') continue;
    const list: { id: number; ok: boolean }[] = [];
    const reader = new MessageReader(event.bytes);
    while (reader.position < event.bytes.length) {
      reader.array();
      assert.equal(reader.integer(), 1, 'a response');
      const id = reader.integer();
      const ok = reader.tryNil();
      if (!ok) reader.skip();
      const result = JSON.stringify(reader.value());
      list.push({ id, ok: ok && !result.includes('device-failed') });
    }
    answers.set(event, list);
  }
  return answers;
}

/**
 * The answers that were sent too early: request `id` is the `id`-th append, whose bytes are the `id`-th write that
 * begins with a header; behind the pipelined appends one request at a time is made, whose answer must be behind
 * everything written before it. Writes of zeros are prefill and concern nobody; the device's map is written before the
 * data that need it, and ahead of need while a sync runs.
 */
function tooEarly(events: readonly TraceEvent[]): { readonly early: number[]; readonly answered: number } {
  const answers = answersOf(events);
  const early: number[] = [];
  let answered = 0;
  let writes = 0;
  let stable = 0;
  let lastOfLogger = 0;
  /** The number of writes after the last piece of the n-th append. */
  const endOfAppend: number[] = [];
  const begun = new Map<string, number>();
  for (const event of events) {
    if (event.kind === 'device-write' && !isZero(event.bytes)) {
      writes += 1;
      const magic = event.bytes.toString('latin1', 0, 4);
      if (magic !== deviceMap) lastOfLogger = writes;
      if (magic === 'KVB1' || magic === 'KVZ1') endOfAppend.push(writes);
      else if (!magic.startsWith('KV')) endOfAppend[endOfAppend.length - 1] = writes;
    } else if (event.kind === 'sync-begins') begun.set(event.thread, writes);
    else if (event.kind === 'sync-returns' && event.ok) stable = Math.max(stable, begun.get(event.thread) ?? 0);
    for (const answer of answers.get(event) ?? []) {
      if (!answer.ok) continue;
      answered += 1;
      const needed =
        answer.id > pipelinedCount ? lastOfLogger : (endOfAppend[answer.id - 1] ?? Number.POSITIVE_INFINITY);
      if (needed > stable) early.push(answer.id);
    }
  }
  return { early, answered };
}

async function pipelined(client: TestClient): Promise<void> {
  const writers = [0, 1, 2].map((shard) => new ZoneWriter({ shard }));
  for (let round = 0; round < 12; round += 1) {
    const asked = writers.flatMap((writer) => [
      client.append(writer.filled(700)),
      client.append(writer.filled(70_000)),
    ]);
    const answers = await Promise.all(asked);
    for (const answer of answers) assert.equal(typeof outcomes(answer)[0], 'number');
  }
}

async function oneByOne(client: TestClient): Promise<void> {
  const writer = new ZoneWriter({ shard: 3 });
  for (let round = 0; round < 5; round += 1)
    assert.equal(typeof outcomes(await client.append(writer.filled(900)))[0], 'number');
  for (const at of [2, 3, 4])
    assert.equal(sealed(await client.seal({ ...writer.place, ...testWriter(at) })).length, writer.offset);
  value(await client.finish(writer.shard, writer.zone, writer.offset));
  const copyId = value(await client.report(writer.shard))[0]?.copyId ?? '';
  value(await client.reset(writer.shard, writer.zone, copyId));
}

async function everything(client: TestClient): Promise<void> {
  await pipelined(client);
  await oneByOne(client);
}

describe('S3 stable before answered, by the system calls', skip, () => {
  test('no append, seal, finish or reset is answered before the fdatasync that covers it returned', async () => {
    const { early, answered } = tooEarly(await traced('honest', everything, 'fdatasync:delay_exit=1000'));
    assert.equal(answered, totalCount);
    assert.deepEqual(early, []);
  });

  test('the check notices a logger that answers before its sync', async () => {
    const { early, answered } = tooEarly(await traced('cheat', everything, 'fdatasync:delay_exit=50000'));
    assert.equal(answered, totalCount);
    assert.equal(early.length > totalCount / 2, true, `only ${early.length} early answers were noticed`);
  });
});

describe('S17 a failed sync is final, by the system calls', skip, () => {
  test('after an EIO of fdatasync nothing is acknowledged; reads and pings go on; a restart has all that was acknowledged', async () => {
    await withFolder(async (folder) => {
      const place = join(folder, 'logger');
      const first = await startHarness(place, 'honest');
      await talk(first, async () => undefined);
      const output = join(folder, 'trace');
      const writer = new ZoneWriter();
      let acknowledged = 0;
      const harness = await startHarness(place, 'honest', { output, inject: 'fdatasync:error=EIO:when=20+' });
      await talk(harness, async (client) => {
        let code: number | string | undefined = 0;
        for (let round = 0; round < 100 && typeof code === 'number'; round += 1) {
          const item = writer.filled(500);
          code = outcomes(await client.append(item))[0];
          if (typeof code === 'number') acknowledged = writer.offset;
        }
        assert.equal(code, 'device-failed');
        assert.ok(acknowledged > 0, 'some were acknowledged before');
        assert.equal(outcomes(await client.append(new ZoneWriter({ shard: 5 }).filled(10)))[0], 'device-failed');
        assert.deepEqual(value(await client.confirm(1, writer.place)).refusals, ['device-failed']);
        const seal = value(await client.seal({ ...writer.place, ...testWriter(9) }));
        assert.equal('code' in seal ? seal.code : 'sealed', 'device-failed');
        assert.equal((await client.finish(writer.shard, writer.zone, acknowledged)).kind, 'refused');
        assert.equal(value(await client.ping('write')).state, 'failed');
        assert.equal(value(await client.read({ ...writer.place, offset: 0, length: acknowledged }))[0]?.kind, 'ok');
        assert.equal(
          value(await client.read({ ...writer.place, offset: 0, length: acknowledged + 1 }))[0]?.kind,
          'refused',
        );
      });
      const events = fromReady(parseTrace(readFileSync(output, 'utf8')), harness.addresses.writeAddress);
      const failure = events.findIndex((event) => event.kind === 'sync-returns' && !event.ok);
      assert.ok(failure >= 0, 'a sync failed');
      assert.deepEqual(
        events.slice(failure).filter((event) => event.kind === 'sync-begins'),
        [],
        'no sync is tried again',
      );
      const again = await startHarness(place, 'honest');
      await talk(again, async (client) => {
        assert.ok((value(await client.report(writer.shard))[0]?.length ?? 0) >= acknowledged);
        assert.equal(value(await client.read({ ...writer.place, offset: 0, length: acknowledged }))[0]?.kind, 'ok');
      });
    });
  });
});
