/**
 * The members of the cluster. Config files only bootstrap; who a member is (its UUID) and where it listens stands here.
 * A logger is its disk (S16): one that comes back empty has a new UUID and simply takes the place of the number it was
 * started with.
 */
import { z } from 'zod';
import { instanceId, uuid, type InstanceId, type Uuid } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import type { Address } from '../env/network.ts';
import { CoordinatorError, type Compare, type Coordinator, type Entry, type Revision } from './coordinator.ts';
import { KvError } from '../base/errors.ts';
import { parseStandings, standingsKey } from './standings.ts';
import { decodeJson, encodeJson } from './values.ts';

export const gatewayPrefix = 'gateway/';
export const loggerPrefix = 'logger/';
export const gatewayKey = (number: number): string => `${gatewayPrefix}${number}`;
export const loggerKey = (number: number): string => `${loggerPrefix}${number}`;
const attemptsMax = 20;

export interface GatewayMember {
  readonly uuid: Uuid;
  readonly instance: InstanceId;
  readonly peerAddress: Address;
  readonly clientAddress: Address;
}

export interface LoggerMember {
  readonly uuid: Uuid;
  readonly instance: InstanceId;
  readonly readAddress: Address;
  readonly writeAddress: Address;
}

/** A member as it is listed: under its number of the config file (0, 1, ...), registered at `revision`. */
export type Numbered<T> = T & { readonly number: number; readonly revision: Revision };

export interface Members {
  readonly gateways: readonly Numbered<GatewayMember>[];
  readonly loggers: readonly Numbered<LoggerMember>[];
  /** Revision of this reading: to watch from. */
  readonly revision: Revision;
}

const identity = { uuid: z.string().regex(/^[0-9a-f]{32}$/), instance: z.string().regex(/^[0-9a-f]{16}$/) };
const address = z.string().min(3).max(300);
const gatewayShape = z.object({ ...identity, peerAddress: address, clientAddress: address });
const loggerShape = z.object({ ...identity, readAddress: address, writeAddress: address });

/** @throws KvError `data-damaged` */
export function parseMemberGateway(entry: Entry): Numbered<GatewayMember> {
  const member = decodeJson(entry, gatewayShape);
  const number = memberNumber(entry.key, gatewayPrefix, limits.gatewayCountMax);
  return { ...member, ...ids(member), number, revision: entry.revision };
}

/** @throws KvError `data-damaged` */
export function parseMemberLogger(entry: Entry): Numbered<LoggerMember> {
  const member = decodeJson(entry, loggerShape);
  const number = memberNumber(entry.key, loggerPrefix, limits.loggerCountMax);
  return { ...member, ...ids(member), number, revision: entry.revision };
}

function ids(member: { readonly uuid: string; readonly instance: string }): {
  readonly uuid: Uuid;
  readonly instance: InstanceId;
} {
  return { uuid: uuid(member.uuid), instance: instanceId(member.instance) };
}

function memberNumber(key: string, prefix: string, countMax: number): number {
  const digits = key.slice(prefix.length);
  const number = Number(digits);
  if (!key.startsWith(prefix) || !/^(0|[1-9][0-9]{0,8})$/.test(digits) || number >= countMax) {
    throw new KvError('data-damaged', `the coordinator's key '${key}' names no member: ${prefix}0..${countMax - 1}`);
  }
  return number;
}

/**
 * Writes gateway `number`'s entry, whoever stood there before. @throws KvError `bad-argument`. @throws CoordinatorError
 */
export async function registerGateway(
  coordinator: Coordinator,
  number: number,
  member: GatewayMember,
): Promise<Revision> {
  checkNumber(number, limits.gatewayCountMax, 'gateway');
  return register(coordinator, gatewayKey(number), gatewayShape, member);
}

/**
 * Writes logger `number`'s entry, whoever stood there before, and takes away entries of the same logger under other
 * numbers: it has moved. Unless it runs there: `isTwin` says of an entry that names the same logger, and another
 * process, whether that process lives, and then nothing is written, since a disk is one logger (S16). Nor is it of one
 * that was declared lost.
 * @throws KvError `bad-argument`, `logger-twice`, `logger-lost`. @throws CoordinatorError
 */
