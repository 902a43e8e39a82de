import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageFormatError } from '../../src/codec/message-reader.ts';
import { openChannel } from '../../src/rpc/channel.ts';
import type { RpcHandler } from '../../src/rpc/channel-types.ts';
import { clientOptions } from '../../src/rpc/options.ts';
import { encoded } from '../support/messages.ts';
import { ask, echo, newest, openClient, rawClient, Recorder, rpcWorld, serverAddress } from '../support/rpc-world.ts';

test('requests are answered, each with its own result, also those made before the connection is open', async () => {
  const world = await rpcWorld({ onRequest: echo });
  const recorder = new Recorder();
  const channel = openClient(world, recorder);
  const outcomes: unknown[] = [];
  const expected = Array.from({ length: 200 }, (_, index) => [index, 'x'.repeat(index)]);
  for (const params of expected) ask(channel, outcomes, 'echo', params);
  assert.equal(channel.requestsInFlight, 200);
  await world.run(100);
  assert.deepEqual(outcomes, expected);
  assert.equal(channel.requestsInFlight, 0);
  assert.equal(channel.waitingBytes, 0);
  assert.deepEqual(recorder.events, ['open']);
});

test('answers may come in another order, and later', async () => {
  const owed: (() => void)[] = [];
  const world = await rpcWorld({
    onRequest: (channel, id, _method, params) => {
      const value = params.value();
      owed.unshift(() => {
        channel.beginAnswer(id).value(value);
        channel.endAnswer();
      });
    },
  });
  const channel = openClient(world);
  const outcomes: unknown[] = [];
  for (const number of [1, 2, 3]) ask(channel, outcomes, 'later', [number]);
  await world.run(10);
  assert.equal(newest(world).answersOwed, 3);
  for (const answer of owed) answer();
  assert.equal(newest(world).answersOwed, 0);
  await world.run(10);
  assert.deepEqual(outcomes, [[3], [2], [1]]);
});

test('an error is read whatever its form', async () => {
  const forms: unknown[] = ['text', ['code', 'message', 'unknown', 0], 5, false, { code: 1 }];
  const world = await rpcWorld({
    onRequest: (channel, id, _method, params) => {
      params.array();
      const form = forms[params.integer()];
      if (typeof form === 'string') channel.answerErrorText(id, form);
      else channel.answerError(id, (out) => out.value(form));
    },
  });
  const channel = openClient(world);
  const outcomes: unknown[] = [];
  for (const index of forms.keys()) ask(channel, outcomes, 'fail', [index]);
  await world.run(10);
  assert.deepEqual(
    outcomes,
    forms.map((error) => ({ error })),
  );
});

test('both sides ask on one connection', async () => {
  const world = await rpcWorld({ onRequest: echo });
  const channel = openClient(world, new Recorder({ onRequest: echo }));
  await world.run(5);
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'one', ['from the client']);
  ask(newest(world), outcomes, 'two', ['from the server']);
  await world.run(10);
  assert.deepEqual(outcomes.sort(), [['from the client'], ['from the server']]);
});

test('notices arrive in order and are not answered', async () => {
  const notices: unknown[] = [];
  const world = await rpcWorld({ onNotice: (_channel, method, params) => notices.push([method, params.value()]) });
  const channel = openClient(world);
  channel.notify('one', (out) => out.value([1]));
  channel.notify('two', (out) => out.value([]));
  await world.run(10);
  assert.deepEqual(notices, [
    ['one', [1]],
    ['two', []],
  ]);
  assert.equal(world.server.closeReason, undefined);
});

test('all output of one turn is one write, unless it is flushed', async () => {
  const world = await rpcWorld({ onRequest: echo });
  const writes: number[] = [];
  const connection = world.client.connect(serverAddress);
  const write = connection.write.bind(connection);
  connection.write = (chunks) => {
    writes.push(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    return write(chunks);
  };
  const channel = openChannel(connection, world.clock, clientOptions(), new Recorder());
  const outcomes: unknown[] = [];
  for (let index = 0; index < 50; index++) ask(channel, outcomes, 'echo', [index]);
  assert.equal(writes.length, 0);
  const waiting = channel.waitingBytes;
  assert.ok(waiting > 0);
  await world.run(10);
  assert.deepEqual(writes, [waiting]);
  ask(channel, outcomes, 'echo', [50]);
  channel.flush();
  channel.flush();
  assert.equal(writes.length, 2);
  await world.run(10);
  assert.equal(outcomes.length, 51);
  assert.equal(writes.length, 2);
});

test('a value of 16 MiB passes in small pieces', async () => {
  const world = await rpcWorld({ onRequest: echo }, {}, { pieceBytesMax: 5000, splitProbability: 0.3 });
  const channel = openClient(world);
  const value = Buffer.alloc(16 << 20, 'abcdefg');
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'echo', [value]);
  await world.run(10_000);
  const [result] = outcomes;
  assert.ok(Array.isArray(result) && result[0] instanceof Uint8Array && value.equals(result[0]));
});

