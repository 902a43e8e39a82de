import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { epoch, instanceId, lba, shardId, uuid, zoneId } from '../../src/base/ids.ts';
import * as appends from '../../src/codec/logger-appends.ts';
import * as protocol from '../../src/codec/logger-protocol.ts';
import type { LoggerStatus, ZoneStatus } from '../../src/codec/logger-protocol.ts';
import { readProbe, writeProbe } from '../../src/codec/logger-probes.ts';
import * as reads from '../../src/codec/logger-reads.ts';
import * as reports from '../../src/codec/logger-reports.ts';
import * as seals from '../../src/codec/logger-seals.ts';
import { MessageFormatError, MessageReader } from '../../src/codec/message-reader.ts';
import { MessageWriter } from '../../src/codec/message-writer.ts';

const logger = uuid('1'.repeat(32));
const instance = instanceId('4'.repeat(16));
const place = { shard: shardId(1_023), zone: zoneId(2 ** 47), epoch: epoch(2 ** 47), instance };

function encode(write: (out: MessageWriter) => void): Buffer {
  const out = new MessageWriter();
  write(out);
  return Buffer.concat(out.take());
}

const status: LoggerStatus = {
  logger,
  instance: instanceId('2'.repeat(16)),
  cluster: uuid('3'.repeat(32)),
  state: 'ready',
  deviceCapacity: 2 ** 40,
  deviceOccupied: 5,
  full: true,
  zones: 7,
  alignment: 512,
};
const zone: ZoneStatus = {
  ...place,
  state: 'restarted',
  length: 5,
  seen: 4,
  capacity: 2 ** 28,
  occupied: 9,
  copyId: '0123456789abcdef',
  batches: 2,
  digest: undefined,
};

interface Form {
  readonly name: string;
  readonly bytes: Buffer;
  readonly read: (reader: MessageReader) => unknown;
  readonly value: unknown;
}

function form<T>(
  name: string,
  write: (out: MessageWriter) => void,
  read: (reader: MessageReader) => T,
  value: T,
): Form {
  return { name, bytes: encode(write), read, value };
}

const items = [
  { ...place, offset: 0, bytes: Buffer.from('abc') },
  { ...place, offset: 2 ** 31, bytes: Buffer.alloc(0) },
];
const piece = { ...place, offset: 2 ** 31, bytes: Buffer.from('piece'), rest: 7 };
const appendAnswers: readonly protocol.AppendAnswer[] = [
  { kind: 'ok', value: lba(2 ** 52) },
  protocol.refusal('fenced', 'why', 12),
];
const confirmAnswer = { number: 8, refusals: [undefined, 'fenced', undefined] as const };
const sealAnswer: seals.SealResult = {
  length: 5,
  seen: 6,
  doubtful: true,
  tail: 'damaged',
  process: instanceId('5'.repeat(16)),
  known: {
    fence: { epoch: epoch(2 ** 47), instance },
    zones: [
      { zone: zoneId(2 ** 47), epoch: epoch(2 ** 47), instance },
      { zone: zoneId(1), epoch: epoch(1), instance: instanceId('6'.repeat(16)) },
    ],
  },
};
const unfenced: seals.SealResult = {
  length: 0,
  seen: 0,
  doubtful: false,
  tail: 'clean',
  process: instance,
  known: { fence: undefined, zones: [] },
};
const sealRefusal: seals.SealResult = { ...protocol.refusal('fenced', 'why', 2 ** 47), known: sealAnswer.known };
const fillItem: protocol.FillItem = {
  shard: place.shard,
  zone: place.zone,
  by: { epoch: epoch(9), instance },
  offset: 2 ** 31,
  bytes: Buffer.from('whole batches'),
};
const readAnswers: readonly protocol.ReadAnswer[] = [
  { kind: 'ok', value: Buffer.from('xyz') },
  { kind: 'refused', code: 'out-of-range' },
];

