/**
 * What decides how the `file` device writes and syncs, measured on this machine's disk: `node --import tsx
 * bench/device.ts [folder]`. Takes under a minute. The variants of a table take turns, ten operations each, so that a
 * busy machine disturbs all of them alike; shown are the median and the 90th percentile of one operation, and the rate
 * at the median.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { FileDevice } from '../src/env/file-device/open.ts';
import { openFileDevice } from '../src/env/file-device/open.ts';
import { RealClock } from '../src/env/real/clock.ts';
import { realFiles } from '../src/env/real/files.ts';
import { RealRandom } from '../src/env/real/random.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const turns = 12;
const perTurn = 10;

const folder = fs.mkdtempSync(path.join(process.argv[2] ?? tmpdir(), 'kv-bench-device-'));

interface Variant {
  readonly name: string;
  readonly bytes: number;
  /** Operations in one call of `run`; 1 unless given. */
  readonly count?: number;
  run(index: number): Promise<void> | void;
}

async function compare(title: string, variants: readonly Variant[]): Promise<void> {
  const durations = variants.map((): number[] => []);
  for (let turn = 0; turn < turns; turn += 1) {
    for (const [which, variant] of variants.entries()) {
      for (let index = turn * perTurn; index < (turn + 1) * perTurn; index += 1) {
        const start = performance.now();
        await variant.run(index);
        durations[which]?.push((performance.now() - start) / (variant.count ?? 1));
      }
    }
  }
  console.log(`\n${title}\n  ${''.padEnd(52)}   median      p90      rate`);
  for (const [which, variant] of variants.entries()) {
    const sorted = durations[which]?.sort((left, right) => left - right) ?? [];
    const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
    const high = sorted[Math.floor(sorted.length * 0.9)] ?? 0;
    const rate = (variant.bytes / MIB / (median / 1_000)).toFixed(1);
    console.log(
      `  ${variant.name.padEnd(52)}${median.toFixed(3).padStart(6)} ms${high.toFixed(3).padStart(6)} ms${rate.padStart(7)} MiB/s`,
    );
  }
}

