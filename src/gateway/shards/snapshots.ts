/**
 * Index snapshots on the gateway's own disk: one file per shard, replaced as a whole. Taken piece by piece between
 * turns, each time so many bytes of log were applied and when the gateway closes; a lost or damaged one costs time,
 * never data (the log has everything).
 */
import type { ShardId } from '../../base/ids.ts';
import { millis } from '../../base/ids.ts';
import { SnapshotLoader } from '../../core/index/index-loader.ts';
import type { SnapshotLimits } from '../../core/index/index-snapshot.ts';
import { IndexSnapshot } from '../../core/index/index-snapshot.ts';
import { KeyIndex } from '../../core/index/key-index.ts';
import type { OnceLimits } from '../../core/once/once-table.ts';
import { OnceTable } from '../../core/once/once-table.ts';
import type { ShardState } from '../../core/shard/following/apply.ts';
import type { LogPosition } from '../../core/shard/events.ts';
import type { Shard } from '../../core/shard/shard.ts';
import type { Timer } from '../../env/clock.ts';
import { FilesError } from '../../env/files.ts';
import type { GatewayOptions, GatewayWorld } from '../options.ts';

const pieceBytes = 1024 * 1024;
const checkEveryMs = 500;
const dueBytesMin = 16 * 1024 * 1024;

export type SnapshotOptions = Pick<GatewayOptions, 'folder' | 'cluster' | 'snapshotEveryBytes'> & {
  /** Absent: the defaults. */
  readonly limits?: { readonly once: OnceLimits; readonly snapshots: SnapshotLimits };
};
type World = Pick<GatewayWorld, 'files' | 'clock' | 'random' | 'log'>;

export class Snapshots {
  readonly #options: SnapshotOptions;
  readonly #world: World;
  readonly #positions = new Map<ShardId, LogPosition>();
  readonly #appliedAt = new Map<ShardId, number>();
  readonly #shards: Shard[] = [];
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #closed = false;

  constructor(options: SnapshotOptions, world: World) {
    this.#options = options;
    this.#world = world;
  }

  /** Up to where the log is in the newest snapshot of the shard. */
  positionOf(shard: ShardId): LogPosition {
    return this.#positions.get(shard) ?? { zone: 0, offset: 0 };
  }

  /** The shard's state as its snapshot has it; empty if there is none that is whole. */
  async load(shard: ShardId): Promise<ShardState> {
    const state = (await this.#loadOne(shard)) ?? this.#empty(shard);
    this.#positions.set(shard, state.position);
    this.#appliedAt.set(shard, 0);
    return state;
  }

  #path(shard: ShardId): string {
    return `${this.#options.folder}/shard-${shard}.snapshot`;
  }

  #empty(shard: ShardId): ShardState {
    const { cluster, zoneSize } = this.#options.cluster;
    const { random } = this.#world;
    const index = new KeyIndex({ low: random.uint32(), high: random.uint32() });
    return {
      cluster,
      shard,
      zoneSize,
      index,
      once: new OnceTable(this.#options.limits?.once),
      position: { zone: 0, offset: 0 },
      shardTimeMs: millis(0),
      appliedBytes: 0,
    };
  }

  async #loadOne(shard: ShardId): Promise<ShardState | undefined> {
    const { cluster, zoneSize } = this.#options.cluster;
    const loader = new SnapshotLoader({ cluster, shard, zoneSize }, { onceLimits: this.#options.limits?.once });
    try {
      const file = await this.#world.files.open(this.#path(shard), { readOnly: true });
      for (let at = 0; at < file.size(); at += pieceBytes) loader.push(await file.read(at, pieceBytes));
      await file.close();
    } catch (error) {
      if (!(error instanceof FilesError)) throw error;
      if (error.code !== 'not-found') this.#world.log('warn', 'snapshot not read', { shard, error: error.message });
      return undefined;
    }
    while (loader.rebuild()) await this.#turn();
    const result = loader.finish();
    if (result.kind !== 'loaded') {
      const reason = result.kind === 'damaged' ? `${result.reason} at ${result.offset}` : `format ${result.format}`;
      this.#world.log('warn', 'snapshot not usable: the index is rebuilt from the log', { shard, reason });
      return undefined;
    }
    const { header, index, once } = result;
    return {
      cluster,
      shard,
      zoneSize,
      index,
      once,
      position: header.watermark,
      shardTimeMs: header.shardTimeMs,
      appliedBytes: 0,
    };
  }

  /** From now on snapshots of it are taken when they are due. */
  add(shard: Shard): void {
    this.#shards.push(shard);
    if (this.#timer === undefined) this.#check();
  }

  #check(): void {
    if (this.#closed) return;
    this.#timer = this.#world.clock.after(checkEveryMs, () => this.#check());
    const due = this.#shards.find(
      ({ state }) => state.appliedBytes - (this.#appliedAt.get(state.shard) ?? 0) >= this.#dueBytes(state),
    );
    if (due !== undefined && this.#writing === undefined) this.#begin(due.state);
  }

  /**
   * A small index is cheap to write, so that its tail is kept shorter: a snapshot costs at most twice the log that it
   * replaces, up to the setting.
   */
  #dueBytes(state: ShardState): number {
    return Math.min(this.#options.snapshotEveryBytes, Math.max(dueBytesMin, state.index.memoryBytes / 2));
  }

  /** A background task: its failure is said and tried again when the next one is due. */
  #begin(state: ShardState): void {
    this.#writing = this.#write(state)
      .catch((error: unknown) => {
        if (!(error instanceof FilesError)) throw error;
        this.#world.log('warn', 'snapshot not written', { shard: state.shard, error: error.message });
      })
      .finally(() => {
        this.#writing = undefined;
      });
  }

  async #write(state: ShardState): Promise<void> {
    const path = this.#path(state.shard);
    const { position } = state;
    this.#appliedAt.set(state.shard, state.appliedBytes);
    const snapshot = new IndexSnapshot(state, this.#options.limits?.snapshots);
    const file = await this.#world.files.open(`${path}.new`, { create: true });
    try {
      file.truncate(0);
      let at = 0;
      for (let chunk = snapshot.next(); chunk !== undefined; chunk = snapshot.next()) {
        file.write(at, chunk);
        at += chunk.length;
        await this.#turn();
      }
      await file.sync();
    } finally {
      snapshot.close();
      await file.close();
    }
    await this.#world.files.rename(`${path}.new`, path);
    this.#positions.set(state.shard, position);
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#world.clock.endOfTurn(resolve));
  }

  /** Writes what has changed, so that the next start is quick. REQUIRES: the shards have stopped. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#writing;
    for (const { state } of this.#shards) {
      if (state.appliedBytes === (this.#appliedAt.get(state.shard) ?? 0)) continue;
      this.#begin(state);
      await this.#writing;
    }
  }
}
