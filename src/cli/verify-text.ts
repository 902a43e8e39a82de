/** What `verify` found, for people and for scripts. */
import type { Uuid } from '../base/ids.ts';
import { programName, type CliIo } from './io.ts';
import type { ClusterView } from './status.ts';
import { loggerNumber } from './status-plans.ts';
import { styleFor, type Style } from './style.ts';
import { formatBytes, formatCount, formatTable } from './table.ts';
import { countOf, type VerifiedCopy, type ZoneToVerify } from './verify-copies.ts';
import { curedCount, type RepairedCopy } from './verify-repair.ts';

export interface Verified {
  readonly view: ClusterView;
  readonly zones: readonly ZoneToVerify[];
  readonly copies: readonly VerifiedCopy[];
  /** Zones of which sound copies hold different bytes. */
  readonly differing: readonly ZoneToVerify[];
  /** Undefined: nothing was to be repaired. */
  readonly repaired: readonly RepairedCopy[] | undefined;
  readonly tookMs: number;
}

type Kind = VerifiedCopy['finding']['kind'];

const right = 'right' as const;
const outcomes: Readonly<Record<RepairedCopy['outcome'], string>> = {
  replaced: 'made anew',
  sound: 'sound when read again',
  waits: 'waits for the end of its zone',
  alone: 'not repaired: no other copy is listed',
  damaged: 'still damaged',
};

export function jsonOf({ view, zones, copies, differing, repaired, tookMs }: Verified): object {
  const place = ({ zone: { shard, zone }, replica }: VerifiedCopy): object => ({
    shard,
    zone,
    logger: replica,
    number: numberOf(view, replica),
  });
  const of = (kind: Kind): object[] =>
    copies.flatMap((copy) =>
      copy.finding.kind === kind ? [{ ...place(copy), ...copy.finding, kind: undefined }] : [],
    );
  return {
    zones: zones.length,
    openZones: zones.filter(({ isOpen }) => isOpen).length,
    copies: copies.length,
    bytes: bytesOf(copies),
    tookMs: Math.round(tookMs),
    sound: countOf(copies, 'sound'),
    damaged: of('damaged'),
    unreached: of('unreached'),
    differing: differing.map(({ shard, zone }) => ({ shard, zone })),
    repaired: repaired?.map(({ copy, outcome }) => ({ ...place(copy), outcome })),
  };
}

function numberOf({ loggers }: ClusterView, replica: Uuid): number | undefined {
  return loggers.find((answer) => answer.ok && answer.value.status.logger === replica)?.number;
}

function bytesOf(copies: readonly VerifiedCopy[]): number {
  return copies.reduce((sum, { zone, finding }) => sum + (finding.kind === 'sound' ? zone.length : 0), 0);
}

export function textOf(io: CliIo, verified: Verified): string {
  const { view, copies, differing, repaired } = verified;
  const style = styleFor(io, io.out);
  const differ = differing.map(({ shard, zone }) => `shard ${shard}, zone ${zone}: sound copies hold different bytes`);
  const parts = [
    shardTable(verified),
    damageTable(view, copies, repaired),
    [...outOfReach(view, copies), ...differ].map((line) => style.red(line)).join('\n'),
    summary(io, verified, style),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function shardTable({ zones, copies }: Verified): string {
  const columns = ['shard', 'zones', 'open', 'copies', 'bytes', 'sound', 'damaged', 'not read'];
  const shards = [...new Set(zones.map(({ shard }) => shard))];
  const rows = shards.map((shard) => {
    const own = zones.filter((zone) => zone.shard === shard);
    const all = copies.filter(({ zone }) => zone.shard === shard);
    const counts = [countOf(all, 'sound'), countOf(all, 'damaged'), countOf(all, 'unreached')];
    const open = own.filter(({ isOpen }) => isOpen).length;
    return [shard, formatCount(own.length), open, formatCount(all.length), formatBytes(bytesOf(all)), ...counts];
  });
  return formatTable(
    columns.map((title) => ({ title, align: right })),
    rows,
  );
}

function damageTable(
  view: ClusterView,
  copies: readonly VerifiedCopy[],
  repaired: readonly RepairedCopy[] | undefined,
): string {
  const said = new Map(repaired?.map(({ copy, outcome }) => [copy, outcomes[outcome]]));
  const rows = copies.flatMap((copy) => {
    const { zone, replica, finding } = copy;
    if (finding.kind !== 'damaged') return [];
    const place = [loggerNumber(view, replica), zone.shard, zone.zone, finding.offset, zone.length];
    return [[...place, finding.problem, ...(repaired === undefined ? [] : [said.get(copy) ?? ''])]];
  });
  if (rows.length === 0) return '';
  const numbers = ['logger', 'shard', 'zone', 'good up to', 'of'].map((title) => ({ title, align: right }));
  const texts = [{ title: 'what is wrong there' }, ...(repaired === undefined ? [] : [{ title: 'repair' }])];
  return formatTable([...numbers, ...texts], rows);
}

/** One line for each logger and reason. */
function outOfReach(view: ClusterView, copies: readonly VerifiedCopy[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { replica, finding } of copies) {
    if (finding.kind !== 'unreached') continue;
    const line = `of logger ${loggerNumber(view, replica)} could not be read: ${finding.reason}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return [...counts].map(([line, count]) => `${copiesText(count)} ${line}`);
}

function summary(io: CliIo, { zones, copies, differing, repaired, tookMs }: Verified, style: Style): string {
  const sound = countOf(copies, 'sound');
  const damaged = countOf(copies, 'damaged');
  const cured = curedCount(repaired);
  const read = `${formatBytes(bytesOf(copies))} in ${(tookMs / 1000).toFixed(1)} s`;
  const isSound = sound === copies.length && differing.length === 0;
  const zonesText = zones.length === 1 ? 'one zone' : `${formatCount(zones.length)} zones`;
  if (isSound) return style.green(`all ${copiesText(sound)} of ${zonesText} are sound (${read})`);
  const line = `${formatCount(sound)} of ${copiesText(copies.length)} are sound (${read})`;
  if (damaged === 0) return style.red(line);
  if (repaired === undefined)
    return `${style.red(line)}; \`${programName(io)} verify --repair\` has damaged ones made anew`;
  const result = `${line}; ${cured} of ${damaged} damaged ones are repaired`;
  return cured === damaged ? style.green(result) : style.red(result);
}

function copiesText(count: number): string {
  return `${formatCount(count)} ${count === 1 ? 'copy' : 'copies'}`;
}
