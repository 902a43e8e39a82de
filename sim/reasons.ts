/**
 * Reasons why a call may be refused: an error that none of a life's faults explains is a bug, and where nothing goes
 * wrong nothing is refused, nothing takes long, and no owner gives a replica up.
 */
import type { ErrorCode } from '../src/base/errors.ts';
import type { ShardTrace } from '../src/core/shard/trace.ts';
import { Violation } from './check/violation.ts';
import type { FaultKind } from './faults/table.ts';

/** Faults of which no client may notice anything. */
const unnoticed: ReadonlySet<FaultKind> = new Set(['clock-jump', 'late-appends', 'stray-requests']);

/** Faults that end processes or connections, or make one side give a connection up. */
const cutting: readonly FaultKind[] = [
  'kill',
  'blackout',
  'kill-at',
  'pause',
  'cut',
  'block',
  'partition',
  'isolate',
  'refuse',
  'fail-sync',
  'hang-syncs',
  'full-disk',
  'scarce-space',
  'replace',
  'put-back',
  'metadata-back',
  'swap',
  'foreign',
  'failing-disk',
  'gray',
  'gone',
  'rot-metadata',
  'slow',
  'rot-zones',
  'wiped',
  'never-returns',
  'drain',
];

/** Faults after which shards change hands, or gateways do not start. */
const deposing: readonly FaultKind[] = [...cutting, 'coordinator', 'coordinator-cut', 'coordinator-late'];

/** Faults that keep a process from the coordinator. */
const uninforming: readonly FaultKind[] = ['coordinator', 'coordinator-cut', 'coordinator-late', 'isolate', 'replace'];

/** Errors with the faults one of which must be in the life; `any`: one that can be noticed. */
const reasons: Partial<Record<ErrorCode, readonly FaultKind[] | 'any' | 'always'>> = {
  timeout: 'any',
  unavailable: 'any',
  overloaded: 'any',
  'window-exceeded': 'any',
  'request-superseded': 'any',
  'connection-lost': cutting,
  // Shards move in any life; a knob may leave no room to hold what waits for the next owner.
  'not-owner': 'any',
  closed: deposing,
  'coordinator-unavailable': uninforming,
  'disk-full': ['full-disk', 'scarce-space'],
  // No replica can read it just now; or the key is lost, as the log says at the end (check/lost-keys.ts).
  damaged: 'any',
  'wrong-cluster': ['foreign'],
  'metadata-regressed': ['metadata-back'],
  // Answers to what was asked: a condition, a client of long ago, a value that the testbed's form cannot carry.
  'condition-failed': 'always',
  'client-forgotten': 'always',
  'value-too-large': 'always',
};

/** Faults of a life that are not over, or may still have consequences, explain its errors. */
export class Reasons {
  readonly #planned: ReadonlySet<FaultKind>;
  readonly #hasKnobs: boolean;
  readonly #mayBeFull: () => boolean;

  /**
   * `hasKnobs`: some limits of the product are so low that ordinary work meets them. `mayBeFull`: asked when there was
   * no space.
   */
  constructor(planned: ReadonlySet<FaultKind>, hasKnobs = false, mayBeFull = (): boolean => false) {
    this.#planned = planned;
    this.#hasKnobs = hasKnobs;
    this.#mayBeFull = mayBeFull;
  }

  /** Nothing goes wrong that a client may notice. */
  get isCalm(): boolean {
    if (this.#hasKnobs) return false;
    return [...this.#planned].every((kind) => unnoticed.has(kind));
  }

  explains(code: ErrorCode): boolean {
    const reason = reasons[code];
    if (code === 'disk-full' && this.#mayBeFull()) return true;
    if (reason === 'always') return true;
    if (reason === 'any') return !this.isCalm;
    return reason?.some((kind) => this.#planned.has(kind)) ?? false;
  }
}

/** In a calm life owners leave a zone when it is full, or to take a replica in; deposed are those who were asked. */
export function watchCalm(isCalm: () => boolean, onViolation: (violation: Violation) => void): ShardTrace {
  return {
    before: () => undefined,
    after(shard, _event, effects) {
      for (const effect of effects) {
        if (effect.effect !== 'note' || !isCalm()) continue;
        const reason = String(effect.fields['reason'] ?? '');
        const isUsual = effect.text !== 'zone changed' || reason.startsWith('zone full') || reason.endsWith('is back');
        if (isUsual && (effect.text !== 'deposed' || effect.level === 'info')) continue;
        onViolation(new Violation(`shard ${shard.state.shard}: ${effect.text} (${reason}), though nothing is wrong`));
      }
    },
  };
}