test('when the connection is lost, requests that were sent may have been carried out, others were not', async () => {
  const world = await rpcWorld();
  const recorder = new Recorder();
  const channel = openClient(world, recorder);
  await world.run(5);
  const outcomes: { lost?: string; sent?: boolean }[] = [];
  ask(channel, outcomes, 'sent', []);
  channel.flush();
  await world.run(5);
  ask(channel, outcomes, 'not sent', []);
  world.network.cut('10.0.0.1');
  // The cut is an event of an earlier instant than the flush can be answered.
  await world.run(5);
  assert.deepEqual(outcomes.map(({ sent }) => sent).at(0), true);
  assert.equal(channel.isOpen, false);
  assert.match(recorder.closeReason ?? '', /reset/);
  ask(channel, outcomes, 'too late', []);
  assert.equal(outcomes.length, 2);
  await world.run(5);
  assert.deepEqual(outcomes[2], { lost: recorder.closeReason, sent: false });
});

test('requests on a connection that never opened were not sent', async () => {
  const world = await rpcWorld();
  world.network.refuse(serverAddress);
  const recorder = new Recorder();
  const channel = openClient(world, recorder);
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'early', []);
  await world.run(10);
  assert.deepEqual(outcomes, [{ lost: recorder.closeReason, sent: false }]);
  assert.match(recorder.closeReason ?? '', /refused/);
});

test('close sends what was written, tells those who wait, then ignores everything', async () => {
  const world = await rpcWorld();
  const recorder = new Recorder();
  const channel = openClient(world, recorder);
  await world.run(5);
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'asked', []);
  channel.notify('last words', (out) => out.array(0));
  channel.close('enough');
  channel.close('twice');
  channel.notify('nothing', (out) => out.array(0));
  channel.beginAnswer(1).nil();
  channel.endAnswer();
  channel.answerErrorText(1, 'nothing');
  assert.deepEqual([channel.isOpen, outcomes.length], [false, 0]);
  await world.run(5);
  assert.deepEqual(outcomes, [{ lost: 'enough', sent: true }]);
  assert.equal(recorder.closeReason, 'enough');
  assert.deepEqual(world.server.events, [
    'open',
    'request asked',
    'notice last words',
    'close: the other side closed the connection',
  ]);
  assert.equal(world.network.connectionEnds, 0);
});

test('a request longer than a message may be is refused here, an answer becomes an error', async () => {
  const world = await rpcWorld(
    {
      onRequest: (channel, id) => {
        channel.beginAnswer(id).text('y'.repeat(2000));
        channel.endAnswer();
      },
    },
    { frameBytesMax: 1000 },
  );
  const channel = openClient(world, new Recorder(), { frameBytesMax: 1000 });
  const outcomes: unknown[] = [];
  ask(channel, outcomes, 'long', ['x'.repeat(2000)]);
  ask(channel, outcomes, 'short', []);
  await world.run(10);
  assert.deepEqual(outcomes, [
    { lost: 'the request is longer than a message may be (1000 bytes)', sent: false },
    { error: 'the answer is longer than a message may be (1000 bytes)' },
  ]);
  assert.equal(channel.isOpen, true);
});

test('too many requests in flight are refused here and slowed down there', async () => {
  const owed: number[] = [];
  const world = await rpcWorld({ onRequest: (_channel, id) => owed.push(id) }, { requestsInFlightMax: 10 });
  const channel = openClient(world, new Recorder(), { requestsInFlightMax: 25 });
  const outcomes: unknown[] = [];
  for (let index = 0; index < 30; index++) ask(channel, outcomes, 'wait', []);
  await world.run(10);
  assert.deepEqual(outcomes, new Array(5).fill({ lost: 'too many requests in flight', sent: false }));
  assert.equal(owed.length, 10, 'reading pauses at the limit');
  while (owed.length > 0) {
    const answered = owed.splice(0);
    assert.ok(answered.length <= 10);
    for (const id of answered) {
      newest(world).beginAnswer(id).nil();
      newest(world).endAnswer();
    }
    await world.run(10);
  }
  assert.deepEqual(outcomes.slice(5), new Array(25).fill(null));
});

