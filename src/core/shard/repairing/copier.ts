/**
 * One copy of a zone that ended, made at one logger (S10):
 *
 *   asking --what it holds--> copying --holds [0, length)--> checking --read back, all good--> proven
 *                             ^                               |
 *                             '--all is held elsewhere-- sourcing <--damaged
 *   any of them --refused, lost--> failed
 *
 * What is copied was read from a holder with its checksums, and the logger checks it again before it writes; then the
 * whole copy is read back from it, since a former holder's may be damaged and a disk may not hold what it took. A copy
 * that was left half done goes on where it ends. A damaged one may hold what no other copy has: it is replaced only
 * when all of the zone was read from others.
 *
 * It owns the way of one copy. It does not own which copy is made (missing.ts), how fast (copy-pace.ts), nor the list
 * (repairer.ts).
 */
import type { Millis, Uuid } from '../../../base/ids.ts';
import type { Writer } from '../../../codec/log-format.ts';
import type { LoggerRefusalCode } from '../../../codec/logger-protocol.ts';
import type { Copied, LogRead, Lost, Refused, ShardEffect, ShardIdentity, ShardSettings } from '../events.ts';
import type { ReadBatch } from '../following/log-reader.ts';
import { LogReader } from '../following/log-reader.ts';
import { piecesOf } from '../following/pieces.ts';
import type { Loggers } from '../loggers.ts';
import type { CopyPace } from './copy-pace.ts';
import type { CopyTask } from './missing.ts';

export interface CopierParts {
  readonly identity: ShardIdentity;
  readonly settings: ShardSettings;
  readonly loggers: Loggers;
  readonly effects: ShardEffect[];
  readonly pace: CopyPace;
  /** Owner that orders the copy. */
  readonly by: Writer;
}

type Step =
  | { readonly kind: 'asking' }
  | { readonly kind: 'copying'; readonly reader: LogReader }
  | { readonly kind: 'checking'; readonly reader: LogReader }
  | { readonly kind: 'sourcing'; readonly reader: LogReader }
  | { readonly kind: 'proven' }
  | { readonly kind: 'failed'; readonly reason: string };

const nothing = new Uint8Array(0);

export class Copier {
  readonly task: CopyTask;
  readonly #parts: CopierParts;
  #step: Step = { kind: 'asking' };
  /** Batches that were read and are not sent. */
  #batches: ReadBatch[] = [];
  /** End of what was sent. */
  #at = 0;
  /** Intact length of the copy, as far as it was told: another owner may have completed it, too. */
  #end = 0;
  /** Copy that the target held when it was asked, before any of it was read. */
  #copyId = '';
  /** Copy that the next bytes replace; '': none. */
  #replaces = '';

  constructor(task: CopyTask, parts: CopierParts) {
    this.task = task;
    this.#parts = parts;
    this.#send(0, nothing);
  }

  get step(): Step['kind'] {
    return this.#step.kind;
  }

  /** Why it failed. */
  get reason(): string {
    return this.#step.kind === 'failed' ? this.#step.reason : '';
  }

  /** Bytes of the zone that the target holds, as far as is known. */
  get end(): number {
    return this.#end;
  }

