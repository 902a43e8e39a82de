/**
 * Standings of loggers, as the operator has said them: one that drains gets no new zone and leaves the lists, one that
 * is lost never returns, and is a replica of nothing any more. One entry holds all of them, so that of two words that
 * are given at once the second is judged knowing the first. They go by UUID: who takes the place, or the number, of a
 * logger is another one (S16).
 */
import { z } from 'zod';
import { uuid, type Uuid } from '../base/ids.ts';
import { limits } from '../base/limits.ts';
import { KvError } from '../base/errors.ts';
import { CoordinatorError, type Coordinator, type Entry, type Revision } from './coordinator.ts';
import { decodeJson, encodeJson } from './values.ts';

export const standingsKey = 'standings';
const attemptsMax = 20;

/** `member`: nothing is planned with it. */
export type Standing = 'member' | 'draining' | 'lost';

export interface Standings {
  readonly draining: ReadonlySet<Uuid>;
  readonly lost: ReadonlySet<Uuid>;
}

/** Standings of a cluster whose operator has said nothing. */
export const noStandings: Standings = { draining: new Set(), lost: new Set() };

// Fields that are not known here stay as they are.
const one = z.looseObject({ standing: z.enum(['member', 'draining', 'lost']) });
const shape = z.looseObject({ loggers: z.record(z.string().regex(/^[0-9a-f]{32}$/), one) });
type Content = z.infer<typeof shape>;

/** `entry`: undefined when the coordinator has none. @throws KvError `data-damaged` */
export function parseStandings(entry: Entry | undefined): Standings {
  if (entry === undefined) return noStandings;
  const { loggers } = decodeJson(entry, shape);
  const named = (wanted: Standing): Set<Uuid> =>
    new Set(
      Object.entries(loggers)
        .filter(([, { standing }]) => standing === wanted)
        .map(([name]) => uuid(name)),
    );
  return { draining: named('draining'), lost: named('lost') };
}

export function standingOf({ draining, lost }: Standings, logger: Uuid): Standing {
  if (lost.has(logger)) return 'lost';
  return draining.has(logger) ? 'draining' : 'member';
}

/**
 * Writes the logger's standing. `judge` is asked each time before, with the standings that this word would follow, and
 * throws when it must not be given: nothing is written then. An unknown outcome is settled by reading. Returns the
 * revision of the standings.
 * @throws KvError `bad-argument`, `data-damaged`, `logger-lost` (a lost logger gets no other standing); what `judge`
 * throws. @throws CoordinatorError
 */
export async function setStanding(
  coordinator: Coordinator,
  logger: Uuid,
  standing: Standing,
  judge: (known: Standings) => Promise<void>,
): Promise<Revision> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const entry = await coordinator.get(standingsKey);
    const known = parseStandings(entry);
    const now = standingOf(known, logger);
    if (now === standing) return entry?.revision ?? 0;
    if (now === 'lost') throw new KvError('logger-lost', `logger ${logger} was declared lost, which is for ever`);
    await judge(known);
    const content: Content = entry === undefined ? { loggers: {} } : decodeJson(entry, shape);
    const loggers = { ...content.loggers, [logger]: { ...content.loggers[logger], standing } };
    if (Object.keys(loggers).length > limits.standingsMax)
      throw new KvError('bad-argument', `standings of more than ${limits.standingsMax} loggers`);
    try {
      const result = await coordinator.transact(
        [{ key: standingsKey, revision: entry?.revision ?? 0 }],
        [{ key: standingsKey, value: encodeJson({ ...content, loggers }) }],
      );
      if (result.kind === 'applied') return result.revision;
    } catch (error) {
      if (!(error instanceof CoordinatorError) || error.outcome !== 'unknown') throw error;
    }
  }
  throw new CoordinatorError('unknown', `${standingsKey} could not be written in ${attemptsMax} attempts`);
}
