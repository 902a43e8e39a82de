/**
 * The answers and requests of `ReportZones`, `Ping` and `hello` (docs/protocol.md): maps, since they grow and nobody is
 * in a hurry. Readers throw MessageFormatError when a message has another form, and nothing else.
 */
import type { InstanceId, ShardId, Uuid } from '../base/ids.ts';
import { epoch as toEpoch, instanceId, shardId, uuid, zoneId } from '../base/ids.ts';
import type { DigestItem, LoggerStatus, LoggerWelcome, ReportRequest, ZoneStatus } from './logger-protocol.ts';
import { readBytesCount, readShard, readZone } from './logger-protocol.ts';
import { arrayOf, malformed, skipRest } from './message-parts.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

export function writeReport(
  out: MessageWriter,
  logger: Uuid,
  shard: ShardId | undefined,
  digests: readonly DigestItem[],
): void {
  out.array(3);
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
  skipRest(params, rest);
  return { logger, shard, digests };
}

export function writeReportAnswer(out: MessageWriter, zones: readonly ZoneStatus[]): void {
  out.array(zones.length);
  for (const zone of zones) out.value(zone);
}

export function readReportAnswer(result: MessageReader): ZoneStatus[] {
  const zones: ZoneStatus[] = [];
  for (let count = result.array(); count > 0; count -= 1) zones.push(zoneStatus(result, fields(result)));
  return zones;
}

function zoneStatus(reader: MessageReader, map: Fields): ZoneStatus {
  const state = textField(reader, map, 'state');
  if (state !== 'open' && state !== 'restarted' && state !== 'fenced' && state !== 'finished')
    return malformed(reader, `unknown zone state '${state}'`);
  return {
    shard: shardId(numberField(reader, map, 'shard')),
    zone: zoneId(numberField(reader, map, 'zone', 1)),
    epoch: toEpoch(numberField(reader, map, 'epoch', 1)),
    state,
    length: numberField(reader, map, 'length'),
    seen: numberField(reader, map, 'seen'),
    capacity: numberField(reader, map, 'capacity'),
    occupied: numberField(reader, map, 'occupied'),
    copyId: textField(reader, map, 'copyId'),
    batches: numberField(reader, map, 'batches'),
    digest: typeof map['digest'] === 'string' ? map['digest'] : undefined,
  };
}

export function writeStatus(out: MessageWriter, status: LoggerStatus): void {
  out.value(status);
}

export function readStatus(result: MessageReader): LoggerStatus {
  const map = fields(result);
  const state = textField(result, map, 'state');
  if (state !== 'ready' && state !== 'failed') return malformed(result, `unknown logger state '${state}'`);
  return {
    logger: uuidField(result, map, 'logger'),
    instance: instanceField(result, map, 'instance'),
    cluster: uuidField(result, map, 'cluster'),
    state,
    deviceCapacity: numberField(result, map, 'deviceCapacity'),
    deviceOccupied: numberField(result, map, 'deviceOccupied'),
    zones: numberField(result, map, 'zones'),
    alignment: numberField(result, map, 'alignment', 1),
  };
}

export function writeWelcome(out: MessageWriter, welcome: LoggerWelcome): void {
  out.value(welcome);
}

export function readWelcome(result: MessageReader): LoggerWelcome {
  const map = fields(result);
  return {
    cluster: uuidField(result, map, 'cluster'),
    logger: uuidField(result, map, 'logger'),
    instance: instanceField(result, map, 'instance'),
    protocol: numberField(result, map, 'protocol', 1),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function fields(reader: MessageReader): Fields {
  const value = reader.value();
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array)
    return malformed(reader, 'a map is expected');
  return value as Fields;
}

function numberField(reader: MessageReader, map: Fields, name: string, least = 0): number {
  const value = map[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least)
    return malformed(reader, `field '${name}' is no number of at least ${least}`);
  return value;
}

function textField(reader: MessageReader, map: Fields, name: string): string {
  const value = map[name];
  return typeof value === 'string' ? value : malformed(reader, `field '${name}' is no text`);
}

function uuidField(reader: MessageReader, map: Fields, name: string): Uuid {
  const value = textField(reader, map, name);
  return /^[0-9a-f]{32}$/.test(value) ? uuid(value) : malformed(reader, `field '${name}' is no UUID`);
}

function instanceField(reader: MessageReader, map: Fields, name: string): InstanceId {
  const value = textField(reader, map, name);
  return /^[0-9a-f]{16}$/.test(value) ? instanceId(value) : malformed(reader, `field '${name}' is no instance id`);
}
