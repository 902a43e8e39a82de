/**
 * The cluster's identity and the settings that never change: written once, by compare-and-set, under the key `cluster`.
 */
import { z } from 'zod';
import { KvError } from '../base/errors.ts';
import { uuid, type Uuid } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { randomHex, type Random } from '../env/random.ts';
import { CoordinatorError, type Coordinator, type Entry } from './coordinator.ts';
import { decodeJson, encodeJson } from './values.ts';

export const clusterKey = 'cluster';
/** Layout of what the coordinator holds. */
export const coordinatorFormat = 1;
const attemptsMax = 10;

export interface ClusterRecord {
  readonly cluster: Uuid;
  readonly shardCount: number;
  /** Bytes. */
  readonly zoneSize: number;
  readonly format: number;
}

export interface WantedCluster {
  readonly shardCount?: number | undefined;
  readonly zoneSize?: number | undefined;
}

const shape = z.object({
  cluster: z.string().regex(/^[0-9a-f]{32}$/),
  shardCount: z.int().min(1).max(limits.shardCountMax),
  zoneSize: z.int().min(limits.zoneBytesMin).max(limits.zoneBytesMax),
  format: z.int().min(1),
});

/** @throws KvError `data-damaged`, `newer-format` */
export function parseClusterRecord(entry: Entry): ClusterRecord {
  const format = decodeJson(entry, z.object({ format: z.int().min(1) })).format;
  if (format > coordinatorFormat) {
    throw new KvError(
      'newer-format',
      `the coordinator has format ${format}; this version knows formats up to ${coordinatorFormat}`,
    );
  }
  const record = decodeJson(entry, shape);
  return { ...record, cluster: uuid(record.cluster) };
}

/**
 * The cluster's record; creates it when there is none yet, which needs both settings. Several processes may do so at
 * once: one's record stays and the others see it.
 * @throws KvError `settings-differ` when `wanted` names another value than the cluster has, `bad-argument` when the
 * record is missing and `wanted` is incomplete or out of range. @throws CoordinatorError
 */
export async function joinCluster(
  coordinator: Coordinator,
  random: Random,
  wanted: WantedCluster,
): Promise<ClusterRecord> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const entry = await coordinator.get(clusterKey);
    if (entry !== undefined) return agreed(parseClusterRecord(entry), wanted);
    const value = encodeJson(proposal(random, wanted));
    try {
      await coordinator.transact([{ key: clusterKey, revision: 0 }], [{ key: clusterKey, value }]);
    } catch (error) {
      // Whoever's record is there is the right one: reading again settles an unknown outcome.
      if (!(error instanceof CoordinatorError) || error.outcome !== 'unknown') throw error;
    }
  }
  throw new CoordinatorError('unknown', `the cluster's record could not be created in ${attemptsMax} attempts`);
}

function proposal(random: Random, wanted: WantedCluster): ClusterRecord {
  const result = shape.safeParse({ ...wanted, cluster: randomHex(random, 16), format: coordinatorFormat });
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new KvError(
      'bad-argument',
      `cannot create the cluster: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
    );
  }
  return { ...result.data, cluster: uuid(result.data.cluster) };
}

function agreed(record: ClusterRecord, wanted: WantedCluster): ClusterRecord {
  const differences = (['shardCount', 'zoneSize'] as const).flatMap((name) => {
    const value = wanted[name];
    return value === undefined || value === record[name]
      ? []
      : [`${name} is ${record[name]}, but ${value} is asked for`];
  });
  if (differences.length === 0) return record;
  throw new KvError(
    'settings-differ',
    `cluster ${record.cluster} was created with other settings, which never change: ${differences.join('; ')}. ` +
      'Ask for what the cluster has (or leave the setting out), or use a new folder for a new cluster.',
  );
}
