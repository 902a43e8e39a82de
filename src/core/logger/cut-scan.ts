/**
 * Records behind the intact end of a copy with a damaged tail, for who has to cut them (S9): a logger tells a taker of
 * them that seals, a taker finds them in what it has read.
 */
import type { CutRecords } from '../../codec/cut-records.ts';
import { CutCollector } from '../../codec/cut-records.ts';
import type { Scan, ScanInput } from './scan-window.ts';
import { scanInMemory, ScanWindow } from './scan-window.ts';

/**
 * Goes from `start`, a batch boundary (0: not even the zone header is good), to where the log ended here: at a batch of
 * which blocks were never written, or at an append of which nothing arrived. What lies there and behind was not
 * acknowledged, so that it is not lost. `isPart`: the zone goes on behind the window's bound.
 */
export function* cutRecords(window: ScanWindow, start: number, isPart = false): Scan<CutRecords> {
  const collector = new CutCollector();
  let at: number | undefined = start > 0 ? start : yield* window.nextBatch(0);
  while (at !== undefined && at < window.bound) {
    const piece = yield* window.piece(at);
    if (piece.kind === 'batch') {
      const isWhole = !isPart || at + piece.header.totalLength <= window.bound;
      if (piece.body === 'torn' && isWhole) break;
      collector.batch(yield* window.view(at, piece.header.totalLength), 0, piece.header, window.seed);
      at += piece.header.totalLength;
      continue;
    }
    const next: number | undefined = yield* window.nextBatch(at + 1);
    if (piece.kind === 'untouched') {
      const touched = yield* window.firstTouched(at);
      if (touched === undefined || touched === next) break;
    }
    collector.unreadable(at);
    at = next;
  }
  return collector.found;
}

/** The same of bytes in memory, which begin at `start` of the zone and may end anywhere. */
export function cutRecordsOf(bytes: Uint8Array, start: number, input: Omit<ScanInput, 'bound'>): CutRecords {
  const window = new ScanWindow({ ...input, bound: start + bytes.length });
  return scanInMemory(cutRecords(window, start, true), bytes, start);
}
