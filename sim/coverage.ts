/**
 * Counts how often the situations were reached that the design is about. What nobody reaches, nobody has tested: the
 * summary over many seeds must show none at zero.
 *
 * It watches the pure machines from outside: `observe` puts itself in front of `Shard.step` and `LoggerMachine.step`,
 * which stay as they are.
 */
import { LoggerMachine } from '../src/core/logger/logger-machine.ts';
import type { MachineEffect, MachineEvent } from '../src/core/logger/machine-events.ts';
import type { ShardEffect, ShardEvent } from '../src/core/shard/events.ts';
import { Shard } from '../src/core/shard/shard.ts';
import { SealWatch } from './check/seals.ts';
import type { Violation } from './check/violation.ts';

export const situations = [
  'zone change',
  'zone change with records in flight',
  'zone change with reads waiting',
  'zone change of unknown outcome',
  'zone full',
  'replica left the zone',
  'replicas regrown',
  'take-over',
  'take-over with a tail to read',
  'take-over that waited',
  'claim of unknown outcome',
  'close of unknown outcome',
  'take-over lost',
  'seal of an unseen zone',
  'seal of a zone with bytes',
  'doubtful seal',
  'seal lengths differ',
  'torn tail',
  'damaged tail',
  'open zone found empty after a restart',
  'fenced append',
  'fenced confirm',
  'deposed',
  'deposed with records in flight',
  'read at an owner that was replaced',
  'write at an owner that was replaced',
  'owner that was replaced confirmed by a replica',
  'zone change seen after the shard was lost',
  'stale confirmation discarded',
  'refusal decided on a record in flight',
  'repetition of a write in flight',
  'repetition answered from memory',
  'request superseded',
  'write queued during a take-over',
  'read queued during a take-over',
  'batch of many writes',
  'record larger than a batch',
  'gap healed',
  'catch-up applied',
  'device failed',
  'unknown outcome told to a client',
  'retry by a client',
  'condition failed',
  'start failed',
  'coordinator unknown',
  'late appends',
  'append after a restart refused',
  'append to a sealed zone refused',
  'duplicate append',
] as const;
export type Situation = (typeof situations)[number] | (typeof guards)[number];

export class Coverage {
  readonly #counts = new Map<Situation, number>();

  count(situation: Situation, times = 1): void {
    this.#counts.set(situation, (this.#counts.get(situation) ?? 0) + times);
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}

/**
 * Guards of the product that hardly anything reaches: an owner sends its appends in order, and leaves a zone as soon as
 * a replica of it was away (what arrives late all the same, late-appends.ts sends); a client that was forgotten needs
 * 10,000 others.
 */
export const guards = ['append not at the write pointer', 'client forgotten'] as const;

// Called with the machine as `this`, below.
/* eslint-disable @typescript-eslint/unbound-method */
const shardStep = Shard.prototype.step;
const loggerStep = LoggerMachine.prototype.step;
/* eslint-enable @typescript-eslint/unbound-method */

/** Counts into `coverage`, and judges take-overs, until the returned function is called. One at a time. */
export function observe(coverage: Coverage, onViolation: (violation: Violation) => void): () => void {
  const shards = new WeakMap<Shard, ShardWatch>();
  const epochs: Epochs = new Map();
  Shard.prototype.step = function step(this: Shard, event: ShardEvent): readonly ShardEffect[] {
    let watch = shards.get(this);
    if (watch === undefined)
      shards.set(this, (watch = new ShardWatch(coverage, epochs, new SealWatch(this, onViolation))));
    watch.before(this, event);
    const effects = shardStep.call(this, event);
    watch.after(this, effects);
    return effects;
  };
  LoggerMachine.prototype.step = function step<T>(this: LoggerMachine<T>, event: MachineEvent<T>): MachineEffect<T>[] {
    const effects = loggerStep.call(this, event) as MachineEffect<T>[];
    watchLogger(coverage, event, effects);
    return effects;
  };
  return () => {
    Shard.prototype.step = shardStep;
    LoggerMachine.prototype.step = loggerStep;
  };
}

const noEffects: readonly ShardEffect[] = [];

/** By shard: the newest that anybody served. */
type Epochs = Map<number, number>;

class ShardWatch {
  readonly #coverage: Coverage;
  readonly #epochs: Epochs;
  readonly #seals: SealWatch;
  #inFlight = 0;
  #reads = 0;
  #confirmations = 0;
  #transaction: 'claim' | 'close' | 'change' | undefined;
  #sealAnswers: number[] = [];
  #gap = false;

  constructor(coverage: Coverage, epochs: Epochs, seals: SealWatch) {
    this.#coverage = coverage;
    this.#epochs = epochs;
    this.#seals = seals;
  }

  /** It serves, though another one does since. */
  #isReplaced(shard: Shard): boolean {
    return shard.role === 'owner' && (shard.status.owner?.epoch ?? 0) < (this.#epochs.get(shard.state.shard) ?? 0);
  }

