/**
 * Promises of a logger about its copy of a zone, which it must keep through restarts and power losses (S3): an
 * acknowledged append is below the length of every seal it answers, earlier or later; two seals of one copy are
 * answered with one length, unless a Fill came between; a copy that a restart found takes no append; the fence of an
 * answered seal stands; no zone is created below one of which something was acknowledged (S4). Only an order to finish
 * the zone makes the copy shorter: it says what the metadata holds.
 */
import { Violation } from './violation.ts';

/** One logger's copy of one zone, from the append that created it on. */
export interface ZoneCopy {
  readonly shard: number;
  readonly zone: number;
  /** Name of the copy, which outlives the process (S10). */
  readonly copyId: string;
  /** End of what was acknowledged. */
  acknowledged: number;
  /** Length that seals were answered with. */
  sealed: number | undefined;
  /** End of the furthest Fill that was asked for. */
  fillEnd: number;
  /** The highest epoch whose seal was answered. */
  fence: number;
  finished: boolean;
}

export class LoggerPromises {
  readonly #onViolation: (violation: Violation) => void;
  readonly #readsFail: boolean;
  readonly #copies = new Map<string, ZoneCopy>();

  /** `readsFail`: what a starting process cannot read it takes for damage, and says so when it is sealed. */
  constructor(onViolation: (violation: Violation) => void, readsFail = false) {
    this.#onViolation = onViolation;
    this.#readsFail = readsFail;
  }

  created(shard: number, zone: number, copyId: string): ZoneCopy {
    const copy: ZoneCopy = {
      shard,
      zone,
      copyId,
      acknowledged: 0,
      sealed: undefined,
      fillEnd: 0,
      fence: 0,
      finished: false,
    };
    this.#copies.set(copyId, copy);
    return copy;
  }

  /** `held`: copies that the logger holds of newer zones. */
  createdBelow({ shard, zone }: Pick<ZoneCopy, 'shard' | 'zone'>, held: readonly string[]): void {
    const newer = held.map((copyId) => this.find(copyId)).find((copy) => (copy?.acknowledged ?? 0) > 0);
    if (newer === undefined) return;
    const what = `it holds ${newer.acknowledged} bytes of zone ${newer.zone}, copy ${newer.copyId}`;
    this.#onViolation(new Violation(`S4 shard ${shard}: retired zone ${zone} was created at a logger: ${what}`));
  }

  /** A copy that an earlier process created. */
  find(copyId: string): ZoneCopy | undefined {
    return this.#copies.get(copyId);
  }

  /** The disk that held the copies was put back: nothing is left of what was promised for them. */
  forget(copyIds: Iterable<string>): void {
    for (const copyId of copyIds) this.#copies.delete(copyId);
  }

  /** `isOwn`: the process that answers is the one that created the copy. */
  appended(copy: ZoneCopy, end: number, isOwn: boolean): void {
    if (!isOwn)
      this.#violated(
        copy,
        `an append up to ${end} was acknowledged by a process that had found the zone when it started`,
      );
    copy.acknowledged = Math.max(copy.acknowledged, end);
    this.#compare(copy, copy.sealed);
  }

  /** A process of the logger has started and holds the copy, intact up to `length`, with this fence for its shard. */
  restarted(copyId: string, fence: number, length: number): void {
    const copy = this.find(copyId);
    if (copy === undefined) return;
    if (fence < copy.fence)
      this.#violated(copy, `the fence is ${fence} after a restart, though a seal of epoch ${copy.fence} was answered`);
    if (length < copy.acknowledged && !this.#mayShrink(copy))
      this.#violated(copy, `${length} bytes are there after a restart, though ${copy.acknowledged} are acknowledged`);
  }

  sealed(copy: ZoneCopy, length: number, epoch: number): void {
    copy.fence = Math.max(copy.fence, epoch);
    const grew = copy.sealed !== undefined && copy.sealed < length && length <= copy.fillEnd;
    if (copy.sealed !== undefined && copy.sealed !== length && !grew && !this.#mayShrink(copy))
      this.#violated(copy, `seals were answered with ${copy.sealed} and with ${length}`);
    copy.sealed = length;
    this.#compare(copy, length);
  }

  /** It may be carried out, in part too, whatever becomes of its answer. */
  filling(copy: ZoneCopy, end: number): void {
    copy.fillEnd = Math.max(copy.fillEnd, end);
  }

  /** S19: bytes up to `length` are promised like an acknowledged append. */
  filled(copy: ZoneCopy, length: number): void {
    copy.acknowledged = Math.max(copy.acknowledged, length);
    copy.sealed = copy.sealed === undefined ? undefined : Math.max(copy.sealed, length);
  }

  finished(copy: ZoneCopy): void {
    copy.finished = true;
  }

  /** What ends it earlier than was promised is no broken promise. */
  #mayShrink({ finished }: ZoneCopy): boolean {
    return finished || this.#readsFail;
  }

  #compare(copy: ZoneCopy, length: number | undefined): void {
    if (length !== undefined && length < copy.acknowledged && !this.#mayShrink(copy))
      this.#violated(copy, `a seal was answered with ${length}, though ${copy.acknowledged} bytes are acknowledged`);
  }

  #violated({ shard, zone, copyId }: ZoneCopy, what: string): void {
    this.#onViolation(new Violation(`S3 shard ${shard} zone ${zone}, copy ${copyId}: ${what}`));
  }
}
