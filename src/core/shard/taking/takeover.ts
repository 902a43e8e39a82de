/**
 * Taking a shard over (docs/design.md section 6): claim, seal, read the tail, fill, close and open. Also how a shard
 * begins, and how a gateway that restarted gets its shards again (S2: it never resumes an epoch).
 *
 *   asking -> loading -> claiming -> claim-check -> sealing -> reading -> filling -> closing -> close-check -> done
 *      loading -> asking, when replicas may still come
 *      sealing -> testimony-check -> sealing, when an answer knows more than the metadata
 *      any of them, another owner of a higher epoch seen -> lost
 *      any of them, the metadata went back -> stopped (S20)
 *
 * Rules kept here: S1, S8 (claim before seal; zones read after the claim), S5 (the second compare-and-set commits
 * everything below the length it records), S19 (who is listed on a Fill).
 *
 * It owns the steps. It does not own the answers and waits of the question before the claim (question.ts) and of the
 * seals (seal-round.ts), the rule of the length (seal-length.ts), the reading and filling of the tail (tail.ts), nor
 * the head (head-keeper.ts).
 * Walk: TAKE-OVER 1/7.
 */
import { assert, unreachable } from '../../../base/assert.ts';
import type { Epoch, Millis, Uuid, ZoneId } from '../../../base/ids.ts';
import { zoneId } from '../../../base/ids.ts';
import { times } from '../../../base/times.ts';
import type { ShardKnowledge } from '../../../codec/logger-protocol.ts';
import type { SealResult } from '../../../codec/logger-seals.ts';
import type { Filled, LogRead, Lost, Refused } from '../events.ts';
import type { ReadTail } from '../following/log-reader.ts';
import type { HeadEdit } from '../head/head-edits.ts';
import { begun, claimed, closed } from '../head/head-edits.ts';
import type { Head, LostKeys, ReplicaSet } from '../head/metadata.ts';
import { sameOwner } from '../head/metadata.ts';
import { doubtNote, doubtOf } from './doubt.ts';
import { lostKeys } from './lost-keys.ts';
import type { TakeoverParts, TakeoverWait } from './parts.ts';
import type { SealDecision } from './seal-length.ts';
import { Question } from './question.ts';
import type { Proof } from './regression.ts';
import { regressionNote } from './regression.ts';
import { SealRound } from './seal-round.ts';
import { Tail } from './tail.ts';

type Step =
  | 'asking'
  | 'loading'
  | 'claiming'
  | 'claim-check'
  | 'sealing'
  | 'testimony-check'
  | 'reading'
  | 'filling'
  | 'closing'
  | 'close-check'
  | 'waiting'
  | 'done'
  | 'lost'
  | 'stopped';

type DecidedLength = Extract<SealDecision, { kind: 'length' }>;

/** Large because the steps of a take-over read in one place, each a few lines. */
export class Takeover {
  readonly #parts: TakeoverParts;
  readonly #question: Question;
  readonly #seals: SealRound;
  readonly #tail: Tail;
  readonly #startedMs: Millis;
  /** Epoch of the owner that it is taken from; where it is given, the own one. */
  readonly #over: number;
  readonly #isGiven: boolean;
  #step: Step = 'asking';
  /** The epoch claimed, or given; 0 before. */
  #epoch: number;
  #decision: DecidedLength | undefined;
  #closedZone: { readonly zone: ZoneId; readonly loggers: readonly Uuid[] } | undefined;
  /** Zone of the watermark when the metadata was asked for, or later: what it must know (S20). */
  #zoneBeforeLoad = 0;
  /** Whether a logger has answered since the metadata was last asked for. */
  #heardSinceLoad = false;
  #retryAtMs = 0;
  #fillUntilMs = 0;
  #nowMs: Millis;
  #saidWaiting = '';

  constructor(parts: TakeoverParts, over: number, nowMs: Millis, isGiven = false) {
    const { settings, loggers, effects } = parts;
    this.#parts = parts;
    this.#question = new Question(settings, loggers, effects, nowMs);
    this.#seals = new SealRound(settings, loggers, effects, nowMs);
    this.#tail = new Tail(parts);
    this.#startedMs = nowMs;
    this.#over = over;
    this.#isGiven = isGiven;
    this.#epoch = isGiven ? over : 0;
    this.#nowMs = nowMs;
    this.#begins();
  }

