/**
 * One logger's copy of a zone, read to its end and checked as the product itself checks it: checksums and places of all
 * batches (core/shard/following/log-reader.ts).
 */
import type { ShardId, Uuid, ZoneId } from '../base/ids.ts';
import { instanceId, millis } from '../base/ids.ts';
import type { ReadAnswer, LoggerLost, LoggerRefusalCode } from '../codec/logger-protocol.ts';
import type { Writer } from '../codec/log-format.ts';
import type { LogRead, ShardEffect } from '../core/shard/events.ts';
import { LogReader } from '../core/shard/following/log-reader.ts';
import { Loggers } from '../core/shard/loggers.ts';
import { isDamage } from '../core/shard/repairing/copier.ts';
import { sha256 } from '../env/digest.ts';

/** Bytes [0, length) of a zone. */
export interface ZoneToRead extends Writer {
  readonly cluster: Uuid;
  readonly shard: ShardId;
  readonly zone: ZoneId;
  readonly length: number;
}

export type CopyFinding =
  /** `digest`: SHA-256 of its batches. */
  | { readonly kind: 'sound'; readonly digest: string }
  /** `offset`: up to there all is good. */
  | { readonly kind: 'damaged'; readonly offset: number; readonly problem: string }
  | { readonly kind: 'unreached'; readonly reason: string };

export type ReadPiece = (piece: Pick<LogRead, 'offset' | 'length'>) => Promise<ReadAnswer | LoggerLost>;

const problems: Readonly<Partial<Record<LoggerRefusalCode, string>>> = {
  'unknown-zone': 'nothing of the zone is there',
  'out-of-range': 'the copy ends there',
  'device-failed': 'the device does not give what lies there',
};

export async function checkCopy(zone: ZoneToRead, logger: Uuid, read: ReadPiece): Promise<CopyFinding> {
  const loggers = new Loggers();
  loggers.up(logger, instanceId('0'.repeat(16)), 1, millis(0));
  const effects: ShardEffect[] = [];
  const digest = sha256();
  const reader = new LogReader(
    'scrub',
    zone,
    loggers,
    effects,
    ({ bytes, start, lead, header }) => digest.update(bytes.subarray(start - lead, start + header.totalLength)),
    () => undefined,
  );
  const { zone: id, epoch, instance, length } = zone;
  reader.start([{ zone: id, epoch, instance, from: 0, to: length, holders: [logger] }]);
  for (;;) {
    const request = requestIn(effects.splice(0));
    if (request === undefined) return { kind: 'sound', digest: digest.end() };
    const answer = await read(request);
    const bytes = answer.kind === 'ok' ? answer.value : undefined;
    const refused = answer.kind === 'refused' ? answer.code : undefined;
    reader.answer(request, bytes, refused);
    if (reader.state !== 'stuck') continue;
    const reason = answer.kind === 'lost' ? answer.message : (refused ?? '');
    if (!isDamage(bytes, refused)) return { kind: 'unreached', reason };
    const problem = refused === undefined ? problemIn(effects) : (problems[refused] ?? refused);
    return { kind: 'damaged', offset: reader.position, problem };
  }
}

function requestIn(effects: readonly ShardEffect[]): LogRead | undefined {
  return effects.flatMap((effect) => (effect.effect === 'read-log' ? [effect.request] : []))[0];
}

function problemIn(effects: readonly ShardEffect[]): string {
  const notes = effects.flatMap((effect) => (effect.effect === 'note' ? [effect.fields['problem']] : []));
  return String(notes[0] ?? 'wrong bytes');
}