export async function registerLogger(
  coordinator: Coordinator,
  number: number,
  member: LoggerMember,
  isTwin: (other: Numbered<LoggerMember>) => Promise<boolean> = () => Promise.resolve(false),
): Promise<Revision> {
  checkNumber(number, limits.loggerCountMax, 'logger');
  return register(coordinator, loggerKey(number), loggerShape, member, async () => {
    const others = (await namesakes(coordinator, member)).filter(({ instance }) => instance !== member.instance);
    for (const other of others)
      if (await isTwin(other)) throw new KvError('logger-twice', twiceMessage(number, member, other));
    // As they were seen: another logger may have come to that number meanwhile, and stays.
    const gone = others
      .filter((other) => other.number !== number)
      .map((other) => ({ key: loggerKey(other.number), revision: other.revision }));
    return { gone, compares: [await notLost(coordinator, number, member)] };
  });
}

/**
 * What must not change while the logger registers: its copies were made again elsewhere, and take-overs have gone on
 * without its word, so that it is a replica of nothing any more.
 */
async function notLost(coordinator: Coordinator, number: number, { uuid: logger }: LoggerMember): Promise<Compare> {
  const entry = await coordinator.get(standingsKey);
  if (!parseStandings(entry).lost.has(logger)) return { key: standingsKey, revision: entry?.revision ?? 0 };
  throw new KvError(
    'logger-lost',
    `logger ${number} has the UUID ${logger}, which was declared lost: what it held was copied to others, and its own ` +
      'copies count for nothing. Give it an empty folder: it comes back as a new logger',
  );
}

/** Entries that name the same logger. Those that are damaged are left to whoever reads all. */
async function namesakes(coordinator: Coordinator, { uuid: logger }: LoggerMember): Promise<Numbered<LoggerMember>[]> {
  const { entries } = await coordinator.list(loggerPrefix);
  return entries.flatMap((entry) => {
    try {
      const other = parseMemberLogger(entry);
      return other.uuid === logger ? [other] : [];
    } catch (error) {
      if (error instanceof KvError) return [];
      throw error;
    }
  });
}

function twiceMessage(number: number, { uuid: logger }: LoggerMember, other: Numbered<LoggerMember>): string {
  return (
    `logger ${number} has the UUID ${logger}, and so has another process, logger ${other.number}, which answers at ` +
    `${other.readAddress}: one folder is a copy of the other. Start the one that is right, and give the other an empty ` +
    'folder: it comes back as a new logger'
  );
}

function checkNumber(number: number, countMax: number, what: string): void {
  if (Number.isInteger(number) && number >= 0 && number < countMax) return;
  throw new KvError('bad-argument', `${what} numbers are 0..${countMax - 1}, got ${number}`);
}

interface Circumstances {
  readonly gone: readonly Compare[];
  readonly compares: readonly Compare[];
}

/**
 * A member writes its own entry only, so reading it back settles an unknown outcome: the entry equals what was to be
 * written, or the write is tried once more against what is there. An older one of the same content that arrives late
 * changes nothing.
 */
async function register<T>(
  coordinator: Coordinator,
  key: string,
  shape: z.ZodType<unknown>,
  member: T,
  /** Entries that go with this one, and what must be as it is. */
  circumstances: () => Promise<Circumstances> = () => Promise.resolve({ gone: [], compares: [] }),
): Promise<Revision> {
  const checked = shape.safeParse(member);
  if (!checked.success)
    throw new KvError('bad-argument', `cannot register ${key}: ${checked.error.issues[0]?.message ?? ''}`);
  const value = encodeJson(checked.data);
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const entry = await coordinator.get(key);
    const { gone, compares } = await circumstances();
    if (entry !== undefined && sameBytes(entry.value, value) && gone.length === 0) return entry.revision;
    try {
      const result = await coordinator.transact(
        [{ key, revision: entry?.revision ?? 0 }, ...gone, ...compares],
        [{ key, value }, ...gone.map((one) => ({ key: one.key, value: undefined }))],
      );
      if (result.kind === 'applied') return result.revision;
    } catch (error) {
      if (!(error instanceof CoordinatorError) || error.outcome !== 'unknown') throw error;
    }
  }
  throw new CoordinatorError('unknown', `${key} could not be registered in ${attemptsMax} attempts`);
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** All members, by number. @throws KvError `data-damaged`. @throws CoordinatorError */
export async function listMembers(coordinator: Coordinator): Promise<Members> {
  const gateways = await coordinator.list(gatewayPrefix);
  const loggers = await coordinator.list(loggerPrefix);
  return {
    gateways: gateways.entries.map(parseMemberGateway).sort((a, b) => a.number - b.number),
    loggers: loggers.entries.map(parseMemberLogger).sort((a, b) => a.number - b.number),
    // Two lists, two moments: from the earlier one no change of either is missed.
    revision: Math.min(gateways.revision, loggers.revision),
  };
}
