/**
 * Whether a cluster has all its copies: each shard has an owner that lacks none, each zone that ended is listed at as
 * many loggers that live as there are to be copies, and these have them.
 */
import { askGateway, askListedZones } from '../../src/cli/node-calls.ts';
import type { ShardLine } from '../../src/codec/node-status.ts';
import type { Environment } from '../../src/env/environment.ts';

const askMsMax = 2_000;

/** End of a command of the CLI, and all that it wrote. */
export interface CommandEnd {
  readonly code: number;
  readonly text: string;
}

type World = Pick<Environment, 'clock' | 'network'>;

/** Each shard as its owner sees it; undefined for one without. */
export async function ownersOf(
  world: World,
  endpoints: readonly string[],
  shards: number,
): Promise<readonly (ShardLine | undefined)[]> {
  const answers = await Promise.allSettled(endpoints.map((address) => askGateway(world, address, askMsMax)));
  const lines = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value.shards : []));
  return Array.from({ length: shards }, (_, shard) =>
    lines.find((line) => line.shard === shard && line.role === 'owner'),
  );
}

/** First thing that is missing, in words; undefined: nothing is. */
export async function missingIn(
  world: World,
  endpoints: readonly string[],
  shards: number,
  copies: number,
): Promise<string | undefined> {
  const owners = await ownersOf(world, endpoints, shards);
  const wrong = owners.findIndex((line) => line?.lackingCopies !== 0 || line.replicas.length < copies);
  if (wrong !== -1) return `shard ${wrong}: ${JSON.stringify(owners[wrong] ?? 'no owner')}`;
  const address = endpoints[0] ?? '';
  const { loggers } = await askGateway(world, address, askMsMax);
  const live = new Set(loggers.filter(({ connected }) => connected).map(({ uuid }) => uuid));
  const listed = await askListedZones(world, address, shards, askMsMax);
  for (const [shard, zones] of listed.entries())
    for (const { zone, length, replicas } of zones) {
      const held = replicas.filter((replica) => live.has(replica)).length;
      if (length > 0 && held < copies) return `shard ${shard}, zone ${zone}: listed at ${held} loggers that live`;
    }
  return undefined;
}

/**
 * Complaints of `zones --digest`. Loggers that were wiped stay listed, and zones may rest on copies of loggers that
 * restarted: neither is a fault.
 */
export function complaintsOfDigest({ code, text }: CommandEnd): readonly string[] {
  const complaints = text.split('\n').filter((line) => line.startsWith('kv-filelog: '));
  if (code !== 0 && complaints.length === 0) return [`it ended with ${code}: ${text.slice(-500)}`];
  const isKnown = (line: string): boolean => /which no logger is any more|by copies of restarted loggers/.test(line);
  return complaints.filter((line) => !isKnown(line));
}
