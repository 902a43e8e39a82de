/** Events, effects and metadata of shards in words, as test/scenarios/ shows them. `g0` is a gateway, `l0` a logger. */
import type { Uuid } from '../../../src/base/ids.ts';
import type { ShardKnowledge } from '../../../src/codec/logger-protocol.ts';
import type { Lost, ShardEffect, ShardEvent } from '../../../src/core/shard/events.ts';
import type { Head, SealedZone } from '../../../src/core/shard/head/metadata.ts';
import { decodeHead, decodeSealedZone } from '../../../src/core/shard/head/metadata.ts';
import type { WriteResult } from '../../../src/core/shard/requests.ts';
import { zoneSize } from './harness.ts';

export const loggersIn = (names: readonly Uuid[]): string =>
  names.length === 0 ? 'nobody' : names.map((name) => `l${Number(name)}`).join(' ');

/** A version is an address: zone and offset. */
export function versionIn(version: number): string {
  return version === 0 ? 'none' : `${Math.floor(version / zoneSize)}:${version % zoneSize}`;
}

export function resultIn(result: WriteResult): string {
  switch (result.kind) {
    case 'put':
      return `put as version ${versionIn(result.version)}`;
    case 'deleted':
      return result.existed ? 'deleted' : 'was not there';
    case 'refused':
      return `refused, the version is ${versionIn(result.currentVersion)}`;
    case 'failed':
      return `failed, ${result.code}, outcome ${result.outcome}`;
  }
}

export function headIn({ epoch, owner, openZone }: Head): string {
  return `epoch ${epoch} of g${owner.gateway}; zone ${openZone.zone} is open on ${loggersIn(openZone.replicas)}`;
}

export function sealedIn({ zone, epoch, length, replicas, former }: SealedZone): string {
  const without = former.length === 0 ? '' : `, formerly also ${loggersIn(former)}`;
  return `zone ${zone} of epoch ${epoch} is closed at ${length} on ${loggersIn(replicas)}${without}`;
}

/** Effects as they happen; undefined: nothing that a reader misses. */
export function effectIn(effect: ShardEffect): string | undefined {
  switch (effect.effect) {
    case 'append':
      return `append zone ${effect.zone} [${effect.offset}, ${effect.offset + effect.bytes.length}) to ${loggersIn(effect.loggers)}`;
    case 'confirm':
      return `confirm zone ${effect.zone} with ${loggersIn(effect.loggers)}`;
    case 'committed':
      return `committed zone ${effect.zone} [${effect.offset}, ${effect.end}), ${effect.recordCount} ${effect.recordCount === 1 ? 'record' : 'records'}`;
    case 'testify':
      return `ask ${loggersIn(effect.loggers)} what they know`;
    case 'seal':
      return `seal zone ${effect.zone} for epoch ${effect.epoch} at ${loggersIn(effect.loggers)}`;
    case 'fill':
      return `fill zone ${effect.zone} [${effect.offset}, ${effect.offset + effect.bytes.length}) at ${loggersIn([effect.logger])}`;
    case 'copy':
      return `copy zone ${effect.zone} [${effect.offset}, ${effect.offset + effect.bytes.length}) of ${effect.length} to ${loggersIn([effect.logger])}`;
    case 'finish':
      return `finish zone ${effect.zone} at ${effect.length} on ${loggersIn(effect.loggers)}`;
    case 'probe':
      return `probe ${loggersIn([effect.logger])}`;
    case 'load':
      return 'load';
    case 'transact':
      if (effect.purpose === 'look') return 'look whether the coordinator answers';
      return `transact: ${effect.writes.map(writtenIn).join('; ')}`;
    case 'read-log': {
      const { zone, offset, length, logger } = effect.request;
      return `read zone ${zone} [${offset}, ${offset + length}) of ${loggersIn([logger])}`;
    }
    case 'role':
      return `becomes ${effect.role}`;
    case 'note': {
      const fields = Object.entries(effect.fields).filter(([name]) => name !== 'shard');
      return `${effect.level}: ${effect.text}${fields.map(([name, value]) => `, ${name} ${namesIn(value)}`).join('')}`;
    }
    // Their results are shown where the caller gets them.
    case 'answer-write':
    case 'fail-read':
    case 'fetch':
    case 'release':
    case 'announce':
      return undefined;
  }
}

function writtenIn({ key, value }: { readonly key: string; readonly value: Uint8Array | undefined }): string {
  if (value === undefined) return `${key} is deleted`;
  return key.includes('/zone/') ? sealedIn(decodeSealedZone(value)) : headIn(decodeHead(value));
}

/** Loggers' ids in free text, too. */
function namesIn(value: string | number): string {
  return String(value).replace(/\b0{24,}\d+\b/g, (name) => `l${Number(name)}`);
}

function knownIn(answer: ShardKnowledge | Lost): string {
  if ('kind' in answer) return 'no answer';
  const { fence, zones } = answer;
  const sealed = fence === undefined ? 'never sealed' : `sealed for epoch ${fence.epoch}`;
  return `${sealed}, holds ${zones.length === 0 ? 'no zone' : `zones ${zones.map(({ zone }) => zone).join(' ')}`}`;
}

/** What loggers and the coordinator answer, when it is not just that it is done. */
export function eventIn(event: ShardEvent): string | undefined {
  switch (event.event) {
    case 'append-failed':
    case 'confirm-failed': {
      const what = event.event === 'append-failed' ? 'append' : 'confirm';
      const reason = event.reason.kind === 'lost' ? 'no answer' : event.reason.code;
      return `${loggersIn([event.logger])}: ${what} zone ${event.zone}: ${reason}`;
    }
    case 'probed': {
      const { answer } = event;
      const said = answer.kind === 'ok' ? 'takes zones again' : answer.kind === 'lost' ? 'no answer' : answer.code;
      return `${loggersIn([event.logger])}: probe: ${said}`;
    }
    case 'testified':
      return `${loggersIn([event.logger])}: ${knownIn(event.answer)}`;
    case 'sealed': {
      const { answer } = event;
      const said =
        'length' in answer
          ? `sealed at ${answer.length}, committed up to ${answer.seen} at least${answer.doubtful ? ', doubtful' : ''}`
          : 'code' in answer
            ? answer.code
            : 'no answer';
      return `${loggersIn([event.logger])}: zone ${event.zone}: ${said}`;
    }
    case 'filled': {
      const { answer } = event;
      const said =
        answer.kind === 'filled' ? `filled to ${answer.length}` : answer.kind === 'lost' ? 'no answer' : answer.code;
      return `${loggersIn([event.logger])}: zone ${event.zone}: ${said}`;
    }
    case 'transacted':
      return event.result.kind === 'applied' ? undefined : `coordinator: ${event.result.kind}`;
    case 'log-read':
      return event.bytes === undefined ? `${loggersIn([event.request.logger])}: no answer` : undefined;
    default:
      return undefined;
  }
}
