/** Messages of the right form with hostile numbers, at both ports of a logger: it answers, and what it holds stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAddressable, shardId, zoneId } from '../../src/base/ids.ts';
import { loggerMethods } from '../../src/codec/logger-protocol.ts';
import type { MessageReader } from '../../src/codec/message-reader.ts';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import { seededRandom } from '../core/index/index-support.ts';
import type { SeededRandom } from '../core/index/index-support.ts';
import { drawNumber, hostileNumbers } from '../support/hostile-numbers.ts';
import type { TestClient } from './support.ts';
import { outcomes, value, withFolder, withLogger, zoneSize } from './support.ts';
import { testInstance, ZoneWriter } from './zone-writer.ts';

/** A shard that nobody else writes to: a seal or reset by the right names is no harm that a logger could prevent. */
const hostileShard = 7;

/** Whether the request was answered, whatever the answer; false: the connection closed. */
function asked(channel: RpcChannel, method: string, params: readonly unknown[]): Promise<boolean> {
  return new Promise((resolve) => {
    channel.request(
      method,
      (out) => out.value(params),
      (failure, result?: MessageReader) => resolve(result !== undefined || failure?.kind === 'error'),
    );
  });
}

/** Requests of the write port, of any form that its methods have. */
function writeRequest(random: SeededRandom, logger: string): readonly [string, readonly unknown[]] {
  const number = (...honest: readonly number[]): number => drawNumber(random, ...honest);
  const shard = number(hostileShard);
  const place = [shard === 0 ? hostileShard : shard, number(1, 2, 3), number(1, 2), testInstance];
  const bytes = new Uint8Array(random.below(200));
  switch (random.below(6)) {
    case 0:
      return [loggerMethods.append, [logger, [[...place, number(0, 64, 1_000), bytes]]]];
    case 1:
      return [loggerMethods.confirm, [logger, number(1), [place]]];
    case 2:
      return [loggerMethods.seal, [logger, ...place]];
    case 3:
      return [loggerMethods.fill, [logger, ...place, number(0, 64, 1_000), bytes]];
    case 4:
      return [loggerMethods.finish, [logger, place[0], place[1], number(0, 64)]];
    default:
      return [loggerMethods.reset, [logger, place[0], place[1], 'f'.repeat(16)]];
  }
}

function readRequest(random: SeededRandom, logger: string): readonly [string, readonly unknown[]] {
  const number = (...honest: readonly number[]): number => drawNumber(random, ...honest);
  const range = [number(0, hostileShard), number(1, 2), number(0, 64), number(1, 100)];
  if (random.below(2) === 0) return [loggerMethods.read, [logger, [range]]];
  const shard = random.below(2) === 0 ? null : number(0);
  return [loggerMethods.reportZones, [logger, shard, [[range[0], range[1], range[3]]]]];
}

/** What must stay: a zone with three batches, its bytes and its place among the zones. */
async function honest(client: TestClient): Promise<() => Promise<void>> {
  const writer = new ZoneWriter({ shard: 0, zone: 1, epoch: 1, zoneSize });
  const items = [writer.filled(1_000), writer.filled(2_000), writer.filled(10)];
  for (const item of items) assert.equal(typeof outcomes(await client.append(item))[0], 'number');
  const bytes = Buffer.concat(items.map((item) => item.bytes));
  const place = { shard: shardId(0), zone: zoneId(1) };
  return async () => {
    const [read] = value(await client.read({ ...place, offset: 0, length: bytes.length }));
    assert.deepEqual(read?.kind === 'ok' ? Buffer.from(read.value) : read, bytes);
    const more = writer.filled(1);
    assert.equal(typeof outcomes(await client.append(more))[0], 'number', 'the zone takes appends as before');
    assert.deepEqual(
      value(await client.confirm(1, { ...place, epoch: writer.epoch, instance: testInstance })).refusals,
      [undefined],
    );
  };
}

for (const seed of [1, 2, 3]) {
  test(`a logger answers requests with hostile numbers, and keeps what it has (seed ${seed})`, async () => {
    await withFolder(async (folder) => {
      await withLogger(folder, async (client, node) => {
        const unharmed = await honest(client);
        const random = seededRandom(seed);
        for (let round = 0; round < 1_500; round++) {
          assert.ok(await asked(client.write, ...writeRequest(random, node.uuid)));
          assert.ok(await asked(client.read_, ...readRequest(random, node.uuid)));
          if (round % 300 === 0) await unharmed();
        }
        await unharmed();
      });
    });
  });
}

test('zones with hostile ids and epochs, and all else of them right, are taken or refused; the logger starts again', async () => {
  await withFolder(async (folder) => {
    await withLogger(folder, async (client) => {
      const unharmed = await honest(client);
      for (const number of hostileNumbers.filter((one) => one > 0 && one < 2 ** 48)) {
        for (const place of [
          { zone: number, epoch: 1 },
          { zone: 1, epoch: number },
        ]) {
          const item = new ZoneWriter({ shard: 1 + (number % 900), ...place, zoneSize }).filled(10);
          const [answer] = outcomes(await client.append(item));
          const isAddress = isAddressable(place.zone, zoneSize);
          assert.ok(typeof answer === 'string' || isAddress, `zone ${place.zone}, epoch ${place.epoch}: ${answer}`);
        }
      }
      await unharmed();
    });
    await withLogger(folder, async (client) => assert.ok(value(await client.report(undefined)).length > 10));
  });
});
