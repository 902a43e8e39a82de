/**
 * Whatever bytes the other side sends, a channel answers, closes or waits: nothing is thrown, no more is called than
 * promised, memory and time stay bounded. Every message whole, byte by byte, cut at every place, and changed at random
 * places (seeded).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MessageReader } from '../../src/codec/message-reader.ts';
import { decodeTestbedRequest } from '../../src/codec/testbed-protocol.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import type { RpcChannel } from '../../src/rpc/channel-types.ts';
import { encoded } from '../support/messages.ts';
import { ask, newest, rawClient, type RpcWorld, rpcWorld } from '../support/rpc-world.ts';

const limits = {
  frameBytesMax: 20_000,
  frameItemsMax: 1000,
  idleFrameTimeoutMs: 1000,
  progressTimeoutMs: 1000,
  requestsInFlightMax: 100,
};

const messages: readonly Buffer[] = [
  [0, 1, 'echo', ['text', 5, -5, 1.5, null, true, Buffer.alloc(300)]],
  [0, 2, 'write', [[2, 12345, 'hello']]],
  [0, 3, 'put', [Buffer.from('key'), Buffer.alloc(1000, 7), -1, 0, 2 ** 40, 17, 16]],
  [0, 2 ** 32 - 1, 'fail', []],
  [0, 5, 'begun', [1]],
  [0, 4, 'later', [{ a: [1, { b: 2 }], c: 'd' }]],
  [1, 1, null, ['an answer']],
  [1, 2, ['code', 'message', 'unknown', 0], null],
  [2, 'notice', [[], {}, 'x'.repeat(40)]],
].map(encoded);

/** Reads requests in all the ways handlers do. */
function handle(channel: RpcChannel, id: number, method: string, params: MessageReader): void {
  if (method === 'put') {
    params.array();
    params.range();
    params.binary();
    const numbers = [params.integer(), params.integer(), params.integer(), params.integer(), params.integer()];
    channel.beginAnswer(id).value(numbers);
    return channel.endAnswer();
  }
  if (method === 'write') {
    const request = decodeTestbedRequest('HandleWrite', params);
    return channel.answerErrorText(id, request.kind === 'refused' ? request.message : request.kind);
  }
  const value = params.value();
  if (method === 'fail') return channel.answerError(id, (out) => out.value(value));
  const out = channel.beginAnswer(id);
  out.array(2);
  out.value(value);
  // What is left is nothing: this throws in the middle of an answer that was begun, unless the message goes on.
  if (method === 'begun') params.skip();
  out.nil();
  channel.endAnswer();
}

async function fuzzWorld(seed: number | string): Promise<RpcWorld> {
  return rpcWorld(
    {
      onRequest: handle,
      onNotice: (_channel, _method, params) => {
        params.value();
      },
    },
    limits,
    { splitProbability: 0.2 },
    seed,
  );
}

interface Outcome {
  readonly answers: readonly unknown[];
  readonly closed: boolean;
}

/**
 * Sends `pieces` on a connection of its own and lets them be handled; the server has two requests of its own waiting.
 */
async function send(world: RpcWorld, pieces: readonly Buffer[]): Promise<Outcome> {
  const peer = rawClient(world);
  const count = world.accepted.length;
  await world.clock.runUntil(() => world.accepted.length > count);
  const outcomes: unknown[] = [];
  ask(newest(world), outcomes, 'ours', [1]);
  ask(newest(world), outcomes, 'ours', [2]);
  for (const piece of pieces) peer.send(piece);
  await world.run(20);
  const closed = peer.closed;
  peer.connection.destroy();
  await world.run(5);
  assert.equal(outcomes.length, 2, 'requests of ours are answered or lost');
  assert.equal(newest(world).isOpen, false);
  assert.equal(newest(world).requestsInFlight, 0);
  assert.equal(world.network.connectionEnds, 0);
  return { answers: peer.messages, closed };
}

function bytewise(message: Buffer): Buffer[] {
  return Array.from(message, (_, index) => message.subarray(index, index + 1));
}

