/**
 * Records behind the intact end of a copy whose tail is damaged: which keys they are about, as far as their heads can
 * be read. When a take-over has to cut them for want of any better copy, these keys are lost (S9).
 */
import { limits } from '../base/limits.ts';
import type { BatchHeader } from './log-batch.ts';
import { decodeRecordHead, recordKind } from './log-format.ts';

/** A put, a delete or a lost record at `offset` of the zone; no bytes of key: what lay there can't be read. */
export interface CutRecord {
  readonly offset: number;
  readonly key: Uint8Array;
}

/** Records in the order of the log, bounded. */
export interface CutRecords {
  readonly records: readonly CutRecord[];
  /** There were more of them than are kept. */
  readonly isCutShort: boolean;
}

const unreadable = new Uint8Array(0);

/** Gathers what lies behind an intact end, piece by piece. */
export class CutCollector {
  readonly #records: CutRecord[] = [];
  #keyBytes = 0;
  #isCutShort = false;

  get found(): CutRecords {
    return { records: this.#records, isCutShort: this.#isCutShort };
  }

  /** Bytes at `offset` that can't be read: a batch's header, or a record's. */
  unreadable(offset: number): void {
    this.#add(offset, unreadable);
  }

  /** A batch with a good header, whole or damaged: its bytes lie in `bytes` from `start` on. */
  batch(bytes: Buffer, start: number, { offset, headerLength, recordsLength }: BatchHeader, seed: number): void {
    const end = Math.min(bytes.length, start + headerLength + recordsLength);
    for (let at = start + headerLength; at < end; ) {
      const place = offset + at - start;
      const result = decodeRecordHead(bytes, at, seed, place);
      // Without the head nobody knows where the next record begins.
      if (result.kind !== 'record') return this.unreadable(place);
      const { record } = result;
      const isOfKey = record.kind === recordKind.put || record.kind === recordKind.delete;
      // What was moved stands at its old place, too: it goes only after the copy is committed (S13).
      if ((isOfKey && record.version === undefined) || record.kind === recordKind.lost)
        this.#add(place, bytes.subarray(record.keyStart, record.keyStart + record.keyLength));
      at += record.length;
    }
  }

  #add(offset: number, key: Uint8Array): void {
    if (this.#records.length >= limits.lostKeysMax || this.#keyBytes + key.length > limits.lostKeyBytesMax) {
      this.#isCutShort = true;
      return;
    }
    this.#records.push({ offset, key: Uint8Array.from(key) });
    this.#keyBytes += key.length;
  }
}