const forms: readonly Form[] = [
  form('Append', (out) => appends.writeAppend(out, logger, items), appends.readAppend, { logger, items }),
  form('Append answer', (out) => appends.writeAppendAnswer(out, appendAnswers), appends.readAppendAnswer, [
    ...appendAnswers,
  ]),
  form('AppendPiece', (out) => appends.writeAppendPiece(out, logger, piece), appends.readAppendPiece, {
    logger,
    item: piece,
  }),
  form('Confirm', (out) => appends.writeConfirm(out, logger, 9, [place]), appends.readConfirm, {
    logger,
    number: 9,
    items: [place],
  }),
  form('Confirm answer', (out) => appends.writeConfirmAnswer(out, confirmAnswer), appends.readConfirmAnswer, {
    number: 8,
    refusals: [...confirmAnswer.refusals],
  }),
  form('Testify', (out) => seals.writeTestify(out, logger, place.shard), seals.readTestify, {
    logger,
    shard: place.shard,
  }),
  form('Testify answer', (out) => seals.writeTestimony(out, sealAnswer.known), seals.readTestimony, sealAnswer.known),
  form('Testify answer of nothing known', (out) => seals.writeTestimony(out, unfenced.known), seals.readTestimony, {
    ...unfenced.known,
  }),
  form('Seal', (out) => seals.writeSeal(out, logger, place), seals.readSeal, { logger, ...place }),
  form('Seal answer', (out) => seals.writeSealResult(out, sealAnswer), seals.readSealResult, sealAnswer),
  form('Seal answer of nothing known', (out) => seals.writeSealResult(out, unfenced), seals.readSealResult, unfenced),
  form('Seal refusal', (out) => seals.writeSealResult(out, sealRefusal), seals.readSealResult, sealRefusal),
  form('Fill', (out) => seals.writeFill(out, logger, fillItem), seals.readFill, { logger, item: fillItem }),
  form('Finish', (out) => seals.writeFinish(out, logger, place.shard, place.zone, 77), seals.readFinish, {
    logger,
    shard: place.shard,
    zone: place.zone,
    length: 77,
  }),
  form('Probe', (out) => writeProbe(out, logger, 77), readProbe, { logger, bytes: 77 }),
  form('Reset', (out) => seals.writeReset(out, logger, place.shard, place.zone, 'ab'), seals.readReset, {
    logger,
    shard: place.shard,
    zone: place.zone,
    copyId: 'ab',
  }),
  form('Read', (out) => reads.writeRead(out, logger, [{ ...place, offset: 1, length: 2 }]), reads.readRead, {
    logger,
    items: [{ shard: place.shard, zone: place.zone, offset: 1, length: 2 }],
  }),
  form('Read answer', (out) => reads.writeReadAnswer(out, readAnswers), reads.readReadAnswer, [...readAnswers]),
  form(
    'ReportZones',
    (out) => reports.writeReport(out, logger, undefined, [{ ...place, length: 3 }]),
    reports.readReport,
    {
      logger,
      shard: undefined,
      digests: [{ shard: place.shard, zone: place.zone, length: 3 }],
      after: undefined,
    },
  ),
  form('ReportZones of a shard', (out) => reports.writeReport(out, logger, place.shard, []), reports.readReport, {
    logger,
    shard: place.shard,
    digests: [],
    after: undefined,
  }),
  form(
    'ReportZones, a later page',
    (out) => reports.writeReport(out, logger, undefined, [], place),
    reports.readReport,
    { logger, shard: undefined, digests: [], after: { shard: place.shard, zone: place.zone } },
  ),
  form(
    'ReportZones answer',
    (out) => reports.writeReportAnswer(out, [zone, { ...zone, digest: 'd' }]),
    reports.readReportAnswer,
    [zone, { ...zone, digest: 'd' }],
  ),
  form('Ping answer', (out) => reports.writeStatus(out, status), reports.readStatus, status),
  form(
    'hello answer',
    (out) => reports.writeWelcome(out, { cluster: logger, logger, instance: status.instance, protocol: 1 }),
    reports.readWelcome,
    { cluster: logger, logger, instance: status.instance, protocol: 1 },
  ),
];