test('a handler that throws MessageFormatError answers "malformed", once, and nothing of what it had begun', async () => {
  const world = await rpcWorld({
    onRequest: (channel, id, method, params) => {
      if (method === 'begun') channel.beginAnswer(id).array(5);
      if (method === 'answered') channel.answerErrorText(id, 'refused');
      if (method === 'written') channel.answerError(id, (out) => out.value([params.boolean()]));
      params.boolean();
    },
  });
  const channel = openClient(world);
  const outcomes: unknown[] = [];
  for (const method of ['plain', 'begun', 'answered', 'written']) ask(channel, outcomes, method, []);
  await world.run(10);
  const malformed = { error: 'malformed request: expected a boolean, found type 0x90 at byte ' };
  const texts = outcomes.map((result) => JSON.stringify(result).replace(/at byte \d+/, 'at byte '));
  assert.deepEqual(
    texts,
    [malformed, malformed, { error: 'refused' }, malformed].map((result) => JSON.stringify(result)),
  );
  assert.equal(newest(world).answersOwed, 0);
});

test('any other exception of a handler is a bug and comes out', async () => {
  const world = await rpcWorld({
    onRequest: () => {
      throw new TypeError('a bug');
    },
  });
  ask(openClient(world), [], 'x', []);
  await assert.rejects(world.run(10), { name: 'TypeError', message: 'a bug' });
});

test('a malformed answer makes the request lost, and closes the channel', async () => {
  const world = await rpcWorld({ onRequest: echo });
  const recorder = new Recorder();
  const channel = openClient(world, recorder);
  const outcomes: string[] = [];
  channel.request(
    'echo',
    (out) => out.value(['text']),
    (failure, result) => {
      if (failure === undefined) result?.integer();
      else outcomes.push(failure.kind === 'lost' ? `${failure.message}, sent ${failure.sent}` : 'error');
    },
  );
  await world.run(10);
  assert.deepEqual(outcomes, ['malformed answer: expected an integer, found type 0x91 at byte 4, sent true']);
  assert.match(recorder.closeReason ?? '', /^malformed answer/);
});

test('malformed messages with a request id are answered, others close the connection', async () => {
  const cases: readonly (readonly [unknown, unknown])[] = [
    [
      [0, 7, 'm'],
      [1, 7, 'malformed request: 3 members instead of 4', null],
    ],
    [
      [0, 8, 'm', [], 5],
      [1, 8, 'malformed request: 5 members instead of 4', null],
    ],
    [
      [0, 9, 5, []],
      [1, 9, 'malformed request: expected a string, found type 0x05 at byte 3', null],
    ],
    [
      [0, 10, 'm', 5],
      [1, 10, 'malformed request: expected an array, found type 0x05 at byte 5', null],
    ],
    [
      [0, 2 ** 32 - 1, 'm', {}],
      [1, 2 ** 32 - 1, 'malformed request: expected an array, found type 0x80 at byte 9', null],
    ],
  ];
  const world = await rpcWorld({ onRequest: echo });
  const peer = rawClient(world);
  for (const [message] of cases) peer.send(encoded(message));
  peer.send(encoded([0, 11, 'm', ['fine']]));
  await world.run(10);
  assert.deepEqual(peer.messages, [...cases.map(([, answer]) => answer), [1, 11, null, ['fine']]]);
  for (const message of [
    5,
    [],
    [0],
    [7, 1, 'm', []],
    [2, 'm'],
    [2, 'm', [], 1],
    [1, 5, null, 1],
    [1, 5],
    [0, -1, 'm', []],
    [0, 2 ** 32, 'm', []],
    ['0', 1, 'm', []],
    { a: 1 },
    null,
    [2, 5, []],
    [2, 'm', 5],
  ]) {
    const fresh = await rpcWorld({ onRequest: echo });
    const closing = rawClient(fresh);
    closing.send(encoded(message));
    await fresh.run(10);
    assert.deepEqual([closing.messages, closing.closed], [[], true], JSON.stringify(message));
    assert.ok(fresh.server.closeReason !== undefined);
  }
});

