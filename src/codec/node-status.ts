/**
 * What a gateway tells of itself: the answer to `status` on its ports, which the CLI shows. Its own view; that of a
 * shard is fullest at the owner. (What a logger tells stands in codec/logger-reports.ts.)
 */
import { limits } from '../base/limits.ts';
import { fieldOf } from './fields.ts';
import type { Field } from './fields.ts';
import { MessageFormatError } from './message-reader.ts';
import type { MessageReader } from './message-reader.ts';
import type { MessageWriter } from './message-writer.ts';

export interface GatewayStatus {
  /** Number of the gateway in the configuration. */
  readonly gateway: number;
  readonly node: string;
  readonly instance: string;
  readonly cluster: string;
  readonly shardCount: number;
  /** Bytes of a zone. */
  readonly zoneSize: number;
  /** Connections that it has accepted, on both ports. */
  readonly connections: number;
  readonly loggers: readonly LoggerLine[];
  readonly gateways: readonly GatewayLine[];
  readonly valueCache: { readonly bytes: number; readonly capacity: number };
  /** Catch-up messages that did not fit a peer's queue. */
  readonly catchUpDropped: number;
  /** Lines of all shards, in the order of their numbers. */
  readonly shards: readonly ShardLine[];
}

/** A logger that the cluster knows, and whether this gateway is connected with it. */
export interface LoggerLine {
  readonly number: number;
  readonly uuid: string;
  readonly readAddress: string;
  readonly writeAddress: string;
  readonly connected: boolean;
  /** What the operator has said of it: `member`, `draining` or `lost`. */
  readonly standing: string;
  /** Zones, open or ended, of which it is listed as a replica. */
  readonly listedZones: number;
}

/** A gateway that the cluster knows, this one included. */
export interface GatewayLine {
  readonly number: number;
  readonly uuid: string;
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly connected: boolean;
  /** As its heartbeats are judged (core/members/detector.ts); `self`: this gateway. */
  readonly verdict: string;
  /** How often it was suspected, and how often wrongly. */
  readonly suspicions: number;
  readonly falseSuspicions: number;
}

/** `owner` is what the coordinator says; the rest is this gateway's view. */
export interface ShardLine {
  readonly shard: number;
  /** `loading` until its index is there. */
  readonly role: string;
  /** Step of a take-over under way, else ''. */
  readonly step: string;
  /** Number of the gateway that owns it, -1 when nobody does. */
  readonly owner: number;
  readonly epoch: number;
  readonly openZone: number;
  readonly replicas: readonly string[];
  readonly sealedZones: number;
  /** ... of which the length is not proven (S9). */
  readonly doubtfulZones: number;
  /** Bytes of the open zone that are committed. */
  readonly committedLength: number;
  readonly keys: number;
  readonly indexBytes: number;
  /** Bytes of log that a standby knows of and has not applied. */
  readonly lag: number;
  readonly queued: number;
  /** What its take-over waits for, '' for nothing, and the UUIDs of loggers that would end the wait. */
  readonly waiting: string;
  readonly waitsFor: readonly string[];
  /** Why the zone is being changed, '' when it is not. */
  readonly changing: string;
  readonly full: boolean;
  /** Copies that zones lack, as the owner knows. */
  readonly lackingCopies: number;
  /** Copy that is being made, in words; '': none. */
  readonly copying: string;
  /** Listed copies that the owner read and found damaged. */
  readonly damagedCopies: number;
  readonly scrub: ScrubLine;
  /** Place in the log up to which the newest snapshot holds everything. */
  readonly snapshot: { readonly zone: number; readonly offset: number };
}

/** Reading of all copies of ended zones in turn, as the owner knows; all zeros elsewhere. */
export interface ScrubLine {
  /** Rounds that the owner has ended, and milliseconds since the last one did; -1: none has. */
  readonly passes: number;
  readonly endedAgoMs: number;
  /** Whether a round is under way, and the zone that is being read; 0: none just now. */
  readonly underWay: boolean;
  readonly zone: number;
  /** Copies that were looked at in this round, or else in the last one, and those of them that were out of reach. */
  readonly checked: number;
  readonly unreached: number;
  /** Copies that are listed now. */
  readonly listed: number;
  /** Copies in which it met damage, in all rounds. */
  readonly damaged: number;
}

/** A sealed zone as the coordinator lists it: each of the replicas holds [0, length) (S10). */
export interface ListedZone {
  readonly zone: number;
  readonly length: number;
  /** Who wrote it, for its checksums (S16). */
  readonly epoch: number;
  readonly instance: string;
  /** UUIDs of loggers. */
  readonly replicas: readonly string[];
  /** Why the length is not proven, '' when it is: `restarted`, or `cut` (S9). */
  readonly doubt: string;
  /** Keys that a cut has made `damaged`, and how many records were cut at least of which nobody knows the key. */
  readonly lostKeys: number;
  readonly lostUnknown: number;
}

