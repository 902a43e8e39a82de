/**
 * `verify`: reads every copy that the metadata list, checks it, and compares the replicas of each zone; with `--repair`
 * it has damaged ones made anew. What is found is looked at a second time before it is said: a copy may leave a list,
 * or be replaced, while it is read.
 */
import { MIB } from '../base/units.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { findCluster } from './find-cluster.ts';
import type { CliIo } from './io.ts';
import type { RequestOptions } from './kv-commands.ts';
import { Progress } from './progress.ts';
import { viewCluster, type ClusterView } from './status.ts';
import type { VerifiedCopy, ZoneToVerify } from './verify-copies.ts';
import { copyName, CopyReading, countOf, differingZones, listedCopies, zonesToVerify } from './verify-copies.ts';
import { curedCount, repairCopies, type RepairedCopy } from './verify-repair.ts';
import { jsonOf, textOf, type Verified } from './verify-text.ts';

export interface VerifyOptions extends RequestOptions {
  readonly repair?: boolean | undefined;
  /** Bytes a second. */
  readonly rate: number;
  /** Milliseconds. */
  readonly wait: number;
}

/**
 * Exit code 4 when a copy is damaged (with `--repair`: and still is) or replicas differ, 1 when one could not be read.
 * @throws KvError `unavailable`, `connection-lost`, `timeout`, `protocol-error`
 */
export async function verify(io: CliIo, options: VerifyOptions): Promise<ExitCode> {
  const found = await findCluster(io, options);
  const { clock } = io.environment;
  const look = (): Promise<ClusterView> => viewCluster(io, found, options.timeout);
  const startMs = clock.now();
  const view = await look();
  const zones = await zonesToVerify(io, view, options.timeout);
  const reading = new CopyReading(io, options.timeout, options.rate);
  try {
    const copies = await secondLook(io, options, look, reading, await readAll(io, reading, view, zones));
    const tookMs = clock.now() - startMs;
    const damaged = copies.filter(({ finding }) => finding.kind === 'damaged');
    const repaired = options.repair === true ? await repair(io, options, look, reading, damaged) : undefined;
    const verified = { view, zones, copies, differing: differingZones(copies), repaired, tookMs };
    io.out.write(options.json === true ? `${JSON.stringify(jsonOf(verified))}\n` : textOf(io, verified));
    return exitCodeOf(verified);
  } finally {
    await reading.close();
  }
}

async function readAll(
  io: CliIo,
  reading: CopyReading,
  view: ClusterView,
  zones: readonly ZoneToVerify[],
): Promise<readonly VerifiedCopy[]> {
  const all = zones.reduce((sum, { length, replicas }) => sum + length * replicas.length, 0);
  const progress = new Progress(io.err, io.environment.clock, 'MiB');
  const copies: VerifiedCopy[] = [];
  let read = 0;
  try {
    for (const zone of zones) {
      const onRead = (bytes: number): void => progress.update((read += bytes) / MIB, read / all);
      copies.push(...(await reading.zone(view, zone, onRead)));
    }
  } finally {
    progress.finish();
  }
  return copies;
}

/** The same copies without those that are listed no more; what was not sound, was read again. */
async function secondLook(
  io: CliIo,
  { timeout }: VerifyOptions,
  look: () => Promise<ClusterView>,
  reading: CopyReading,
  copies: readonly VerifiedCopy[],
): Promise<readonly VerifiedCopy[]> {
  if (copies.every(({ finding }) => finding.kind === 'sound')) return copies;
  const view = await look();
  const listed = listedCopies(await zonesToVerify(io, view, timeout));
  const seen: VerifiedCopy[] = [];
  await reading.connectAnew();
  for (const copy of copies) {
    const { zone, replica, finding } = copy;
    if (finding.kind === 'sound') seen.push(copy);
    else if (listed.has(copyName(copy))) {
      const [again = copy] = await reading.zone(view, { ...zone, replicas: [replica] });
      seen.push({ ...again, zone });
    }
  }
  return seen;
}

async function repair(
  io: CliIo,
  { timeout, wait }: VerifyOptions,
  look: () => Promise<ClusterView>,
  reading: CopyReading,
  damaged: readonly VerifiedCopy[],
): Promise<readonly RepairedCopy[]> {
  if (damaged.length === 0) return [];
  const progress = new Progress(io.err, io.environment.clock, 'copies made anew');
  const onDone = (done: number): void => progress.update(done, done / damaged.length);
  try {
    return await repairCopies(io, { look, reading, timeoutMs: timeout, waitMs: wait, onDone }, damaged);
  } finally {
    progress.finish();
  }
}

function exitCodeOf({ copies, differing, repaired }: Verified): ExitCode {
  if (countOf(copies, 'damaged') > curedCount(repaired) || differing.length > 0) return exitCodes.wrong;
  return countOf(copies, 'unreached') > 0 ? exitCodes.failed : exitCodes.ok;
}
