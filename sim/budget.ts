/**
 * Limits of what may go wrong in one life, so that what was promised can still be demanded at its end. A fault of
 * faults/table.ts is one that the system must survive with every promise kept; every fault ends, and then it must serve
 * again. Some faults break what the promises rest on, and happen only where these still hold: the disk of one logger
 * of a life is put back to an older one, rots, is wiped or never returns, where others hold what it holds
 * (faults/sound.ts); and the shards' metadata is put back to what it was, where the loggers can know it, and restored
 * by an operator (reversals.ts).
 */

/**
 * Faults that the product cannot survive yet, each with what is missing. The list must end empty: whoever builds what
 * is missing takes the line out and adds the fault, a file and a row of faults/table.ts.
 */
export const notYetSurvivable = [{ fault: 'disk that stays full', missing: 'cleaning, which frees space' }] as const;

export const budget = {
  /** Faults in one life, unless its theme strings them together. */
  faultsMax: 14,
  /** Time after which a node that was killed or lost power is up again, whatever else happens; mostly it is sooner. */
  downMsMax: 4_000,
  downMs: 500,
  /** Time after which partitions, pauses and slowness have ended by themselves; mostly it is sooner. */
  lastingMsMax: 5_000,
  lastingMs: 600,
  /** Number of lives of which one has no fault at all. */
  calmOneIn: 8,
  /**
   * Weights of a kind of fault in a life, one of these ("swarm testing"): a life of nothing but crashes reaches what a
   * mixture never does.
   */
  weights: [0, 0, 1, 1, 4],
  /**
   * Times within which all faults of a life begin: all over the life, or one upon the other. Most bugs need two at
   * once.
   */
  spansMs: [Number.POSITIVE_INFINITY, 2_000, 400],
  /**
   * Simulated time, after everything is healed, within which every shard serves, and within which nothing is under way
   * any more.
   */
  recoveryMs: 60_000,
  settleMs: 30_000,
  /** Pace of repair from which on all copies are waited for. */
  repairedBytesPerSecond: 1024 * 1024,
  /** Pace of the scrub from which on, and the pause between its rounds up to which, they are waited for. */
  scrubbedBytesPerSecond: 1024 * 1024,
  scrubbedEveryMs: 10_000,
  /** Looks at its progress after which copies that go on being read give no more time. */
  scrubLooksMax: 10_000,
} as const;