function pwrite(descriptor: number, bytes: Uint8Array, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.write(descriptor, bytes, 0, bytes.length, offset, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function fdatasync(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(descriptor, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** A file whose first `length` bytes are written zeros, stable. */
function prefilled(name: string, length: number): number {
  const descriptor = fs.openSync(path.join(folder, name), 'w+');
  const zeros = Buffer.alloc(MIB);
  for (let offset = 0; offset < length; offset += zeros.length)
    fs.writeSync(descriptor, zeros, 0, Math.min(zeros.length, length - offset), offset);
  fs.fsyncSync(descriptor);
  return descriptor;
}

const operations = turns * perTurn;

async function threads(): Promise<void> {
  const length = 16 * KIB;
  const batch = Buffer.alloc(length, 7);
  const opened = ['a', 'b', 'c', 'd', 'e'].map((name) => prefilled(`threads-${name}`, operations * length * 8));
  const [main, mixed, pool, groupMain, groupPool] = opened;
  if (
    main === undefined ||
    mixed === undefined ||
    pool === undefined ||
    groupMain === undefined ||
    groupPool === undefined
  )
    return;
  const write = (descriptor: number, index: number): void => {
    fs.writeSync(descriptor, batch, 0, length, index * length);
  };
  await compare('One batch of 16 KiB into prefilled space, synced', [
    {
      name: 'write and fdatasync on the main thread',
      bytes: length,
      run: (index) => {
        write(main, index);
        fs.fdatasyncSync(main);
      },
    },
    {
      name: 'write on the main thread, fdatasync in the pool',
      bytes: length,
      run: async (index) => {
        write(mixed, index);
        await fdatasync(mixed);
      },
    },
    {
      name: 'write and fdatasync in the pool',
      bytes: length,
      run: async (index) => {
        await pwrite(pool, batch, index * length);
        await fdatasync(pool);
      },
    },
  ]);
  await compare('Writes going on: while a sync makes 8 batches stable, the next 8 are written (per batch)', [
    {
      name: 'fdatasync on the main thread',
      bytes: length,
      count: 8,
      run: (index) => {
        fs.fdatasyncSync(groupMain);
        for (let item = 0; item < 8; item += 1) write(groupMain, index * 8 + item);
      },
    },
    {
      name: 'fdatasync in the pool',
      bytes: length,
      count: 8,
      run: async (index) => {
        const syncing = fdatasync(groupPool);
        for (let item = 0; item < 8; item += 1) write(groupPool, index * 8 + item);
        await syncing;
      },
    },
  ]);
  opened.forEach((descriptor) => fs.closeSync(descriptor));
}

async function files(): Promise<void> {
  const length = 4 * KIB;
  const batch = Buffer.alloc(length, 7);
  const one = prefilled('one', 8 * operations * length);
  const eight = Array.from({ length: 8 }, (_, zone) => prefilled(`eight-${zone}`, operations * length));
  await compare('Eight zones, 4 KiB each per turn, prefilled (per turn)', [
    {
      name: 'one file, one fdatasync',
      bytes: 8 * length,
      run: async (index) => {
        for (let zone = 0; zone < 8; zone += 1)
          fs.writeSync(one, batch, 0, length, (zone * operations + index) * length);
        await fdatasync(one);
      },
    },
    {
      name: 'eight files, eight fdatasyncs at once',
      bytes: 8 * length,
      run: async (index) => {
        for (const descriptor of eight) fs.writeSync(descriptor, batch, 0, length, index * length);
        await Promise.all(eight.map(fdatasync));
      },
    },
  ]);
  for (const descriptor of [one, ...eight]) fs.closeSync(descriptor);
}

async function alignments(): Promise<void> {
  const variants = [4096, 512, 1].map((alignment): Variant => {
    const length = Math.ceil(700 / alignment) * alignment;
    const descriptor = prefilled(`alignment-${alignment}`, operations * length);
    const batch = Buffer.alloc(length, 7);
    return {
      name: `alignment ${alignment}: ${length} bytes of disk`,
      bytes: length,
      run: async (index) => {
        fs.writeSync(descriptor, batch, 0, length, index * length);
        await fdatasync(descriptor);
      },
    };
  });
  await compare('Batches of 700 bytes, prefilled', variants);
}

async function sizes(length: number): Promise<void> {
  const batch = Buffer.alloc(length, 7);
  const zeros = Buffer.alloc(length);
  const into = prefilled(`into-${length}`, operations * length);
  const extending = prefilled(`extending-${length}`, 0);
  const both = prefilled(`both-${length}`, length);
  await compare(`Batches of ${length / KIB} KiB`, [
    {
      name: 'into prefilled space',
      bytes: length,
      run: async (index) => {
        fs.writeSync(into, batch, 0, length, index * length);
        await fdatasync(into);
      },
    },
    {
      name: 'extending the file',
      bytes: length,
      run: async (index) => {
        fs.writeSync(extending, batch, 0, length, index * length);
        await fdatasync(extending);
      },
    },
    {
      name: 'prefilled, and as many zeros ahead in each sync',
      bytes: length,
      run: async (index) => {
        fs.writeSync(both, batch, 0, length, index * length);
        fs.writeSync(both, zeros, 0, length, (index + 1) * length);
        await fdatasync(both);
      },
    },
  ]);
  for (const [name, descriptor] of [
    ['into', into],
    ['extending', extending],
    ['both', both],
  ] as const) {
    fs.closeSync(descriptor);
    fs.rmSync(path.join(folder, `${name}-${length}`));
  }
}

async function device(): Promise<void> {
  const variants: Variant[] = [];
  const devices: FileDevice[] = [];
  for (const length of [4 * KIB, 32 * KIB, 128 * KIB, 256 * KIB]) {
    const batch = Buffer.alloc(length, 7);
    for (const prefillBytes of [2 * MIB, 0]) {
      const name = path.join(folder, `device-${length}-${prefillBytes}`);
      const opened = await openFileDevice(
        realFiles(),
        name,
        { capacityBytes: 1024 * MIB, prefillBytes, random: new RealRandom() },
        new RealClock(),
      );
      devices.push(opened);
      variants.push({
        name: `${length / KIB} KiB, prefill ${prefillBytes / MIB} MiB`,
        bytes: length,
        run: async (index) => {
          opened.write(0, index * length, batch);
          await opened.sync();
        },
      });
    }
  }
  await compare('The file device itself', variants);
  for (const opened of devices) await opened.close();
}

/** As three loggers on one disk at full speed: does prefill pay when the disk is busy? */
async function three(length: number): Promise<void> {
  const batch = Buffer.alloc(length, 7);
  const devices: FileDevice[] = [];
  const variants: Variant[] = [];
  for (const prefillBytes of [2 * MIB, 0]) {
    const opened: FileDevice[] = [];
    for (let logger = 0; logger < 3; logger += 1) {
      const name = path.join(folder, `three-${length}-${prefillBytes}-${logger}`);
      opened.push(
        await openFileDevice(
          realFiles(),
          name,
          { capacityBytes: 1024 * MIB, prefillBytes, random: new RealRandom() },
          new RealClock(),
        ),
      );
    }
    devices.push(...opened);
    const appends = 8;
    variants.push({
      name: `${length / KIB} KiB each, prefill ${prefillBytes / MIB} MiB (rate of all three)`,
      bytes: 3 * length,
      count: appends,
      run: async (index) => {
        await Promise.all(
          opened.map(async (one) => {
            for (let item = 0; item < appends; item += 1) {
              one.write(0, (index * appends + item) * length, batch);
              await one.sync();
            }
          }),
        );
      },
    });
  }
  await compare('Three devices append at the same time', variants);
  for (const opened of devices) await opened.close();
  for (const name of fs.readdirSync(folder)) if (name.startsWith('three')) fs.rmSync(path.join(folder, name));
}

try {
  console.log(folder);
  await threads();
  await files();
  await alignments();
  for (const length of [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB]) await sizes(length);
  await device();
  for (const length of [16 * KIB, 64 * KIB, 128 * KIB]) await three(length);
} finally {
  fs.rmSync(folder, { recursive: true });
}
