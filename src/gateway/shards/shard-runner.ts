/**
 * PUT 3/5, next: logger/requests.ts. Carries out what the shards want: sends their batches to the loggers, turns
 * answers into events, passes results on and tells the other gateways. Holds no protocol state of its own.
 */
import { present, unreachable } from '../../base/assert.ts';
import { KvError } from '../../base/errors.ts';
import type { Millis, ShardId } from '../../base/ids.ts';
import { shardId } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import { times } from '../../base/times.ts';
import type { ZoneRef } from '../../codec/logger-protocol.ts';
import type { Coordinator } from '../../coordinator/coordinator.ts';
import { CoordinatorError } from '../../coordinator/coordinator.ts';
import type { Committed, HeadPurpose, ShardEffect, ShardEvent } from '../../core/shard/events.ts';
import type { Failure, ShardRead, ShardWrite, WriteResult } from '../../core/shard/requests.ts';
import type { Shard } from '../../core/shard/shard.ts';
import type { ShardTrace } from '../../core/shard/trace.ts';
import { tracedStep } from '../../core/shard/trace.ts';
import type { Clock, Timer } from '../../env/clock.ts';
import type { LoggerLinks } from '../loggers/logger-links.ts';
import type { MetadataStore } from '../metadata-store.ts';
import type { PeerLinks } from '../peers/peer-links.ts';
import type { ValueFetcher } from './value-fetcher.ts';
import { catchUpOf } from '../peers/catch-up.ts';

export interface RunnerParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly coordinator: Coordinator;
  readonly store: MetadataStore;
  readonly loggers: LoggerLinks;
  readonly peers: PeerLinks;
  readonly values: ValueFetcher;
  /** Sees every step of every shard. */
  readonly trace?: ShardTrace | undefined;
}

export interface RunnerListener {
  /** A shard took another role. */
  readonly onRole: () => void;
  /** Whether a request that a shard refuses is brought to another owner instead, and answered by that. */
  readonly isRouted: (request: ShardWrite | ShardRead, failure: Failure) => boolean;
  /** The shards were told the time; they are told it again in `nextMs`. */
  readonly onTick: (nextMs: number) => void;
}

export class ShardRunner {
  readonly shardCount: number;
  readonly #parts: RunnerParts;
  /** In the order of their numbers. */
  #shards: readonly Shard[] = [];
  readonly #byNumber: (Shard | undefined)[];
  #turnScheduled = false;
  #timer: Timer | undefined;
  #announcedMs: Millis;
  /** Something has happened since the last tick. */
  #isBusy = false;
  #closed = false;
  #listener: RunnerListener = { onRole: () => undefined, isRouted: () => false, onTick: () => undefined };

  constructor(shardCount: number, parts: RunnerParts) {
    this.shardCount = shardCount;
    this.#byNumber = new Array<Shard | undefined>(shardCount).fill(undefined);
    this.#parts = parts;
    this.#announcedMs = parts.clock.now();
  }

  /** Begins to tick. REQUIRES: called once, before anything is dispatched. */
  start(listener: RunnerListener): void {
    this.#listener = listener;
    this.#tick();
  }

  /** Those whose index is loaded. */
  get shards(): readonly Shard[] {
    return this.#shards;
  }

  shard(number: ShardId): Shard | undefined {
    return this.#byNumber[number];
  }

  /** REQUIRES: not added before. It has heard nothing yet: metadata and loggers are told next. */
  add(shard: Shard): void {
    this.#byNumber[shard.state.shard] = shard;
    this.#shards = this.#byNumber.filter((one) => one !== undefined);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** Tells one shard what happened and does what it wants; nothing while it is not loaded. */
  dispatch(shard: ShardId, event: ShardEvent): void {
    const machine = this.#byNumber[shard];
    if (this.#closed || machine === undefined) return;
    const { trace } = this.#parts;
    const effects = trace === undefined ? machine.step(event) : tracedStep(trace, machine, event);
    this.#isBusy ||= effects.length > 0 || (event.event !== 'tick' && event.event !== 'turn-ended');
    // Most answers of loggers are not the last one that a batch waits for: they change nothing that the end of a turn
    // would act on.
    if (event.event !== 'turn-ended' && (effects.length > 0 || event.event === 'write' || event.event === 'read'))
      this.#scheduleTurn();
    for (const effect of effects) this.#perform(shard, effect);
  }

  #scheduleTurn(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    this.#parts.clock.endOfTurn(() => this.#endTurn());
  }

  dispatchAll(event: ShardEvent): void {
    for (const machine of this.#shards) this.dispatch(machine.state.shard, event);
  }

  /**
   * All that was ready has been handled: batches are formed and everything for one logger goes out in one message each.
   */
  #endTurn(): void {
    const { clock } = this.#parts;
    const event = { event: 'turn-ended', nowMs: clock.now(), wallMs: clock.wall() } as const;
    this.#turnScheduled = false;
    this.dispatchAll(event);
    this.#parts.loggers.send();
  }

  /** Rarer while nothing happens: on a small machine each waking of an idle process is taken from a busy one. */
  #tick(): void {
    const { clock } = this.#parts;
    const nowMs = clock.now();
    const nextMs = this.#isBusy ? times.shardTickMs : times.restTickMs;
    this.#timer = clock.after(nextMs, () => this.#tick());
    this.#isBusy = false;
    this.dispatchAll({ event: 'tick', nowMs });
    if (nowMs - this.#announcedMs >= times.announceEveryMs) {
      this.#announcedMs = nowMs;
      this.dispatchAll({ event: 'announce' });
    }
    this.#listener.onTick(nextMs);
  }