describe('the protocol of loggers', () => {
  for (const { name, bytes, read, value } of forms) {
    test(`${name}: what is written is read, to its end`, () => {
      const reader = new MessageReader(bytes);
      assert.deepEqual(read(reader), value);
      assert.equal(reader.position, bytes.length);
    });

    test(`${name}: cut or mutated it is a MessageFormatError or a value, never another exception`, () => {
      for (let length = 0; length < bytes.length; length += 1) {
        assert.throws(() => read(new MessageReader(bytes.subarray(0, length))), MessageFormatError);
      }
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, noise) => {
          const changed = Buffer.from(bytes);
          changed.set(noise.subarray(0, changed.length - at), at);
          try {
            read(new MessageReader(changed));
          } catch (error) {
            if (!(error instanceof MessageFormatError)) throw error;
          }
        }),
        { seed: 1, numRuns: 500 },
      );
    });
  }

  test('members that a later version adds are ignored', () => {
    const bytes = encode((out) => out.value([logger, 1, 2, 3, instance, 'more']));
    assert.deepEqual(seals.readSeal(new MessageReader(bytes)), { logger, shard: 1, zone: 2, epoch: 3, instance });
    const append = encode((out) => out.value([logger, [[1, 2, 3, instance, 4, Buffer.from('x'), 'more']], 'more']));
    const reader = new MessageReader(append);
    assert.equal(appends.readAppend(reader).items.length, 1);
    assert.equal(reader.position, append.length);
    const known = [[3, instance, 'more'], [[2, 3, instance, 'more']], 'more'];
    const [key, nothing] = [Buffer.from('key'), Buffer.alloc(0)];
    const records = [
      { offset: 7, key: Uint8Array.from(key) },
      { offset: 9, key: Uint8Array.from(nothing) },
    ];
    const cut = { isCutShort: true, records };
    for (const [result, wanted] of [
      [
        [1, 2, true, 'torn', instance, ...known.slice(0, 2), [true, [7, key, 9, nothing], 'more'], 'more'],
        { length: 1, seen: 2, doubtful: true, tail: 'torn', process: instance, cut },
      ],
      [['fenced', 'why', 3, ...known], protocol.refusal('fenced', 'why', 3)],
    ] as const) {
      const answer = new MessageReader(encode((out) => out.value(result)));
      const of = { epoch: 3, instance };
      const knownThere = { fence: of, zones: [{ zone: 2, ...of }] };
      assert.deepEqual(seals.readSealResult(answer), { ...wanted, known: knownThere });
      assert.ok(answer.atEnd);
    }
    const fill = new MessageReader(
      encode((out) => out.value([logger, 1, 2, 3, instance, 4, Buffer.from('x'), 'more'])),
    );
    assert.equal(seals.readFill(fill).item.offset, 4);
    assert.ok(fill.atEnd);
  });

  test('ids out of range are malformed', () => {
    for (const params of [
      [logger, -1, 1, 1, instance],
      [logger, 1_024, 1, 1, instance],
      [logger, 0, 0, 1, instance],
      [logger, 0, 2 ** 48, 1, instance],
      [logger, 0, 1, 0, instance],
      [logger, 0, 1, 1, 'no instance'],
      [logger, 0, 1, 1, instance.slice(1)],
    ]) {
      assert.throws(() => seals.readSeal(new MessageReader(encode((out) => out.value(params)))), MessageFormatError);
    }
  });

  test('an alignment that no device has is malformed', () => {
    for (const alignment of [0, -1, 3, 2 ** 17, 2 ** 40]) {
      const bytes = encode((out) => out.value({ ...status, alignment }));
      assert.throws(() => reports.readStatus(new MessageReader(bytes)), MessageFormatError);
    }
  });

  test('an error of unknown form, or with an unknown code, leaves the outcome open', () => {
    const kindOf = (error: unknown): string =>
      protocol.readRefusal(new MessageReader(encode((out) => out.value(error)))).kind;
    assert.deepEqual(
      [kindOf('text'), kindOf(['new-code', 'm', 0]), kindOf([1]), kindOf(null), kindOf(['fenced', 'm', 3])],
      ['lost', 'lost', 'lost', 'lost', 'refused'],
    );
  });
});