export function writeListedZones(out: MessageWriter, zones: readonly ListedZone[]): void {
  out.value(zones);
}

/** @throws MessageFormatError */
export function readListedZones(result: MessageReader): ListedZone[] {
  const zones = fieldOf(result.value(), 'zones', (message) => new MessageFormatError(message, result.position));
  return zones.list(limits.zonesListedMax).map((zone) => ({
    zone: zone.at('zone').integer(1),
    length: zone.at('length').integer(),
    epoch: zone.at('epoch').integer(1),
    instance: zone.at('instance').text(),
    replicas: zone
      .at('replicas')
      .list(limits.loggerCountMax)
      .map((logger) => logger.text()),
    doubt: zone.at('doubt').text(),
    lostKeys: zone.at('lostKeys').integer(),
    lostUnknown: zone.at('lostUnknown').integer(),
  }));
}

export function writeGatewayStatus(out: MessageWriter, status: GatewayStatus): void {
  out.value(status);
}

/** @throws MessageFormatError */
export function readGatewayStatus(result: MessageReader): GatewayStatus {
  const status = fieldOf(result.value(), 'status', (message) => new MessageFormatError(message, result.position));
  const cache = status.at('valueCache');
  return {
    gateway: status.at('gateway').integer(),
    node: status.at('node').text(),
    instance: status.at('instance').text(),
    cluster: status.at('cluster').text(),
    shardCount: status.at('shardCount').integer(),
    zoneSize: status.at('zoneSize').integer(),
    connections: status.at('connections').integer(),
    loggers: status.at('loggers').list(limits.loggerCountMax).map(loggerLine),
    gateways: status.at('gateways').list(limits.gatewayCountMax).map(gatewayLine),
    valueCache: { bytes: cache.at('bytes').integer(), capacity: cache.at('capacity').integer() },
    catchUpDropped: status.at('catchUpDropped').integer(),
    shards: status.at('shards').list(limits.shardCountMax).map(shardLine),
  };
}

function loggerLine(line: Field): LoggerLine {
  return {
    number: line.at('number').integer(),
    uuid: line.at('uuid').text(),
    readAddress: line.at('readAddress').text(),
    writeAddress: line.at('writeAddress').text(),
    connected: line.at('connected').boolean(),
    standing: line.at('standing').text(),
    listedZones: line.at('listedZones').integer(),
  };
}

function gatewayLine(line: Field): GatewayLine {
  return {
    number: line.at('number').integer(),
    uuid: line.at('uuid').text(),
    clientAddress: line.at('clientAddress').text(),
    peerAddress: line.at('peerAddress').text(),
    connected: line.at('connected').boolean(),
    verdict: line.at('verdict').text(),
    suspicions: line.at('suspicions').integer(),
    falseSuspicions: line.at('falseSuspicions').integer(),
  };
}

function shardLine(line: Field): ShardLine {
  const snapshot = line.at('snapshot');
  return {
    shard: line.at('shard').integer(),
    role: line.at('role').text(),
    step: line.at('step').text(),
    owner: line.at('owner').integer(-1),
    epoch: line.at('epoch').integer(),
    openZone: line.at('openZone').integer(),
    replicas: line
      .at('replicas')
      .list(limits.loggerCountMax)
      .map((logger) => logger.text()),
    sealedZones: line.at('sealedZones').integer(),
    doubtfulZones: line.at('doubtfulZones').integer(),
    committedLength: line.at('committedLength').integer(),
    keys: line.at('keys').integer(),
    indexBytes: line.at('indexBytes').integer(),
    lag: line.at('lag').integer(),
    queued: line.at('queued').integer(),
    waiting: line.at('waiting').text(),
    waitsFor: line
      .at('waitsFor')
      .list(limits.loggerCountMax)
      .map((logger) => logger.text()),
    changing: line.at('changing').text(),
    full: line.at('full').boolean(),
    lackingCopies: line.optional('lackingCopies')?.integer() ?? 0,
    copying: line.optional('copying')?.text() ?? '',
    damagedCopies: line.optional('damagedCopies')?.integer() ?? 0,
    scrub: scrubLine(line.at('scrub')),
    snapshot: { zone: snapshot.at('zone').integer(), offset: snapshot.at('offset').integer() },
  };
}

function scrubLine(line: Field): ScrubLine {
  return {
    passes: line.at('passes').integer(),
    endedAgoMs: line.at('endedAgoMs').integer(-1),
    underWay: line.at('underWay').boolean(),
    zone: line.at('zone').integer(),
    checked: line.at('checked').integer(),
    unreached: line.at('unreached').integer(),
    listed: line.at('listed').integer(),
    damaged: line.at('damaged').integer(),
  };
}
