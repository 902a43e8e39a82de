/**
 * Counts the situations that shards and loggers come into (coverage.ts), seen from outside through the traces of their
 * shells.
 */
import type { MachineEffect, MachineEvent } from '../src/core/logger/machine-events.ts';
import type { LoggerTrace } from '../src/core/logger/trace.ts';
import type { HeadPurpose, LogRead, ShardEffect, ShardEvent } from '../src/core/shard/events.ts';
import type { Shard } from '../src/core/shard/shard.ts';
import type { ShardTrace } from '../src/core/shard/trace.ts';
import type { Coverage, Situation } from './coverage.ts';

export function countShards(coverage: Coverage): ShardTrace {
  const shards = new WeakMap<Shard, ShardWatch>();
  const epochs: Epochs = new Map();
  const watchOf = (shard: Shard): ShardWatch => {
    let watch = shards.get(shard);
    if (watch === undefined) shards.set(shard, (watch = new ShardWatch(coverage, epochs)));
    return watch;
  };
  return {
    before: (shard, event) => watchOf(shard).before(shard, event),
    after: (shard, _event, effects) => watchOf(shard).after(shard, effects),
  };
}

export function countLoggers(coverage: Coverage): LoggerTrace {
  return {
    before: () => undefined,
    after: (_machine, event, effects) => countLogger(coverage, event, effects),
  };
}

/** Newest epoch that anybody served, by shard. */
type Epochs = Map<number, number>;

class ShardWatch {
  readonly #coverage: Coverage;
  readonly #epochs: Epochs;
  #inFlight = 0;
  #reads = 0;
  #confirmations = 0;
  #transaction: HeadPurpose | undefined;
  #sealAnswers: number[] = [];
  #gap = false;
  /** Newest append, and the replicas that have a piece of it. */
  #append = { offset: 0, end: 0, begun: new Set<string>() };
  /** End of the last Fill, the zone whose tail was read last, and what was read last. */
  #fillEnd = 0;
  #tailZone = 0;
  #read: Pick<LogRead, 'zone' | 'offset' | 'length'> | undefined;

  constructor(coverage: Coverage, epochs: Epochs) {
    this.#coverage = coverage;
    this.#epochs = epochs;
  }

  /** True when the shard serves, though another one does since. */
  #isReplaced(shard: Shard): boolean {
    return shard.role === 'owner' && (shard.status.owner?.epoch ?? 0) < (this.#epochs.get(shard.state.shard) ?? 0);
  }