  /** Reads the next piece when its time has come. */
  tick(nowMs: Millis): void {
    const step = this.#step;
    if (!isReading(step)) return;
    // What was sent is stable before more is read.
    if (this.#end < this.#at || !this.#parts.pace.isDue(nowMs)) return;
    step.reader.goOn();
    this.#parts.pace.took(step.reader.askedBytes, nowMs);
    if (step.reader.state === 'stuck') this.#fail(`nobody gave the zone's bytes at ${step.reader.position}`);
  }

  copied(answer: Copied | Lost | Refused): void {
    const step = this.#step;
    if (answer.kind !== 'filled') return this.#fail(answer.kind === 'lost' ? 'no answer' : answer.code);
    this.#end = Math.max(this.#end, answer.length);
    if (step.kind === 'asking') {
      this.#copyId = answer.copyId;
      this.#goOnFrom(answer.length);
    } else if (step.kind === 'copying') this.#settle(step.reader);
  }

  logRead(request: LogRead, bytes: Uint8Array | undefined, refused?: LoggerRefusalCode): void {
    const step = this.#step;
    if (!isReading(step)) return;
    step.reader.answer(request, bytes, refused);
    if (step.kind === 'copying') this.#sendBatches(step.reader, bytes);
    else if (step.kind === 'sourcing') this.#settleSources(step.reader);
    else if (step.reader.state === 'done') this.#step = { kind: 'proven' };
    // The only holder that is asked gave bytes that are not good, or none.
    else if (step.reader.failed.size > 0) this.#checkFailed(step.reader, isDamage(bytes, refused));
  }

  /** Bytes that are not good are damage; no bytes may come yet. A copy that was just replaced is not again. */
  #checkFailed(reader: LogReader, isDamaged: boolean): void {
    if (!isDamaged || this.#copyId === '') return this.#fail(`the copy is not good at ${reader.position}`);
    const { zone, epoch, instance, length } = this.task.zone;
    const sources = this.#reader(() => undefined);
    this.#step = { kind: 'sourcing', reader: sources };
    sources.start([{ zone, epoch, instance, from: 0, to: length, holders: this.#holders }]);
  }

  #settleSources(reader: LogReader): void {
    if (reader.state !== 'done') return;
    this.#replaces = this.#copyId;
    this.#copyId = '';
    this.#end = 0;
    this.#goOnFrom(0);
  }

  /** Listed holders, and former ones, whose single batches may be good (S9). */
  get #holders(): readonly Uuid[] {
    const { replicas, former } = this.task.zone;
    return [...replicas, ...former].filter((logger) => logger !== this.task.target);
  }

  #goOnFrom(from: number): void {
    const { zone, epoch, instance, length } = this.task.zone;
    const holders = this.#holders;
    if (from >= length) return this.#check();
    const reader = this.#reader((batch) => this.#batches.push(batch));
    this.#step = { kind: 'copying', reader };
    this.#at = from;
    reader.start([{ zone, epoch, instance, from, to: length, holders }]);
  }

  /** `bytes`: those that were read last. */
  #sendBatches(reader: LogReader, bytes: Uint8Array | undefined): void {
    const { fillPieceBytes } = this.#parts.settings.limits;
    for (const piece of piecesOf(this.#batches.splice(0), this.#at, fillPieceBytes)) {
      this.#send(piece.offset, piece.bytes);
      this.#at = piece.offset + piece.bytes.length;
    }
    // A zone that ended with its header has no batch that would bring it along.
    if (reader.state === 'done' && this.#at === 0 && bytes !== undefined) {
      this.#at = bytes.length;
      this.#send(0, bytes);
    }
    this.#settle(reader);
  }

  /** All was read, and all that was sent is stable. */
  #settle(reader: LogReader): void {
    if (reader.state !== 'done' || this.#end < this.#at) return;
    if (this.#end >= this.task.zone.length) this.#check();
    else this.#fail(`the zone holds no batch behind ${this.#end}`);
  }

  #check(): void {
    const { zone, epoch, instance, length } = this.task.zone;
    const reader = this.#reader(() => undefined);
    this.#step = { kind: 'checking', reader };
    reader.start([{ zone, epoch, instance, from: 0, to: length, holders: [this.task.target] }]);
  }

  #reader(visit: (batch: ReadBatch) => void): LogReader {
    const { identity, loggers, effects, settings } = this.#parts;
    const { logChunkBytes } = settings.limits;
    return new LogReader('repair', identity, loggers, effects, visit, () => undefined, logChunkBytes, true);
  }

  #send(offset: number, bytes: Uint8Array): void {
    const { zone, target } = this.task;
    const { zone: id, epoch, instance, length } = zone;
    const writer = { epoch, instance };
    const { by, effects } = this.#parts;
    const replaces = bytes.length > 0 ? this.#replaces : '';
    if (bytes.length > 0) this.#replaces = '';
    effects.push({ effect: 'copy', zone: id, writer, by, length, offset, bytes, replaces, logger: target });
  }

  #fail(reason: string): void {
    this.#step = { kind: 'failed', reason };
  }
}

function isReading(step: Step): step is Extract<Step, { readonly reader: LogReader }> {
  return step.kind === 'copying' || step.kind === 'checking' || step.kind === 'sourcing';
}

/** Whether an answer that was not good tells of the copy: it is wrong, unreadable, or lacks something. */
export function isDamage(bytes: Uint8Array | undefined, refused: LoggerRefusalCode | undefined): boolean {
  return bytes !== undefined || refused === 'device-failed' || refused === 'out-of-range' || refused === 'unknown-zone';
}