  get step(): Step {
    return this.#step;
  }

  /** The tail that was read, once its length has been decided: it need not be read again to be applied. */
  get tail(): ReadTail | undefined {
    return this.#step === 'closing' || this.#step === 'close-check' || this.#step === 'done'
      ? this.#tail.kept
      : undefined;
  }

  get wait(): TakeoverWait | undefined {
    const { head } = this.#parts.keeper;
    if (this.#step === 'waiting' && head !== undefined && this.#saidWaiting !== '')
      return { reason: this.#saidWaiting, loggers: head.openZone.replicas, lacksCopies: false };
    const wait = this.#step === 'sealing' ? this.#seals.wait : undefined;
    return wait && { ...wait, lacksCopies: true };
  }

  get #head(): Head {
    const { head } = this.#parts.keeper;
    assert(head !== undefined, 'a head was claimed');
    return head;
  }

  // --- the head ------------------------------------------------------------------------------------------------------

  /** Begins, or goes on after a pause: before the claim the loggers are asked what they know (S20). */
  #begins(): void {
    if (this.#epoch > 0) return this.#load();
    this.#step = 'asking';
    this.#question.ask(this.#nowMs);
    this.#asked();
  }

  /** The metadata is read after the answers, so that what they know must stand there. */
  #asked(): void {
    if (this.#question.isComplete(this.#parts.keeper.head, this.#nowMs)) this.#load();
  }

  testified(logger: Uuid, answer: ShardKnowledge | Lost): void {
    this.#question.add(logger, answer);
    this.#heardSinceLoad = true;
    if (this.#step === 'asking') this.#asked();
  }

  #load(step: 'loading' | 'testimony-check' = 'loading'): void {
    this.#step = step;
    this.#heardSinceLoad = false;
    this.#parts.keeper.load('claim');
  }

  /** Begins again from what the coordinator holds, a little later. */
  #again(): void {
    this.#step = 'waiting';
    this.#retryAtMs = this.#nowMs + times.claimRetryMs;
  }

