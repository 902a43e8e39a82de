/**
 * One logger over TCP loopback: appends/s by batch size and appends in flight, with its syncs in the thread pool
 * (writes go on meanwhile, as the product does) and on the main thread (fewer hops, but nothing else runs and pings
 * wait). The two strategies' loggers, a process each, take turns cell by cell, so that a busy machine disturbs both
 * alike. `node --import tsx bench/logger.ts [seconds per cell]`; under a minute.
 */
import { fork } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clientId, epoch, instanceId, millis, requestNumber, shardId, uuid, zoneId } from '../src/base/ids.ts';
import { silent } from '../src/base/log.ts';
import type { ZonePlace } from '../src/codec/log-format.ts';
import { batchLayout, finishBatch } from '../src/codec/log-batch.ts';
import { encodeRecord, encodeZoneHeader, recordKind, recordLength, zoneSeed } from '../src/codec/log-format.ts';
import { MemoryCoordinator } from '../src/coordinator/memory/memory.ts';
import type { Files } from '../src/env/files.ts';
import { realEnvironment } from '../src/env/real/environment.ts';
import { startLogger } from '../src/logger/logger.ts';
import { openChannel } from '../src/rpc/channel.ts';
import type { RpcChannel } from '../src/rpc/channel-types.ts';
import { LoggerClient } from '../src/rpc/logger-client.ts';
import { clientOptions } from '../src/rpc/options.ts';

const KIB = 1024;
const zoneSize = 256 * KIB * KIB;
const cluster = uuid('b'.repeat(32));

interface ServerData {
  readonly folder: string;
  readonly strategy: 'pool' | 'main';
}

