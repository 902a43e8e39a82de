/**
 * Counts of the situations that the design is about. A situation that nobody reaches, nobody has tested: the summary
 * over many seeds must show none at zero. watches.ts counts those of the machines.
 */

export const situations = [
  'zone change',
  'zone change with records in flight',
  'zone change with reads waiting',
  'zone change of unknown outcome',
  'zone full',
  'zone left at a quiet moment',
  'replica left the zone',
  'replicas regrown',
  'take-over',
  'take-over with a tail to read',
  'take-over that waited',
  'claim of unknown outcome',
  'close of unknown outcome',
  'take-over lost',
  'seal of an unseen zone',
  'seal of a zone with bytes',
  'doubtful seal',
  'seal lengths differ',
  'torn tail',
  'damaged tail',
  'open zone found empty after a restart',
  'fenced append',
  'fenced confirm',
  'deposed',
  'deposed with records in flight',
  'read at an owner that was replaced',
  'write at an owner that was replaced',
  'owner that was replaced confirmed by a replica',
  'zone change seen after the shard was lost',
  'stale confirmation discarded',
  'refusal decided on a record in flight',
  'repetition of a write in flight',
  'repetition answered from memory',
  'request superseded',
  'write queued during a take-over',
  'read queued during a take-over',
  'batch of many writes',
  'record larger than a batch',
  'append in pieces',
  'replica lost between the pieces of an append',
  'gap healed',
  'catch-up applied',
  'device failed',
  'unknown outcome told to a client',
  'retry by a client',
  'condition failed',
  'disk full told to a client',
  'zone cut',
  'keys lost with a cut zone',
  'lost key told to a client',
  'start failed',
  'coordinator unknown',
  'late appends',
  'append after a restart refused',
  'append to a sealed zone refused',
  'duplicate append',
  'logger put back',
  'logger could not be put back',
  'metadata put back',
  'metadata could not be put back',
  'metadata found put back',
  'gateway started again on older metadata',
  'metadata of a logger rotten',
  'copy filled',
  'zone copied',
  'copy found lacking',
  'standby compared with its owner',
  'gateway gone for good',
  'owner that is dead replaced',
  'owner that is silent replaced',
  'owner that was not met replaced',
  'owner that does not commit replaced',
  'owner that did not claim again replaced',
  'suspicion that was wrong',
  'client forgotten',
  'floor logged',
  'shard overloaded',
  'copy filled in pieces',
  'tail read twice',
  'log read again with a longer batch',
  'retired zone refused',
  'call in a form of the testbed',
  'write without a number',
  'write sent through two gateways',
  'stale read',
  'stale read of what is older',
  'refusal told to a client without the SDK',
  'disk that fails calls',
  'logger gray until the end',
  'power lost between two writes',
  'members swapped',
  'request for another logger refused',
  'member of another cluster at an address',
  'write of another cluster',
  'gateway of another cluster met by a client',
] as const;
export type Situation = (typeof situations)[number] | (typeof guards)[number];

export class Coverage {
  readonly #counts = new Map<Situation, number>();

  count(situation: Situation, times = 1): void {
    this.#counts.set(situation, (this.#counts.get(situation) ?? 0) + times);
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}

/**
 * Guards of the product that hardly anything reaches: an owner sends its appends in order, and leaves a zone as soon as
 * a replica of it was away (what arrives late all the same, late-appends.ts sends); the SDK keeps to its window.
 */
export const guards = ['append not at the write pointer', 'window exceeded'] as const;
