/** The same channels over real TCP and time: what the simulated world can't show. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Listener } from '../../src/env/network.ts';
import { RealClock } from '../../src/env/real/clock.ts';
import { RealNetwork } from '../../src/env/real/network.ts';
import { RealRandom } from '../../src/env/real/random.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import { Link } from '../../src/rpc/link.ts';
import { clientOptions, serverOptions } from '../../src/rpc/options.ts';
import { ask, echo, Recorder } from '../support/rpc-world.ts';

const clock = new RealClock();
const network = new RealNetwork();

interface Server {
  readonly listener: Listener;
  readonly recorder: Recorder;
  readonly channels: RpcChannel[];
}

async function serve(address = '127.0.0.1:0'): Promise<Server> {
  const recorder = new Recorder({ onRequest: echo });
  const channels: RpcChannel[] = [];
  const listener = await network.listen(address, (connection) =>
    channels.push(openChannel(connection, clock, serverOptions(), recorder)),
  );
  after(async () => {
    for (const channel of channels) channel.close('the test is over');
    await listener.close();
  });
  return { listener, recorder, channels };
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

test('requests and values of up to 16 MiB are answered over TCP', async () => {
  const { listener, channels } = await serve();
  const recorder = new Recorder();
  const channel = openChannel(network.connect(listener.address), clock, clientOptions(), recorder);
  const outcomes: unknown[] = [];
  const values = [0, 1, 1000, 16_383, 16_384, 65_536, 1_000_000, 16 << 20].map((length) =>
    Buffer.alloc(length, 'pattern'),
  );
  for (const value of values) ask(channel, outcomes, 'echo', [value]);
  for (let index = 0; index < 2000; index++) ask(channel, outcomes, 'echo', [index]);
  await until(() => outcomes.length === values.length + 2000 || recorder.closeReason !== undefined);
  for (const [index, value] of values.entries()) {
    const answer = outcomes[index];
    assert.ok(
      Array.isArray(answer) && answer[0] instanceof Uint8Array && value.equals(answer[0]),
      `value of ${value.length} bytes`,
    );
  }
  assert.deepEqual(
    outcomes.slice(values.length),
    Array.from({ length: 2000 }, (_, index) => [index]),
  );
  channel.close('done');
  await until(() => channels[0]?.isOpen === false);
  assert.equal(recorder.closeReason, 'done');
});

test('a link finds a server that was started again', async () => {
  const first = await serve();
  const events: string[] = [];
  const link = new Link({
    network,
    clock,
    random: new RealRandom(),
    address: first.listener.address,
    onUp: () => events.push('up'),
    onDown: () => events.push('down'),
  });
  await until(() => events.length === 1);
  await first.listener.close();
  for (const channel of first.channels) channel.close('stopped');
  await until(() => events.length === 2);
  await serve(first.listener.address);
  await until(() => events.length === 3);
  link.close();
  await until(() => events.length === 4);
  assert.deepEqual(events, ['up', 'down', 'up', 'down']);
});

test('IPv6 addresses have brackets', async (context) => {
  let server: Server;
  try {
    server = await serve('[::1]:0');
  } catch {
    return context.skip('this machine has no IPv6 loopback');
  }
  assert.match(server.listener.address, /^\[::1\]:\d+$/);
  const channel = openChannel(network.connect(server.listener.address), clock, clientOptions(), new Recorder());
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'echo', [6]);
  await until(() => outcomes.length === 1);
  assert.deepEqual(outcomes, [[6]]);
  channel.close('done');
});
