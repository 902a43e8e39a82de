/** One question to one node: connects, asks, closes. For commands that look at a cluster; the SDK is for data. */
import { KvError } from '../base/errors.ts';
import { uuid } from '../base/ids.ts';
import type { Uuid } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { readError } from '../codec/client-protocol.ts';
import type {
  DigestItem,
  LoggerAnswer,
  LoggerLost,
  LoggerStatus,
  ReadAnswer,
  ReadItem,
  ZoneStatus,
} from '../codec/logger-protocol.ts';
import { MessageFormatError } from '../codec/message-reader.ts';
import type { MessageReader } from '../codec/message-reader.ts';
import type { GatewayStatus, ListedZone } from '../codec/node-status.ts';
import { readGatewayStatus, readListedZones } from '../codec/node-status.ts';
import type { Environment } from '../env/environment.ts';
import type { Address } from '../env/network.ts';
import { openChannel } from '../rpc/channel.ts';
import type { RpcChannel } from '../rpc/channel-types.ts';
import { LoggerClient } from '../rpc/logger-client.ts';
import { clientOptions } from '../rpc/options.ts';

type World = Pick<Environment, 'clock' | 'network'>;

/** @throws KvError `connection-lost`, `timeout`, `protocol-error` */
export async function askGateway(world: World, address: Address, timeoutMs: number): Promise<GatewayStatus> {
  return await withChannel(world, address, timeoutMs, (channel) =>
    asked(channel, address, 'status', [], readGatewayStatus),
  );
}

/**
 * All sealed zones of shards 0 to `shardCount` - 1, as the gateway knows them from the coordinator.
 * @throws KvError like `askGateway`
 */
export async function askListedZones(
  world: World,
  address: Address,
  shardCount: number,
  timeoutMs: number,
): Promise<readonly (readonly ListedZone[])[]> {
  return await withChannel(world, address, timeoutMs, async (channel) => {
    const shards: ListedZone[][] = [];
    for (let shard = 0; shard < shardCount; shard += 1) {
      const zones: ListedZone[] = [];
      let page: readonly ListedZone[];
      do {
        page = await asked(channel, address, 'zones', [shard, (zones.at(-1)?.zone ?? 0) + 1], readListedZones);
        zones.push(...page);
      } while (page.length === limits.zonesListedMax);
      shards.push(zones);
    }
    return shards;
  });
}

/** Logger's copy of a zone. */
export interface CopyName {
  readonly shard: number;
  readonly zone: number;
  /** UUID of the logger. */
  readonly replica: string;
}

/**
 * Tells a gateway of copies that may be damaged: of shards that it owns it reads each, and makes it anew if so. Gives
 * those of which it took notice. @throws KvError like `askGateway`
 */
export async function suspectCopies<Copy extends CopyName>(
  world: World,
  address: Address,
  copies: readonly Copy[],
  timeoutMs: number,
): Promise<readonly Copy[]> {
  return await withChannel(world, address, timeoutMs, async (channel) => {
    const noticed: Copy[] = [];
    for (const copy of copies) {
      const params = [copy.shard, copy.zone, copy.replica];
      if (await asked(channel, address, 'suspect', params, (result) => result.boolean()).catch(isNotOwner))
        noticed.push(copy);
    }
    return noticed;
  });
}

/** Another gateway owns the shard now: no notice was taken. */
function isNotOwner(error: unknown): false {
  if (error instanceof KvError && error.code === 'not-owner') return false;
  throw error;
}

function asked<T>(
  channel: RpcChannel,
  address: Address,
  method: string,
  params: readonly (number | string)[],
  read: (result: MessageReader) => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    channel.request(
      method,
      (out) => out.value(params),
      (failure, result) => {
        try {
          if (failure?.kind === 'error') reject(refusalOf(address, readError(failure.error)));
          else if (failure !== undefined || result === undefined)
            reject(new KvError('connection-lost', `${address}: ${failure?.message ?? 'no answer'}`));
          else resolve(read(result));
        } catch (error) {
          if (!(error instanceof MessageFormatError)) throw error;
          reject(new KvError('protocol-error', `${address}: the answer has an unknown form: ${error.message}`));
        }
      },
    );
  });
}

