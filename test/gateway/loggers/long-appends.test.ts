/** Appends that go to a logger in pieces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epoch, instanceId, lba, shardId, zoneId } from '../../../src/base/ids.ts';
import { limits } from '../../../src/base/limits.ts';
import type {
  AppendAnswer,
  AppendItem,
  LoggerAnswer,
  LoggerLost,
  LoggerRefusal,
} from '../../../src/codec/logger-protocol.ts';
import { refusal } from '../../../src/codec/logger-protocol.ts';
import type { PendingAppend } from '../../../src/gateway/loggers/long-appends.ts';
import { LongAppends } from '../../../src/gateway/loggers/long-appends.ts';

const pieceBytes = 2 * limits.blockBytes;
const ok: LoggerAnswer<readonly AppendAnswer[]> = { kind: 'ok', value: [{ kind: 'ok', value: lba(0) }] };

interface Owed {
  readonly ok: () => void;
  readonly fail: (answer: LoggerRefusal | LoggerLost) => void;
}

/** A logger that answers when it is told to. */
class Rig {
  readonly sent: AppendItem[] = [];
  readonly told: string[] = [];
  readonly appends: LongAppends;
  readonly #owed: Owed[] = [];
  isLost = false;

  constructor() {
    this.appends = new LongAppends({
      client: {
        append: (items, onAnswer) => this.#send(items, () => onAnswer(ok), onAnswer),
        appendPiece: (item, onAnswer) => this.#send([item], () => onAnswer({ kind: 'ok', value: undefined }), onAnswer),
      },
      appendWholeBytesMax: pieceBytes,
      appendPieceBytes: pieceBytes,
      onProgress: ({ shard }) => this.told.push(`${shard} goes on`),
      onAnswer: ({ shard }, result) => this.told.push(`${shard} ${result?.kind ?? 'nothing'}`),
    });
  }

  take(shard: number, length: number, offset = 0): boolean {
    const at = { shard: shardId(shard), zone: zoneId(1), epoch: epoch(1), instance: instanceId('1'.repeat(16)) };
    const append: PendingAppend = { ...at, offset, bytes: new Uint8Array(length).fill(shard), end: offset + length };
    return this.appends.take(append);
  }

  #send(items: readonly AppendItem[], answer: () => void, fail: Owed['fail']): void {
    if (this.isLost) return fail({ kind: 'lost', message: 'no connection' });
    this.sent.push(...items);
    this.#owed.push({ ok: answer, fail });
  }

  answer(failure?: LoggerRefusal): void {
    const next = this.#owed.shift();
    assert.ok(next, 'something is under way');
    if (failure === undefined) next.ok();
    else next.fail(failure);
  }

  answerAll(): void {
    while (this.#owed.length > 0) this.answer();
  }
}

test('an append that is not long, and behind no long one of its zone, is not taken', () => {
  const rig = new Rig();
  assert.equal(rig.take(0, pieceBytes), false);
  assert.equal(rig.take(0, pieceBytes + 1), true);
  assert.equal(rig.take(0, 1, pieceBytes + 1), true, 'S2: a zone keeps its order');
  assert.equal(rig.take(1, pieceBytes), false);
  rig.appends.send();
  rig.answerAll();
  assert.equal(rig.take(0, 1), false);
});

test('a few pieces are under way at once; the next follows an answer; they end where blocks of the zone do', () => {
  const rig = new Rig();
  const pieces = limits.appendPiecesInFlight + 3;
  const offset = 500;
  const end = pieces * pieceBytes + 1;
  rig.take(0, end - offset, offset);
  rig.appends.send();
  rig.appends.send();
  assert.equal(rig.sent.length, limits.appendPiecesInFlight);
  rig.answer();
  assert.equal(rig.sent.length, limits.appendPiecesInFlight + 1);
  rig.answerAll();
  const ends = Array.from({ length: pieces }, (_, index) => (index + 1) * pieceBytes);
  assert.deepEqual(
    rig.sent.map(({ offset: at, bytes, rest }) => [at, at + bytes.length, rest]),
    [...ends, end].map((to, index) => [ends[index - 1] ?? offset, to, end - to]),
  );
});

test('S5 an append is acknowledged by the answer to its last piece, by the others it only goes on', () => {
  const rig = new Rig();
  rig.take(7, 3 * pieceBytes);
  rig.appends.send();
  rig.answer();
  rig.answer();
  assert.deepEqual(rig.told, ['7 goes on', '7 goes on']);
  rig.answer();
  assert.deepEqual(rig.told, ['7 goes on', '7 goes on', '7 ok']);
});

test('S2 what a zone appends behind a long one follows when all of its pieces were sent', () => {
  const rig = new Rig();
  rig.take(0, (limits.appendPiecesInFlight + 1) * pieceBytes);
  rig.take(0, 10, (limits.appendPiecesInFlight + 1) * pieceBytes);
  rig.appends.send();
  assert.ok(rig.sent.every(({ bytes }) => bytes.length === pieceBytes));
  rig.answer();
  assert.equal(rig.sent.at(-1)?.bytes.length, pieceBytes);
  rig.answer();
  assert.deepEqual(
    rig.sent.slice(-2).map(({ bytes }) => bytes.length),
    [pieceBytes, 10],
  );
  rig.answerAll();
  assert.deepEqual(rig.told.slice(-2), ['0 ok', '0 ok']);
});

test('a piece that is refused fails its append, once; no more of it is sent, and the next one begins', () => {
  const rig = new Rig();
  rig.take(0, 20 * pieceBytes);
  rig.take(1, 2 * pieceBytes);
  rig.appends.send();
  rig.answer(refusal('device-full', 'full'));
  rig.answerAll();
  assert.deepEqual(rig.told, ['0 refused', '1 goes on', '1 ok']);
  assert.equal(rig.sent.filter(({ shard }) => shard === 0).length, limits.appendPiecesInFlight);
});

test('without a connection all that waits is lost at once', () => {
  const rig = new Rig();
  rig.isLost = true;
  rig.take(0, 5 * pieceBytes);
  rig.take(1, 5 * pieceBytes);
  rig.appends.send();
  assert.deepEqual(rig.told, ['0 lost', '1 lost']);
});
