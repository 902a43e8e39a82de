/** S10: bits that flip in one logger's file under a running cluster are served from the others, and healed. */
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import * as path from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import type { Cluster } from '../../src/server/index.ts';
import { patientClient, readAll, ThreeLoggers, valueOf, writeAll } from './three-loggers.ts';

const magic = Buffer.from('KVB1', 'latin1');

/** Bytes of a batch in which a bit flips, from its start: of a value, of a record's head, of a key. */
const places: readonly ((batch: Buffer) => number)[] = [
  () => 50_000,
  (batch) => batch.indexOf('key') - 6,
  (batch) => batch.indexOf('key') + 1,
];

test('S10 damage that a read meets is repaired from another copy', { timeout: 180_000 }, async (context) => {
  const logs: string[] = [];
  const loggers = await ThreeLoggers.in(context, {
    valueCacheBytes: 0,
    log: (level, event) => void logs.push(`${level} ${event}`),
  });
  const first = await loggers.start();
  {
    await using client = await connect(first.endpoints);
    await writeAll(client);
    // The last zones end, so that all keys lie in sealed ones.
    for (let more = 0; more < 12; more++) await client.put('more', valueOf(more));
  }
  const before = copiesAt(first, 1);
  const rotten = await flipBits(path.join(loggers.folder, 'logger-1', 'device'), before);
  assert.ok(rotten.size >= 3, `${rotten.size} zones have wrong bits`);
  await readUntil(first, () => isHealed(first, before, rotten));
  assert.ok(logs.includes('error copy damaged'));

  await loggers.wipe(0, 2);
  await using client = await patientClient(await loggers.start());
  await readAll(client);
});

/** Names of the copies that a logger holds of zones that ended. */
function copiesAt(cluster: Cluster, logger: number): Map<string, string> {
  const ended = cluster.loggers[logger]?.zones().filter(({ state }) => state === 'finished') ?? [];
  return new Map(ended.map(({ shard, zone, copyId }) => [`${shard}/${zone}`, copyId]));
}

/** One wrong bit in a batch of a value of each zone that ended; gives the zones. */
async function flipBits(file: string, ended: ReadonlyMap<string, string>): Promise<Set<string>> {
  const device = await open(file, 'r+');
  try {
    const bytes = await device.readFile();
    const rotten = new Set<string>();
    for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) {
      const name = `${bytes.readUInt32LE(at + 24)}/${bytes.readUIntLE(at + 28, 6)}`;
      const length = bytes.readUInt32LE(at + 16);
      if (!ended.has(name) || rotten.has(name) || length < 100_000 || !bytes.subarray(at, at + 4_096).includes('key'))
        continue;
      const place = places[rotten.size % places.length];
      assert.ok(place);
      const wrong = at + place(bytes.subarray(at, at + length));
      await device.write(Buffer.of(bytes.readUInt8(wrong) ^ 4), 0, 1, wrong);
      rotten.add(name);
    }
    return rotten;
  } finally {
    await device.close();
  }
}

function isHealed(cluster: Cluster, before: ReadonlyMap<string, string>, rotten: ReadonlySet<string>): boolean {
  const now = copiesAt(cluster, 1);
  const lines = cluster.gateways.flatMap((gateway) => gateway.status().shards);
  const isWhole = lines.every(({ lackingCopies, damagedCopies }) => lackingCopies === 0 && damagedCopies === 0);
  return isWhole && [...rotten].every((name) => now.has(name) && now.get(name) !== before.get(name));
}

/** Reads all keys again and again, each right, until `goal` holds. */
async function readUntil(cluster: Cluster, goal: () => boolean): Promise<void> {
  await using client = await patientClient(cluster);
  for (let round = 0; round < 400 && !goal(); round++) {
    await readAll(client);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(goal(), JSON.stringify(cluster.gateways.map((gateway) => gateway.status().shards)));
}
