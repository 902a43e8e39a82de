/**
 * The shards' metadata is put back to what it was some time before, while all processes are down: an older copy of the
 * coordinator's file, or one that lost its last transactions (S20). Gateways that have stopped are started again on it.
 * Later an operator puts the newest copy back, as docs/operating.md tells them to.
 *
 * It happens only where the loggers can know it: what no logger was told of yet, none can tell.
 */
import type { Uuid } from '../../src/base/ids.ts';
import type { Writer } from '../../src/codec/log-format.ts';
import type { Entry, Write } from '../../src/coordinator/coordinator.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import { below } from '../../src/env/random.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';
import { shardOfKey, type ShardEntries, shardsOf, shardsPrefix } from './shard-entries.ts';

/**
 * At `atMs` a copy is taken; `afterMs` later, or when loggers know of a change since, every process ends, and all start
 * again with the copy, for `forMs`. In between, gateways that have stopped start again. Then the gateways end, and
 * start with the newest content.
 */
export interface MetadataBackPlan {
  readonly kind: 'metadata-back';
  readonly atMs: number;
  readonly afterMs: number;
  readonly forMs: number;
  readonly downMs: number;
}

/** Pause before another look whether the loggers know by now, and looks that are enough. */
const lookMs = 250;
const looksMax = 8;
/** Parts of the time with the older copy, at the end of each of which gateways that have stopped start again. */
const startsAgain = 4;

