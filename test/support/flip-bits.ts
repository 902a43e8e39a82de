/** Bits that flip in the file of a logger, in batches of values that are 100,000 bytes long. */
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';

const magic = Buffer.from('KVB1', 'latin1');

/** Bytes of a batch in which a bit flips, from its start: of a value, of a record's head, of a key. */
const places: readonly ((batch: Buffer) => number)[] = [
  () => 50_000,
  (batch) => batch.indexOf('key') - 6,
  (batch) => batch.indexOf('key') + 1,
];

/** One wrong bit in a batch of each of the zones, by `shard/zone`; gives those that have one. */
export async function flipBits(file: string, ended: Pick<ReadonlySet<string>, 'has'>): Promise<Set<string>> {
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