  /** A later claim ends the take-over in every step. Who was given the shard has proposed nothing to lose. */
  news(): void {
    const { keeper, self } = this.#parts;
    const isLost = this.#isGiven ? !keeper.isOwnedBy(self, this.#over) : keeper.fate === 'lost';
    if (keeper.head !== undefined && isLost && this.#step !== 'stopped') this.#loseTo(keeper.head);
  }

  /** Ends where nothing was asked of the coordinator yet. */
  withdraw(): void {
    if (this.#epoch > 0 || this.#step === 'stopped') return;
    this.#step = 'lost';
    this.#note('info', 'take-over withdrawn', {});
  }

  loadFailed(): void {
    this.#parts.keeper.loaded();
    if (this.#isLoading) this.#again();
  }

  get #isLoading(): boolean {
    const step = this.#step;
    return step === 'loading' || step === 'claim-check' || step === 'close-check' || step === 'testimony-check';
  }

  /** The keeper has read what decides how to go on: an answer of a transaction is never trusted alone (S1, S8). */
  loaded(): void {
    if (!this.#isLoading) return;
    const { keeper, self } = this.#parts;
    keeper.loaded();
    const { head, fate } = keeper;
    if (this.#wentBack(head)) return;
    const isAsked = this.#epoch > 0 || this.#question.isComplete(head, this.#nowMs);
    if (!isAsked) return this.#begins();
    if (head === undefined) return this.#begin();
    if (this.#isGiven) return this.#given(head);
    if (this.#step === 'testimony-check' && keeper.isOwnedBy(self, this.#epoch)) return this.#consider();
    switch (fate) {
      case 'lost':
        return this.#loseTo(head);
      case 'seen':
        return head.openZone.epoch === this.#epoch ? this.#opened(head) : this.#seal(head);
      case 'unknown':
        if (!keeper.isOwnedBy(self, this.#epoch)) return this.#claim(head);
        // The close is not applied, or not yet: a second one against the same head makes the first impossible.
        return this.#step === 'close-check' ? this.#close() : this.#seal(head);
      default:
        return unreachable(fate);
    }
  }

  /** The shard was handed over to this process: its owner has ended the zone before, and nothing is claimed (S6). */
  #given(head: Head): void {
    if (!sameOwner(head.owner, this.#parts.self) || head.epoch !== this.#over) return this.#loseTo(head);
    assert(head.openZone.epoch === head.epoch, 'S6 who is given a shard is given an open zone of its own epoch');
    this.#done();
  }

  /** S20: whether the metadata, as it was just read, proves to have gone back, so that the shard stops. */
  #wentBack(head: Head | undefined): boolean {
    const { state, keeper } = this.#parts;
    const next = head?.nextZone ?? 1;
    const { zone } = state.position;
    // What was applied before the metadata was read; a zone that was opened and told of meanwhile proves nothing.
    const known = this.#zoneBeforeLoad;
    this.#zoneBeforeLoad = zone;
    if (known >= next) {
      this.#stop(`this gateway has applied zone ${known}, and the metadata knows zones below ${next}`);
      return true;
    }
    if (zone >= next) {
      this.#load();
      return true;
    }
    const proof = this.#proof(head);
    if (proof === undefined) return false;
    // What was said after the reading, or read for an earlier load, may be newer or older than the other: no proof yet.
    if (this.#heardSinceLoad) this.#load(this.#step === 'testimony-check' ? this.#step : 'loading');
    else if (keeper.isRead) this.#stop(`logger ${proof.logger}: ${proof.fact}`);
    return true;
  }

  #proof(head: Head | undefined): Proof | undefined {
    const { metadata, fate } = this.#parts.keeper;
    if (this.#epoch === 0) return this.#question.regression(head, metadata);
    const isAsked = head !== undefined && this.#step === 'testimony-check' && fate !== 'lost';
    return isAsked ? this.#seals.regression(head, metadata) : undefined;
  }

  /** The own zone is open: length and list come from the metadata, not from the own computation (S8). */
  #opened(head: Head): void {
    // The first zone of a shard followed none. Its loggers are asked all the same: they may know of a shard before.
    if (this.#closedZone === undefined && head.openZone.zone === 1 && this.#step === 'claim-check') {
      this.#seal(head);
      return;
    }
    this.#done();
  }

  #done(): void {
    this.#step = 'done';
    const { keeper, effects, state } = this.#parts;
    const ended = this.#closedZone;
    if (ended === undefined) return;
    const length = keeper.sealedZone(ended.zone)?.length ?? 0;
    effects.push({ effect: 'finish', zone: ended.zone, length, loggers: ended.loggers });
    const { zone, offset: committed } = state.position;
    const end = zone === ended.zone ? length : (keeper.sealedZone(zone)?.length ?? committed);
    if (committed > end) this.#note('error', 'zone ended below what was committed', { zone, length: end, committed });
  }

  #chooseReplicas(zone: ZoneId): ReplicaSet {
    const { state, settings, loggers } = this.#parts;
    return loggers.choose(state.shard, zone, settings.replicas, settings.minReplicas, this.#nowMs);
  }

  /** Step 1, for a shard that has no head: the first epoch opens the first zone. */
  #begin(): void {
    const { settings, self } = this.#parts;
    const opened = this.#chooseReplicas(zoneId(1));
    const count = opened.replicas.length;
    const isScarce = count < settings.replicas && this.#nowMs < this.#startedMs + settings.coldSealWaitMs;
    if (count === 0 || isScarce) return this.#wait(`${count} of ${settings.replicas} loggers are connected`);
    const unheard = this.#question.unheard('logger', opened.replicas);
    if (unheard !== undefined) return this.#wait(unheard);
    this.#propose('claiming', begun(self, opened));
  }

  /** Step 1: the next epoch, owner me; the open zone stays. One of its replicas must have said what it knows. */
  #claim(head: Head): void {
    // Somebody else was first: the owner that was to be replaced is.
    if (head.epoch > this.#over && !sameOwner(head.owner, this.#parts.self)) return this.#loseTo(head);
    const { zone, replicas } = head.openZone;
    const unheard = this.#question.unheard(`replica of zone ${zone}`, replicas);
    if (unheard !== undefined) return this.#wait(unheard);
    this.#propose('claiming', claimed(head, this.#parts.self));
  }

  #propose(step: 'claiming' | 'closing', edit: HeadEdit): void {
    assert(this.#step !== 'stopped', 'S20 metadata that went back is never changed');
    this.#step = step;
    this.#epoch = edit.head.epoch;
    this.#parts.keeper.propose(step === 'claiming' ? 'claim' : 'close', edit);
  }

  transacted(): void {
    if (this.#parts.keeper.transacted()) this.#step = this.#step === 'claiming' ? 'claim-check' : 'close-check';
  }

  // --- sealing -------------------------------------------------------------------------------------------------------

  /** Step 2: the claim is seen and the zones were read after it (S8). */
  #seal(head: Head): void {
    assert(head.epoch === this.#epoch && sameOwner(head.owner, this.#parts.self), 'S8 claim before seal');
    this.#step = 'sealing';
    this.#seals.begin(head, this.#nowMs);
  }

  /** Answers and refusals alike: both tell what the logger knows of the shard. */
  sealed(logger: Uuid, zone: number, epoch: Epoch, answer: SealResult | Lost): void {
    const { head, metadata } = this.#parts.keeper;
    const isAsking = this.#step === 'sealing' || this.#step === 'testimony-check';
    if (!isAsking || head?.openZone.zone !== zone || epoch !== this.#epoch || isLost(answer)) return;
    this.#seals.add(logger, head, answer, this.#nowMs);
    this.#heardSinceLoad = true;
    if (this.#step !== 'sealing') return;
    if (this.#seals.regression(head, metadata) === undefined) return this.#consider();
    // It knows more than what was read before it answered: what is read now decides.
    this.#load('testimony-check');
  }

  /** Whether to wait for more answers, and if not, which length (S9). */
  #consider(): void {
    this.#step = 'sealing';
    const head = this.#head;
    if (!this.#seals.isComplete(head, this.#nowMs)) return;
    if (head.openZone.epoch === this.#epoch) return this.#done();
    const decision = this.#seals.decide(head, this.#watermark, this.#nowMs);
    switch (decision.kind) {
      case 'length':
        this.#decision = decision;
        return this.#read(head, decision);
      case 'wait':
        return this.#sayWaiting(`zone ${head.openZone.zone}: ${decision.reason}`);
      default:
        return unreachable(decision);
    }
  }

  /** How far the zone that is being closed was applied. */
  get #watermark(): number {
    const { position } = this.#parts.state;
    return position.zone === this.#head.openZone.zone ? position.offset : 0;
  }

  // --- the tail ------------------------------------------------------------------------------------------------------

  /** Step 3: everything between the watermark and the length must be readable before the length is recorded. */
  #read({ openZone }: Head, decision: DecidedLength): void {
    this.#step = 'reading';
    this.#tail.begin(openZone, this.#watermark, decision, this.#seals.answers);
    this.#tailRead();
  }

  logRead(request: LogRead, bytes: Uint8Array | undefined): void {
    if (this.#step !== 'reading') return;
    this.#tail.answer(request, bytes);
    this.#tailRead();
  }

  #tailRead(): void {
    switch (this.#tail.state) {
      case 'reading':
        return;
      case 'shaken': // S9: an answerer that turns out damaged there is a doubtful one; one that is gone is none.
        return this.#consider();
      case 'stuck':
        return this.#again();
      case 'read':
        return this.#fill();
      default:
        return unreachable(this.#tail.state);
    }
  }

  /** S19: the shorter copies are completed, in one round; who is not in time is left out. */
  #fill(): void {
    const { effects, settings } = this.#parts;
    const { openZone, epoch, owner } = this.#head;
    const pieces = this.#tail.pieces();
    for (const { logger, offset, bytes } of pieces) {
      effects.push({ effect: 'fill', zone: openZone.zone, epoch, instance: owner.instance, offset, bytes, logger });
      this.#seals.answers.filling(offset + bytes.length);
    }
    if (pieces.length === 0) return this.#close();
    this.#step = 'filling';
    this.#fillUntilMs = this.#nowMs + settings.fillWaitMs;
  }

  filled(logger: Uuid, zone: number, epoch: Epoch, answer: Filled | Lost | Refused): void {
    if (this.#step !== 'filling' || this.#head.openZone.zone !== zone || epoch !== this.#epoch) return;
    this.#tail.filled(logger, answer);
    if (this.#tail.isFilled) this.#close();
  }

  // --- closing -------------------------------------------------------------------------------------------------------

  /** Step 4: the second compare-and-set records length and list, and opens the own zone. */
  #close(): void {
    const { head } = this.#parts.keeper;
    const decision = this.#decision;
    assert(
      head !== undefined && decision !== undefined && head.epoch === this.#epoch,
      'S8 closing follows sealing under the own epoch',
    );
    if (this.#watermark > decision.length) return this.#step === 'close-check' ? this.#claim(head) : this.#consider();
    const opened = this.#chooseReplicas(head.nextZone);
    if (opened.replicas.length === 0) return this.#wait('no logger is connected for a new zone');
    assert(decision.length >= this.#seals.answers.fillEnd, 'S9 no length lies below a Fill that was sent');
    const { zone, replicas } = head.openZone;
    const holders = [...decision.holders, ...this.#tail.filledCopies];
    this.#closedZone = { zone, loggers: replicas };
    const { isEmpty } = this.#tail;
    const lost = decision.proof === 'cut' ? this.#lost(head, decision.length, isEmpty) : undefined;
    const note = doubtNote({ ...decision, zone, holders, replicas, lost });
    if (note !== undefined) this.#note('error', note.text, note.fields);
    const doubt = doubtOf(decision.proof);
    this.#propose('closing', closed(head, { length: decision.length, holders, doubt, lost, isEmpty }, opened));
  }

  /** S9: keys whose records the cut at `length` loses, with those that no batch has named yet. */
  #lost({ openZone }: Head, length: number, isEmpty: boolean): LostKeys {
    const { keeper, state } = this.#parts;
    const owed = openZone.owes === undefined || !isEmpty ? undefined : keeper.sealedZone(openZone.owes)?.lost;
    return lostKeys(this.#seals.answers.of(openZone.replicas).values(), length, owed, state.zoneSize);
  }

  /**
   * The watermark moved, by a late word of the owner before. Its length must not be recorded any more if it lies below:
   * a claim against the same head makes that impossible, or finds it recorded.
   */
  caughtUp(): void {
    const isClosing = this.#step === 'closing' || this.#step === 'close-check';
    if (!isClosing || this.#watermark <= (this.#decision?.length ?? 0)) return;
    if (this.#step === 'close-check') return; // What is read now decides; `#close` looks at the watermark again.
    const { keeper, self } = this.#parts;
    keeper.giveUp();
    this.#closedZone = undefined;
    this.#propose('claiming', claimed(this.#head, self));
  }

  // --- ends ----------------------------------------------------------------------------------------------------------

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
    this.#step = 'lost';
    this.#parts.keeper.settle();
    this.#note('warn', 'take-over lost', { reason: `epoch ${epoch} belongs to gateway ${owner.gateway}` });
  }

  /** S20: nothing is claimed, finished or reset any more. */
  #stop(fact: string): void {
    this.#step = 'stopped';
    const { effects, settings, state } = this.#parts;
    effects.push({ effect: 'note', level: 'error', ...regressionNote(state.shard, settings.metadataSource, fact) });
  }

  #note(level: 'info' | 'warn' | 'error', text: string, fields: Readonly<Record<string, string | number>>): void {
    this.#parts.effects.push({ effect: 'note', level, text, fields: { shard: this.#parts.state.shard, ...fields } });
  }

  // --- time ----------------------------------------------------------------------------------------------------------

  tick(nowMs: Millis): void {
    this.#nowMs = nowMs;
    if (this.#step === 'asking') {
      this.#asked();
    } else if (this.#step === 'waiting' && nowMs >= this.#retryAtMs) {
      this.#begins();
    } else if (this.#step === 'sealing') {
      this.#seals.tick(this.#head, nowMs);
      this.#consider();
    } else if (this.#step === 'filling' && nowMs >= this.#fillUntilMs) {
      this.#close();
    }
  }

  loggerUp(): void {
    if (this.#step === 'sealing') this.#seals.ask(this.#head, this.#nowMs);
    // Most waits are for a logger.
    else if (this.#step === 'waiting' || this.#step === 'asking') this.#begins();
  }
}

function isLost(answer: SealResult | Lost): answer is Lost {
  return 'kind' in answer && answer.kind === 'lost';
}
