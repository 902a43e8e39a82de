/**
 * One life of a cluster, from its plan to its verdict:
 *
 *   workload with faults -> everything is healed -> it must serve again -> all is read -> all is still
 *     -> the inside is checked -> an orderly end
 *
 * `crash`: an assert of the product, or any error that nothing explains. `stuck`: no progress although nothing is wrong
 * any more, or something left behind. `wrong`: a broken promise. `unjudged`: nothing was found, but the history is too
 * hard for the check of linearizability.
 */
import { createHash } from 'node:crypto';
import { times } from '../src/base/times.ts';
import type { Client } from '../src/client/client.ts';
import type { SimulatedClock } from '../src/env/simulated/clock.ts';
import { SimulatedRandom } from '../src/env/simulated/random.ts';
import { budget } from './budget.ts';
import { checkHistory } from './check/linearizability.ts';
import { LoggerPromises } from './check/loggers.ts';
import { withoutGuesses } from './check/lost-keys.ts';
import { watchSeals } from './check/seals.ts';
import { watchOwners } from './check/owners.ts';
import type { Pauses } from './check/pauses.ts';
import { pausesOf } from './check/pauses.ts';
import { watchRefusals } from './check/refusals.ts';
import { watchRegressedLoggers, watchRegressedShards } from './check/regressed.ts';
import { CleanRounds } from './check/scrubs.ts';
import { watchSnapshots } from './check/snapshots.ts';
import { Standbys } from './check/standbys.ts';
import { checkVersions } from './check/versions.ts';
import { Violation } from './check/violation.ts';
import { SimulatedCluster } from './cluster.ts';
import type { Situation } from './coverage.ts';
import { Coverage } from './coverage.ts';
import { exportHistory, History } from './history.ts';
import { Inspection } from './inspection.ts';
import type { Plan } from './plan.ts';
import { Moves } from './moves.ts';
import { RawClients } from './raw-clients.ts';
import { Reasons, watchCalm } from './reasons.ts';
import type { Demands } from './recorder.ts';
import { Recorder, WrongAnswer } from './recorder.ts';
import { Reversals } from './reversals.ts';
import { Transcript } from './transcript.ts';
import { connectClient, Workload } from './workload.ts';
import { countLoggers, countShards } from './watches.ts';
import { witness } from './witness.ts';
import type { SimulatedProcess } from './world.ts';

export type Verdict =
  | { readonly kind: 'ok' }
  | {
      readonly kind: 'crash' | 'stuck' | 'wrong' | 'unjudged';
      readonly reason: string;
      readonly stack: string | undefined;
    };

export interface LifeResult {
  readonly seed: number;
  readonly verdict: Verdict;
  /** Hash of the history and of how the world went: two runs of a plan agree. */
  readonly hash: string;
  readonly events: number;
  readonly turns: number;
  readonly simulatedMs: number;
  readonly coverage: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly last: readonly string[];
  /** JSON lines. */
  readonly history: string;
}

class Stuck extends Error {
  override readonly name = 'Stuck';
}

/** History of which neither right nor wrong is known. */
class Unjudged extends Error {
  override readonly name = 'Unjudged';
}

/** Turns of a life beyond which it runs in circles. */
const turnsMax = 3_000_000;
/** Time until all is gone: a connection whose other side vanished without a word is given up after 30 s. */
const endMs = 65_000;
/** Time within which every shard that lives is told the time. */
const stepMs = 300;
/** Pause between two looks whether all is served. */
const lookMs = 50;
/** Time after which the workload ends in any case. */
const workloadMs = 30_000;

/** Runs one life. Rejects never for what happens in it. `print` gets the transcript. */
export async function runLife(plan: Plan, print?: (line: string) => void): Promise<LifeResult> {
  const life = new Life(plan, print);
  return life.run();
}

/** Situations by the reasons for which shards are taken over (core/ownership). */
const replacedOwners: ReadonlyMap<string, Situation> = new Map([
  ['dead', 'owner that is dead replaced'],
  ['silent', 'owner that is silent replaced'],
  ['unmet', 'owner that was not met replaced'],
  ['useless', 'owner that does not commit replaced'],
  ['replaced', 'owner that did not claim again replaced'],
]);

class Life {
  readonly #plan: Plan;
  readonly #coverage = new Coverage();
  readonly #history = new History();
  readonly #recorder: Recorder;
  readonly #cluster: SimulatedCluster;
  readonly #inspection: Inspection;
  readonly #workload: Workload;
  readonly #raw: RawClients | undefined;
  readonly #moves: Moves | undefined;
  readonly #standbys = new Standbys();
  readonly #faults: Record<string, number> = {};
  readonly #reasons: Reasons;
  #wasServed = false;
  #failure: { readonly error: unknown } | undefined;
  #turns = 0;

