/**
 * Scan of a zone after a restart: the intact prefix, `seen`, and the state of the tail (S9). A generator that asks for
 * ranges of the zone and is given their bytes, so that it is pure and never holds more than a few batches.
 *
 *   intact prefix   the zone header and batches with good headers and blocks, one after another from the zone's start
 *   clean           nothing but zeros follows
 *   torn            good batches, batches whose blocks are each good or untouched, and untouched space between them
 *                   follow: appends that never became stable
 *   damaged         anything else follows; good batch headers behind it still count for `seen`
 */
import { limits } from '../../base/limits.ts';
import type { CutRecords } from '../../codec/cut-records.ts';
import { decodeZoneHeader, samePlace } from '../../codec/log-format.ts';
import type { TailState } from '../../codec/logger-protocol.ts';
import { cutRecords } from './cut-scan.ts';
import type { Scan, ScanInput } from './scan-window.ts';
import { ScanWindow } from './scan-window.ts';

export type ZoneScan =
  | {
      readonly kind: 'scanned';
      /** End of the intact prefix, a batch boundary; 0 when even the zone header is not good. */
      readonly length: number;
      /** Highest committed length in any good batch header. */
      readonly seen: number;
      readonly tail: TailState;
      /** Number of batches in the intact prefix. */
      readonly batches: number;
      /** Place and kind of the damage, when the tail is damaged. */
      readonly damage: { readonly offset: number; readonly reason: string } | undefined;
      /** Records that lie behind the intact prefix, when the tail is damaged. */
      readonly cut: CutRecords | undefined;
    }
  | { readonly kind: 'newer-format'; readonly format: number };

/** Yields ranges within [0, bound) and takes their bytes; a short answer counts as zeros. */
export function* scanZone(input: ScanInput): Scan<ZoneScan> {
  const window = new ScanWindow(input);
  const found = yield* scanThrough(window, input);
  if (found.kind === 'newer-format') return found;
  return { ...found, cut: found.tail === 'damaged' ? yield* cutRecords(window, found.length) : undefined };
}

type Found = Omit<Extract<ZoneScan, { kind: 'scanned' }>, 'cut'> | Extract<ZoneScan, { kind: 'newer-format' }>;

function* scanThrough(window: ScanWindow, input: ScanInput): Scan<Found> {
  const headBytes = yield* window.view(0, limits.alignmentBytesMax);
  const head = decodeZoneHeader(headBytes);
  if (head.kind === 'newer-format') return head;
  if (head.kind === 'untouched') return yield* withoutHeader(window);
  if (head.kind !== 'zone' || !samePlace(head.header, input.place)) {
    const reason = head.kind === 'damaged' ? head.reason : 'zone header: belongs to another place';
    const seen = yield* seenBehind(window, 0, 0);
    return { kind: 'scanned', length: 0, seen, tail: 'damaged', batches: 0, damage: { offset: 0, reason } };
  }
  let length = head.length;
  let seen = 0;
  let batches = 0;
  for (;;) {
    const piece = yield* window.piece(length);
    if (piece.kind === 'newer-format') return piece;
    if (piece.kind !== 'batch' || piece.body !== 'good') break;
    seen = Math.max(seen, piece.header.committedLength);
    batches += 1;
    length += piece.header.totalLength;
  }
  const rest = yield* classify(window, length, seen);
  return { kind: 'scanned', length, batches, ...rest };
}

interface Rest {
  readonly seen: number;
  readonly tail: TailState;
  readonly damage: { readonly offset: number; readonly reason: string } | undefined;
}

/** The zone header was never written. Batches behind it may be: appends that never became stable. */
function* withoutHeader(window: ScanWindow): Scan<Found> {
  const first = yield* window.nextBatch(0);
  const touched = yield* window.firstTouched(0);
  if (touched === undefined)
    return { kind: 'scanned', length: 0, seen: 0, tail: 'clean', batches: 0, damage: undefined };
  if (first === undefined || touched < first) {
    const seen = yield* seenBehind(window, 0, 0);
    return {
      kind: 'scanned',
      length: 0,
      seen,
      tail: 'damaged',
      batches: 0,
      damage: { offset: touched, reason: 'bytes without a zone header' },
    };
  }
  const rest = yield* classify(window, first, 0);
  return {
    kind: 'scanned',
    length: 0,
    batches: 0,
    seen: rest.seen,
    tail: rest.tail === 'clean' ? 'torn' : rest.tail,
    damage: rest.damage,
  };
}

/** Classifies what follows the intact prefix, from `start`, a batch boundary. */
function* classify(window: ScanWindow, start: number, seenBefore: number): Scan<Rest> {
  let seen = seenBefore;
  let at = start;
  let tail: TailState = 'clean';
  while (at < window.bound) {
    const piece = yield* window.piece(at);
    if (piece.kind === 'batch' && piece.body !== 'damaged') {
      seen = Math.max(seen, piece.header.committedLength);
      tail = 'torn';
      at += piece.header.totalLength;
      continue;
    }
    if (piece.kind === 'untouched') {
      const touched = yield* window.firstTouched(at);
      if (touched === undefined) break;
      const next = yield* window.nextBatch(at);
      if (next === touched) {
        // An append of which nothing arrived, and behind it one that was in flight with it.
        at = next;
        continue;
      }
      return {
        seen: yield* seenBehind(window, at, seen),
        tail: 'damaged',
        damage: { offset: touched, reason: 'bytes behind untouched ones' },
      };
    }
    if (piece.kind === 'batch') seen = Math.max(seen, piece.header.committedLength);
    const reason = piece.kind === 'damaged' ? piece.reason : 'batch: wrong block checksum';
    return { seen: yield* seenBehind(window, at + 1, seen), tail: 'damaged', damage: { offset: at, reason } };
  }
  return { seen, tail, damage: undefined };
}

/** The highest committed length in good batch headers at or behind `start`. */
function* seenBehind(window: ScanWindow, start: number, seenBefore: number): Scan<number> {
  let seen = seenBefore;
  let at: number | undefined = yield* window.nextBatch(start);
  while (at !== undefined) {
    const piece = yield* window.piece(at);
    if (piece.kind === 'batch') seen = Math.max(seen, piece.header.committedLength);
    at = yield* window.nextBatch(
      piece.kind === 'batch' && piece.body === 'good' ? at + piece.header.totalLength : at + 1,
    );
  }
  return seen;
}
