/**
 * Sees what the machines are told and what they answer, from outside: loggers for what they must stand by
 * (check/loggers.ts), shards for appends that may arrive late (late-appends.ts). The machines stay as they are; see
 * also coverage.ts.
 */
import { LoggerMachine } from '../src/core/logger/logger-machine.ts';
import type { MachineAnswer, MachineEffect, MachineEvent } from '../src/core/logger/machine-events.ts';
import type { ShardEffect, ShardEvent } from '../src/core/shard/events.ts';
import { Shard } from '../src/core/shard/shard.ts';
import type { LoggerPromises, ZoneCopy } from './check/loggers.ts';
import type { LateAppends } from './late-appends.ts';

/**
 * Watches until the returned function is called. One at a time. `lateAppends`: undefined when nobody wants appends to
 * come late.
 */
export function witness(promises: LoggerPromises, lateAppends: LateAppends | undefined): () => void {
  // Called with the machine as `this`.
  /* eslint-disable @typescript-eslint/unbound-method */
  const loggerStep = LoggerMachine.prototype.step;
  const shardStep = Shard.prototype.step;
  /* eslint-enable @typescript-eslint/unbound-method */
  const loggers = new WeakMap<object, LoggerWitness>();
  LoggerMachine.prototype.step = function step<T>(this: LoggerMachine<T>, event: MachineEvent<T>): MachineEffect<T>[] {
    let watch = loggers.get(this);
    if (watch === undefined) loggers.set(this, (watch = new LoggerWitness(this, promises)));
    const effects = loggerStep.call(this, event) as MachineEffect<T>[];
    watch.told(event);
    for (const effect of effects) if (effect.kind === 'answer') watch.answered(effect.ticket, effect.answer);
    return effects;
  };
  if (lateAppends !== undefined) {
    Shard.prototype.step = function step(this: Shard, event: ShardEvent): readonly ShardEffect[] {
      const effects = shardStep.call(this, event);
      for (const effect of effects) if (effect.effect === 'append') lateAppends.sent(this.state.shard, effect);
      return effects;
    };
  }
  return () => {
    LoggerMachine.prototype.step = loggerStep;
    Shard.prototype.step = shardStep;
  };
}

/** Which copy of a zone a request is about, and where it ends. */
interface Asked {
  readonly shard: number;
  readonly zone: number;
  readonly end: number;
  /** Of a seal. */
  readonly epoch: number;
}

type Watched = Pick<LoggerMachine<unknown>, 'report' | 'snapshot'>;

/** One process of a logger. */
class LoggerWitness {
  readonly #machine: Watched;
  readonly #promises: LoggerPromises;
  readonly #asked = new Map<unknown, Asked>();
  readonly #copies = new Map<string, { readonly copy: ZoneCopy; readonly isOwn: boolean }>();

  constructor(machine: Watched, promises: LoggerPromises) {
    this.#machine = machine;
    this.#promises = promises;
    const state = machine.snapshot();
    const fences = new Map(
      state.flatMap((entry) => (entry.kind === 'fence' ? [[entry.shard, entry.epoch] as const] : [])),
    );
    for (const entry of state)
      if (entry.kind === 'zone') promises.restarted(entry.copyId, fences.get(entry.shard) ?? 0);
  }

  told(event: MachineEvent<unknown>): void {
    switch (event.kind) {
      case 'append':
        this.#asked.set(event.ticket, {
          shard: event.item.shard,
          zone: event.item.zone,
          end: event.item.offset + event.item.bytes.length,
          epoch: 0,
        });
        return;
      case 'seal':
        this.#asked.set(event.ticket, { shard: event.shard, zone: event.zone, end: 0, epoch: event.epoch });
        return;
      case 'written':
        if (event.write.item.offset === 0) this.#created(event.write.item);
        return;
      case 'finish': {
        const found = this.#copy(event.shard, event.zone);
        if (found !== undefined) this.#promises.finished(found.copy);
        return;
      }
      case 'reset':
        this.#copies.delete(nameOf(event));
        return;
      default:
        return;
    }
  }

  answered(ticket: unknown, answer: MachineAnswer): void {
    const asked = this.#asked.get(ticket);
    if (asked === undefined) return;
    this.#asked.delete(ticket);
    const found =
      answer.kind === 'appended' || answer.kind === 'sealed' ? this.#copy(asked.shard, asked.zone) : undefined;
    if (found === undefined) return;
    if (answer.kind === 'appended') this.#promises.appended(found.copy, asked.end, found.isOwn);
    else if (answer.kind === 'sealed') this.#promises.sealed(found.copy, answer.answer.length, asked.epoch);
  }

  #created({ shard, zone }: Pick<Asked, 'shard' | 'zone'>): void {
    const copyId = this.#copyId(shard, zone);
    if (copyId === undefined) return;
    this.#copies.set(nameOf({ shard, zone }), { copy: this.#promises.created(shard, zone, copyId), isOwn: true });
  }

  /** Undefined: the logger holds no such zone. */
  #copy(shard: number, zone: number): { readonly copy: ZoneCopy; readonly isOwn: boolean } | undefined {
    const name = nameOf({ shard, zone });
    let found = this.#copies.get(name);
    if (found !== undefined) return found;
    const copyId = this.#copyId(shard, zone);
    if (copyId === undefined) return undefined;
    const copy = this.#promises.find(copyId) ?? this.#promises.created(shard, zone, copyId);
    this.#copies.set(name, (found = { copy, isOwn: false }));
    return found;
  }

  #copyId(shard: number, zone: number): string | undefined {
    return this.#machine.report(undefined, () => 0).find((status) => status.shard === shard && status.zone === zone)
      ?.copyId;
  }
}

function nameOf({ shard, zone }: { readonly shard: number; readonly zone: number }): string {
  return `${shard}/${zone}`;
}
