/**
 * Watches take-overs from outside (S9, S10, S19): no copy that answered soundly is longer than the recorded length; who
 * answered soundly that it holds all of it is listed; and nobody is listed who has neither answered so nor answered the
 * Fill that completed its copy.
 */
import type { ShardId, Uuid } from '../../src/base/ids.ts';
import { zoneId } from '../../src/base/ids.ts';
import type { SealAnswer } from '../../src/codec/logger-protocol.ts';
import type { ShardEffect, ShardEvent } from '../../src/core/shard/events.ts';
import type { SealedZone } from '../../src/core/shard/head/metadata.ts';
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
  readonly state: {
    readonly shard: ShardId;
    readonly position: { readonly zone: number; readonly offset: number };
  };
  readonly status: { readonly step: string };
}

export class SealWatch {
  readonly #shard: Watched;
  readonly #onViolation: (violation: Violation) => void;
  #zone = 0;
  #epoch = 0;
  readonly #answers = new Map<Uuid, SealAnswer>();
  /** Intact lengths that Fills were answered with. */
  readonly #filled = new Map<Uuid, number>();
  /** Loggers that answered, but did not give the tail when it was read. */
  readonly #unsound = new Set<string>();
  /** Whether the event under way brings a part of the tail: standbys read the log, too. */
  #readsTail = false;

  constructor(shard: Watched, onViolation: (violation: Violation) => void) {
    this.#shard = shard;
    this.#onViolation = onViolation;
  }

  before(event: ShardEvent): void {
    this.#readsTail = event.event === 'log-read' && event.request.reader === 'tail';
    if (this.#mayBeginAnew(event)) this.#forget();
    if (event.event === 'filled') {
      if (event.zone !== this.#zone || event.epoch !== this.#epoch || event.answer.kind !== 'filled') return;
      this.#filled.set(event.logger, event.answer.length);
    }
    if (event.event !== 'sealed' || !('length' in event.answer)) return;
    if (event.zone !== this.#zone || event.epoch !== this.#epoch || !this.#isSealing) return;
    this.#answers.set(event.logger, event.answer);
  }

  get #isSealing(): boolean {
    const { step } = this.#shard.status;
    return step === 'sealing' || step === 'testimony-check';
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
    this.#filled.clear();
    this.#unsound.clear();
  }

  after(effect: ShardEffect): void {
    if (effect.effect === 'seal') this.#sealing(effect);
    else if (effect.effect === 'note' && effect.text === 'log not read') this.#notRead(effect.fields);
    else if (effect.effect === 'transact' && this.#shard.status.step === 'closing') this.#closing(effect);
  }

  /** Below the watermark the tail is read for other copies only: it says nothing about who did not give it. */
  #notRead(fields: Readonly<Record<string, string | number>>): void {
    const { zone, offset } = this.#shard.state.position;
    const watermark = zone === this.#zone ? offset : 0;
    if (this.#readsTail && Number(fields['offset']) >= watermark) this.#unsound.add(String(fields['logger']));
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
    for (const { key, value } of writes)
      if (value !== undefined && key === zoneKey(this.#shard.state.shard, zoneId(this.#zone)))
        this.#judge(decodeSealedZone(value));
  }

  #judge({ replicas, former, length, doubt, lost }: SealedZone): void {
    if ((doubt === 'cut') !== (lost !== undefined)) this.#violated('S9 lost keys go with a cut, and with nothing else');
    const seen = Math.max(0, ...[...this.#answers.values()].map((answer) => answer.seen));
    for (const logger of [...replicas, ...former]) {
      const answer = this.#answers.get(logger);
      const held = answer === undefined || this.#unsound.has(logger) ? undefined : answer.length;
      const isSound = answer !== undefined && !answer.doubtful && answer.length >= seen;
      const isListed = replicas.includes(logger);
      if (held !== undefined && held > length)
        this.#violated(`S9 sealed at ${length}, below the ${held} bytes that logger ${logger} holds`);
      if (held !== undefined && isSound && held >= length && !isListed)
        this.#violated(`S9 sealed at ${length} without logger ${logger}, which answered soundly that it holds ${held}`);
      const has = Math.max(answer?.length ?? 0, this.#filled.get(logger) ?? 0);
      if (isListed && has < length)
        this.#violated(`S10 sealed at ${length} on logger ${logger}, which holds ${has} and was not completed`);
    }
  }

  #violated(what: string): void {
    this.#onViolation(new Violation(`shard ${this.#shard.state.shard} zone ${this.#zone}: ${what}`));
  }
}
