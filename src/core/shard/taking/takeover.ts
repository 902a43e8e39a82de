/**
 * Taking a shard over (docs/design.md section 6): claim, seal, read the tail, close and open. Also how a shard begins,
 * and how a gateway that restarted gets its shards again (S2: it never resumes an epoch).
 *
 *   loading -> claiming -> verifying the claim -> sealing -> reading the tail -> closing -> verifying the close -> done
 *      any of them, another owner of a higher epoch seen -> lost
 *
 * Rules kept here: S1, S8 (claim before seal; zones read after the claim), S9 (whose answers count, which length), S5
 * (the second compare-and-set commits everything below the length it records).
 */
import { assert, unreachable } from '../../../base/assert.ts';
import type { Epoch, Millis, Uuid, ZoneId } from '../../../base/ids.ts';
import { zoneId } from '../../../base/ids.ts';
import { limits } from '../../../base/limits.ts';
import { times } from '../../../base/times.ts';
import type { SealAnswer } from '../../../codec/logger-protocol.ts';
import type { ShardState } from '../following/apply.ts';
import type { LogRead, Lost, Refused, ShardEffect, ShardSettings } from '../events.ts';
import type { ReadBatch, ReadTail } from '../following/log-reader.ts';
import { LogReader } from '../following/log-reader.ts';
import type { Loggers } from '../loggers.ts';
import type { HeadEdit } from '../head/head-edits.ts';
import { begun, claimed, closed } from '../head/head-edits.ts';
import type { HeadKeeper } from '../head/head-keeper.ts';
import type { Head, Owner } from '../head/metadata.ts';
import { sameOwner } from '../head/metadata.ts';
import type { SealDecision } from './seal-length.ts';
import { sealLength } from './seal-length.ts';

type Step =
  | 'loading'
  | 'claiming'
  | 'claim-check'
  | 'sealing'
  | 'reading'
  | 'closing'
  | 'close-check'
  | 'waiting'
  | 'done'
  | 'lost';

/** What a take-over shares with the shard that it belongs to. */
export interface TakeoverParts {
  readonly state: ShardState;
  readonly self: Owner;
  readonly settings: ShardSettings;
  readonly loggers: Loggers;
  readonly keeper: HeadKeeper;
  readonly effects: ShardEffect[];
  /** Until then the process is starting and may not have met all loggers yet. */
  readonly coldUntilMs: number;
}

export class Takeover {
  readonly #parts: TakeoverParts;
  readonly #tail: LogReader;
  #step: Step = 'loading';
  /** The epoch claimed; 0 before. */
  #epoch = 0;
  #answers = new Map<Uuid, SealAnswer>();
  /** Answered, but was gone when the tail was read: as if it had not answered (S9). */
  #gone = new Set<Uuid>();
  /** Answered, but the tail that was read of it is intact only up to here: doubtful (S9). */
  #damaged = new Map<Uuid, number>();
  /** The highest committed length that any answer under this claim told of. */
  #seen = 0;
  #closedZone: { readonly zone: ZoneId; readonly loggers: readonly Uuid[] } | undefined;
  #decision: Extract<SealDecision, { kind: 'length' }> | undefined;
  /** The batches of the tail as they were read; undefined when they are too much to be kept. */
  #kept: ReadTail | undefined;
  #firstAnswerMs = 0;
  #sealAgainMs = 0;
  #retryAtMs = 0;
  #nowMs: Millis;
  #saidWaiting = '';

