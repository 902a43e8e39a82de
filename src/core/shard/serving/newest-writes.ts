/**
 * The newest write in flight of each key, found by the key's hash in the index: chains through the writes themselves.
 * Not a `Map`, whose tables keep their garbage alive when entries come and go (rpc/waiting-answers.ts): here that would
 * be writes with the memory of whole batches.
 */
import type { ShardWrite } from '../requests.ts';

/** A power of two: many more than a batch has records as a rule, a sixteenth of what it has at most. */
const chainCount = 1024;

export class NewestWrites {
  size = 0;
  readonly #chains = new Array<ShardWrite | undefined>(chainCount).fill(undefined);

  /** The newest write in flight of the key that `write` is about. */
  find(write: ShardWrite): ShardWrite | undefined {
    let found = this.#chains[write.keyHash & (chainCount - 1)];
    while (found !== undefined && !isSameKey(found, write)) found = found.nextInChain;
    return found;
  }

  /** `write` is the newest now, in the place of `former`, which `find` gave. */
  put(write: ShardWrite, former: ShardWrite | undefined): void {
    if (former !== undefined) this.remove(former);
    const chain = write.keyHash & (chainCount - 1);
    write.nextInChain = this.#chains[chain];
    this.#chains[chain] = write;
    this.size++;
  }

  /** No effect when it is not the newest of its key. */
  remove(write: ShardWrite): void {
    const chain = write.keyHash & (chainCount - 1);
    let before: ShardWrite | undefined;
    let found = this.#chains[chain];
    while (found !== undefined && found !== write) {
      before = found;
      found = found.nextInChain;
    }
    if (found === undefined) return;
    if (before === undefined) this.#chains[chain] = write.nextInChain;
    else before.nextInChain = write.nextInChain;
    write.nextInChain = undefined;
    this.size--;
  }
}

function isSameKey(a: ShardWrite, b: ShardWrite): boolean {
  if (a.keyHash !== b.keyHash || a.keyLength !== b.keyLength) return false;
  for (let at = 0; at < a.keyLength; at++) if (a.source[a.keyStart + at] !== b.source[b.keyStart + at]) return false;
  return true;
}
