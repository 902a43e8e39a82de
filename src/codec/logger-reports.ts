/**
 * The answers and requests of `ReportZones`, `Ping` and `hello` (docs/protocol.md): maps, since they grow and nobody is
 * in a hurry. Readers throw MessageFormatError when a message has another form, and nothing else.
 */
import type { ShardId, Uuid } from '../base/ids.ts';
import { epoch as toEpoch, instanceId, shardId, uuid, zoneId } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { fieldOf } from './fields.ts';
import type { Field } from './fields.ts';
import type {
  DigestItem,
  LoggerStatus,
  LoggerWelcome,
  ReportRequest,
  ZonePosition,
  ZoneStatus,
} from './logger-protocol.ts';
import { readBytesCount, readShard, readZone, zoneStates } from './logger-protocol.ts';
import { arrayOf, skipRest } from './message-parts.ts';
import { MessageFormatError } from './message-reader.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

/** `after`: zones up to this one, by shard and id, were reported before. */
export function writeReport(
  out: MessageWriter,
  logger: Uuid,
  shard: ShardId | undefined,
  digests: readonly DigestItem[],
  after?: ZonePosition,
): void {
  out.array(4);
  out.text(logger);
  if (shard === undefined) out.nil();
  else out.integer(shard);
  out.array(digests.length);
  for (const item of digests) {
    out.array(3);
    out.integer(item.shard);
    out.integer(item.zone);
    out.integer(item.length);
  }
  if (after === undefined) return out.nil();
  out.array(2);
  out.integer(after.shard);
  out.integer(after.zone);
}

export function readReport(params: MessageReader): ReportRequest {
  const rest = arrayOf(params, 3, 'ReportZones');
  const logger = params.text();
  const shard = params.tryNil() ? undefined : readShard(params);
  const digests: DigestItem[] = [];
  for (let count = params.array(); count > 0; count -= 1) {
    const more = arrayOf(params, 3, 'a zone to digest');
    digests.push({ shard: readShard(params), zone: readZone(params), length: readBytesCount(params, 'length') });
    skipRest(params, more);
  }
  let after: ZonePosition | undefined;
  if (rest > 0 && !params.tryNil()) {
    const more = arrayOf(params, 2, 'where a report goes on');
    after = { shard: readShard(params), zone: readZone(params) };
    skipRest(params, more);
  }
  skipRest(params, Math.max(0, rest - 1));
  return { logger, shard, digests, after };
}

/** Writes the first page of `zones`: a full page may have a successor. */
export function writeReportAnswer(out: MessageWriter, zones: readonly ZoneStatus[]): void {
  const page = zones.slice(0, limits.reportZonesMax);
  out.array(page.length);
  for (const zone of page) out.value(zone);
}

/** Place after which the next page begins; undefined: `page` is the last. */
export function nextReport(page: readonly ZoneStatus[]): ZonePosition | undefined {
  return page.length < limits.reportZonesMax ? undefined : page.at(-1);
}

export function readReportAnswer(result: MessageReader): ZoneStatus[] {
  const zones: ZoneStatus[] = [];
  for (let count = result.array(); count > 0; count -= 1) zones.push(zoneStatus(mapOf(result, 'zone')));
  return zones;
}

function zoneStatus(zone: Field): ZoneStatus {
  return {
    shard: shardId(zone.at('shard').integer()),
    zone: zoneId(zone.at('zone').integer(1)),
    epoch: toEpoch(zone.at('epoch').integer(1)),
    instance: zone.at('instance').minted(instanceId),
    state: zone.at('state').oneOf(zoneStates),
    length: zone.at('length').integer(),
    seen: zone.at('seen').integer(),
    capacity: zone.at('capacity').integer(),
    occupied: zone.at('occupied').integer(),
    copyId: zone.at('copyId').text(),
    batches: zone.at('batches').integer(),
    digest: zone.optional('digest')?.text(),
  };
}

export function writeStatus(out: MessageWriter, status: LoggerStatus): void {
  out.value(status);
}

export function readStatus(result: MessageReader): LoggerStatus {
  const status = mapOf(result, 'status');
  return {
    logger: status.at('logger').minted(uuid),
    instance: status.at('instance').minted(instanceId),
    cluster: status.at('cluster').minted(uuid),
    state: status.at('state').oneOf(['ready', 'failed']),
    deviceCapacity: status.at('deviceCapacity').integer(),
    deviceOccupied: status.at('deviceOccupied').integer(),
    full: status.optional('full')?.boolean() ?? false,
    zones: status.at('zones').integer(),
    alignment: alignmentOf(status.at('alignment')),
  };
}

function alignmentOf(field: Field): number {
  const alignment = field.integer(1, limits.alignmentBytesMax);
  return Number.isInteger(Math.log2(alignment)) ? alignment : field.wrong('a power of two');
}

export function writeWelcome(out: MessageWriter, welcome: LoggerWelcome): void {
  out.value(welcome);
}

export function readWelcome(result: MessageReader): LoggerWelcome {
  const welcome = mapOf(result, 'welcome');
  return {
    cluster: welcome.at('cluster').minted(uuid),
    logger: welcome.at('logger').minted(uuid),
    instance: welcome.at('instance').minted(instanceId),
    protocol: welcome.at('protocol').integer(1),
  };
}

/** The next object, whose members are read by name. */
function mapOf(reader: MessageReader, what: string): Field {
  return fieldOf(reader.value(), what, (message) => new MessageFormatError(message, reader.position));
}