/** Files whose syncs run on the calling thread. */
function syncingHere(files: Files): Files {
  const open: Files['open'] = async (path, how) => {
    const file = await files.open(path, how);
    const descriptor = fs.openSync(path, 'r+');
    return new Proxy(file, {
      get(target, name) {
        if (name === 'sync') {
          return (): Promise<void> => {
            fs.fdatasyncSync(descriptor);
            return Promise.resolve();
          };
        }
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
  };
  return new Proxy(files, { get: (target, name) => (name === 'open' ? open : bound(target, name)) });
}

function bound(target: object, name: string | symbol): unknown {
  const member: unknown = Reflect.get(target, name, target);
  return typeof member === 'function' ? (member.bind(target) as unknown) : member;
}

async function serve({ folder, strategy }: ServerData): Promise<void> {
  const environment = realEnvironment();
  const files = strategy === 'main' ? syncingHere(environment.files) : environment.files;
  const node = await startLogger(
    {
      id: 0,
      folder,
      cluster,
      zoneSize,
      readAddress: '127.0.0.1:0',
      writeAddress: '127.0.0.1:0',
      device: { capacityBytes: 8 * KIB * KIB * KIB, alignment: 512 },
    },
    { ...environment, files, coordinator: new MemoryCoordinator().client(), log: silent },
  );
  process.send?.({ uuid: node.uuid, readAddress: node.readAddress, writeAddress: node.writeAddress });
  process.once('message', () => void node.close().then(() => process.exit(0)));
  process.once('disconnect', () => process.exit(1));
}

/** Appends of one batch of about `bytes`, at wherever the zone's pointer is. */
class Appender {
  readonly #client: LoggerClient;
  readonly #shard = shardId(0);
  readonly #value: Buffer;
  #zone = 0;
  #offset = zoneSize;
  #place: ZonePlace | undefined;
  #seed = 0;

  constructor(client: LoggerClient, bytes: number) {
    this.#client = client;
    this.#value = Buffer.alloc(bytes - 128, 7);
  }

  /** Zones of other runs come before. */
  startAt(zone: number): void {
    this.#zone = zone;
    this.#offset = zoneSize;
  }

  get zone(): number {
    return this.#zone;
  }

  append(onDone: () => void): void {
    const bytes = this.#next();
    const place = this.#place;
    if (place === undefined) throw new Error('no zone');
    const offset = this.#offset - bytes.length;
    this.#client.append([{ ...place, offset, bytes }], (answer) => {
      const item = answer.kind === 'ok' ? answer.value[0] : answer;
      if (item?.kind !== 'ok') throw new Error(`an append was answered ${JSON.stringify(item)}`);
      onDone();
    });
  }

  #next(): Buffer {
    if (this.#offset + this.#value.length + 8 * KIB > zoneSize) {
      this.#zone += 1;
      this.#offset = 0;
      this.#place = {
        cluster,
        shard: this.#shard,
        zone: zoneId(this.#zone),
        epoch: epoch(1),
        instance: instanceId('0'.repeat(16)),
      };
      this.#seed = zoneSeed(this.#place);
    }
    const place = this.#place;
    if (place === undefined) throw new Error('no zone');
    const head =
      this.#offset === 0 ? encodeZoneHeader({ ...place, alignment: 512, zoneSize, createdMs: millis(1) }) : undefined;
    const batch = this.#batch(place, this.#offset + (head?.length ?? 0));
    const bytes = head === undefined ? batch : Buffer.concat([head, batch]);
    this.#offset += bytes.length;
    return bytes;
  }

  #batch(place: ZonePlace, offset: number): Buffer {
    const record = {
      kind: recordKind.put,
      source: this.#value,
      keyStart: 0,
      keyLength: 10,
      valueStart: 10,
      valueLength: this.#value.length - 10,
      client: clientId(0),
      number: requestNumber(0),
      firstIncomplete: requestNumber(0),
    };
    const recordsLength = recordLength(record);
    const { headerLength, totalLength } = batchLayout(offset, recordsLength, 512);
    const bytes = Buffer.alloc(totalLength);
    encodeRecord(bytes, headerLength, record, this.#seed, offset + headerLength);
    const header = {
      ...place,
      offset,
      headerLength,
      recordsLength,
      totalLength,
      recordCount: 1,
      committedLength: 0,
      shardTimeMs: millis(1),
    };
    finishBatch(bytes, 0, header, this.#seed);
    return bytes;
  }
}

interface Cell {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

function measure(appender: Appender, inFlight: number, seconds: number): Promise<Cell> {
  return new Promise((resolve) => {
    const latencies: number[] = [];
    const begin = performance.now();
    let running = 0;
    let over = false;
    const one = (): void => {
      const start = performance.now();
      running += 1;
      appender.append(() => {
        running -= 1;
        const now = performance.now();
        latencies.push(now - start);
        if (now - begin >= seconds * 1_000) over = true;
        if (!over) return one();
        if (running > 0) return;
        latencies.sort((a, b) => a - b);
        const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0;
        resolve({ perSecond: (latencies.length * 1_000) / (performance.now() - begin), p50: at(0.5), p99: at(0.99) });
      });
    };
    for (let count = 0; count < inFlight; count += 1) one();
  });
}

interface Running {
  readonly strategy: ServerData['strategy'];
  readonly client: LoggerClient;
  /** The zone to go on behind. */
  zone: number;
  stop(): Promise<void>;
}

async function start(strategy: ServerData['strategy']): Promise<Running> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'kv-filelog-bench-'));
  const child = fork(fileURLToPath(import.meta.url), ['serve', folder, strategy]);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const addresses = await new Promise<{ uuid: string; readAddress: string; writeAddress: string }>(
    (resolve, reject) => {
      child.once('message', (message) =>
        resolve(message as { uuid: string; readAddress: string; writeAddress: string }),
      );
      child.once('exit', () => reject(new Error('the logger did not start')));
    },
  );
  const { network, clock } = realEnvironment();
  const handler = {
    onRequest: () => undefined,
    onNotice: () => undefined,
    onOpen: () => undefined,
    onClose: () => undefined,
    onDrain: () => undefined,
  };
  const open = (address: string): RpcChannel => openChannel(network.connect(address), clock, clientOptions(), handler);
  const channels = { write: open(addresses.writeAddress), read: open(addresses.readAddress) };
  return {
    strategy,
    client: new LoggerClient(uuid(addresses.uuid), channels),
    zone: 0,
    stop: async () => {
      channels.write.close('done');
      channels.read.close('done');
      child.send('close');
      await ended;
      fs.rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function cell(running: Running, bytes: number, inFlight: number, seconds: number): Promise<void> {
  const appender = new Appender(running.client, bytes);
  appender.startAt(running.zone);
  const { perSecond, p50, p99 } = await measure(appender, inFlight, seconds);
  running.zone = appender.zone;
  const mebibytes = (perSecond * bytes) / KIB / KIB;
  process.stdout.write(
    `${String(bytes / KIB).padStart(4)} KiB, ${String(inFlight).padStart(2)} in flight, sync on ${running.strategy}: ` +
      `${perSecond.toFixed(0).padStart(6)} appends/s ${mebibytes.toFixed(0).padStart(4)} MiB/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms\n`,
  );
}

async function main(seconds: number): Promise<void> {
  const loggers = [await start('pool'), await start('main')];
  try {
    for (const bytes of [1 * KIB, 16 * KIB, 100 * KIB]) {
      for (const inFlight of [1, 8, 64]) {
        for (const running of loggers) await cell(running, bytes, inFlight, seconds);
      }
    }
  } finally {
    for (const running of loggers) await running.stop();
  }
}

const [mode, folder = '', strategy] = process.argv.slice(2);
if (mode === 'serve') await serve({ folder, strategy: strategy === 'main' ? 'main' : 'pool' });
else await main(Number(mode ?? 1));