test('every message is handled whole and byte by byte alike', async () => {
  const world = await fuzzWorld('whole');
  for (const message of messages) {
    const whole = await send(world, [message]);
    const cut = await send(world, bytewise(message));
    assert.deepEqual(cut, whole);
    assert.equal(whole.closed, false);
    assert.ok(whole.answers.length >= 2);
  }
});

test('every message cut short waits for the rest until its time is over', async () => {
  const world = await fuzzWorld('cut');
  for (const message of messages) {
    for (let length = 1; length < Math.min(message.length, 60); length++) {
      const { answers, closed } = await send(world, [message.subarray(0, length)]);
      assert.deepEqual([answers.length, closed], [2, false], `${message.toString('hex', 0, 20)} at ${length}`);
    }
  }
  assert.ok(world.clock.waiting < 10, 'no timer is left behind');
  const peer = rawClient(world);
  peer.send(messages[0]?.subarray(0, 5) ?? Buffer.alloc(1));
  await world.run(2 * limits.idleFrameTimeoutMs);
  assert.equal(peer.closed, true);
});

test('messages changed at random places are answered, refused or close the connection', async () => {
  const random = new SimulatedRandom('mutations');
  const world = await fuzzWorld('mutated');
  let closed = 0;
  let answered = 0;
  const rounds = 3000;
  for (let round = 0; round < rounds; round++) {
    const message = Buffer.from(messages[random.uint32() % messages.length] ?? Buffer.alloc(1));
    for (let change = 1 + (random.uint32() % 3); change > 0; change--) mutate(message, random);
    const outcome = await send(world, random.chance(0.1) ? bytewise(message) : [message, messages[0] ?? message]);
    if (outcome.closed) closed++;
    answered += Math.max(0, outcome.answers.length - 2);
  }
  // The test would say nothing if all were closed, or none.
  assert.ok(closed > rounds / 20 && closed < (rounds * 19) / 20, `${closed} closed`);
  assert.ok(answered > rounds / 10, `${answered} answered`);
});

/** Half of the changes strike the head of the message, where its structure is. */
function mutate(message: Buffer, random: SimulatedRandom): void {
  const at = random.uint32() % (random.chance(0.5) ? Math.min(12, message.length) : message.length);
  const kinds = [0xc1, 0xc0, 0x90, 0x94, 0xdd, 0xdf, 0xdb, 0xc6, 0xc9, 0xcf, 0xd3, 0x00, 0xff, 0x80];
  message[at] = random.chance(0.5) ? random.uint32() : (kinds[random.uint32() % kinds.length] ?? 0);
}

test('random bytes do no harm', async () => {
  const random = new SimulatedRandom('noise');
  const world = await fuzzWorld('noise');
  for (let round = 0; round < 500; round++) {
    const noise = Buffer.from(random.bytes(1 + (random.uint32() % 200)));
    if (random.chance(0.8)) noise[0] = 0x94;
    await send(world, [noise]);
  }
});

test('answers that are malformed do no harm to those who asked', async () => {
  const random = new SimulatedRandom('answers');
  const world = await fuzzWorld('answers');
  for (let round = 0; round < 500; round++) {
    const answer = Buffer.from(
      encoded([1, 1 + (random.uint32() % 3), random.chance(0.5) ? null : 'error', [1, 'two', { three: 3 }]]),
    );
    if (random.chance(0.8)) mutate(answer, random);
    await send(world, [answer, answer]);
  }
});

test('a frame that grows to its limit holds no more than that, and ends', async () => {
  const world = await rpcWorld(
    { onRequest: handle },
    { ...limits, frameBytesMax: 2_000_000, frameItemsMax: 1_000_000 },
  );
  const peer = rawClient(world);
  // An array of a million members that come as single bytes: counts are believed only as far as bytes come.
  peer.send(Buffer.from('940001a4666f6f6fdd000f0000', 'hex'));
  const member = Buffer.from([0x01]);
  for (let index = 0; index < 50_000; index++) peer.send(member);
  await world.run(500);
  assert.equal(newest(world).isOpen, true);
  await world.run(3 * limits.idleFrameTimeoutMs);
  assert.deepEqual([peer.closed, world.server.closeReason], [true, 'no complete message came for 1000 ms']);
});
