/**
 * What `status` says of loggers that are to leave, and of take-overs that wait for loggers, so that an operator knows
 * what to do.
 */
import type { GatewayStatus, LoggerLine, ShardLine } from '../codec/node-status.ts';

/** Answers of gateways, those that there are. */
interface Answers {
  readonly gateways: readonly ({ readonly ok: true; readonly value: GatewayStatus } | { readonly ok: false })[];
}

/** Loggers as the gateways that answer know them. */
function linesOf({ gateways }: Answers): LoggerLine[] {
  return gateways.flatMap((answer) => (answer.ok ? answer.value.loggers : []));
}

/** A logger of this number as a gateway that answers knows it. */
export function lineOf(view: Answers, number: number): LoggerLine | undefined {
  return linesOf(view).find((line) => line.number === number);
}

/** What the operator plans with a logger, and how far it is. */
export function planOf(line: LoggerLine | undefined): string {
  if (line === undefined || line.standing === 'member') return '';
  if (line.standing === 'lost') return 'lost';
  if (line.listedZones === 0) return 'drained: may be removed';
  return `draining, ${line.listedZones} ${line.listedZones === 1 ? 'zone' : 'zones'} to go`;
}

/** Where a take-over waits for loggers, and what an operator can do. */
export function waitsOf(view: Answers, shards: readonly ShardLine[], name: string): readonly string[] {
  const waits = shards.filter(({ waiting }) => waiting !== '');
  if (waits.length === 0) return [];
  const lines = waits.map(({ shard, waiting, waitsFor }) => {
    const loggers = waitsFor.map((uuid) => loggerNumber(view, uuid)).join(', ');
    return `shard ${shard} waits for ${loggers === '' ? 'loggers' : `logger ${loggers}`}: ${waiting}`;
  });
  const [logger, ...others] = new Set(waits.flatMap(({ waitsFor }) => waitsFor));
  if (logger === undefined) return [lines.join('\n')];
  const which = others.length === 0 ? loggerNumber(view, logger) : '<number or UUID>';
  return [[...lines, `If it will never return: \`${name} logger lost ${which}\``].join('\n')];
}

/** Number of a logger, which need not answer, or the beginning of its UUID. */
export function loggerNumber(view: Answers, uuid: string): string {
  const line = linesOf(view).find((one) => one.uuid === uuid);
  return line === undefined ? uuid.slice(0, 8) : String(line.number);
}
