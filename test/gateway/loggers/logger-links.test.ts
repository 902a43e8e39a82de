import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instanceId, shardId, uuid, zoneId } from '../../../src/base/ids.ts';
import type { Uuid } from '../../../src/base/ids.ts';
import { silent } from '../../../src/base/log.ts';
import { writeStatus, writeWelcome } from '../../../src/codec/logger-reports.ts';
import type { LoggerMember, Numbered } from '../../../src/coordinator/members.ts';
import type { ShardEvent } from '../../../src/core/shard/events.ts';
import { SimulatedClock } from '../../../src/env/simulated/clock.ts';
import { SimulatedRandom } from '../../../src/env/simulated/random.ts';
import { LoggerLinks } from '../../../src/gateway/loggers/logger-links.ts';
import { openChannel } from '../../../src/rpc/channel.ts';
import { serverOptions } from '../../../src/rpc/options.ts';
import { MemoryNetwork } from '../../client/memory-network.ts';
import { testWriter } from '../../logger/zone-writer.ts';

const [x, y] = [uuid('1'.repeat(32)), uuid('2'.repeat(32))];
const instance = instanceId('3'.repeat(16));
const cluster = uuid('c'.repeat(32));
const self = { cluster, gateway: 0, node: uuid('4'.repeat(32)), instance: instanceId('5'.repeat(16)) };

/** A logger at ports 1 (read) and 2 (write) of `host` that answers pings only. */
async function listen(
  { network, clock }: Pick<Room, 'network' | 'clock'>,
  host: string,
  logger: Uuid,
  hostCluster = cluster,
): Promise<void> {
  for (const port of [1, 2]) {
    await network.listen(`${host}:${port}`, (connection) => {
      openChannel(connection, clock, serverOptions(), {
        onOpen: () => undefined,
        onClose: () => undefined,
        onNotice: () => undefined,
        onDrain: () => undefined,
        onRequest: (channel, id, method) => {
          if (method === 'hello') {
            writeWelcome(channel.beginAnswer(id), { cluster: hostCluster, logger, instance, protocol: 1 });
            return channel.endAnswer();
          }
          if (method !== 'Ping') return channel.answerErrorText(id, 'not here');
          writeStatus(channel.beginAnswer(id), {
            logger,
            instance,
            cluster: hostCluster,
            state: 'ready',
            full: false,
            deviceCapacity: 1,
            deviceOccupied: 0,
            zones: 0,
            alignment: 512,
          });
          channel.endAnswer();
        },
      });
    });
  }
}

const member = (number: number, logger: Uuid, host: string, revision: number): Numbered<LoggerMember> => ({
  number,
  uuid: logger,
  instance,
  readAddress: `${host}:1`,
  writeAddress: `${host}:2`,
  revision,
});

interface Room {
  readonly clock: SimulatedClock;
  readonly network: MemoryNetwork;
  readonly links: LoggerLinks;
  readonly events: ShardEvent[];
  /** Loggers that the shards were told are up. */
  readonly up: Set<Uuid>;
}

function room(): Room {
  const clock = new SimulatedClock();
  const network = new MemoryNetwork(clock);
  const events: ShardEvent[] = [];
  const up = new Set<Uuid>();
  // Only these parts of the world are used.
  const world = { clock, network, random: new SimulatedRandom(1), log: silent } as unknown as ConstructorParameters<
    typeof LoggerLinks
  >[0];
  const links = new LoggerLinks(world, { progressTimeoutMs: 4_000, probeBytes: 1, self });
  links.start({
    dispatch: (_, event) => void events.push(event),
    loggerUp: ({ logger }) => void up.add(logger),
    loggerDown: (logger) => void up.delete(logger),
  });
  return { clock, network, links, events, up };
}

test('S16 two loggers that swap their numbers can both be asked, whatever is heard of first', async () => {
  const world = room();
  const { clock, links, events, up } = world;
  await listen(world, 'x', x);
  await listen(world, 'y', y);
  links.update(
    new Map([
      [0, member(0, x, 'x', 1)],
      [1, member(1, y, 'y', 2)],
    ]),
  );
  await clock.runUntil(100);
  assert.ok(links.isUp(x) && links.isUp(y));
  links.update(
    new Map([
      [0, member(0, y, 'y', 3)],
      [1, member(1, y, 'y', 2)],
    ]),
  );
  await clock.runUntil(150);
  links.update(
    new Map([
      [0, member(0, y, 'y', 3)],
      [1, member(1, x, 'x', 4)],
    ]),
  );
  await clock.runUntil(10_000);
  assert.deepEqual([links.isUp(x), links.isUp(y)], [true, true]);
  assert.deepEqual([...up].sort(), [x, y]);
  links.of(y).append({ shard: shardId(0), zone: zoneId(1), ...testWriter(1) }, 0, new Uint8Array(10));
  assert.deepEqual(events, []);
  links.close();
});

test('S16 a logger that moved to another number and address is looked for where it registered last', async () => {
  const world = room();
  const { clock, links } = world;
  await listen(world, 'x', x);
  for (const [stale, fresh] of [
    [0, 5],
    [5, 0],
  ] as const) {
    links.update(
      new Map([
        [stale, member(stale, x, 'nobody', 1)],
        [fresh, member(fresh, x, 'x', 2)],
      ]),
    );
    await clock.runUntil(clock.now() + 10_000);
    assert.ok(links.isUp(x), `entry ${fresh} was registered after entry ${stale}`);
  }
  links.update(new Map());
  await clock.runUntil(clock.now() + 1_000);
  assert.ok(!links.isUp(x));
  links.close();
});

test('S16 a logger of another cluster is none of ours, whatever it is called', async () => {
  const world = room();
  const { clock, links } = world;
  await listen(world, 'x', x, uuid('d'.repeat(32)));
  links.update(new Map([[0, member(0, x, 'x', 1)]]));
  await clock.runUntil(10_000);
  assert.ok(!links.isUp(x));
  links.close();
});
