import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { epoch, instanceId, shardId, uuid, zoneId } from '../../src/base/ids.ts';
import type { LoggerAnswer } from '../../src/codec/logger-protocol.ts';
import { MessageReader } from '../../src/codec/message-reader.ts';
import { MessageWriter } from '../../src/codec/message-writer.ts';
import type { RpcChannel, RpcFailure } from '../../src/rpc/channel-types.ts';
import { LoggerClient } from '../../src/rpc/logger-client.ts';

const logger = uuid('1'.repeat(32));
const writer = { epoch: epoch(1), instance: instanceId('1'.repeat(16)) };
const place = { shard: shardId(0), zone: zoneId(1), ...writer };
const item = { ...place, offset: 0, bytes: Buffer.from('x') };

function encoded(value: unknown): MessageReader {
  const out = new MessageWriter();
  out.value(value);
  return new MessageReader(Buffer.concat(out.take()));
}

/** A channel that answers every request with `result`, or with `failure`. */
function answering(
  result: unknown,
  failure?: RpcFailure,
  isOpen = true,
): { readonly channel: RpcChannel; readonly params: unknown[] } {
  const params: unknown[] = [];
  const unused = (): never => {
    throw new Error('not used');
  };
  const channel: RpcChannel = {
    remote: 'test',
    isOpen,
    requestsInFlight: 0,
    answersReceived: 0,
    answersOwed: 0,
    waitingBytes: 0,
    request: (method, write, onAnswer) => {
      const out = new MessageWriter();
      write(out);
      params.push([method, new MessageReader(Buffer.concat(out.take())).value()]);
      if (failure === undefined) onAnswer(undefined, encoded(result));
      else onAnswer(failure, undefined);
    },
    notify: unused,
    beginAnswer: unused,
    endAnswer: unused,
    answerError: unused,
    answerErrorText: unused,
    flush: unused,
    close: unused,
  };
  return { channel, params };
}

function client(result: unknown, failure?: RpcFailure): LoggerClient {
  const { channel } = answering(result, failure);
  return new LoggerClient(logger, { write: channel, read: channel });
}

function ask<T>(request: (onAnswer: (answer: LoggerAnswer<T>) => void) => void): LoggerAnswer<T> {
  const answers: LoggerAnswer<T>[] = [];
  request((answer) => answers.push(answer));
  assert.equal(answers.length, 1);
  const [answer] = answers;
  if (answer === undefined) throw new Error('no answer');
  return answer;
}

describe('a client of a logger', () => {
  test('S16 every request but ping and hello begins with the UUID of the logger', () => {
    const { channel, params } = answering(null);
    const each = new LoggerClient(logger, { write: channel, read: channel });
    const ignore = (): void => undefined;
    each.append([item], ignore);
    each.confirm(1, [place], ignore);
    each.testify(place.shard, ignore);
    each.seal(place, ignore);
    each.fill({ ...place, by: writer, offset: 0, bytes: item.bytes }, ignore);
    each.finish(place.shard, place.zone, 0, ignore);
    each.reset(place.shard, place.zone, 'g', ignore);
    each.probe(1, ignore);
    each.read([{ ...place, offset: 0, length: 1 }], ignore);
    each.reportZones(undefined, [], ignore);
    assert.deepEqual(
      params.map((param) => (param as [string, string[]])[1][0]),
      Array(10).fill(logger),
    );
    each.ping('read', ignore);
    each.hello('write', undefined, ignore);
    assert.deepEqual(params.slice(10), [
      ['Ping', []],
      ['hello', [{}]],
    ]);
  });

  test('without a connection the answer is lost, at once', () => {
    const none = new LoggerClient(logger, { write: undefined, read: answering(null, undefined, false).channel });
    assert.equal(ask((done) => none.append([item], done)).kind, 'lost');
    assert.equal(ask((done) => none.read([], done)).kind, 'lost');
    assert.deepEqual([none.canWrite, none.canRead], [false, false]);
  });

  test('a cut connection is lost, a refusal is a refusal, an unknown error leaves the outcome open', () => {
    assert.equal(
      ask((done) => client(null, { kind: 'lost', sent: true, message: 'cut' }).append([item], done)).kind,
      'lost',
    );
    const refused = ask((done) =>
      client(null, { kind: 'error', error: encoded(['fenced', 'm', 7]) }).seal(place, done),
    );
    assert.deepEqual(refused, { kind: 'refused', code: 'fenced', message: 'm', detail: 7 });
    assert.equal(
      ask((done) => client(null, { kind: 'error', error: encoded('text') }).append([item], done)).kind,
      'lost',
    );
  });

  test('S7 an answer with another number than the request confirms nothing', () => {
    assert.deepEqual(
      ask((done) => client([5, [null]]).confirm(5, [place], done)),
      { kind: 'ok', value: { number: 5, refusals: [undefined] } },
    );
    assert.equal(ask((done) => client([4, [null]]).confirm(5, [place], done)).kind, 'lost');
  });

  test('an answer with another number of items, or with other lengths, is not believed', () => {
    assert.equal(
      ask((done) =>
        client([
          [null, 1],
          [null, 2],
        ]).append([item], done),
      ).kind,
      'lost',
    );
    assert.equal(ask((done) => client([5, []]).confirm(5, [place], done)).kind, 'lost');
    assert.equal(
      ask((done) => client([Buffer.from('ab')]).read([{ ...place, offset: 0, length: 3 }], done)).kind,
      'lost',
    );
    assert.equal(
      ask((done) => client([Buffer.from('abc')]).read([{ ...place, offset: 0, length: 3 }], done)).kind,
      'ok',
    );
    assert.equal(ask((done) => client('nonsense').append([item], done)).kind, 'lost');
  });
});
