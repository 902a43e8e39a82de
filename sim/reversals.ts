/**
 * What faults have put back to an older state or spoilt, so that checkers forgive exactly that: a logger's copies of
 * the zones that it held then, copies that rotted, and the metadata of shards while it is the older one.
 *
 * It owns what was done to whom and when, and that one disk of a life is spoilt. It does not own the faults
 * (faults/put-back.ts, faults/rot-zones.ts, faults/metadata-back.ts), nor what is still demanded.
 */
import type { SimulatedDisk } from '../src/env/simulated/files.ts';
import type { Uuid } from '../src/base/ids.ts';

interface LoggerReversal {
  readonly logger: Uuid;
  /** Newest zone that there was, by shard: later ones were written after it. */
  readonly newestZones: ReadonlyMap<number, number>;
}

interface MetadataReversal {
  readonly shards: ReadonlySet<number>;
  /** Revision of the coordinator that put them back. */
  readonly from: number;
  /** Revision that put the newest content back; undefined: not yet. */
  to: number | undefined;
}

export class Reversals {
  readonly #onCopiesLost: (copyIds: readonly string[]) => void;
  readonly #loggers: LoggerReversal[] = [];
  readonly #metadata: MetadataReversal[] = [];
  /** Lengths to which copies were completed since, by logger, shard and zone. */
  readonly #filled = new Map<string, number>();
  /** Copy ids of copies that rotted, by logger, shard and zone. */
  readonly #rotten = new Map<string, string>();
  readonly #wiped = new Set<Uuid>();
  #spoilt: SimulatedDisk | undefined;
  /** Loggers whose copies may not be what they said: all of one disk. */
  readonly #unsound = new Set<Uuid>();

  /** `onCopiesLost` is told which copies are not what they were. */
  constructor(onCopiesLost: (copyIds: readonly string[]) => void = () => undefined) {
    this.#onCopiesLost = onCopiesLost;
  }

  /** Whether the disk is the one of the life that may lose what it said was stable: the first that is asked for. */
  maySpoil(disk: SimulatedDisk): boolean {
    this.#spoilt ??= disk;
    return this.#spoilt === disk;
  }

  get unsound(): ReadonlySet<Uuid> {
    return this.#unsound;
  }

  /** Bytes of the logger's copy of a zone are wrong from now on. */
  rotted(logger: Uuid, shard: number, zone: number, copyId: string): void {
    this.#unsound.add(logger);
    this.#rotten.set(copyOf(logger, shard, zone), copyId);
    this.#onCopiesLost([copyId]);
  }

  /** Nothing is left of the logger, which held `copyIds`. */
  wiped(logger: Uuid, copyIds: readonly string[]): void {
    this.#unsound.add(logger);
    this.#wiped.add(logger);
    this.#onCopiesLost(copyIds);
  }

  isRotten(logger: Uuid, shard: number, zone: number): boolean {
    return this.#rotten.has(copyOf(logger, shard, zone));
  }

  loggerBack(reversal: LoggerReversal, copyIds: readonly string[]): void {
    this.#unsound.add(reversal.logger);
    this.#loggers.push(reversal);
    for (const copy of this.#filled.keys()) if (copy.startsWith(reversal.logger)) this.#filled.delete(copy);
    this.#onCopiesLost(copyIds);
  }

  /** Replicas of a zone that must hold all of it. What nobody else holds, one that went back must hold as well. */
  soundCopies(
    shard: number,
    { zone, length, replicas }: { readonly zone: number; readonly length: number; readonly replicas: readonly Uuid[] },
  ): readonly Uuid[] {
    const isComplete = (logger: Uuid): boolean => length <= (this.#filled.get(copyOf(logger, shard, zone)) ?? 0);
    const isLost = (logger: Uuid): boolean => this.#wiped.has(logger) || this.isRotten(logger, shard, zone);
    const sound = replicas.filter(
      (logger) => !isLost(logger) && (isComplete(logger) || !this.#wentBack(logger, shard, zone)),
    );
    return sound.length === 0 ? replicas : sound;
  }

  #wentBack(logger: Uuid, shard: number, zone: number): boolean {
    return this.#loggers.some((back) => back.logger === logger && zone <= (back.newestZones.get(shard) ?? 0));
  }

  /** The logger has a copy of this name now: true when it came in the place of one that rotted. */
  replaced(logger: Uuid, shard: number, zone: number, copyId: string): boolean {
    const rotten = this.#rotten.get(copyOf(logger, shard, zone));
    return rotten !== undefined && rotten !== copyId && this.#rotten.delete(copyOf(logger, shard, zone));
  }

  /** The logger has answered a Fill: up to `length` its copy is as good as any (S19). */
  filled(logger: Uuid, shard: number, zone: number, length: number): void {
    this.#filled.set(copyOf(logger, shard, zone), length);
  }

  metadataBack(shards: Iterable<number>, revision: number): void {
    this.#metadata.push({ shards: new Set(shards), from: revision, to: undefined });
  }

  /** The newest content is there again. */
  metadataRestored(revision: number): void {
    for (const reversal of this.#metadata) reversal.to ??= revision;
  }

  /** Whether the coordinator's content on the shard is an older one now. */
  isBack(shard: number): boolean {
    return this.#metadata.some(({ shards, to }) => to === undefined && shards.has(shard));
  }

  /** What a change of the shard at `revision` is: the coordinator's content is exchanged, or older, or as always. */
  kindOf(shard: number, revision: number): 'exchanged' | 'older' | 'usual' {
    for (const { shards, from, to } of this.#metadata) {
      if (!shards.has(shard)) continue;
      if (revision === from || revision === to) return 'exchanged';
      if (revision > from && (to === undefined || revision < to)) return 'older';
    }
    return 'usual';
  }
}

function copyOf(logger: Uuid, shard: number, zone: number): string {
  return `${logger}/${shard}/${zone}`;
}
