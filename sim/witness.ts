/**
 * Witness of what loggers are asked and what they answer, seen through the trace of their shell: they must stand by it
 * (check/loggers.ts).
 */
import type { FillItem } from '../src/codec/logger-protocol.ts';
import type { MachineAnswer, MachineEvent } from '../src/core/logger/machine-events.ts';
import type { LoggerTrace, TracedMachine } from '../src/core/logger/trace.ts';
import type { LoggerPromises, ZoneCopy } from './check/loggers.ts';

/** Holds all loggers to what they answer. */
export function witness(promises: LoggerPromises): LoggerTrace {
  const witnesses = new WeakMap<TracedMachine, LoggerWitness>();
  return {
    before(machine) {
      // The first step changes what a restart has found.
      if (!witnesses.has(machine)) witnesses.set(machine, new LoggerWitness(machine, promises));
    },
    after(machine, event, effects) {
      const watch = witnesses.get(machine);
      watch?.told(event);
      for (const effect of effects) if (effect.kind === 'answer') watch?.answered(effect.ticket, effect.answer);
    },
  };
}

/** The copy of a zone that a request is about. */
interface Asked {
  readonly shard: number;
  readonly zone: number;
  /** End of an append or a Fill, epoch of a seal or a Fill; else 0. */
  readonly end: number;
  readonly epoch: number;
}

/** One process of a logger. */
class LoggerWitness {
  readonly #machine: TracedMachine;
  readonly #promises: LoggerPromises;
  readonly #asked = new Map<unknown, Asked>();
  /** Tickets of copies of zones that ended. */
  readonly #copying = new Set<unknown>();
  readonly #copies = new Map<string, { readonly copy: ZoneCopy; readonly isOwn: boolean }>();

  constructor(machine: TracedMachine, promises: LoggerPromises) {
    this.#machine = machine;
    this.#promises = promises;
    const state = machine.snapshot();
    const fences = new Map(
      state.flatMap((entry) => (entry.kind === 'fence' ? [[entry.shard, entry.epoch] as const] : [])),
    );
    for (const { shard, copyId, length } of machine.report(undefined, () => 0))
      promises.restarted(copyId, fences.get(shard) ?? 0, length);
  }

  told(event: MachineEvent<unknown>): void {
    switch (event.kind) {
      case 'append':
        this.#asked.set(event.ticket, {
          shard: event.item.shard,
          zone: event.item.zone,
          // A piece of an append promises nothing yet.
          end: (event.item.rest ?? 0) > 0 ? 0 : event.item.offset + event.item.bytes.length,
          epoch: 0,
        });
        return;
      case 'seal':
        this.#asked.set(event.ticket, { shard: event.at.shard, zone: event.at.zone, end: 0, epoch: event.at.epoch });
        return;
      case 'fill':
      case 'copy':
        if (event.kind === 'copy') this.#copying.add(event.ticket);
        this.#asked.set(event.ticket, {
          shard: event.item.shard,
          zone: event.item.zone,
          end: event.item.offset + event.item.bytes.length,
          epoch: event.item.by.epoch,
        });
        this.#filling(event.item);
        return;
      case 'written':
        if (event.write.item.offset === 0) this.#created(event.write.item, this.#copying.has(event.write.ticket));
        if (event.write.fills) this.#filling(event.write.item);
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
    const isPromise =
      answer.kind === 'appended' || answer.kind === 'sealed' || answer.kind === 'filled' || answer.kind === 'copied';
    const found = isPromise ? this.#copy(asked.shard, asked.zone) : undefined;
    if (found === undefined) return;
    if (answer.kind === 'appended') this.#promises.appended(found.copy, asked.end, found.isOwn);
    else if (answer.kind === 'filled' || answer.kind === 'copied') this.#promises.filled(found.copy, answer.length);
    // A new owner asks about its own first zone for what else is known, and appends before the last has answered.
    else if (answer.kind === 'sealed' && 'length' in answer.answer && this.#epochOf(asked) < asked.epoch)
      this.#promises.sealed(found.copy, answer.answer.length, asked.epoch);
  }

  #filling({ shard, zone, offset, bytes }: Pick<FillItem, 'shard' | 'zone' | 'offset' | 'bytes'>): void {
    const found = this.#copy(shard, zone);
    if (found !== undefined) this.#promises.filling(found.copy, offset + bytes.length);
  }

  /** `isRepair`: it may lie below others: zone floors are for new zones. */
  #created({ shard, zone }: Pick<Asked, 'shard' | 'zone'>, isRepair: boolean): void {
    const copyId = this.#copyId(shard, zone);
    if (copyId === undefined) return;
    const held = this.#machine.report(undefined, () => 0).filter((at) => at.shard === shard && at.zone > zone);
    if (!isRepair)
      this.#promises.createdBelow(
        { shard, zone },
        held.map((newer) => newer.copyId),
      );
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
    return this.#status({ shard, zone })?.copyId;
  }

  #epochOf(asked: Asked): number {
    return this.#status(asked)?.epoch ?? 0;
  }

  #status({ shard, zone }: Pick<Asked, 'shard' | 'zone'>): ReturnType<TracedMachine['report']>[number] | undefined {
    return this.#machine.report(undefined, () => 0).find((status) => status.shard === shard && status.zone === zone);
  }
}

function nameOf({ shard, zone }: { readonly shard: number; readonly zone: number }): string {
  return `${shard}/${zone}`;
}
