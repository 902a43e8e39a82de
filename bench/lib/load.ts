/** A closed loop: a fixed number of requests in flight, each followed at once by the next. */
import type { RecordableHistogram } from 'node:perf_hooks';
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LoadOptions {
  readonly inFlight: number;
  readonly warmUpMs: number;
  readonly measuredMs: number;
  /** The `index`-th request; rejects when it fails. */
  readonly request: (index: number) => Promise<unknown>;
  /** Called when measuring begins and ends. */
  readonly onMeasure?: (begins: boolean) => void;
}

export interface LoadResult {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** @throws the error of the first request that fails, after all have settled */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const state: LoadState = { histogram: undefined, stopped: false, index: 0 };
  const lanes = Promise.all(Array.from({ length: options.inFlight }, () => lane(options, state)));
  lanes.catch(() => {
    state.stopped = true;
  });
  await sleep(options.warmUpMs);
  const histogram = createHistogram();
  options.onMeasure?.(true);
  const startedMs = performance.now();
  state.histogram = histogram;
  await sleep(options.measuredMs);
  state.histogram = undefined;
  const elapsedMs = performance.now() - startedMs;
  options.onMeasure?.(false);
  state.stopped = true;
  await lanes;
  return {
    count: histogram.count,
    perSecond: (histogram.count * 1_000) / elapsedMs,
    p50Ms: histogram.percentile(50) / 1_000,
    p99Ms: histogram.percentile(99) / 1_000,
    maxMs: histogram.max / 1_000,
  };
}

interface LoadState {
  /** Set while measuring; requests that end then count. */
  histogram: RecordableHistogram | undefined;
  stopped: boolean;
  index: number;
}

async function lane({ request }: LoadOptions, state: LoadState): Promise<void> {
  while (!state.stopped) {
    const sinceMs = performance.now();
    await request(state.index++);
    // Whole microseconds, at least one: a histogram takes no zero.
    state.histogram?.record(Math.max(1, Math.round((performance.now() - sinceMs) * 1_000)));
  }
}

/** Makes `count` requests, so many at a time. @throws the error of a request that fails */
export async function runMany(
  count: number,
  inFlight: number,
  request: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await request(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}
