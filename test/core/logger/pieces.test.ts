/** Appends in pieces: what of one that is not whole counts, and for whom. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AppendItem } from '../../../src/codec/logger-protocol.ts';
import { piecesOf, testWriter } from '../../logger/zone-writer.ts';
import { Rig, sealAnswer, ZoneWriter } from './rig.ts';

const valueBytes = 20_000;
const pieceBytes = 8 * 1024;

/** A zone with a small batch, all stable, and a large append of three pieces that comes next. */
function longAppend(): { rig: Rig; writer: ZoneWriter; start: number; whole: AppendItem; pieces: Pieces } {
  const rig = new Rig();
  const writer = new ZoneWriter();
  rig.append(writer.filled(10));
  rig.settle();
  const start = writer.offset;
  const whole = writer.filled(valueBytes);
  const [first, second, last, ...more] = piecesOf(whole, pieceBytes);
  assert.ok(first !== undefined && second !== undefined && last !== undefined && more.length === 0);
  return { rig, writer, start, whole, pieces: [first, second, last] };
}

type Pieces = readonly [AppendItem, AppendItem, AppendItem];

function isReadable(rig: Rig, { shard, zone }: ZoneWriter, length: number): boolean {
  return rig.machine.readable(shard, zone, 0, length).kind === 'ok';
}

describe('S3 an append in pieces', () => {
  test('is answered when all of it is stable; each piece before when that is', () => {
    const { rig, pieces } = longAppend();
    const first = rig.append(pieces[0]);
    assert.equal(rig.outcome(first), 'waiting');
    rig.endTurn();
    const second = rig.append(pieces[1]);
    const last = rig.append(pieces[2]);
    rig.synced();
    assert.deepEqual(
      [first, second, last].map((ticket) => rig.outcome(ticket)),
      ['ok', 'waiting', 'waiting'],
    );
    rig.synced();
    assert.deepEqual(
      [second, last].map((ticket) => rig.outcome(ticket)),
      ['ok', 'ok'],
    );
  });

  test('is no part of the zone before its last piece is stable', () => {
    const { rig, writer, start, pieces } = longAppend();
    rig.append(pieces[0]);
    rig.append(pieces[1]);
    rig.settle();
    assert.equal(rig.zone(0, 1)?.length, start);
    assert.equal(isReadable(rig, writer, start + 1), false);
    rig.append(pieces[2]);
    rig.endTurn();
    assert.equal(isReadable(rig, writer, start + 1), false);
    rig.synced();
    assert.equal(isReadable(rig, writer, writer.offset), true);
    assert.equal(rig.zone(0, 1)?.batches, 2);
  });

  test('may create a zone; a seal between the pieces finds nothing of it', () => {
    const rig = new Rig();
    const [first, second] = piecesOf(new ZoneWriter().filled(valueBytes), pieceBytes);
    assert.ok(first !== undefined && second !== undefined);
    rig.append(first);
    const seal = rig.seal(0, 1, 2);
    rig.settle();
    assert.deepEqual(sealAnswer(rig, seal), { length: 0, seen: 0, doubtful: false, tail: 'clean' });
    assert.equal(rig.outcome(rig.append(second)), 'fenced', 'S4');
    const finish = rig.finish(0, 1, 0);
    rig.settle();
    assert.equal(rig.outcome(finish), 'ok');
    assert.equal(rig.zone(0, 1), undefined);
  });
});

describe('S11 between the pieces of an append', () => {
  test('the zone takes nothing but the next piece, to the byte', () => {
    const { rig, start, whole, pieces } = longAppend();
    rig.append(pieces[0]);
    const refused = (item: AppendItem): string => rig.outcome(rig.append(item));
    assert.equal(refused(whole), 'not-at-write-pointer');
    assert.equal(refused(pieces[2]), 'not-at-write-pointer');
    assert.equal(refused({ ...pieces[1], offset: start }), 'not-at-write-pointer');
    assert.equal(refused({ ...pieces[1], rest: (pieces[1].rest ?? 0) + 1 }), 'malformed');
    assert.equal(refused({ ...pieces[1], bytes: Buffer.alloc(0) }), 'malformed');
    assert.equal(refused({ ...pieces[1], rest: 0 }), 'malformed', 'it is not the end');
    rig.append(pieces[1]);
    rig.append(pieces[2]);
    rig.settle();
    assert.equal(rig.outcome(rig.append(new ZoneWriter({ shard: 1 }).filled(1))), 'waiting', 'other zones go on');
  });

  test('a repeated piece is answered again, once it is stable; it never stands for the whole', () => {
    const { rig, pieces } = longAppend();
    rig.append(pieces[0]);
    const again = rig.append(pieces[0]);
    assert.equal(rig.outcome(again), 'waiting');
    rig.settle();
    assert.equal(rig.outcome(again), 'ok');
    assert.equal(rig.outcome(rig.append({ ...pieces[0], rest: 0 })), 'not-at-write-pointer');
    const other = { ...pieces[0], bytes: Buffer.from(pieces[0].bytes).fill(1, 5_000) };
    assert.equal(rig.outcome(rig.append(other)), 'not-at-write-pointer');
  });

  test('a first piece without the headers, or with more to come than they say, is malformed', () => {
    const { rig, writer, whole } = longAppend();
    const [short] = piecesOf(whole, 32);
    assert.ok(short);
    assert.equal(rig.outcome(rig.append(short)), 'malformed');
    const [first] = piecesOf(whole, pieceBytes);
    assert.ok(first);
    assert.equal(rig.outcome(rig.append({ ...first, rest: (first.rest ?? 0) + 1 })), 'malformed');
    assert.equal(rig.outcome(rig.append({ ...whole, rest: 100 })), 'malformed');
    assert.equal(rig.outcome(rig.append({ ...first, rest: writer.zoneSize })), 'zone-full');
  });

  test('a piece that finds no space takes those before it away: something else may come in their place', () => {
    const { rig, start, pieces } = longAppend();
    rig.append(pieces[0]);
    rig.full = true;
    assert.equal(rig.outcome(rig.append(pieces[1])), 'device-full');
    rig.full = false;
    assert.equal(rig.data.get(2)?.length, start);
    assert.equal(rig.outcome(rig.append(pieces[2])), 'not-at-write-pointer');
    const instead = new ZoneWriter();
    instead.filled(10);
    const ticket = rig.append(instead.filled(11));
    rig.settle();
    assert.equal(rig.outcome(ticket), 'ok');
  });
});

test('S19 a Fill replaces the pieces of an append that never became whole', () => {
  const { rig, writer, start, whole, pieces } = longAppend();
  rig.append(pieces[0]);
  rig.append(pieces[1]);
  const seal = rig.seal(0, 1, 2);
  rig.settle();
  assert.deepEqual(sealAnswer(rig, seal), { length: start, seen: 0, doubtful: false, tail: 'clean' });
  const { shard, zone, offset, bytes } = whole;
  const fill = rig.fill({ shard, zone, by: testWriter(2), offset, bytes });
  assert.ok(rig.trace.includes('rewind-zone'));
  rig.settle();
  assert.deepEqual(rig.answers.get(fill), { kind: 'filled', length: writer.offset });
});