  constructor(plan: Plan, print?: (line: string) => void) {
    this.#plan = plan;
    const { knobs = {} } = plan.cluster;
    this.#reasons = new Reasons(
      new Set(plan.faults.map(({ kind }) => kind)),
      Object.keys(knobs).length > 0,
      () => knobs.deviceBytes !== undefined || this.#isLoggerFull,
    );
    const fail = (error: unknown): void => this.#fail(error);
    const readsFail = plan.faults.some((fault) => fault.kind === 'failing-disk' && fault.readsPerMille > 0);
    const promises = new LoggerPromises(fail, readsFail);
    const reversals = new Reversals((copies) => promises.forget(copies));
    this.#cluster = new SimulatedCluster({
      plan,
      transcript: (now) => new Transcript(now, print),
      coverage: this.#coverage,
      reversals,
      traces: {
        shards: [
          watchSeals(fail),
          watchOwners(this.#coverage, fail),
          watchRefusals(plan, fail),
          watchRegressedShards(reversals, fail),
          watchSnapshots(this.#coverage, fail),
          this.#standbys.trace,
          watchCalm(() => this.#isCalm, fail),
          countShards(this.#coverage),
        ],
        loggers: [witness(promises), watchRegressedLoggers(reversals, fail), countLoggers(this.#coverage)],
      },
      onFailure: fail,
    });
    this.#cluster.transcript.onNote((_who, what, fields) => {
      const replaced = what.endsWith('taking a shard over') ? replacedOwners.get(String(fields['reason'])) : undefined;
      if (replaced !== undefined) this.#coverage.count(replaced);
      if (what.endsWith('gateway alive') && fields['before'] !== 'unmet')
        this.#coverage.count('suspicion that was wrong');
      const hasWrongBytes = String(fields['problem'] ?? '').includes('checksum');
      if (hasWrongBytes && what.endsWith('reads failed on a replica'))
        this.#coverage.count('value with wrong bytes read elsewhere');
      if (hasWrongBytes && what.endsWith('log not read')) this.#coverage.count('log with wrong bytes read elsewhere');
      if (what.endsWith('copy damaged')) this.#coverage.count('damaged copy found');
      if (what.endsWith('nothing is left of a zone')) this.#coverage.count('open zone found empty after a restart');
    });
    this.#recorder = new Recorder(
      this.#history,
      () => this.#clock.now(),
      (error) => {
        if (error.outcome === 'unknown') this.#coverage.count('unknown outcome told to a client');
        if (error.code === 'condition-failed') this.#coverage.count('condition failed');
        if (error.code === 'damaged') this.#coverage.count('lost key told to a client');
        if (error.code === 'disk-full') this.#coverage.count('disk full told to a client');
      },
      this.#demands(),
    );
    const random = new SimulatedRandom(plan.seed).fork('workload');
    this.#workload = new Workload(this.#cluster, random, this.#recorder);
    const { keys } = this.#workload;
    if (plan.raw !== undefined)
      this.#raw = new RawClients(this.#cluster, plan.raw, random.fork('raw'), this.#recorder, keys);
    const { moveEveryMs } = plan.workload;
    if (moveEveryMs > 0) this.#moves = new Moves(this.#cluster, moveEveryMs, random.fork('moves'));
    this.#inspection = new Inspection(
      this.#cluster,
      fail,
      plan.faults.some(({ kind }) => kind === 'failing-disk'),
    );
  }

  #demands(): Demands {
    const isCalm = (): boolean => this.#isCalm;
    return {
      // Until all is served for the first time, nobody is there to answer.
      explains: (code, wasCalm) =>
        this.#reasons.explains(code) || (this.#reasons.isCalm ? !wasCalm : !this.#isOrWasServed),
      get isCalm() {
        return isCalm();
      },
    };
  }

  /** Zones of 64 KiB leave room for the entries of some 150: a long life that changes owners often uses them up. */
  get #isLoggerFull(): boolean {
    return this.#cluster.loggers.some((logger) => logger.status().full);
  }

  /** Nothing is wrong, and everything was served once. */
  get #isCalm(): boolean {
    return this.#reasons.isCalm && this.#isOrWasServed;
  }

  /** As far as anybody has looked. */
  get #isOrWasServed(): boolean {
    this.#wasServed ||= this.#inspection.isServing;
    return this.#wasServed;
  }

  get #clock(): SimulatedClock {
    return this.#cluster.clock;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }

  async run(): Promise<LifeResult> {
    const onRejection = (error: unknown): void => this.#fail(error);
    process.on('unhandledRejection', onRejection);
    try {
      await this.#live();
    } catch (error) {
      this.#fail(error);
    } finally {
      process.off('unhandledRejection', onRejection);
    }
    return this.#result();
  }

  async #live(): Promise<void> {
    await this.#during(this.#cluster.start());
    this.#workload.start((error) => this.#fail(error));
    this.#raw?.start((error) => this.#fail(error));
    this.#moves?.start();
    for (const fault of this.#plan.faults) {
      this.#clock.after(fault.atMs, () => {
        if (this.#healed) return;
        this.#faults[fault.kind] = (this.#faults[fault.kind] ?? 0) + 1;
        this.#cluster.faults.inject(fault);
      });
    }
    this.#compareSoon();
    const pauses = pausesOf(this.#plan);
    if (pauses !== undefined) this.#lookSoon(pauses);
    await this.#until(() => this.#isDone, workloadMs);
    this.#healed = true;
    this.#workload.stop();
    this.#raw?.stop();
    this.#moves?.stop();
    this.#cluster.heal();
    if (!(await this.#until(() => this.#isDone, this.#plan.workload.timeoutMs + budget.recoveryMs))) {
      throw new Stuck(
        `${this.#history.openCalls.length} calls have not settled: ${JSON.stringify(this.#history.openCalls[0])}`,
      );
    }
    if (!(await this.#until(() => this.#inspection.isServing, budget.recoveryMs)))
      throw new Stuck(`not every shard is served: ${this.#inspection.describe()}`);
    await this.#readAll();
    if (!(await this.#until(() => this.#inspection.isStill, budget.settleMs)))
      throw new Stuck(`something is still under way: ${this.#inspection.describe()}`);
    await this.#compareStandbys();
    await this.#untilReplicated();
    const isScrubbed = await this.#untilScrubbed();
    await this.#during(this.#inspection.checkLogs(this.#history.events, isScrubbed));
    await this.#end();
    checkVersions(this.#history.events);
    const result = checkHistory(withoutGuesses(this.#history.events, this.#inspection.lostKeys));
    if (result.kind === 'gave-up') throw new Unjudged(`key ${result.key}: ${result.reason}`);
    if (result.kind === 'violation') throw new Violation(`not linearizable: key ${result.key}: ${result.explanation}`);
  }

  #healed = false;

  /** Calls were all made and ended. */
  get #isDone(): boolean {
    return this.#workload.isDone && (this.#raw?.isDone ?? true);
  }

  async #compareStandbys(): Promise<void> {
    this.#standbys.forget();
    await this.#pass(stepMs);
    this.#coverage.count('standby compared with its owner', this.#standbys.compare());
  }

  /** Compares while there is work, too: what a standby lacks then may be out of date, or forgotten, at the end. */
  #compareSoon(): void {
    this.#standbys.forget();
    this.#clock.after(stepMs, () => {
      if (this.#healed || this.#failure !== undefined) return;
      try {
        this.#coverage.count('standby compared with a busy owner', this.#standbys.compare());
      } catch (error) {
        this.#fail(error);
      }
      this.#compareSoon();
    });
  }

  #lookSoon(pauses: Pauses): void {
    this.#clock.after(lookMs, () => {
      if (this.#healed || this.#failure !== undefined) return;
      try {
        const gone = this.#cluster.nodes.filter(({ isGone }) => isGone).length;
        pauses.look(this.#clock.now(), this.#inspection.isServing, gone);
      } catch (error) {
        this.#fail(error);
      }
      this.#lookSoon(pauses);
    });
  }

  /**
   * Every zone gets all its copies back. How long that takes depends on how many lack, and on how much a piece of a
   * copy holds. So one copy more must come within a time, the longest for which a logger is avoided that failed often:
   * it gets copies only after that.
   */
  async #untilReplicated(): Promise<void> {
    if (this.#plan.cluster.repairBytesPerSecond < budget.repairedBytesPerSecond) return;
    const patienceMs = times.loggerAvoidedMsMax + budget.recoveryMs;
    let least = Number.POSITIVE_INFINITY;
    let untilMs = 0;
    for (;;) {
      const lacking = this.#inspection.lackingZones;
      if (lacking.length === 0) return;
      if (lacking.length < least) {
        least = lacking.length;
        untilMs = this.#clock.now() + patienceMs;
      }
      if (this.#clock.now() >= untilMs) throw new Stuck(`copies are lacking: ${lacking[0]}`);
      await this.#pass(stepMs);
    }
  }

  /**
   * Every copy has its turn, and what is damaged is made anew, in a life that scrubs often and fast enough to be waited
   * for, and whose disks give what they hold. False: it is not such a life.
   */
  async #untilScrubbed(): Promise<boolean> {
    const { cluster, faults } = this.#plan;
    const { scrubBytesPerSecond, scrubEveryMs } = cluster;
    if (scrubBytesPerSecond < budget.scrubbedBytesPerSecond || scrubEveryMs > budget.scrubbedEveryMs) return false;
    if (faults.some(({ kind }) => kind === 'failing-disk' || kind === 'gray')) return false;
    const rounds = new CleanRounds();
    const patienceMs = times.loggerAvoidedMsMax + budget.recoveryMs;
    let endMs = this.#clock.now() + patienceMs;
    // Rounds of many copies in small pieces take long: each copy that is read gives time for the next.
    for (let round = 0; !this.#inspection.isScrubbed(rounds); round += 1) {
      if (rounds.hasProgress && round < budget.scrubLooksMax) endMs = this.#clock.now() + patienceMs;
      if (this.#clock.now() >= endMs) throw new Stuck('copies are found damaged again and again, or not read');
      await this.#pass(stepMs);
    }
    this.#coverage.count('all copies intact after a scrub');
    return true;
  }

  async #readAll(): Promise<void> {
    const { endpoints, record } = this.#cluster;
    const process = this.#cluster.clientProcess(0, 'check-client');
    const client = await this.#during(
      connectClient(process, endpoints, { timeoutMs: 30_000, direct: true }, record.cluster),
    );
    this.#workload.clients.push({ process, client });
    await this.#during(this.#workload.readAll(client));
  }

  /** An orderly end, after which nothing may be left: no timer, no connection. */
  async #end(): Promise<void> {
    for (const { client } of this.#workload.clients) this.#coverage.count('retry by a client', client.status().resends);
    await this.#during(Promise.all(this.#workload.clients.map(({ client }: { client: Client }) => client.close())));
    this.#raw?.close();
    const processes: SimulatedProcess[] = [
      ...(this.#raw?.processes ?? []),
      ...this.#workload.clients.map(({ process }) => process),
      ...this.#cluster.nodes.flatMap((node) => (node.process === undefined ? [] : [node.process])),
    ];
    this.#inspection.close();
    await this.#during(this.#cluster.close());
    await this.#until(
      () => this.#cluster.network.connectionEnds === 0 && processes.every(({ clock }) => clock.timers === 0),
      endMs,
    );
    const timers = processes
      .filter(({ clock }) => clock.timers > 0)
      .map(({ host, clock }) => `${host}: ${clock.timers}`);
    if (timers.length > 0) throw new Stuck(`timers are left after the end: ${timers.join(', ')}`);
    if (this.#cluster.network.connectionEnds > 0)
      throw new Stuck(`${this.#cluster.network.connectionEnds} ends of connections are left`);
  }

  /** Runs turns for so much simulated time. */
  async #pass(forMs: number): Promise<void> {
    const until = this.#clock.now() + forMs;
    await this.#until(() => this.#clock.now() >= until, forMs);
  }

  /** Runs turns until `goal` holds; false when it does not within `forMs` of simulated time. */
  async #until(goal: () => boolean, forMs: number): Promise<boolean> {
    const clock = this.#clock;
    const end = clock.now() + forMs;
    let isOver = false;
    const timer = clock.after(forMs, () => {
      isOver = true;
    });
    await clock.runUntil(
      () => this.#failure !== undefined || goal() || isOver || clock.now() > end,
      turnsMax - this.#turns,
    );
    timer.cancel();
    if (this.#failure !== undefined) throw this.#failure.error;
    if (clock.turns > turnsMax) throw new Stuck(`${turnsMax} turns`);
    return goal();
  }

  async #during<T>(promise: Promise<T>): Promise<T> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    promise.then(
      (value) => {
        outcome = { value };
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
    const done = await this.#until(() => outcome !== undefined, budget.recoveryMs);
    if (!done || outcome === undefined) throw new Stuck('something that was waited for did not happen');
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  #result(): LifeResult {
    const history = exportHistory(this.#history.events);
    const { transcript } = this.#cluster;
    const hash = createHash('sha256')
      .update(history)
      .update(`${transcript.count} ${this.#clock.turns} ${this.#clock.now()}`)
      .digest('hex')
      .slice(0, 16);
    return {
      seed: this.#plan.seed,
      verdict: this.#verdict(),
      hash,
      events: this.#history.events.length,
      turns: this.#clock.turns,
      simulatedMs: this.#clock.now(),
      coverage: this.#coverage.counts,
      faults: this.#faults,
      last: transcript.last,
      history,
    };
  }

  #verdict(): Verdict {
    if (this.#failure === undefined) return { kind: 'ok' };
    const { error } = this.#failure;
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const stack = error instanceof Error ? error.stack : undefined;
    if (error instanceof Stuck) return { kind: 'stuck', reason, stack: undefined };
    if (error instanceof Unjudged) return { kind: 'unjudged', reason, stack: undefined };
    if (error instanceof Violation || error instanceof WrongAnswer) return { kind: 'wrong', reason, stack: undefined };
    return { kind: 'crash', reason, stack };
  }
}