test('an answer that was not asked for closes the connection', async () => {
  const world = await rpcWorld();
  const peer = rawClient(world);
  peer.send(encoded([1, 5, null, 'surprise']));
  await world.run(10);
  assert.equal(world.server.closeReason, 'an answer to request 5, which was not asked');
});

test('a request too long to receive is answered before the connection closes', async () => {
  const world = await rpcWorld({ onRequest: echo }, { frameBytesMax: 1000 });
  const peer = rawClient(world);
  peer.send(encoded([0, 77, 'put', [Buffer.alloc(5000)]]));
  await world.run(10);
  assert.deepEqual(peer.messages, [[1, 77, 'malformed input: a message has more than 1000 bytes at byte 11', null]]);
  assert.equal(peer.closed, true);
});

test('a method is the same string each time, however many others there are', async () => {
  const seen: string[] = [];
  const world = await rpcWorld({ onNotice: (_channel, method) => seen.push(method) });
  const channel = openClient(world);
  const methods = Array.from({ length: 300 }, (_, index) =>
    index % 7 === 0 ? 'ü'.repeat(index) : `method-${index % 150}`,
  );
  for (const method of methods) channel.notify(method, (out) => out.array(0));
  await world.run(10);
  assert.deepEqual(seen, methods);
});

test('bytes that are no UTF-8 are no method, but do no harm', async () => {
  const world = await rpcWorld({
    onRequest: (channel, id, method) => channel.answerErrorText(id, `unknown method '${method}'`),
  });
  const peer = rawClient(world);
  peer.send(Buffer.from('940005a2fffe90', 'hex'));
  await world.run(10);
  assert.deepEqual(peer.messages, [[1, 5, "unknown method '\ufffd\ufffd'", null]]);
});

test('writing one message within another is a programmer error', async () => {
  const world = await rpcWorld();
  const channel = openClient(world);
  assert.throws(
    () =>
      channel.request(
        'a',
        () => channel.notify('b', (out) => out.array(0)),
        () => undefined,
      ),
    { name: 'AssertionFailure' },
  );
  assert.throws(
    () =>
      channel.request(
        'a',
        (out) => out.array(1),
        () => undefined,
      ),
    { name: 'AssertionFailure' },
  );
});

test('a params writer that throws leaves nothing behind', async () => {
  const world = await rpcWorld({ onRequest: echo });
  const channel = openClient(world);
  const outcomes: unknown[] = [];
  const fail = (): never => {
    throw new MessageFormatError('what is forwarded is malformed', 0);
  };
  assert.throws(
    () =>
      channel.request(
        'a',
        (out) => fail() ?? out.nil(),
        () => assert.fail('not asked'),
      ),
    MessageFormatError,
  );
  ask(channel, outcomes, 'echo', ['b']);
  await world.run(10);
  assert.deepEqual(outcomes, [['b']]);
});

test('a channel that reuses its input: a handler reads whole messages however they come, and what it kept is overwritten', async () => {
  const kept: Uint8Array[] = [];
  const onRequest: RpcHandler['onRequest'] = (channel, id, method, params) => {
    params.array();
    const value = params.binary();
    kept.push(value);
    channel.beginAnswer(id).binary(Buffer.from(value));
    channel.endAnswer();
    assert.equal(method, 'keep');
  };
  const cut = { splitProbability: 0.2, joinProbability: 0.3 };
  for (const options of [{ reusesInput: true }, {}]) {
    const world = await rpcWorld({ onRequest }, options, cut);
    const channel = openClient(world);
    const outcomes: unknown[] = [];
    kept.length = 0;
    const values = Array.from({ length: 50 }, (_, index) => Buffer.alloc(1 + ((index * 997) % 7_000), index + 1));
    for (const value of values) {
      ask(channel, outcomes, 'keep', [value]);
      if (value.length % 3 === 0) await world.run(1);
    }
    await world.run(1_000);
    assert.deepEqual(outcomes, values);
    const isIntact = kept.filter(
      (value, index) => Buffer.compare(value, values[index] ?? Buffer.alloc(0)) === 0,
    ).length;
    if (options.reusesInput === true)
      assert.ok(isIntact < values.length / 2, `${isIntact} of ${values.length} were not overwritten`);
    else assert.equal(isIntact, values.length);
  }
});
