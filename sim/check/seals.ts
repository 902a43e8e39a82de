/**
 * Watches take-overs from outside (S9, promise 2): after one with k sound answers to its seals, the zone must survive
 * the loss of k - 1 of the loggers that gave them. So each of them stands in the list that the take-over wants
 * recorded.
 */
import type { ShardId, Uuid } from '../../src/base/ids.ts';
import { zoneId } from '../../src/base/ids.ts';
import type { SealAnswer } from '../../src/codec/logger-protocol.ts';
import type { ShardEffect, ShardEvent } from '../../src/core/shard/events.ts';
import { decodeSealedZone, zoneKey } from '../../src/core/shard/head/metadata.ts';
import type { Shard } from '../../src/core/shard/shard.ts';
import type { ShardTrace } from '../../src/core/shard/trace.ts';
import { Violation } from './violation.ts';

/** Judges the take-overs of all shards. */
export function watchSeals(onViolation: (violation: Violation) => void): ShardTrace {
  const watches = new WeakMap<Shard, SealWatch>();
  const watchOf = (shard: Shard): SealWatch => {
    let watch = watches.get(shard);
    if (watch === undefined) watches.set(shard, (watch = new SealWatch(shard, onViolation)));
    return watch;
  };
  return {
    before: (shard, event) => watchOf(shard).before(event),
    after(shard, _event, effects) {
      const watch = watchOf(shard);
      for (const effect of effects) watch.after(effect);
    },
  };
}

/** Part of a shard that a watch needs: `step` is the take-over's. */
export interface Watched {
  readonly state: { readonly shard: ShardId };
  readonly status: { readonly step: string };
}

export class SealWatch {
  readonly #shard: Watched;
  readonly #onViolation: (violation: Violation) => void;
  #zone = 0;
  #epoch = 0;
  readonly #answers = new Map<Uuid, SealAnswer>();
  /** Loggers that answered, but did not give the tail when it was read. */
  readonly #unsound = new Set<string>();

  constructor(shard: Watched, onViolation: (violation: Violation) => void) {
    this.#shard = shard;
    this.#onViolation = onViolation;
  }

  before(event: ShardEvent): void {
    if (this.#mayBeginAnew(event)) this.#forget();
    if (event.event !== 'sealed' || !('length' in event.answer)) return;
    if (event.zone !== this.#zone || event.epoch !== this.#epoch || this.#shard.status.step !== 'sealing') return;
    this.#answers.set(event.logger, event.answer);
  }

  /**
   * A reading of the coordinator begins the sealing, also where nobody can be asked now; and a tick does when
   * somebody did not give the tail. Who answered before and is not asked again has answered nothing then.
   */
  #mayBeginAnew(event: ShardEvent): boolean {
    const { step } = this.#shard.status;
    if (event.event === 'metadata') return event.loaded && (step === 'loading' || step === 'claim-check');
    return event.event === 'tick' && step === 'sealing' && this.#unsound.size > 0;
  }

  #forget(): void {
    this.#answers.clear();
    this.#unsound.clear();
  }

  after(effect: ShardEffect): void {
    if (effect.effect === 'seal') this.#sealing(effect);
    else if (effect.effect === 'note' && effect.text === 'log not read')
      this.#unsound.add(String(effect.fields['logger']));
    else if (effect.effect === 'transact' && this.#shard.status.step === 'closing') this.#closing(effect);
  }

  /** Notes whom a seal goes to: who answered is asked again only when all begins anew. */
  #sealing({ zone, epoch, loggers }: Extract<ShardEffect, { effect: 'seal' }>): void {
    const isSame = zone === this.#zone && epoch === this.#epoch && !loggers.some((logger) => this.#answers.has(logger));
    if (isSame) return;
    this.#zone = zone;
    this.#epoch = epoch;
    this.#forget();
  }

  #closing({ writes }: Extract<ShardEffect, { effect: 'transact' }>): void {
    const seen = Math.max(0, ...[...this.#answers.values()].map((answer) => answer.seen));
    for (const { key, value } of writes) {
      if (value === undefined || key !== zoneKey(this.#shard.state.shard, zoneId(this.#zone))) continue;
      const { replicas, length } = decodeSealedZone(value);
      for (const [logger, answer] of this.#answers) {
        const isSound = !answer.doubtful && answer.length >= seen && !this.#unsound.has(logger);
        if (!isSound || replicas.includes(logger)) continue;
        const where = `shard ${this.#shard.state.shard} zone ${this.#zone}`;
        this.#onViolation(
          new Violation(
            `S9 ${where}: sealed at ${length} without logger ${logger}, which answered soundly that it holds ${answer.length}`,
          ),
        );
      }
    }
  }
}
