/**
 * Keys that a take-over loses when it cuts a zone for want of any better copy (S9): those of the records that lie
 * behind the length on any copy. Bounded; what can't be named is counted.
 */
import type { SealAnswer } from '../../../codec/logger-protocol.ts';
import { limits } from '../../../base/limits.ts';
import { recordHeaderBytes } from '../../../codec/log-format.ts';
import type { LostKeys } from '../head/metadata.ts';

/**
 * `length`: where the zone is cut. `owed`: keys that were lost before, and that no batch has named yet. All lost
 * records go into one batch, so that they take a quarter of a zone at most.
 */
export function lostKeys(
  answers: Iterable<SealAnswer>,
  length: number,
  owed: LostKeys | undefined,
  zoneSize: number,
): LostKeys {
  const found = new Bounded(zoneSize);
  for (const key of owed?.keys ?? []) found.add(key);
  const unreadable: number[] = [];
  for (const { cut } of answers) {
    if (cut === undefined) continue;
    const behind = cut.records.filter(({ offset }) => offset >= length);
    for (const { key } of behind) if (key.length > 0) found.add(key);
    unreadable.push(behind.filter(({ key }) => key.length === 0).length + (cut.isCutShort ? 1 : 0));
  }
  // What one copy can't say another may.
  const unknown = unreadable.length === 0 ? 0 : Math.min(...unreadable);
  return { keys: found.keys, unknown: unknown + found.left };
}

class Bounded {
  readonly #keys = new Map<string, Uint8Array>();
  readonly #bytesMax: number;
  #bytes = 0;
  /** Keys for which there was no room. */
  left = 0;

  constructor(zoneSize: number) {
    this.#bytesMax = Math.min(limits.lostKeyBytesMax, Math.floor(zoneSize / 4));
  }

  get keys(): Uint8Array[] {
    return [...this.#keys.values()];
  }

  add(key: Uint8Array): void {
    const name = Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
    if (this.#keys.has(name)) return;
    const bytes = recordHeaderBytes + key.length;
    if (this.#keys.size >= limits.lostKeysMax || this.#bytes + bytes > this.#bytesMax) {
      this.left += 1;
      return;
    }
    this.#keys.set(name, key);
    this.#bytes += bytes;
  }
}

const namedMax = 5;
const nameLengthMax = 60;

/** For the operator: how much was lost, and some of the keys. */
export function describeLost({ keys, unknown }: LostKeys): Readonly<Record<string, string | number>> {
  const names = keys.slice(0, namedMax).map((key) => {
    const text = JSON.stringify(Buffer.from(key).toString('utf8'));
    return text.length > nameLengthMax ? `${text.slice(0, nameLengthMax)}...` : text;
  });
  const more = keys.length > namedMax ? ` and ${keys.length - namedMax} more` : '';
  return { damagedKeys: keys.length, keys: names.join(' ') + more, unknownRecords: unknown };
}