  before(shard: Shard, event: ShardEvent): void {
    const count = (situation: Situation): void => this.#coverage.count(situation);
    switch (event.event) {
      case 'transacted':
        if (event.result.kind !== 'unknown') break;
        if (this.#transaction === 'claim') count('claim of unknown outcome');
        else if (this.#transaction === 'close') count('close of unknown outcome');
        else if (this.#transaction === 'zone-change') count('zone change of unknown outcome');
        else if (this.#transaction === 'hand-over') count('hand-over of unknown outcome');
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
      case 'appended':
        if (event.end === this.#append.offset) this.#append.begun.add(event.logger);
        else if (event.end >= this.#append.end) this.#append.begun.delete(event.logger);
        break;
      case 'append-failed':
        if (this.#append.begun.delete(event.logger) && event.reason.kind === 'lost')
          count('replica lost between the pieces of an append');
        break;
      case 'confirm-failed':
        if (event.reason.kind === 'refused' && event.reason.code === 'fenced') count('fenced confirm');
        break;
      case 'catch-up':
        if (shard.role === 'follower' && event.heads.length > 0) count('catch-up applied');
        break;
      case 'filled':
        if (event.answer.kind === 'filled') count('copy filled');
        break;
      case 'copied':
        if (event.answer.kind === 'filled' && event.answer.length > 0) count('zone copied');
        break;
      case 'copy-lacking':
        count('copy found lacking');
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
    for (const effect of effects) this.#effect(shard, effect);
  }

  #effect(shard: Shard, effect: ShardEffect): void {
    const count = (situation: Situation): void => this.#coverage.count(situation);
    switch (effect.effect) {
      case 'append':
        this.#inFlight += 1;
        this.#append = { offset: effect.offset, end: effect.offset + effect.bytes.length, begun: new Set() };
        return;
      case 'committed':
        this.#inFlight = Math.max(0, this.#inFlight - 1);
        if (effect.own.length > 0) count('floor logged');
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
        this.#transaction = effect.purpose;
        if (effect.purpose === 'hand-over') count('hand-over');
        return;
      case 'answer-write':
        this.#answered(effect.result);
        return;
      case 'read-log':
        this.#readsLog(shard, effect.request);
        return;
      case 'copy':
        if (effect.replaces !== '') count('damaged copy replaced');
        return;
      case 'fill':
        if (effect.offset === this.#fillEnd) count('copy filled in pieces');
        this.#fillEnd = effect.offset + effect.bytes.length;
        return;
      case 'fail-read':
        if (effect.failure.code === 'overloaded') count('shard overloaded');
        return;
      case 'note':
        if (effect.text === 'serving') this.#epochs.set(shard.state.shard, Number(effect.fields['epoch']));
        if (effect.text === 'zone changed' && this.#isReplaced(shard))
          count('zone change seen after the shard was lost');
        if (effect.text.startsWith('zone cut')) count('zone cut');
        if (Number(effect.fields['damagedKeys'] ?? 0) > 0) count('keys lost with a cut zone');
        if (effect.text === 'copies scrubbed' && effect.fields['unreached'] === 0) count('all copies scrubbed');
        if (effect.text === 'scrub met damage') count('damaged copy found by the scrub');
        this.#noted(effect.text, String(effect.fields['reason'] ?? ''));
        return;
      default:
        this.#gap = false;
    }
  }

  #readsLog({ role }: Shard, { reader, zone, offset, length }: LogRead): void {
    const count = (situation: Situation): void => this.#coverage.count(situation);
    if (this.#read?.zone === zone && this.#read.offset === offset && this.#read.length < length)
      count('log read again with a longer batch');
    this.#read = { zone, offset, length };
    if (reader === 'tail') {
      count('take-over with a tail to read');
      this.#tailZone = zone;
      return;
    }
    if (role === 'taking' && zone === this.#tailZone) count('tail read twice');
    if (this.#gap || reader !== 'heal') return;
    this.#gap = true;
    count('gap healed');
  }

  #answered(result: { readonly kind: string; readonly code?: string }): void {
    if (result.kind !== 'failed') this.#coverage.count('repetition answered from memory');
    else if (result.code === 'request-superseded') this.#coverage.count('request superseded');
    else if (result.code === 'client-forgotten') this.#coverage.count('client forgotten');
    else if (result.code === 'window-exceeded') this.#coverage.count('window exceeded');
    else if (result.code === 'overloaded') this.#coverage.count('shard overloaded');
  }

  #noted(text: string, reason: string): void {
    const count = (situation: Situation): void => this.#coverage.count(situation);
    if (text === 'zone changed') {
      count('zone change');
      if (this.#inFlight > 0) count('zone change with records in flight');
      if (this.#reads > 0) count('zone change with reads waiting');
      if (reason === 'zone full') count('zone full');
      else if (reason === 'zone full soon') count('zone left at a quiet moment');
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

function countLogger(
  coverage: Coverage,
  event: MachineEvent<unknown>,
  effects: readonly MachineEffect<unknown>[],
): void {
  if (event.kind === 'compared' && event.same) coverage.count('duplicate append');
  if (event.kind === 'written' && (event.write.item.rest ?? 0) > 0) coverage.count('append in pieces');
  if (event.kind === 'device-failed') coverage.count('device failed');
  if (!['append', 'seal', 'compared', 'write-refused'].includes(event.kind)) return;
  for (const effect of effects) {
    if (effect.kind !== 'answer' || effect.answer.kind !== 'refused') continue;
    const { code } = effect.answer;
    if (code === 'restarted') coverage.count('append after a restart refused');
    else if (code === 'sealed') coverage.count('append to a sealed zone refused');
    else if (code === 'fenced') coverage.count('fenced append');
    else if (code === 'device-full') coverage.count('append refused by a full device');
    else if (code === 'retired-zone') coverage.count('retired zone refused');
    else if (code === 'not-at-write-pointer') coverage.count('append not at the write pointer');
  }
}
