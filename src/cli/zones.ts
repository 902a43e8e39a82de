/** `zones`: the report-zones view of every logger; with digests, whether the replicas hold the same bytes. */
import type { DigestItem, ZoneStatus } from '../codec/logger-protocol.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { findCluster } from './find-cluster.ts';
import type { CliIo } from './io.ts';
import type { RequestOptions } from './kv-commands.ts';
import { complaintsOf, doubtsOf, missingCopies, sealedZones, type SealedCopies } from './listed-copies.ts';
import { askLogger } from './node-calls.ts';
import { viewCluster, type ClusterView } from './status.ts';
import { formatBytes, formatTable } from './table.ts';

export interface ZonesOptions extends RequestOptions {
  readonly digest?: boolean | undefined;
}

interface ZoneRow {
  readonly logger: number;
  readonly zone: ZoneStatus;
}

/**
 * Exit code 4 when digests of one zone differ or a listed replica lacks a zone or its tail, 1 when a logger does not
 * answer. @throws KvError `unavailable`, `connection-lost`, `timeout`, `protocol-error`
 */
export async function zones(io: CliIo, options: ZonesOptions): Promise<ExitCode> {
  const found = await findCluster(io, options);
  const look = (): Promise<ClusterView> => viewCluster(io, found, options.timeout);
  const view = await look();
  const sealed = await sealedZones(io, view, options.timeout);
  const missing = await missingCopies(view, sealed, look);
  const rows = options.digest === true ? await digested(io, view, options.timeout) : rowsOf(view);
  const different = differing(rows);
  const inDoubt = sealed.filter(({ doubt }) => doubt !== '');
  if (options.json === true) {
    const zones = rows.map(({ logger, zone }) => ({ logger, ...zone }));
    io.out.write(`${JSON.stringify({ zones, differing: different, missing, inDoubt })}\n`);
  } else io.out.write(`${tableOf(rows, inDoubt, options.digest === true)}\n`);
  for (const answer of view.loggers)
    if (!answer.ok) io.err.write(`kv-filelog: logger ${answer.number} does not answer: ${answer.reason}\n`);
  for (const name of different) io.err.write(`kv-filelog: ${name}: the replicas hold different bytes\n`);
  for (const doubt of doubtsOf(inDoubt)) io.err.write(`kv-filelog: ${doubt}\n`);
  for (const complaint of complaintsOf(view, missing)) io.err.write(`kv-filelog: ${complaint}\n`);
  if (different.length > 0 || missing.length > 0) return exitCodes.wrong;
  return view.loggers.every(({ ok }) => ok) ? exitCodes.ok : exitCodes.failed;
}

function rowsOf(view: ClusterView): readonly ZoneRow[] {
  const rows = view.loggers.flatMap((answer) =>
    answer.ok ? answer.value.zones.map((zone) => ({ logger: answer.number, zone })) : [],
  );
  return rows.sort((a, b) => a.zone.shard - b.zone.shard || a.zone.zone - b.zone.zone || a.logger - b.logger);
}

/**
 * Asks for the hash of what all copies of a zone hold: a finished zone's whole length, else the shortest copy's. What
 * lies beyond in a longer copy was never acknowledged by all, so it is nobody's.
 */
async function digested(io: CliIo, view: ClusterView, timeoutMs: number): Promise<readonly ZoneRow[]> {
  const lengths = new Map<string, DigestItem>();
  for (const { zone } of rowsOf(view)) {
    const key = nameOf(zone);
    const length = Math.min(zone.length, lengths.get(key)?.length ?? Number.POSITIVE_INFINITY);
    lengths.set(key, { shard: zone.shard, zone: zone.zone, length });
  }
  const loggers = view.loggers.map(async (answer) => {
    if (!answer.ok) return answer;
    const wanted = answer.value.zones.flatMap((zone) => lengths.get(nameOf(zone)) ?? []);
    return { ...answer, value: await askLogger(io.environment, answer.address, timeoutMs, wanted) };
  });
  return rowsOf({ ...view, loggers: await Promise.all(loggers) });
}

function nameOf(zone: ZoneStatus): string {
  return `shard ${zone.shard}, zone ${zone.zone}`;
}

function differing(rows: readonly ZoneRow[]): readonly string[] {
  const digests = new Map<string, Set<string>>();
  for (const { zone } of rows) {
    if (zone.digest !== undefined)
      digests.set(nameOf(zone), (digests.get(nameOf(zone)) ?? new Set<string>()).add(zone.digest));
  }
  return [...digests].flatMap(([name, set]) => (set.size > 1 ? [name] : []));
}

function tableOf(rows: readonly ZoneRow[], inDoubt: readonly SealedCopies[], hasDigests: boolean): string {
  const doubts = new Map(inDoubt.map(({ shard, zone, doubt }) => [`${shard}/${zone}`, doubt]));
  const right = 'right' as const;
  const columns = [
    { title: 'shard', align: right },
    { title: 'zone', align: right },
    { title: 'logger', align: right },
    { title: 'state' },
    { title: 'epoch', align: right },
    { title: 'write pointer', align: right },
    { title: 'batches', align: right },
    { title: 'occupied', align: right },
    { title: 'capacity', align: right },
    ...(doubts.size > 0 ? [{ title: 'doubt' }] : []),
    ...(hasDigests ? [{ title: 'SHA-256 of the committed bytes' }] : []),
  ];
  const lines = rows.map(({ logger, zone }) => [
    zone.shard,
    zone.zone,
    logger,
    zone.state,
    zone.epoch,
    zone.length,
    zone.batches,
    formatBytes(zone.occupied),
    formatBytes(zone.capacity),
    ...(doubts.size > 0 ? [doubts.get(`${zone.shard}/${zone.zone}`) ?? ''] : []),
    ...(hasDigests ? [zone.digest ?? ''] : []),
  ]);
  return formatTable(columns, lines);
}
