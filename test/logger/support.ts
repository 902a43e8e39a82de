/** Loggers under test, and a client of theirs that answers with promises. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ShardId, Uuid, ZoneId } from '../../src/base/ids.ts';
import { silent } from '../../src/base/log.ts';
import type { ConfirmAnswer } from '../../src/codec/logger-appends.ts';
import type {
  AppendAnswer,
  AppendItem,
  ConfirmItem,
  DigestItem,
  FillItem,
  LoggerAnswer,
  LoggerStatus,
  LoggerWelcome,
  ReadAnswer,
  ReadItem,
  SealAnswer,
  ShardKnowledge,
  ZoneRef,
  ZoneStatus,
} from '../../src/codec/logger-protocol.ts';
import type { SealResult } from '../../src/codec/logger-seals.ts';
import { MemoryCoordinator } from '../../src/coordinator/memory/memory.ts';
import type { Environment } from '../../src/env/environment.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import type { LoggerNode, LoggerOptions, LoggerWorld } from '../../src/logger/logger.ts';
import { startLogger } from '../../src/logger/logger.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import type { RpcChannel, RpcHandler } from '../../src/rpc/channel-types.ts';
import { LoggerClient } from '../../src/rpc/logger-client.ts';
import { clientOptions } from '../../src/rpc/options.ts';
import { testCluster } from './zone-writer.ts';

export const zoneSize = 1024 * 1024;
export const device = {
  capacityBytes: 64 * 1024 * 1024,
  alignment: 1,
  extentBytes: 64 * 1024,
  prefillBytes: 128 * 1024,
};

export function options(folder: string, changes: Partial<LoggerOptions> = {}): LoggerOptions {
  return {
    id: 0,
    folder,
    cluster: testCluster,
    zoneSize,
    readAddress: '127.0.0.1:0',
    writeAddress: '127.0.0.1:0',
    device,
    ...changes,
  };
}

export function world(changes: Partial<LoggerWorld> = {}): LoggerWorld {
  return { ...realEnvironment(), coordinator: new MemoryCoordinator().client(), log: silent, ...changes };
}

export async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'kv-filelog-logger-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Starts a logger in the folder and a client of it; stops both. */
export async function withLogger(
  folder: string,
  work: (client: TestClient, node: LoggerNode) => Promise<void>,
  changes: { readonly options?: Partial<LoggerOptions>; readonly world?: Partial<LoggerWorld> } = {},
): Promise<void> {
  const environment = world(changes.world);
  const node = await startLogger(options(folder, changes.options), environment);
  const client = connectTo(node, environment);
  try {
    await work(client, node);
  } finally {
    client.close();
    await node.close();
  }
}

export function connectTo(
  node: Pick<LoggerNode, 'uuid' | 'readAddress' | 'writeAddress'>,
  environment: Pick<Environment, 'network' | 'clock'>,
): TestClient {
  const { network, clock } = environment;
  const open = (address: string): RpcChannel => openChannel(network.connect(address), clock, clientOptions(), handler);
  return new TestClient(node.uuid, open(node.writeAddress), open(node.readAddress));
}

const handler: RpcHandler = {
  onRequest: () => undefined,
  onNotice: () => undefined,
  onOpen: () => undefined,
  onClose: () => undefined,
  onDrain: () => undefined,
};

type Ask<T> = (onAnswer: (answer: LoggerAnswer<T>) => void) => void;

export class TestClient {
  readonly client: LoggerClient;
  readonly write: RpcChannel;
  readonly read_: RpcChannel;

  constructor(logger: Uuid, write: RpcChannel, read: RpcChannel) {
    this.client = new LoggerClient(logger, { write, read });
    this.write = write;
    this.read_ = read;
  }

  append(...items: AppendItem[]): Promise<LoggerAnswer<readonly AppendAnswer[]>> {
    return answer((done) => this.client.append(items, done));
  }

  confirm(number: number, ...items: ConfirmItem[]): Promise<LoggerAnswer<ConfirmAnswer>> {
    return answer((done) => this.client.confirm(number, items, done));
  }

  /** `at`: the zone, and the taker. */
  testify(shard: ShardId): Promise<LoggerAnswer<ShardKnowledge>> {
    return answer((done) => this.client.testify(shard, done));
  }

  seal(at: ZoneRef): Promise<LoggerAnswer<SealResult>> {
    return answer((done) => this.client.seal(at, done));
  }

  fill(item: FillItem): Promise<LoggerAnswer<number>> {
    return answer((done) => this.client.fill(item, done));
  }

  finish(shard: ShardId, zone: ZoneId, length: number): Promise<LoggerAnswer<undefined>> {
    return answer((done) => this.client.finish(shard, zone, length, done));
  }

  reset(shard: ShardId, zone: ZoneId, copyId: string): Promise<LoggerAnswer<undefined>> {
    return answer((done) => this.client.reset(shard, zone, copyId, done));
  }

  read(...items: ReadItem[]): Promise<LoggerAnswer<readonly ReadAnswer[]>> {
    return answer((done) => this.client.read(items, done));
  }

  report(shard: ShardId | undefined, ...digests: DigestItem[]): Promise<LoggerAnswer<readonly ZoneStatus[]>> {
    return answer((done) => this.client.reportZones(shard, digests, done));
  }

  ping(port: 'read' | 'write'): Promise<LoggerAnswer<LoggerStatus>> {
    return answer((done) => this.client.ping(port, done));
  }

  hello(port: 'read' | 'write'): Promise<LoggerAnswer<LoggerWelcome>> {
    return answer((done) => this.client.hello(port, undefined, done));
  }

  close(): void {
    this.write.close('done');
    this.read_.close('done');
  }
}

function answer<T>(ask: Ask<T>): Promise<LoggerAnswer<T>> {
  return new Promise((resolve) => ask(resolve));
}

/** The value of an answer that must be good. */
export function value<T>(got: LoggerAnswer<T>): T {
  if (got.kind !== 'ok') throw new Error(`an answer of kind ${got.kind}: ${got.message}`);
  return got.value;
}

/** What a seal that was carried out was answered with. */
export function sealed(got: LoggerAnswer<SealResult>): SealAnswer {
  const result = value(got);
  if ('code' in result) throw new Error(`a seal was refused: ${result.code}`);
  return result;
}

/** What the items of an append were answered: LBAs and refusal codes. */
export function outcomes(got: LoggerAnswer<readonly AppendAnswer[]>): (number | string)[] {
  return value(got).map((item) => (item.kind === 'ok' ? item.value : item.code));
}
