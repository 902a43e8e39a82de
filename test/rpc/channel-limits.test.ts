/** Time and memory: what a channel whose other side does not do its part costs, and for how long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import { encoded } from '../support/messages.ts';
import {
  ask,
  echo,
  newest,
  openClient,
  RawPeer,
  rawClient,
  Recorder,
  rpcWorld,
  serverAddress,
} from '../support/rpc-world.ts';

test('requests that wait while nothing is received are lost after progressTimeoutMs', async () => {
  const world = await rpcWorld();
  const recorder = new Recorder();
  const channel = openClient(world, recorder, { progressTimeoutMs: 1000 });
  await world.run(5000);
  assert.equal(channel.isOpen, true, 'silence is no fault while nothing is asked');
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'wait', []);
  await world.run(990);
  assert.deepEqual(outcomes, []);
  await world.run(20);
  assert.deepEqual(outcomes, [{ lost: 'nothing was received for 1000 ms while requests waited', sent: true }]);
});

test('anything received is progress', async () => {
  const world = await rpcWorld();
  const channel = openClient(world, new Recorder(), { progressTimeoutMs: 1000 });
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'wait', []);
  for (let tick = 0; tick < 10; tick++) {
    await world.run(900);
    newest(world).notify('alive', (out) => out.array(0));
  }
  assert.deepEqual(outcomes, []);
  await world.run(2000);
  assert.equal(outcomes.length, 1);
});

test('a large request over a slow network goes on while what waits is taken, and ends when nothing is', async () => {
  const world = await rpcWorld({}, {}, { bytesPerMs: 1_000 });
  const recorder = new Recorder();
  const channel = openClient(world, recorder, { progressTimeoutMs: 1000 });
  await world.run(10);
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'large', [new Uint8Array(5_000_000)]);
  await world.run(4_500);
  assert.deepEqual(outcomes, []);
  await world.run(3_000);
  assert.equal(outcomes.length, 1, 'it was taken, and nothing came back');
});

test('a new request has its whole time, whenever the last was answered', async () => {
  const answers: (() => void)[] = [];
  const world = await rpcWorld({ onRequest: (channel, id) => answers.push(() => channel.answerErrorText(id, 'done')) });
  const channel = openClient(world, new Recorder(), { progressTimeoutMs: 1000 });
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'first', []);
  await world.run(10);
  answers[0]?.();
  await world.run(980);
  ask(channel, outcomes, 'second', []);
  await world.run(900);
  answers[1]?.();
  await world.run(10);
  assert.deepEqual(outcomes, [{ error: 'done' }, { error: 'done' }]);
});

test('a connection that says nothing is closed after idleFrameTimeoutMs', async () => {
  const world = await rpcWorld({}, { idleFrameTimeoutMs: 500 });
  const peer = rawClient(world);
  await world.run(490);
  assert.equal(peer.closed, false);
  await world.run(20);
  assert.deepEqual([peer.closed, world.server.closeReason], [true, 'no complete message came for 500 ms']);
});

test('one that said something may be silent, but not in the middle of a message', async () => {
  const world = await rpcWorld({ onRequest: echo }, { idleFrameTimeoutMs: 500 });
  const peer = rawClient(world);
  const message = encoded([0, 1, 'echo', ['x']]);
  peer.send(message);
  await world.run(60_000);
  assert.equal(peer.closed, false);
  peer.send(message.subarray(0, 3));
  await world.run(490);
  assert.equal(peer.closed, false);
  await world.run(20);
  assert.deepEqual([peer.closed, world.server.closeReason], [true, 'a message was unfinished for 500 ms']);
});

test('a long message over a slow network is no fault, one that trickles is', async () => {
  for (const [rate, fine] of [
    [100_000, true],
    [10_000, false],
  ] as const) {
    const world = await rpcWorld(
      { onRequest: (channel, id) => channel.answerErrorText(id, 'received') },
      { idleFrameTimeoutMs: 1000 },
    );
    const peer = rawClient(world);
    const message = encoded([0, 1, 'put', [Buffer.alloc(400_000)]]);
    for (let at = 0; at < message.length && !peer.closed; at += rate / 10) {
      peer.send(message.subarray(at, at + rate / 10));
      await world.run(100);
    }
    await world.run(10);
    assert.equal(peer.messages.length === 1, fine, `${rate} bytes/s`);
    assert.equal(peer.closed, !fine);
  }
});

test('a peer that reads nothing is slowed down, holds bounded memory, and is closed', async () => {
  const answer = Buffer.alloc(10_000);
  let handled = 0;
  const world = await rpcWorld(
    {
      onRequest: (channel, id) => {
        handled++;
        channel.beginAnswer(id).binary(answer);
        channel.endAnswer();
      },
    },
    { outputBytesPause: 1_000_000, outputBytesMax: 4_000_000, idleFrameTimeoutMs: 5000 },
    { windowBytes: 100_000 },
  );
  const peer = rawClient(world);
  peer.connection.pause();
  const requests = Buffer.concat(Array.from({ length: 100 }, (_, index) => encoded([0, index, 'get', []])));
  let most = 0;
  for (let batch = 0; batch < 50; batch++) {
    peer.send(requests);
    await world.run(10);
    most = Math.max(most, newest(world).waitingBytes);
  }
  assert.ok(handled < 400, `${handled} requests were handled`);
  assert.ok(most < 2_200_000, `${most} bytes waited`);
  await world.run(10_000);
  assert.equal(world.server.closeReason, 'the other side took nothing of what it was sent for 5000 ms');
  assert.equal(newest(world).isOpen, false);
});

test('a peer that reads again gets everything', async () => {
  const world = await rpcWorld(
    { onRequest: echo },
    { outputBytesPause: 100_000, outputBytesMax: 4_000_000, idleFrameTimeoutMs: 5000 },
    { windowBytes: 10_000 },
  );
  const peer = rawClient(world);
  peer.connection.pause();
  const sent = Array.from({ length: 300 }, (_, index) => [0, index, 'echo', ['z'.repeat(2000)]]);
  for (const message of sent) {
    peer.send(encoded(message));
    await world.run(1);
  }
  peer.connection.resume();
  await world.run(1000);
  assert.deepEqual(
    peer.messages,
    sent.map(([, id, , params]) => [1, id, null, params]),
  );
  assert.deepEqual(world.server.events.filter((event) => event === 'drain').length > 0, true);
});

test('output that nobody takes is limited, also of our own making', async () => {
  const world = await rpcWorld({}, { outputBytesPause: 100_000, outputBytesMax: 300_000 });
  const peer = rawClient(world);
  await world.run(5);
  peer.connection.pause();
  const channel = newest(world);
  for (let notice = 0; notice < 200 && channel.isOpen; notice++) {
    channel.notify('news', (out) => out.value(['n'.repeat(10_000)]));
    await world.run(1);
  }
  assert.match(world.server.closeReason ?? '', /does not take what it is sent/);
});

test('a closed channel whose peer reads nothing gives its connection up', async () => {
  const world = await rpcWorld({}, { idleFrameTimeoutMs: 5000 }, { windowBytes: 1000 });
  const peer = rawClient(world);
  await world.run(5);
  peer.connection.pause();
  const channel: RpcChannel = newest(world);
  channel.notify('long', (out) => out.value(['n'.repeat(10_000)]));
  channel.close('done');
  await world.run(10);
  assert.equal(world.server.closeReason, 'done');
  assert.equal(world.network.connectionEnds, 2);
  await world.run(6000);
  assert.equal(world.network.connectionEnds, 1);
});

test('a closed channel goes on sending as long as its peer takes something', async () => {
  const world = await rpcWorld(
    {},
    { idleFrameTimeoutMs: 100 },
    { windowBytes: 1000, bytesPerMs: 100, pieceBytesMax: 5000 },
  );
  const peer = rawClient(world);
  await world.run(5);
  const channel = newest(world);
  channel.notify('long', (out) => out.value([Buffer.alloc(200_000)]));
  channel.close('done');
  await world.run(1900);
  assert.equal(peer.closed, false);
  await world.run(500);
  assert.deepEqual([peer.messages.length, peer.closed, world.network.connectionEnds], [1, true, 0]);
});

test('nothing is left running when a channel has closed', async () => {
  const world = await rpcWorld({ onRequest: echo });
  const channel = openClient(world);
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'echo', ['x']);
  await world.run(10);
  channel.close('done');
  await world.run(10);
  assert.equal(world.clock.idle, true);
  assert.ok(new RawPeer(world.client.connect(serverAddress)));
});