  before(shard: Shard, event: ShardEvent): void {
    this.#seals.before(event);
    const count = (situation: Situation): void => this.#coverage.count(situation);
    switch (event.event) {
      case 'transacted':
        if (event.result.kind !== 'unknown') break;
        if (this.#transaction === 'claim') count('claim of unknown outcome');
        else if (this.#transaction === 'close') count('close of unknown outcome');
        else if (this.#transaction === 'change') count('zone change of unknown outcome');
        break;
      case 'write':
        if (shard.role === 'taking') count('write queued during a take-over');
        else if (this.#isReplaced(shard)) count('write at an owner that was replaced');
        break;
      case 'read':
        if (shard.role === 'taking' && !event.stale) count('read queued during a take-over');
        else if (this.#isReplaced(shard)) count('read at an owner that was replaced');
        break;
      case 'confirmed':
        if (event.number < this.#confirmations) count('stale confirmation discarded');
        if (this.#isReplaced(shard)) count('owner that was replaced confirmed by a replica');
        break;
      case 'confirm-failed':
        if (event.reason.kind === 'refused' && event.reason.code === 'fenced') count('fenced confirm');
        break;
      case 'catch-up':
        if (shard.role === 'follower' && event.heads.length > 0) count('catch-up applied');
        break;
      case 'sealed':
        if ('length' in event.answer) this.#sealed(event.answer);
        break;
      default:
        break;
    }
  }

  #sealed(answer: { readonly length: number; readonly doubtful: boolean; readonly tail: string }): void {
    this.#coverage.count(answer.length === 0 ? 'seal of an unseen zone' : 'seal of a zone with bytes');
    if (answer.tail === 'torn') this.#coverage.count('torn tail');
    if (answer.tail === 'damaged') this.#coverage.count('damaged tail');
    if (answer.doubtful) this.#coverage.count('doubtful seal');
    if (this.#sealAnswers.length > 0 && this.#sealAnswers.some((length) => length !== answer.length))
      this.#coverage.count('seal lengths differ');
    this.#sealAnswers.push(answer.length);
  }

  after(shard: Shard, effects: readonly ShardEffect[]): void {
    if (effects === noEffects || effects.length === 0) return;
    for (const effect of effects) this.#effect(shard, effect);
  }

  #effect(shard: Shard, effect: ShardEffect): void {
    const count = (situation: Situation): void => this.#coverage.count(situation);
    this.#seals.after(effect);
    switch (effect.effect) {
      case 'append':
        this.#inFlight += 1;
        return;
      case 'committed':
        this.#inFlight = Math.max(0, this.#inFlight - 1);
        if (effect.writes.length > 3) count('batch of many writes');
        if (effect.writes.length === 1 && effect.bytes.length > 16 * 1024) count('record larger than a batch');
        for (const write of effect.writes) {
          if (write.decidedOn !== undefined) count('refusal decided on a record in flight');
          if (write.repetitions !== undefined) count('repetition of a write in flight');
        }
        return;
      case 'confirm':
        this.#confirmations = effect.number;
        this.#reads += 1;
        return;
      case 'release':
        this.#reads = Math.max(0, this.#reads - 1);
        return;
      case 'role':
        if (effect.role === 'taking') {
          count('take-over');
          this.#sealAnswers = [];
        }
        return;
      case 'transact':
        this.#transaction =
          shard.role === 'owner'
            ? 'change'
            : effect.writes.length > 1 || shard.status.step === 'closing'
              ? 'close'
              : 'claim';
        return;
      case 'answer-write':
        this.#answered(effect.result);
        return;
      case 'read-log':
        if (effect.request.reader === 'tail') count('take-over with a tail to read');
        else if (!this.#gap) {
          this.#gap = true;
          count('gap healed');
        }
        return;
      case 'note':
        if (effect.text === 'serving') this.#epochs.set(shard.state.shard, Number(effect.fields['epoch']));
        if (effect.text === 'zone changed' && this.#isReplaced(shard))
          count('zone change seen after the shard was lost');
        this.#noted(effect.text, String(effect.fields['reason'] ?? ''));
        return;
      default:
        this.#gap = false;
    }
  }

  #answered(result: { readonly kind: string; readonly code?: string }): void {
    if (result.kind !== 'failed') this.#coverage.count('repetition answered from memory');
    else if (result.code === 'request-superseded') this.#coverage.count('request superseded');
    else if (result.code === 'client-forgotten') this.#coverage.count('client forgotten');
  }

  #noted(text: string, reason: string): void {
    const count = (situation: Situation): void => this.#coverage.count(situation);
    if (text === 'zone changed') {
      count('zone change');
      if (this.#inFlight > 0) count('zone change with records in flight');
      if (this.#reads > 0) count('zone change with reads waiting');
      if (reason === 'zone full') count('zone full');
      else if (reason.endsWith('is back')) count('replicas regrown');
      else count('replica left the zone');
      this.#inFlight = 0;
    } else if (text === 'deposed') {
      count('deposed');
      if (this.#inFlight > 0) count('deposed with records in flight');
      this.#inFlight = 0;
    } else if (text === 'take-over lost') {
      count('take-over lost');
    } else if (text === 'take-over waits') {
      count('take-over that waited');
    }
  }
}

function watchLogger<T>(coverage: Coverage, event: MachineEvent<T>, effects: readonly MachineEffect<T>[]): void {
  if (event.kind === 'compared' && event.same) coverage.count('duplicate append');
  if (event.kind === 'device-failed') coverage.count('device failed');
  if (event.kind !== 'append' && event.kind !== 'seal' && event.kind !== 'compared') return;
  for (const effect of effects) {
    if (effect.kind !== 'answer' || effect.answer.kind !== 'refused') continue;
    const { code } = effect.answer;
    if (code === 'restarted') coverage.count('append after a restart refused');
    else if (code === 'sealed') coverage.count('append to a sealed zone refused');
    else if (code === 'fenced') coverage.count('fenced append');
    else if (code === 'not-at-write-pointer') coverage.count('append not at the write pointer');
  }
}
