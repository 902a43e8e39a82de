/**
 * Keys that a cut has lost, from outside (S9): the log names them in the first batch behind the cut, all of them, no
 * others and nowhere else; they are keys that somebody wrote; and a client hears `damaged` of no other, nor of one that
 * was written again.
 */
import type { HistoryEvent } from '../history.ts';
import { Violation } from './violation.ts';

/** Part of a zone that is looked at: what the metadata say was lost behind it. */
export interface CutZone {
  readonly lost?: { readonly keys: readonly Uint8Array[] } | undefined;
}

/** What one shard owes its log, zone by zone in their order. */
export class OwedKeys {
  #owed = new Set<string>();

  /** A batch with the keys of its lost records, as text. @throws Violation */
  batch(where: string, recordCount: number, lost: readonly string[]): void {
    const named = new Set(lost);
    for (const key of this.#owed)
      if (!named.has(key)) throw new Violation(`S9 ${where}: the first batch behind a cut does not name ${key}`);
    for (const key of named)
      if (!this.#owed.has(key)) throw new Violation(`S9 ${where}: ${key} is named as lost, and was not cut`);
    if (this.#owed.size > 0 && recordCount !== named.size)
      throw new Violation(`S9 ${where}: ${recordCount} records in the batch that names ${named.size} lost keys`);
    this.#owed = new Set();
  }

  /** All of the zone was given. @throws Violation */
  ended(where: string, { lost }: CutZone): void {
    if (lost === undefined || lost.keys.length === 0) return;
    const keys = new Set(lost.keys.map((key) => Buffer.from(key).toString('latin1')));
    for (const key of this.#owed)
      if (!keys.has(key)) throw new Violation(`S9 ${where}: the cut forgets ${key}, which no batch has named`);
    this.#owed = keys;
  }
}

/**
 * The events without what deletes of lost keys said of their existence: nobody knows whether there was a value. `lost`:
 * keys that were named lost.
 */
export function withoutGuesses(events: readonly HistoryEvent[], lost: ReadonlySet<string>): readonly HistoryEvent[] {
  return events.map((event) => {
    if (event.f !== 'del' || event.type !== 'ok' || !lost.has(event.key)) return event;
    const { version: _existed, ...rest } = event;
    return rest;
  });
}

/**
 * Judges what clients were told. `lost`: LBAs of the records that name a key lost, by key. @throws Violation
 */
export function checkDamaged(events: readonly HistoryEvent[], lost: ReadonlyMap<string, readonly number[]>): void {
  /** Highest version that was told of a key's put. */
  const acknowledged = new Map<string, number>();
  /** ... when the open call of a process began. */
  const before = new Map<number, number>();
  const written = new Set<string>();
  for (const event of events) {
    const known = acknowledged.get(event.key) ?? 0;
    if (event.type === 'invoke') {
      before.set(event.process, known);
      if (event.f !== 'get') written.add(event.key);
    } else if (event.type === 'ok' && event.f !== 'get') {
      const version = event.f === 'cas' ? event.newVersion : event.f === 'put' ? event.version : undefined;
      acknowledged.set(event.key, Math.max(known, version ?? 0));
    } else if (event.error === 'damaged') {
      const since = before.get(event.process) ?? 0;
      if (!(lost.get(event.key) ?? []).some((lba) => lba > since))
        throw new Violation(`S9 ${event.f} of ${event.key} was told damaged, and no record since ${since} says so`);
    }
  }
  for (const key of lost.keys())
    if (!written.has(key)) throw new Violation(`S9 ${key} is named as lost, and nobody wrote it`);
}
