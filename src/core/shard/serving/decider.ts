/**
 * Decides writes in log order, against the newest state: what the index says, and the records in flight (S12, S15: the
 * log's order is the only order). It owns which write in flight is the newest of its key. It does not own the batch
 * that the records go into (batch-builder.ts), nor what is committed (owner.ts).
 */
import { assert, unreachable } from '../../../base/assert.ts';
import type { Version } from '../../../base/ids.ts';
import { version } from '../../../base/ids.ts';
import { recordKind } from '../../../codec/log-format.ts';
import { condition } from '../../../codec/client-requests.ts';
import type { ShardEffect } from '../events.ts';
import type { ShardState } from '../following/apply.ts';
import { absentReply, encodeConditionRefused, lostReply, resultOfRecord, ShardWrite } from '../requests.ts';
import { NewestWrites } from './newest-writes.ts';
import type { Batch } from './zone-writer.ts';

const unseenVersion = version(0);

export class Decider {
  readonly #state: ShardState;
  readonly #newest = new NewestWrites();

  constructor(state: ShardState) {
    this.#state = state;
  }

  /**
   * True: the write gets a record (`kind` and `reply` say which). False: it was answered or waits for its first copy.
   */
  decide(write: ShardWrite, out: ShardEffect[]): boolean {
    if (write.client !== 0 && !this.#firstTime(write, out)) return false;
    const { index } = this.#state;
    write.keyHash = index.hash(write.source, write.keyStart, write.keyLength);
    const pending = this.#newest.find(write);
    let exists: boolean;
    let current: Version = unseenVersion;
    let isLost = false;
    if (pending !== undefined) {
      exists = pending.kind === recordKind.put;
    } else if (write.condition === condition.none && write.operation === 'put') {
      exists = false; // Nobody asks.
    } else {
      const id = index.findHashed(write.keyHash, write.source, write.keyStart, write.keyLength);
      exists = id !== -1;
      if (exists) current = index.versionOf(id);
      isLost = exists && index.isLost(id);
    }
    if (isLost && write.condition !== condition.none) refuseLost(write);
    else this.#choose(write, pending, exists, current);
    return true;
  }

  #choose(write: ShardWrite, pending: ShardWrite | undefined, exists: boolean, current: Version): void {
    const holds =
      write.condition === condition.none ||
      (write.condition === condition.absent ? !exists : exists && pending === undefined && current === write.condition);
    write.decidedOn = undefined;
    if (!holds) {
      write.kind = recordKind.refusal;
      write.valueLength = 0;
      write.currentVersion = current;
      if (exists) write.decidedOn = pending;
      write.reply = encodeConditionRefused(current);
    } else if (write.operation === 'put') {
      write.kind = recordKind.put;
      write.valueLength = write.wantedLength;
      write.reply = undefined;
      this.#newest.put(write, pending);
    } else {
      write.kind = exists ? recordKind.delete : recordKind.refusal;
      write.valueLength = 0;
      write.reply = exists ? undefined : absentReply;
      if (exists) this.#newest.put(write, pending);
    }
  }

  /** S15: whether this number was never seen. */
  #firstTime(write: ShardWrite, out: ShardEffect[]): boolean {
    const seen = this.#state.once.check(write.client, write.number, write.firstIncomplete);
    switch (seen.kind) {
      case 'new':
        this.#state.once.begin(write.client, write.number, write.firstIncomplete, write);
        return true;
      case 'in-flight':
        assert(seen.token instanceof ShardWrite, 'S15 the token of a write in flight is that write');
        (seen.token.repetitions ??= []).push(write);
        return false;
      case 'done':
        out.push({
          effect: 'answer-write',
          write,
          result: resultOfRecord(seen.result.kind, version(seen.result.version), seen.result.reply),
        });
        return false;
      case 'superseded':
        out.push(
          failure(
            write,
            'request-superseded',
            `request ${write.number} of client ${write.client} lies below its first incomplete one`,
            'unknown',
          ),
        );
        return false;
      case 'forgotten':
        out.push(
          failure(
            write,
            'client-forgotten',
            `client ${write.client} is not remembered here any more; take a new client id`,
            'unknown',
          ),
        );
        return false;
      case 'window-exceeded':
        out.push(
          failure(
            write,
            'window-exceeded',
            `at most ${this.#state.once.window} requests of a client may be incomplete`,
            'not-applied',
          ),
        );
        return false;
      default:
        return unreachable(seen);
    }
  }

  /** The write's record committed, or will never. */
  settled(write: ShardWrite): void {
    this.#newest.remove(write);
  }

  /** All that was in flight is taken back: its writes are decided anew (S6). */
  takeBack(batches: readonly Batch[]): ShardWrite[] {
    const writes: ShardWrite[] = [];
    for (const batch of batches) {
      for (const write of batch.writes) {
        this.settled(write);
        const repetitions = write.repetitions;
        write.repetitions = undefined;
        writes.push(write);
        if (repetitions !== undefined) writes.push(...repetitions);
      }
    }
    // Floors among them, too: their clients can be named again.
    this.#state.once.abandonAll();
    assert(this.#newest.size === 0, 'S6 nothing is in flight any more');
    return writes;
  }
}

/** Whether the condition holds nobody knows. A record, as any refusal of a numbered write (S15). */
function refuseLost(write: ShardWrite): void {
  write.kind = recordKind.refusal;
  write.valueLength = 0;
  write.decidedOn = undefined;
  write.currentVersion = unseenVersion;
  write.reply = lostReply;
}

function failure(
  write: ShardWrite,
  code: 'request-superseded' | 'client-forgotten' | 'window-exceeded',
  message: string,
  outcome: 'unknown' | 'not-applied',
): ShardEffect {
  return { effect: 'answer-write', write, result: { kind: 'failed', code, message, outcome } };
}