  #perform(shard: ShardId, effect: ShardEffect): void {
    const { loggers, values } = this.#parts;
    switch (effect.effect) {
      case 'append':
        for (const logger of effect.loggers)
          loggers.of(logger).append(refTo(shard, effect), effect.offset, effect.bytes);
        return;
      case 'confirm':
        for (const logger of effect.loggers) loggers.of(logger).confirm(refTo(shard, effect), effect.number);
        return;
      case 'committed':
        return this.#committed(shard, effect);
      case 'answer-write':
        return this.#answer(effect.write, effect.result);
      case 'fail-read':
        if (!this.#listener.isRouted(effect.read, effect.failure)) effect.read.fail(effect.failure);
        return;
      case 'fetch':
        return values.fetch(shard, effect.read);
      case 'release':
        return effect.read.confirm();
      case 'testify':
        for (const logger of effect.loggers)
          loggers.of(logger).testify(shard, (answer) => this.dispatch(shard, { event: 'testified', logger, answer }));
        return;
      case 'seal':
        return this.#seal(shard, effect);
      case 'fill':
        return this.#fill(shard, effect);
      case 'copy':
        return this.#copy(shard, effect);
      case 'probe':
        return loggers
          .of(effect.logger)
          .probe((answer) => this.dispatch(shard, { event: 'probed', logger: effect.logger, answer }));
      case 'finish':
        for (const logger of effect.loggers) loggers.of(logger).finish(shard, effect.zone, effect.length);
        return;
      case 'load':
        return this.#load(shard, effect.purpose);
      case 'transact':
        return this.#transact(shard, effect);
      case 'announce':
        return this.#parts.peers.catchUp(shard, effect.catchUp);
      case 'read-log': {
        const { request } = effect;
        loggers.of(request.logger).read(shard, request.zone, request.offset, request.length, (answer) => {
          const bytes = answer.kind === 'ok' ? answer.value : undefined;
          const refused = answer.kind === 'refused' ? { refused: answer.code } : {};
          this.dispatch(shard, { event: 'log-read', request, bytes, ...refused });
        });
        return;
      }
      case 'role':
        this.#parts.log('info', 'role', { shard, role: effect.role });
        return this.#listener.onRole();
      case 'note':
        return this.#parts.log(effect.level, effect.text, effect.fields);
      default:
        return unreachable(effect);
    }
  }

  #answer(write: ShardWrite, result: WriteResult): void {
    if (result.kind !== 'failed' || !this.#listener.isRouted(write, result)) write.answer(result);
  }

  #committed(shard: ShardId, effect: Committed): void {
    const { peers } = this.#parts;
    const { writes, results } = effect;
    for (const [at, write] of writes.entries()) {
      const result = present(results[at], 'a result for each write');
      write.answer(result);
      for (const repetition of write.repetitions ?? []) repetition.answer(result);
    }
    if (peers.count > 0) peers.catchUp(shard, catchUpOf(effect));
  }

  #seal(shard: ShardId, effect: Extract<ShardEffect, { effect: 'seal' }>): void {
    const { zone, epoch } = effect;
    for (const logger of effect.loggers)
      this.#parts.loggers
        .of(logger)
        .seal(refTo(shard, effect), (answer) => this.dispatch(shard, { event: 'sealed', logger, zone, epoch, answer }));
  }

  #fill(
    shard: ShardId,
    { zone, epoch, instance, offset, bytes, logger }: Extract<ShardEffect, { effect: 'fill' }>,
  ): void {
    const item = { shard, zone, by: { epoch, instance }, offset, bytes };
    this.#parts.loggers
      .of(logger)
      .fill(item, (answer) => this.dispatch(shard, { event: 'filled', logger, zone, epoch, answer }));
  }

  #copy(shard: ShardId, effect: Extract<ShardEffect, { effect: 'copy' }>): void {
    const { logger, zone } = effect;
    this.#parts.loggers
      .of(logger)
      .copy({ shard, ...effect }, (answer) => this.dispatch(shard, { event: 'copied', logger, zone, answer }));
  }

  #load(shard: ShardId, purpose: HeadPurpose): void {
    const { store } = this.#parts;
    (purpose === 'zone-change' || purpose === 'hand-over' ? store.loadChange(shard) : store.load(shard)).then(
      (metadata) => this.dispatch(shard, { event: 'metadata', metadata, loaded: true }),
      (error: unknown) => {
        this.#coordinatorFailed(shard, 'load', error);
        this.dispatch(shard, { event: 'load-failed' });
      },
    );
  }

  #transact(shard: ShardId, effect: Extract<ShardEffect, { effect: 'transact' }>): void {
    const { purpose } = effect;
    this.#parts.coordinator.transact(effect.compares, effect.writes).then(
      (result) => this.dispatch(shard, { event: 'transacted', purpose, result }),
      (error: unknown) => {
        this.#coordinatorFailed(shard, 'transact', error);
        const kind = error instanceof CoordinatorError ? error.outcome : 'unknown';
        this.dispatch(shard, { event: 'transacted', purpose, result: { kind } });
      },
    );
  }

  /** An operating error is said; anything else is a bug and must not be swallowed. */
  #coordinatorFailed(shard: ShardId, what: string, error: unknown): void {
    if (!(error instanceof CoordinatorError) && !(error instanceof KvError)) throw error;
    // Answers that come after the end concern nobody.
    if (this.#closed) return;
    this.#parts.log('warn', 'coordinator failed', { shard, what, error: error.message });
  }
}

export function allShards(count: number): ShardId[] {
  return Array.from({ length: count }, (_, shard) => shardId(shard));
}

function refTo(shard: ShardId, { zone, epoch, instance }: Omit<ZoneRef, 'shard'>): ZoneRef {
  return { shard, zone, epoch, instance };
}
