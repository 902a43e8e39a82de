/**
 * Which index is loaded when: first those that are at home here, which this gateway is likely to own, then those that
 * it owned before, then those that others own.
 *
 *   loadHome --> open: those of before --none is being taken, or too late--> the others, one after another
 *
 * It owns the order of loading, and that a shard hears of what happened before it was there. It does not own who takes
 * which shard (core/ownership), nor what a shard does.
 */
import type { ShardId } from '../../base/ids.ts';
import { times } from '../../base/times.ts';
import type { ShardSettings } from '../../core/shard/events.ts';
import type { Owner } from '../../core/shard/head/metadata.ts';
import { Shard } from '../../core/shard/shard.ts';
import type { Clock, Timer } from '../../env/clock.ts';
import type { LoggerLinks } from '../loggers/logger-links.ts';
import type { MetadataStore } from '../metadata-store.ts';
import { allShards, type ShardRunner } from './shard-runner.ts';
import type { Snapshots } from './snapshots.ts';

export interface LoaderParts {
  readonly clock: Clock;
  readonly store: MetadataStore;
  readonly loggers: LoggerLinks;
  readonly runner: ShardRunner;
  readonly snapshots: Snapshots;
  readonly self: Owner;
  readonly settings: ShardSettings;
}

export class ShardLoader {
  readonly #parts: LoaderParts;
  /** Shards of its own, if there are any, can be taken. */
  #isOpen = false;
  #before: Promise<void> | undefined;
  #timer: Timer | undefined;
  #standbys: Promise<void> | undefined;
  #closed = false;

  constructor(parts: LoaderParts) {
    this.#parts = parts;
  }

  async loadHome(home: readonly ShardId[]): Promise<void> {
    for (const shard of home) await this.#load(shard);
  }

  /** The metadata is known. REQUIRES: called once. */
  open(): void {
    const { clock, runner, store, self } = this.#parts;
    const before = allShards(runner.shardCount).filter((shard) => store.ownerOf(shard) === self.gateway);
    this.#before = this.#loadMore(before).then(() => {
      if (this.#closed) return;
      this.#isOpen = true;
      this.#timer = clock.after(times.standbysWaitMs, () => this.#loadStandbys());
      this.roleChanged();
    });
  }

  /** A shard took another role: when none is being taken, the others can be loaded. */
  roleChanged(): void {
    const taking = this.#parts.runner.shards.some((shard) => shard.role === 'taking');
    if (this.#isOpen && !taking) this.#loadStandbys();
  }

  async #load(shard: ShardId): Promise<void> {
    const { snapshots, runner, self, settings, clock } = this.#parts;
    const state = await snapshots.load(shard);
    if (this.#closed) return;
    const machine = new Shard(state, self, settings, clock.now());
    runner.add(machine);
    snapshots.add(machine);
  }

  #loadStandbys(): void {
    if (this.#standbys !== undefined || this.#closed) return;
    this.#timer?.cancel();
    this.#standbys = this.#loadMore(allShards(this.#parts.runner.shardCount));
  }

  /** Those of `shards` that are not there yet. */
  async #loadMore(shards: readonly ShardId[]): Promise<void> {
    const { runner, loggers, store } = this.#parts;
    for (const shard of shards) {
      if (runner.shard(shard) !== undefined || this.#closed) continue;
      await this.#load(shard);
      runner.dispatch(shard, { event: 'members', loggers: store.loggerUuids });
      runner.dispatch(shard, { event: 'standings', standings: store.standings });
      loggers.forEachUp((logger) => runner.dispatch(shard, { event: 'logger-up', ...logger }));
      runner.dispatch(shard, { event: 'metadata', metadata: store.shard(shard), loaded: false });
    }
  }

  /** Loads nothing more; waits for what is being loaded. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#before;
    await this.#standbys;
  }
}