  constructor(parts: TakeoverParts, nowMs: Millis) {
    const { state, loggers, effects } = parts;
    this.#parts = parts;
    this.#tail = new LogReader(
      'tail',
      state,
      loggers,
      effects,
      (batch) => this.#keep(batch),
      () => undefined,
    );
    this.#nowMs = nowMs;
    this.#load();
  }

  get step(): Step {
    return this.#step;
  }

  /** The tail that was read, once its length has been decided: it need not be read again to be applied. */
  get tail(): ReadTail | undefined {
    return this.#step === 'closing' || this.#step === 'close-check' || this.#step === 'done' ? this.#kept : undefined;
  }

  #load(): void {
    this.#step = 'loading';
    this.#parts.keeper.load('claim');
  }

  /** Begins again from what the coordinator holds, a little later. */
  #again(): void {
    this.#step = 'waiting';
    this.#retryAtMs = this.#nowMs + times.claimRetryMs;
  }

  /**
   * A later claim than the own one ends the take-over in every step, also where no logger can be reached that would
   * tell of it.
   */
  news(): void {
    const { head, fate } = this.#parts.keeper;
    if (head !== undefined && fate === 'lost') this.#loseTo(head);
  }

  loadFailed(): void {
    this.#parts.keeper.loaded();
    if (this.#step === 'loading' || this.#step === 'claim-check' || this.#step === 'close-check') this.#again();
  }

  /** The keeper has read what decides how to go on: an answer of a transaction is never trusted alone (S1, S8). */
  loaded(): void {
    const step = this.#step;
    if (step !== 'loading' && step !== 'claim-check' && step !== 'close-check') return;
    const { keeper, self } = this.#parts;
    keeper.loaded();
    const { head, fate } = keeper;
    if (head === undefined) return this.#begin();
    switch (fate) {
      case 'lost':
        return this.#loseTo(head);
      case 'seen':
        return head.openZone.epoch === this.#epoch ? this.#done() : this.#seal(head);
      case 'unknown':
        if (!keeper.isOwnedBy(self, this.#epoch)) return this.#claim(head);
        // The close is not applied, or not yet: a second one against the same head makes the first impossible.
        return step === 'close-check' ? this.#close() : this.#seal(head);
      default:
        return unreachable(fate);
    }
  }

  /** The close is seen: length and list come from the metadata, not from the own computation (S8). */
  #done(): void {
    this.#step = 'done';
    const { keeper, effects } = this.#parts;
    const ended = this.#closedZone;
    if (ended === undefined) return;
    const length = keeper.sealedZone(ended.zone)?.length ?? 0;
    effects.push({ effect: 'finish', zone: ended.zone, length, loggers: ended.loggers });
  }

  #chooseReplicas(zone: ZoneId): Uuid[] {
    const { state, settings, loggers } = this.#parts;
    return loggers.choose(state.shard, zone, settings.replicas, settings.minReplicas, this.#nowMs);
  }

  /** Step 1, for a shard that has no head: the first epoch opens the first zone. */
  #begin(): void {
    const { settings, self, coldUntilMs } = this.#parts;
    const replicas = this.#chooseReplicas(zoneId(1));
    const scarce = replicas.length < settings.replicas && this.#nowMs < coldUntilMs;
    if (replicas.length === 0 || scarce)
      return this.#wait(`${replicas.length} of ${settings.replicas} loggers are connected`);
    this.#propose('claiming', begun(self, replicas));
  }

  /**
   * Step 1: one epoch more, owner me; the open zone stays. Before it, at least one of the zone's replicas must be in
   * reach.
   */
  #claim(head: Head): void {
    const { loggers, self } = this.#parts;
    if (!head.openZone.replicas.some((logger) => loggers.isUp(logger)))
      return this.#wait(`no replica of zone ${head.openZone.zone} is connected`);
    this.#propose('claiming', claimed(head, self));
  }

  #propose(step: 'claiming' | 'closing', edit: HeadEdit): void {
    this.#step = step;
    this.#epoch = edit.head.epoch;
    this.#parts.keeper.propose(step === 'claiming' ? 'claim' : 'close', edit);
  }

  transacted(): void {
    if (this.#parts.keeper.transacted()) this.#step = this.#step === 'claiming' ? 'claim-check' : 'close-check';
  }

  /** Step 2: the claim is seen and the zones were read after it (S8). */
  #seal(head: Head): void {
    assert(head.epoch === this.#epoch && sameOwner(head.owner, this.#parts.self), 'S8 claim before seal');
    this.#step = 'sealing';
    this.#answers.clear();
    this.#gone.clear();
    this.#damaged.clear();
    this.#firstAnswerMs = 0;
    this.#sendSeals(head);
  }

  #sendSeals(head: Head): void {
    this.#sealAgainMs = this.#nowMs + times.sealRetryMs;
    const loggers = head.openZone.replicas.filter(
      (logger) => this.#parts.loggers.isUp(logger) && !this.#answers.has(logger),
    );
    if (loggers.length > 0)
      this.#parts.effects.push({ effect: 'seal', zone: head.openZone.zone, epoch: head.epoch, loggers });
  }

  sealed(logger: Uuid, zone: number, epoch: Epoch, answer: SealAnswer | Lost | Refused): void {
    const head = this.#parts.keeper.head;
    if (this.#step !== 'sealing' || head === undefined || head.openZone.zone !== zone || epoch !== this.#epoch) return;
    if ('kind' in answer) {
      if (answer.kind === 'refused' && answer.code === 'fenced') this.#lose('fenced by a later claim');
      return;
    }
    this.#answers.set(logger, answer);
    this.#seen = Math.max(this.#seen, answer.seen);
    if (this.#firstAnswerMs === 0) this.#firstAnswerMs = this.#nowMs;
    this.#consider();
  }

  /** Whether to wait for more answers, and if not, which length (S9). */
  #consider(): void {
    const open = this.#parts.keeper.head?.openZone;
    assert(open !== undefined, 'sealing follows loading');
    if (this.#answers.size === 0) return;
    const owing = open.replicas.filter((logger) => !this.#answers.has(logger));
    const connected = owing.every((logger) => this.#parts.loggers.isUp(logger));
    const waited =
      this.#nowMs >= this.#firstAnswerMs + this.#parts.settings.sealWaitMs &&
      (connected || this.#nowMs >= this.#parts.coldUntilMs);
    if (owing.length > 0 && !waited) return;
    const { position } = this.#parts.state;
    const watermark = position.zone === open.zone ? position.offset : 0;
    const decision = sealLength(
      this.#asRead(),
      this.#gone,
      Math.max(watermark, this.#seen),
      owing.length === 0 && this.#gone.size === 0,
    );
    switch (decision.kind) {
      case 'length':
        this.#decision = decision;
        this.#readTail(watermark, decision);
        return;
      case 'wait':
        this.#sayWaiting(`zone ${open.zone}: ${decision.reason}`);
        return;
      default:
        unreachable(decision);
    }
  }

  /** The answers, with what reading the tail has shown since: what gave bad bytes is doubtful and ends there (S9). */
  #asRead(): Map<Uuid, SealAnswer> {
    const answers = new Map(this.#answers);
    for (const [logger, answer] of answers) {
      const intact = this.#damaged.get(logger);
      if (intact !== undefined && intact < answer.length)
        answers.set(logger, { ...answer, length: intact, doubtful: true, tail: 'damaged' });
    }
    return answers;
  }

  /** Step 3: everything between the watermark and the length must be readable before the length is recorded. */
  #readTail(watermark: number, decision: Extract<SealDecision, { kind: 'length' }>): void {
    const open = this.#parts.keeper.head?.openZone;
    assert(open !== undefined, 'reading follows sealing');
    this.#step = 'reading';
    this.#kept = { zone: open.zone, from: watermark, to: decision.length, batches: [] };
    this.#tail.stop();
    this.#tail.start([
      { zone: open.zone, epoch: open.epoch, from: watermark, to: decision.length, holders: decision.holders },
    ]);
    this.#tailRead();
  }

  #keep(batch: ReadBatch): void {
    const kept = this.#kept;
    if (kept === undefined) return;
    if (batch.header.offset + batch.header.totalLength - kept.from > limits.tailKeptBytesMax) this.#kept = undefined;
    else kept.batches.push(batch);
  }

  logRead(request: LogRead, bytes: Uint8Array | undefined): void {
    if (this.#step !== 'reading') return;
    this.#tail.answer(request, bytes);
    // S9: an answerer that turns out damaged there is a doubtful one; one that is gone is none.
    if (this.#tail.failed.has(request.logger)) {
      if (bytes === undefined) this.#gone.add(request.logger);
      else this.#damaged.set(request.logger, this.#tail.position);
    }
    this.#tailRead();
  }

  #tailRead(): void {
    if (this.#tail.failed.size > 0) {
      this.#step = 'sealing';
      this.#tail.stop();
      this.#consider();
    } else if (this.#tail.state === 'done') {
      this.#close();
    } else if (this.#tail.state === 'stuck') {
      this.#tail.stop();
      this.#again();
    }
  }

  /** Step 4: the second compare-and-set records length and list, and opens the own zone. */
  #close(): void {
    const { head } = this.#parts.keeper;
    const decision = this.#decision;
    assert(
      head !== undefined && decision !== undefined && head.epoch === this.#epoch,
      'S8 closing follows sealing under the own epoch',
    );
    const replicas = this.#chooseReplicas(head.nextZone);
    if (replicas.length === 0) return this.#wait('no logger is connected for a new zone');
    this.#closedZone = { zone: head.openZone.zone, loggers: head.openZone.replicas };
    this.#propose('closing', closed(head, decision.length, decision.holders, replicas));
  }

  #wait(reason: string): void {
    this.#sayWaiting(reason);
    this.#again();
  }

  /** Visible to the operator, once per reason. */
  #sayWaiting(reason: string): void {
    if (this.#saidWaiting !== reason) this.#note('warn', 'take-over waits', { reason });
    this.#saidWaiting = reason;
  }

  #loseTo({ epoch, owner }: Head): void {
    this.#lose(`epoch ${epoch} belongs to gateway ${owner.gateway}`);
  }

  #lose(reason: string): void {
    this.#step = 'lost';
    this.#parts.keeper.settle();
    this.#note('warn', 'take-over lost', { reason });
  }

  #note(level: 'info' | 'warn', text: string, fields: Readonly<Record<string, string | number>>): void {
    this.#parts.effects.push({ effect: 'note', level, text, fields: { shard: this.#parts.state.shard, ...fields } });
  }

  tick(nowMs: Millis): void {
    this.#nowMs = nowMs;
    if (this.#step === 'waiting' && nowMs >= this.#retryAtMs) {
      this.#load();
    } else if (this.#step === 'sealing') {
      const head = this.#parts.keeper.head;
      if (head !== undefined && this.#gone.size + this.#damaged.size > 0 && nowMs >= this.#sealAgainMs)
        this.#seal(head); // They may be sound again.
      else if (head !== undefined && nowMs >= this.#sealAgainMs) this.#sendSeals(head);
      this.#consider();
    }
  }

  loggerUp(): void {
    const head = this.#parts.keeper.head;
    if (this.#step === 'sealing' && head !== undefined) this.#sendSeals(head);
    // Most waits are for a logger.
    else if (this.#step === 'waiting') this.#load();
  }
}
