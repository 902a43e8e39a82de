/**
 * Words of an owner rest on those of its replicas. Counted anew from what its shard is told and wants done, whatever
 * books the shard keeps itself:
 *
 * - S5: a batch is committed when every replica of its zone has acknowledged that zone up to the end of the batch;
 * - S7: a read is answered when every replica of the open zone has answered something that was sent to it after the
 *   read was called: a confirmation, or an append;
 * - S9: of what was sent in a zone, nothing is told *not applied* before the zone is seen closed.
 *
 * In a history most breaches of these do no harm: it takes a replica that is lost, or another owner, within the same
 * moment.
 */
import type { Uuid } from '../../src/base/ids.ts';
import type { ShardEffect, ShardEvent } from '../../src/core/shard/events.ts';
import type { ShardRead, ShardWrite, WriteResult } from '../../src/core/shard/requests.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import type { Coverage } from '../coverage.ts';
import { Violation } from './violation.ts';

/** Judges all owners. */
export function watchOwners(coverage: Coverage, onViolation: (violation: Violation) => void): ShardTrace {
  const witnesses = new WeakMap<object, OwnerWitness>();
  const of = (shard: object): OwnerWitness => {
    let found = witnesses.get(shard);
    if (found === undefined) witnesses.set(shard, (found = new OwnerWitness(coverage)));
    return found;
  };
  return {
    before: (shard, event) => of(shard).told(event),
    after(shard, _event, effects) {
      const witness = of(shard);
      for (const effect of effects) {
        const breach = witness.wants(effect);
        if (breach !== undefined) onViolation(new Violation(`shard ${shard.state.shard}: ${breach}`));
      }
    },
  };
}

/** Something that was sent to the replicas, at a moment of the shard: an append up to `end`, or a confirmation. */
interface Sent {
  readonly moment: number;
  readonly end: number;
  readonly confirmation: number;
}

/** Replica of the open zone. */
interface Replica {
  readonly logger: Uuid;
  /** End of what it acknowledged. */
  end: number;
  /** Moment at which the newest was sent of what it has answered. */
  answered: number;
}

/** The open zone of an owner, from the first that is sent in it on. */
interface OpenZone {
  readonly zone: number;
  readonly replicas: readonly Replica[];
  /** What some replica has not answered, oldest first. */
  sent: Sent[];
}

/** Witness of one shard in one process. */
export class OwnerWitness {
  readonly #coverage: Coverage;
  #open: OpenZone | undefined;
  /** Order in which reads are called and things are sent. */
  #moment = 0;
  readonly #called = new WeakMap<ShardRead, number>();
  /** Batches sent in a zone that was not seen closed: writes that were sent lie in one. */
  readonly #batches = new Set<Uint8Array>();

  constructor(coverage: Coverage) {
    this.#coverage = coverage;
  }

  told(event: ShardEvent): void {
    switch (event.event) {
      case 'read':
        if (!event.stale) this.#called.set(event, ++this.#moment);
        return;
      case 'appended':
        return this.#answered(event.logger, event.zone, ({ end }) => end > 0 && end <= event.end, event.end);
      case 'confirmed':
        return this.#answered(event.logger, event.zone, ({ confirmation }) => confirmation === event.number, 0);
      case 'append-failed':
        // Who has no space has written nothing: when nobody has, it is taken back and refused.
        if (event.reason.kind === 'refused' && event.reason.code === 'device-full') this.#batches.clear();
        return;
      default:
        return;
    }
  }

  /** Gives the rule that the effect breaks, if it breaks one. */
  wants(effect: ShardEffect): string | undefined {
    switch (effect.effect) {
      case 'append':
        this.#batches.add(effect.bytes);
        return this.#sends(effect, effect.offset + effect.bytes.length, 0);
      case 'confirm':
        return this.#sends(effect, 0, effect.number);
      case 'committed':
        return this.#committed(effect.zone, effect.end);
      case 'release':
        return this.#released(effect.read);
      case 'answer-write':
        return this.#refused(effect.write, effect.result);
      case 'role':
        this.#batches.clear();
        return undefined;
      case 'note':
        if (effect.text === 'zone changed') this.#batches.clear();
        return undefined;
      default:
        return undefined;
    }
  }

  #answered(logger: Uuid, zone: number, isIt: (sent: Sent) => boolean, end: number): void {
    const open = this.#open;
    if (open === undefined || zone !== open.zone) {
      if (zone < (open?.zone ?? 0)) this.#coverage.count('answer that belongs to an earlier zone');
      return;
    }
    const replica = open.replicas.find((one) => one.logger === logger);
    if (replica === undefined) return;
    replica.end = Math.max(replica.end, end);
    for (const sent of open.sent) if (isIt(sent)) replica.answered = Math.max(replica.answered, sent.moment);
    const byAll = Math.min(...open.replicas.map(({ answered }) => answered));
    open.sent = open.sent.filter(({ moment }) => moment > byAll);
  }

  #sends(
    to: { readonly zone: number; readonly loggers: readonly Uuid[] },
    end: number,
    confirmation: number,
  ): undefined {
    if (this.#open?.zone !== to.zone) {
      const replicas = to.loggers.map((logger) => ({ logger, end: 0, answered: 0 }));
      this.#open = { zone: to.zone, replicas, sent: [] };
    }
    this.#open.sent.push({ moment: ++this.#moment, end, confirmation });
  }

  #committed(zone: number, end: number): string | undefined {
    const open = this.#open;
    if (open?.zone !== zone) return `S5 zone ${zone} is committed up to ${end}, and nothing was sent in it last`;
    const lacking = open.replicas.find((replica) => replica.end < end);
    if (lacking === undefined) return undefined;
    return `S5 zone ${zone} is committed up to ${end}, and logger ${lacking.logger} has acknowledged ${lacking.end}`;
  }

  #released(read: ShardRead): string | undefined {
    const called = this.#called.get(read);
    if (called === undefined) return undefined;
    if (this.#open === undefined) return 'S7 a read is answered, and no replica was asked';
    const lacking = this.#open.replicas.find(({ answered }) => answered < called);
    if (lacking === undefined) return undefined;
    return `S7 a read is answered, and logger ${lacking.logger} has confirmed nothing that was sent since it was called`;
  }

  #refused({ source }: ShardWrite, result: WriteResult): string | undefined {
    if (result.kind !== 'failed' || result.outcome !== 'not-applied' || !this.#batches.has(source)) return undefined;
    return `S9 a write that was sent is told not applied: ${result.message}`;
  }
}
