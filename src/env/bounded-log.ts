/**
 * A log that nothing can flood: what happens a thousand times is a few lines a minute.
 *
 * Lines are of one kind when they have the same level and event, happen at the same place (shard, logger, port ...) and
 * give the same reason, numbers in it aside. The first of a kind is written at once, what follows within `periodMs` is
 * counted, and one line at its end says how often, with the newest fields. Kinds are bounded too: beyond
 * `kindsPerEventMax` of one event in a period, all others of it are one.
 *
 * It owns the counts. It does not own how a line is written, nor what is worth one.
 */
import type { Log, LogLevel } from '../base/log.ts';
import type { Clock, Timer } from './clock.ts';

export const boundedLogLimits = {
  periodMs: 60_000,
  /** Lines of one kind that are written at once in a period. */
  atOnce: { debug: Number.POSITIVE_INFINITY, info: 5, warn: 1, error: 1 },
  kindsPerEventMax: 64,
} as const;

/** Fields whose values say where it happened: two places are two kinds. Other numbers only vary. */
const placeFields: ReadonlySet<string> = new Set(['shard', 'logger', 'gateway', 'port', 'id', 'door', 'method']);

type Fields = Parameters<Log>[2];

interface Kind {
  readonly level: LogLevel;
  readonly event: string;
  /** Lines written in this period. */
  written: number;
  /** Lines that were not, and the fields of the newest. */
  counted: number;
  fields: Fields;
  timer: Timer | undefined;
}

export class BoundedLog {
  readonly #clock: Clock;
  readonly #target: Log;
  /** Kinds of each event that had a line in the last period, by their name. */
  readonly #events = new Map<string, Map<string, Kind>>();

  constructor(clock: Clock, target: Log) {
    this.#clock = clock;
    this.#target = target;
  }

  readonly log: Log = (level, event, fields) => {
    const kind = this.#kindOf(level, event, fields);
    if (kind.written < boundedLogLimits.atOnce[level]) {
      kind.written += 1;
      this.#target(level, event, fields);
      return;
    }
    kind.counted += 1;
    kind.fields = fields;
  };

  /** Writes what was counted, as information: it is news of what is past. Idempotent. */
  close(): void {
    for (const kinds of this.#events.values())
      for (const kind of kinds.values()) {
        kind.timer?.cancel();
        this.#tell(kind, 'info');
      }
    this.#events.clear();
  }

  #kindOf(level: LogLevel, event: string, fields: Fields): Kind {
    let kinds = this.#events.get(event);
    if (kinds === undefined) this.#events.set(event, (kinds = new Map<string, Kind>()));
    const own = nameOf(level, fields);
    const name = kinds.has(own) || kinds.size < boundedLogLimits.kindsPerEventMax ? own : '';
    const known = kinds.get(name);
    if (known !== undefined) return known;
    const kind: Kind = { level, event, written: 0, counted: 0, fields, timer: undefined };
    kinds.set(name, kind);
    this.#endLater(name, kind);
    return kind;
  }

  /** A period without a line that was only counted ends the kind. */
  #endLater(name: string, kind: Kind): void {
    kind.timer = this.#clock.after(boundedLogLimits.periodMs, () => {
      if (this.#tell(kind, kind.level)) return this.#endLater(name, kind);
      const kinds = this.#events.get(kind.event);
      kinds?.delete(name);
      if (kinds?.size === 0) this.#events.delete(kind.event);
    });
  }

  /** False: nothing was counted. */
  #tell(kind: Kind, level: LogLevel): boolean {
    if (kind.counted === 0) return false;
    this.#target(level, kind.event, { ...kind.fields, repeated: kind.counted });
    kind.counted = 0;
    return true;
  }
}

function nameOf(level: LogLevel, fields: Fields = {}): string {
  const parts = Object.entries(fields).map(([name, value]) => {
    if (placeFields.has(name) || typeof value === 'boolean') return `${name}=${value}`;
    return typeof value === 'string' ? `${name}=${value.replaceAll(/[0-9a-f]*\d[0-9a-f]*/g, '#')}` : name;
  });
  return [level, ...parts].join(' ');
}