/** What does not refuse in a gateway's form is none: a logger, another program. */
function refusalOf(address: Address, error: KvError): KvError {
  if (error.code !== 'protocol-error') return error;
  return new KvError('wrong-port', `${address} is not the client port of a gateway: ${error.message}`);
}

export interface LoggerView {
  readonly status: LoggerStatus;
  readonly zones: readonly ZoneStatus[];
}

/** `digests`: zones whose bytes are to be hashed. @throws KvError `connection-lost`, `timeout`, `protocol-error` */
export async function askLogger(
  world: World,
  readAddress: Address,
  timeoutMs: number,
  digests: readonly DigestItem[] = [],
): Promise<LoggerView> {
  return await withChannel(world, readAddress, timeoutMs, async (channel) => {
    const channels = { read: channel, write: undefined };
    const nobody = new LoggerClient(uuid('0'.repeat(32)), channels);
    const status = await answered<LoggerStatus>(readAddress, (onAnswer) => nobody.ping('read', onAnswer));
    const zones = await answered<readonly ZoneStatus[]>(readAddress, (onAnswer) =>
      new LoggerClient(status.logger, channels).reportZones(undefined, digests, onAnswer),
    );
    return { status, zones };
  });
}

/** A connection for many reads, until `close`. */
export interface LoggerReads {
  /** One piece, or why there is none; without an answer within the time, `lost`, and so is all that follows. */
  read(item: ReadItem): Promise<ReadAnswer | LoggerLost>;
  close(): void;
}

/** `logger`: whose copies are meant: another one at that address refuses. @throws KvError `connection-lost` */
export async function openReads(
  { network, clock }: World,
  address: Address,
  logger: Uuid,
  timeoutMs: number,
): Promise<LoggerReads> {
  const { channel, ready } = open({ network, clock }, address);
  const within = <T>(work: Promise<T>): Promise<T> => {
    const timer = clock.after(timeoutMs, () => channel.close(`no answer within ${timeoutMs} ms`));
    return work.finally(() => timer.cancel());
  };
  await within(ready);
  const client = new LoggerClient(logger, { read: channel, write: undefined });
  const read = (item: ReadItem): Promise<ReadAnswer | LoggerLost> =>
    new Promise((resolve) => client.read([item], (answer) => resolve(onlyOne(answer))));
  return { read: (item) => within(read(item)), close: () => channel.close('done') };
}

function onlyOne(answer: LoggerAnswer<readonly ReadAnswer[]>): ReadAnswer | LoggerLost {
  if (answer.kind !== 'ok') return answer;
  return answer.value[0] ?? { kind: 'lost', message: 'an answer without a piece' };
}

function answered<T>(address: Address, ask: (onAnswer: (answer: LoggerAnswer<T>) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    ask((answer) => {
      if (answer.kind === 'ok') resolve(answer.value);
      else
        reject(
          new KvError(answer.kind === 'lost' ? 'connection-lost' : 'protocol-error', `${address}: ${answer.message}`),
        );
    });
  });
}

async function withChannel<T>(
  world: World,
  address: Address,
  timeoutMs: number,
  work: (channel: RpcChannel) => Promise<T>,
): Promise<T> {
  const opened = open(world, address);
  const timer = world.clock.after(timeoutMs, () => opened.channel.close(`no answer within ${timeoutMs} ms`));
  try {
    await opened.ready;
    return await work(opened.channel);
  } finally {
    timer.cancel();
    opened.channel.close('done');
  }
}

function open(
  { network, clock }: World,
  address: Address,
): { readonly channel: RpcChannel; readonly ready: Promise<void> } {
  let settle: { readonly resolve: () => void; readonly reject: (error: KvError) => void } | undefined;
  const ready = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const channel = openChannel(network.connect(address), clock, clientOptions(), {
    onRequest: (from, id) => from.answerErrorText(id, 'this side answers no requests'),
    onNotice: () => undefined,
    onOpen: () => settle?.resolve(),
    onClose: (_channel, reason) => settle?.reject(new KvError('connection-lost', `${address}: ${reason}`)),
    onDrain: () => undefined,
  });
  return { channel, ready };
}
