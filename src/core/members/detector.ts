/**
 * Whether one process of another gateway lives, as seen from here: `step(event)`, then `verdict`. One object a process;
 * one that is started again is another process.
 *
 *   unmet --------- heard ---------> alive --silent for longer than its patience--> silent
 *                                     ^  '--connection lost, and then refused--> dead
 *                                     '------------- answers again ---------------'
 *
 * A refused connection proves that nobody listens any more, but only where somebody did: a process that was never met
 * may be starting. Silence is counted in time that this process was awake to hear: when its own event loop, or all of
 * it, stood still, that is nobody else's silence. Suspicion may be wrong: that costs a change of owner, never a wrong
 * answer.
 *
 * It owns the verdict on a process and how often that was wrong. It does not own how long silence is borne
 * (patience.ts), nor what follows from a verdict (core/ownership).
 */
import { unreachable } from '../../base/assert.ts';
import type { Millis } from '../../base/ids.ts';
import type { PatienceSettings } from './patience.ts';
import { Patience } from './patience.ts';

export type Verdict = 'unmet' | 'alive' | 'silent' | 'dead';

export type DetectorEvent =
  /** It answered a heartbeat after so long, or sent one of its own. */
  | { readonly event: 'heard'; readonly nowMs: Millis; readonly roundTripMs?: number }
  /** The connection for heartbeats, which was up, is closed. */
  | { readonly event: 'lost' }
  /** An attempt to connect was refused: nobody listens there. */
  | { readonly event: 'refused' }
  /** Every period of the heartbeats: time has passed. */
  | { readonly event: 'tick'; readonly nowMs: Millis };

export class Detector {
  readonly #patience: Patience;
  /** A tick later than that says that this process stood still. */
  readonly #tickMsMax: number;
  #verdict: Verdict = 'unmet';
  /** The connection that was up is lost, and no other has come up. */
  #isLost = false;
  #tickedMs: number;
  #silenceMs = 0;
  #suspicions = 0;
  #falseSuspicions = 0;

  constructor(settings: PatienceSettings, nowMs: Millis) {
    this.#patience = new Patience(settings);
    this.#tickMsMax = 2 * settings.everyMs;
    this.#tickedMs = nowMs;
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  /** How often it was suspected, and how often it turned out to live. */
  get suspicions(): number {
    return this.#suspicions;
  }

  get falseSuspicions(): number {
    return this.#falseSuspicions;
  }

  /** Milliseconds: silence that is borne now. */
  get patienceMs(): number {
    return this.#patience.ms;
  }

  /** True when the verdict changed. */
  step(event: DetectorEvent): boolean {
    const before = this.#verdict;
    switch (event.event) {
      case 'heard':
        this.#heard(event.nowMs, event.roundTripMs);
        break;
      case 'lost':
        this.#isLost = true;
        break;
      case 'refused':
        if (this.#isLost || this.#verdict === 'silent') this.#suspect('dead');
        break;
      case 'tick':
        this.#ticked(event.nowMs);
        break;
      default:
        unreachable(event);
    }
    return this.#verdict !== before;
  }

  #heard(nowMs: Millis, roundTripMs: number | undefined): void {
    if (roundTripMs !== undefined) this.#patience.measured(roundTripMs);
    this.#isLost = false;
    this.#silenceMs = 0;
    this.#tickedMs = nowMs;
    if (this.#verdict === 'silent' || this.#verdict === 'dead') this.#falseSuspicions += 1;
    this.#verdict = 'alive';
  }

  #ticked(nowMs: Millis): void {
    this.#silenceMs += Math.min(nowMs - this.#tickedMs, this.#tickMsMax);
    this.#tickedMs = nowMs;
    if (this.#verdict === 'alive' && this.#silenceMs > this.#patience.ms) this.#suspect('silent');
  }

  /** One that is silent and then refuses is one suspicion. */
  #suspect(verdict: 'silent' | 'dead'): void {
    if (this.#verdict === 'alive') this.#suspicions += 1;
    if (this.#verdict !== 'unmet') this.#verdict = verdict;
  }
}