class MetadataBack implements FaultActor<MetadataBackPlan> {
  readonly #stage: Stage;
  /** Newest content of the shards that were put back. */
  #newest: { readonly shards: ReadonlySet<number>; readonly entries: readonly Entry[] } | undefined;
  readonly #fences = new Fences();
  readonly trace: ShardTrace | undefined;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.trace = stage.planned.has('metadata-back') ? this.#fences.trace : undefined;
  }

  inject(fault: MetadataBackPlan): void {
    const older = this.#entries();
    this.#stage.later(fault.afterMs, () => this.#putBack(fault, older, looksMax));
  }

  #entries(): readonly Entry[] {
    return this.#stage.coordinator.snapshot().filter(({ key }) => key.startsWith(shardsPrefix));
  }

  #putBack(fault: MetadataBackPlan, older: readonly Entry[], looks: number): void {
    const stage = this.#stage;
    const { forMs, downMs } = fault;
    const newest = this.#entries();
    const shards = new Set(provablyOlder(shardsOf(older), shardsOf(newest), this.#fences));
    // A logger that went back, too, may be the one that knew.
    const isPossible = shards.size > 0 && this.#newest === undefined && !stage.planned.has('put-back');
    if (!isPossible && looks > 1) return stage.later(lookMs, () => this.#putBack(fault, older, looks - 1));
    if (!isPossible) return stage.coverage.count('metadata could not be put back');
    stage.coverage.count('metadata put back');
    for (const node of stage.everyNode) stage.kill(node, 'process', downMs);
    this.#newest = { shards, entries: newest };
    const result = stage.coordinator.apply([], exchange(shards, newest, older));
    if (result.kind === 'applied') stage.reversals.metadataBack(shards, result.revision);
    for (let part = 1; part < startsAgain; part += 1)
      stage.later((part * forMs) / startsAgain, () => this.#startAgain());
    stage.later(forMs, () => this.#restore());
  }

  /** What was told once is told again: nothing was claimed that would have raised a fence. */
  #startAgain(): void {
    if (this.#newest === undefined) return;
    for (const node of this.#stopped) {
      this.#stage.coverage.count('gateway started again on older metadata');
      this.#stage.kill(node, 'process', 1);
    }
  }

  /** The operator puts the newest content back while no gateway runs. */
  #restore(): void {
    const stage = this.#stage;
    const newest = this.#newest;
    if (newest === undefined) return;
    if (this.#stopped.length > 0) stage.coverage.count('metadata found put back');
    this.#newest = undefined;
    for (const node of stage.everyNode) if (node.kind === 'gateway') stage.kill(node, 'process', 1);
    const result = stage.coordinator.apply([], exchange(newest.shards, this.#entries(), newest.entries));
    if (result.kind === 'applied') stage.reversals.metadataRestored(result.revision);
  }

  get #stopped() {
    return this.#stage.everyNode.filter(({ gateway }) =>
      gateway?.status().shards.some(({ role }) => role === 'stopped'),
    );
  }

  heal(): void {
    this.#restore();
  }
}

/** Writes that make the shards' content, which is `present`, what it is in `wanted`. */
function exchange(shards: ReadonlySet<number>, present: readonly Entry[], wanted: readonly Entry[]): readonly Write[] {
  const values = new Map<string, Uint8Array | undefined>(present.map(({ key }) => [key, undefined]));
  for (const { key, value } of wanted) values.set(key, value);
  return [...values].filter(([key]) => shards.has(shardOfKey(key))).map(([key, value]) => ({ key, value }));
}

/** Fences that gateways were told of: by answers to seals, which are given when the fence is stable (S3). */
export class Fences {
  readonly #fences = new Map<string, Writer>();
  /** Process that seals, by shard and epoch. */
  readonly #instances = new Map<string, Writer>();

  readonly trace: ShardTrace = {
    before: ({ state: { shard } }, event) => {
      if (event.event !== 'sealed' || !('length' in event.answer)) return;
      const taker = this.#instances.get(`${shard}/${event.epoch}`);
      if (taker !== undefined) this.raised(event.logger, shard, taker);
    },
    after: ({ state: { shard } }, _event, effects) => {
      for (const effect of effects)
        if (effect.effect === 'seal')
          this.#instances.set(`${shard}/${effect.epoch}`, { epoch: effect.epoch, instance: effect.instance });
    },
  };

  raised(logger: Uuid, shard: number, fence: Writer): void {
    const place = `${logger}/${shard}`;
    if ((this.#fences.get(place)?.epoch ?? 0) < fence.epoch) this.#fences.set(place, fence);
  }

  of(logger: Uuid, shard: number): Writer | undefined {
    return this.#fences.get(`${logger}/${shard}`);
  }
}

/**
 * Shards whose metadata moved in a way that every replica of the older one's open zone knows of: whoever would take the
 * shard over with the older metadata must hear one of them, and be told. It knows of a zone that was opened since, or
 * has a fence that was claimed since: for ever, as long as nobody claims on the older metadata.
 */
export function provablyOlder(
  older: ReadonlyMap<number, ShardEntries>,
  newest: ReadonlyMap<number, ShardEntries>,
  fences: Fences,
): readonly number[] {
  return [...older].flatMap(([shard, before]) => {
    const after = newest.get(shard);
    if (after === undefined) return [];
    const holding = whoHolds(before, after);
    const knows = (logger: Uuid): boolean => holding.has(logger) || isLater(fences.of(logger, shard), before.head);
    return before.head.openZone.replicas.every(knows) ? [shard] : [];
  });
}

/** Loggers that hold a zone which the older metadata knows nothing of. */
function whoHolds({ head }: ShardEntries, after: ShardEntries): ReadonlySet<Uuid> {
  return new Set(after.zones.flatMap(({ zone, replicas }) => (zone >= head.nextZone ? replicas : [])));
}

/** Whether the fence was claimed after `head` was the newest: an epoch has the number of the change that claims it. */
function isLater(fence: Writer | undefined, { change, epoch, owner }: ShardEntries['head']): boolean {
  if (fence === undefined) return false;
  if (fence.epoch === change && epoch === change) return fence.instance !== owner.instance;
  return fence.epoch > change;
}

export const metadataBack: FaultRow<MetadataBackPlan> = {
  actor: MetadataBack,
  draw: (random, { atMs, forMs, downMs }) => ({
    kind: 'metadata-back',
    atMs,
    afterMs: 100 + below(random, 1_500),
    forMs: 200 + Math.min(forMs, 2_000),
    downMs: Math.min(downMs, 1_000),
  }),
};
