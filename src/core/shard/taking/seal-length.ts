/**
 * S9: which length a take-over records, from the answers to its seals. Pure arithmetic, so that the rule stands in one
 * place. Lengths are bytes of the zone.
 * Walk: TAKE-OVER 4/7.
 */
import { assert } from '../../../base/assert.ts';
import type { Uuid } from '../../../base/ids.ts';
import type { SealAnswer } from '../../../codec/logger-protocol.ts';
import type { ReplicaSet } from '../head/metadata.ts';

/** What a taker has heard and knows when it decides. */
export interface SealEvidence {
  /** Answers of the zone's replicas, with what reading the tail has shown since; who was gone then gave none. */
  readonly answers: ReadonlyMap<Uuid, SealAnswer>;
  /** The open zone's list. */
  readonly opened: ReplicaSet;
  /** Replicas that the operator has declared lost: they are not waited for, and gave no answer. */
  readonly lost: readonly Uuid[];
  /** What the taker knows to be committed: its watermark, and the most that any answer under its claim told of. */
  readonly committed: number;
  /** End of the furthest Fill that this taker has sent; 0: none. */
  readonly fillEnd: number;
  /** Whether it is still worth to wait for a replica that has not answered, when no answer is first-hand. */
  readonly waitsForFirstHand: boolean;
}

/**
 * What a decided length rests on. `sound`: an answer that is first-hand, or answers of all replicas, one of them not
 * doubtful. `restarted`: a copy that is not doubtful, of a logger that restarted since, while a replica is missing.
 * `cut`: every copy is doubtful, so that acknowledged records may lie behind the length.
 */
export type SealProof = 'sound' | 'restarted' | 'cut';

export type SealDecision =
  | {
      readonly kind: 'length';
      readonly length: number;
      /** Hold all of it. */
      readonly holders: readonly Uuid[];
      readonly proof: SealProof;
    }
  | SealWait;

export interface SealWait {
  readonly kind: 'wait';
  readonly reason: string;
  /** Loggers that are waited for. */
  readonly loggers: readonly Uuid[];
}

export function sealLength(evidence: SealEvidence): SealDecision {
  const answers = [...evidence.answers];
  const { opened, fillEnd } = evidence;
  const committed = answers.reduce((most, [, { seen }]) => Math.max(most, seen), evidence.committed);
  const missing = opened.replicas.filter((logger) => !evidence.answers.has(logger));
  const awaited = missing.filter((logger) => !evidence.lost.includes(logger));
  assert(
    evidence.lost.every((logger) => !evidence.answers.has(logger)),
    'S9 who is lost has given no answer',
  );
  if (answers.length === 0) return wait('no replica that is not lost has answered', awaited);
  const sound = answers.filter(([, { doubtful, length }]) => !doubtful && length >= committed);
  if (sound.length === 0 && awaited.length > 0)
    return wait(`every answer is doubtful and ${awaited.join(', ')} has not answered`, awaited);
  const firstHand = sound.some(([logger, { process }]) => isFirstHand(opened, logger, process));
  if (!firstHand && awaited.length > 0 && evidence.waitsForFirstHand)
    return wait(`no answer is first-hand and ${awaited.join(', ')} has not answered`, awaited);
  // The largest, doubtful ones counting with their intact prefix: a shorter copy never shortens the zone.
  const length = answers.reduce((most, [, answer]) => Math.max(most, answer.length), 0);
  const least = Math.max(committed, fillEnd);
  // Never below what is known to be committed: it would skip an acknowledged write.
  if (length < least) {
    return wait(`committed up to ${least}, but the longest intact copy ends at ${length}`, awaited);
  }
  const holders = answers.filter(([, answer]) => answer.length >= length).map(([logger]) => logger);
  assert(holders.length > 0, 'S10 somebody holds the zone');
  const proof = sound.length === 0 ? 'cut' : firstHand || missing.length === 0 ? 'sound' : 'restarted';
  return { kind: 'length', length, holders, proof };
}

function wait(reason: string, loggers: readonly Uuid[]): SealDecision {
  return { kind: 'wait', reason, loggers };
}

/** Whether the logger's process that answers is the one that the zone was opened with. */
export function isFirstHand({ replicas, processes }: ReplicaSet, logger: Uuid, process: string): boolean {
  return processes[replicas.indexOf(logger)] === process;
}
