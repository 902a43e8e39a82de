/**
 * The shards' metadata is put back to what it was some time before, while all processes are down: an older copy of the
 * coordinator's file, or one that lost its last transactions (S20). Later an operator puts the newest copy back, as
 * docs/operating.md tells them to.
 *
 * It happens only where the loggers can know it: what no logger was told of yet, none can tell.
 */
import type { Uuid } from '../../src/base/ids.ts';
import type { Entry, Write } from '../../src/coordinator/coordinator.ts';
import { below } from '../../src/env/random.ts';
import type { FaultActor, FaultRow, Stage } from './actor.ts';
import { shardOfKey, type ShardEntries, shardsOf, shardsPrefix } from './shard-entries.ts';

/**
 * At `atMs` a copy is taken; `afterMs` later every process ends, and all start again with the copy, for `forMs`. Then
 * the gateways end, and start with the newest content.
 */
export interface MetadataBackPlan {
  readonly kind: 'metadata-back';
  readonly atMs: number;
  readonly afterMs: number;
  readonly forMs: number;
  readonly downMs: number;
}

/** Pause between looks for shards that are still stopped, and looks that are enough for all claims in between. */
const lookMs = 500;
const looksMax = 40;

class MetadataBack implements FaultActor<MetadataBackPlan> {
  readonly #stage: Stage;
  /** Newest content of the shards that were put back. */
  #newest: { readonly shards: ReadonlySet<number>; readonly entries: readonly Entry[] } | undefined;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  inject(fault: MetadataBackPlan): void {
    const older = this.#entries();
    this.#stage.later(fault.afterMs, () => this.#putBack(fault, older));
  }

  #entries(): readonly Entry[] {
    return this.#stage.coordinator.snapshot().filter(({ key }) => key.startsWith(shardsPrefix));
  }

  #putBack({ forMs, downMs }: MetadataBackPlan, older: readonly Entry[]): void {
    const stage = this.#stage;
    const newest = this.#entries();
    const shards = new Set(provablyOlder(shardsOf(older), shardsOf(newest)));
    // A logger that went back, too, may be the one that knew.
    const isPossible = shards.size > 0 && this.#newest === undefined && !stage.planned.has('put-back');
    if (!isPossible) return stage.coverage.count('metadata could not be put back');
    stage.coverage.count('metadata put back');
    for (const node of stage.everyNode) stage.kill(node, 'process', downMs);
    this.#newest = { shards, entries: newest };
    const result = stage.coordinator.apply([], exchange(shards, newest, older));
    if (result.kind === 'applied') stage.reversals.metadataBack(shards, result.revision);
    stage.later(forMs, () => this.#restore());
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
    this.#lookLater(looksMax);
  }

  get #stopped() {
    return this.#stage.everyNode.filter(({ gateway }) =>
      gateway?.status().shards.some(({ role }) => role === 'stopped'),
    );
  }

  /** Starts once more what has stopped again: the older metadata's claim had the epoch of the newest's next one. */
  #lookLater(looks: number): void {
    if (looks === 0) return;
    const stage = this.#stage;
    stage.clock.after(lookMs, () => {
      if (this.#newest !== undefined) return;
      for (const node of this.#stopped) {
        stage.coverage.count('shard stopped again by a claim of the older metadata');
        stage.kill(node, 'process', 1);
      }
      this.#lookLater(looks - 1);
    });
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

/**
 * Shards whose metadata moved in a way that every replica of the older one's open zone knows of: whoever takes the
 * shard over with the older metadata must hear one of them, and be told. A zone tells it for ever; a fence alone only
 * until a later claim has raised it (budget.ts).
 */
export function provablyOlder(
  older: ReadonlyMap<number, ShardEntries>,
  newest: ReadonlyMap<number, ShardEntries>,
): readonly number[] {
  return [...older].flatMap(([shard, before]) => {
    const after = newest.get(shard);
    if (after === undefined) return [];
    const knowing = whoKnows(before, after);
    return before.head.openZone.replicas.every((logger) => knowing.has(logger)) ? [shard] : [];
  });
}

/** Loggers that hold a zone which the older metadata knows nothing of. */
function whoKnows({ head }: ShardEntries, after: ShardEntries): ReadonlySet<Uuid> {
  return new Set(after.zones.flatMap(({ zone, replicas }) => (zone >= head.nextZone ? replicas : [])));
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
