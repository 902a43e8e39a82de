/** Median, the lower one of an even count, and maximum of gaps, milliseconds; NaN where there are none. */
export function medianAndMax(gapsMs: readonly number[]): { readonly median: number; readonly max: number } {
  const sorted = [...gapsMs].sort((a, b) => a - b);
  return {
    median: sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  };
}
