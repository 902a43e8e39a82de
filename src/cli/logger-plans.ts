/** `logger lost`, `logger drain`, `logger undrain`: what an operator plans with a logger, told to the cluster. */
import { KvError } from '../base/errors.ts';
import type { Uuid } from '../base/ids.ts';
import { silent } from '../base/log.ts';
import { openExistingCluster } from '../coordinator/open-cluster.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import type { LoggerMember, Numbered } from '../coordinator/members.ts';
import { listMembers } from '../coordinator/members.ts';
import {
  countOf,
  declareLost,
  drainLogger,
  listZones,
  namesOf,
  undrainLogger,
} from '../coordinator/planned-changes.ts';
import { parseStandings, standingsKey } from '../coordinator/standings.ts';
import { placeOf, type ClusterConfig } from './config.ts';
import { operatingError } from './errors.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { findCluster } from './find-cluster.ts';
import { programName, type CliIo } from './io.ts';
import { askGateway, askLogger } from './node-calls.ts';

export interface PlanOptions {
  readonly config?: string | undefined;
  readonly timeout: number;
  readonly json?: boolean | undefined;
  /** Declares a logger lost although zones are lost with it. */
  readonly force?: boolean | undefined;
}

export type LoggerPlan = 'lost' | 'drain' | 'undrain';

/** A logger that is meant; undefined number: no entry of the members names it any more. */
interface Named {
  readonly uuid: Uuid;
  readonly number: number | undefined;
}

/** @throws KvError `unknown-id`, `bad-argument`, `logger-live`, `last-copy`, `too-few-loggers`, `logger-lost` */
export async function planLogger(io: CliIo, plan: LoggerPlan, text: string, options: PlanOptions): Promise<ExitCode> {
  const { config } = await findCluster(io, options);
  if (config === undefined)
    throw new KvError('bad-argument', 'this command writes to the coordinator: it needs --config FILE');
  const { coordinator } = await openExistingCluster(io.environment, placeOf(config), silent);
  try {
    const { loggers } = await listMembers(coordinator);
    const logger = await findLogger(coordinator, loggers, text);
    const said = await carryOut(io, plan, { coordinator, config, loggers, logger }, options);
    const { uuid, number } = logger;
    if (options.json === true) io.out.write(`${JSON.stringify({ logger: uuid, number, ...said.json })}\n`);
    else io.out.write(`${said.lines.join('\n')}\n`);
    return exitCodes.ok;
  } finally {
    await coordinator.close();
  }
}

interface Case {
  readonly coordinator: Coordinator;
  readonly config: ClusterConfig;
  readonly loggers: readonly Numbered<LoggerMember>[];
  readonly logger: Named;
}

interface Said {
  readonly lines: readonly string[];
  readonly json: object;
}

async function carryOut(io: CliIo, plan: LoggerPlan, about: Case, options: PlanOptions): Promise<Said> {
  const { coordinator, config, logger } = about;
  switch (plan) {
    case 'lost':
      return await lose(io, about, options);
    case 'drain': {
      await drainLogger(coordinator, logger.uuid, Math.min(config.replicas, config.loggers.length));
      const held = (await listZones(coordinator)).filter(({ replicas }) => replicas.includes(logger.uuid));
      const lines = [
        `${nameOf(logger)} drains: it gets no new zone, and ${countOf(held)} that it holds go to others.`,
        `\`${programName(io)} status\` says when it may be removed.`,
      ];
      return { lines, json: { standing: 'draining', zones: held.length } };
    }
    case 'undrain':
      await undrainLogger(coordinator, logger.uuid);
      return { lines: [`${nameOf(logger)} drains no more.`], json: { standing: 'member' } };
  }
}

async function lose(io: CliIo, { coordinator, config, loggers, logger }: Case, options: PlanOptions): Promise<Said> {
  await checkDead(io, config, loggers, logger, options.timeout);
  const last = await declareLost(coordinator, logger.uuid, options.force ?? false);
  const lines = [
    `${nameOf(logger)} is lost, for ever: nothing waits for it, and others get copies of what it held.`,
    'Should it come back, it is refused: give it an empty folder, and it is a new logger.',
  ];
  if (last.length > 0)
    lines.push(
      `It held the only copy of ${countOf(last)} (${namesOf(last)}): keys whose values lie there are damaged.`,
    );
  const damaged = last.map(({ shard, zone }) => ({ shard, zone }));
  return { lines, json: { standing: 'lost', damaged } };
}

/** By number, or by UUID or its beginning, as `status` shows it. */
async function findLogger(
  coordinator: Coordinator,
  loggers: readonly Numbered<LoggerMember>[],
  text: string,
): Promise<Named> {
  if (/^\d{1,3}$/.test(text)) {
    const member = loggers.find(({ number }) => number === Number(text));
    if (member === undefined)
      throw new KvError('unknown-id', `there is no logger ${text}; allowed: ${namesIn(loggers)}`);
    return member;
  }
  if (!/^[0-9a-f]{8,32}$/.test(text))
    throw new KvError(
      'bad-argument',
      `logger: found '${text}'; allowed: its number, or its UUID, of which the first 8 digits will do`,
    );
  const { draining, lost } = parseStandings(await coordinator.get(standingsKey));
  const listed = (await listZones(coordinator)).flatMap(({ replicas }) => replicas);
  const known = new Set([...loggers.map(({ uuid }) => uuid), ...draining, ...lost, ...listed]);
  const [uuid, ...more] = [...known].filter((name) => name.startsWith(text));
  if (uuid === undefined)
    throw new KvError('unknown-id', `no logger has the UUID ${text}; allowed: ${namesIn(loggers)}`);
  if (more.length > 0) throw new KvError('bad-argument', `several loggers have UUIDs that begin with ${text}`);
  return { uuid, number: loggers.find((member) => member.uuid === uuid)?.number };
}

function namesIn(loggers: readonly Numbered<LoggerMember>[]): string {
  return loggers.map(({ number, uuid }) => `${number} (${uuid.slice(0, 8)})`).join(', ');
}

function nameOf({ uuid, number }: Named): string {
  return number === undefined ? `logger ${uuid}` : `logger ${number} (${uuid})`;
}

/** Who answers, itself or to a gateway, is not lost. @throws KvError `logger-live` */
async function checkDead(
  io: CliIo,
  config: ClusterConfig,
  loggers: readonly Numbered<LoggerMember>[],
  logger: Named,
  timeoutMs: number,
): Promise<void> {
  const { environment } = io;
  const live = (how: string): KvError =>
    new KvError('logger-live', `${nameOf(logger)} ${how}: stop it first, or drain it, which loses nothing`);
  const places = loggers.filter(({ uuid }) => uuid === logger.uuid).map(({ readAddress }) => readAddress);
  await Promise.all([
    ...places.map(async (address) => {
      const answer = await answerOf(askLogger(environment, address, timeoutMs));
      if (answer?.status.logger === logger.uuid) throw live(`answers at ${address}`);
    }),
    ...config.gateways.map(async ({ id, clientAddress }) => {
      const answer = await answerOf(askGateway(environment, clientAddress, timeoutMs));
      const isConnected = answer?.loggers.some(({ uuid, connected }) => uuid === logger.uuid && connected);
      if (isConnected === true) throw live(`is connected with gateway ${id}`);
    }),
  ]);
}

/** Undefined: there is none. */
async function answerOf<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (operatingError(error) === undefined) throw error;
    return undefined;
  }
}
