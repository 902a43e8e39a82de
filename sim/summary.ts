/** Sums over many lives: what they reached, how they ended, how fast they ran. */
import type { Verdict } from './life.ts';
import { guards, situations } from './coverage.ts';

export interface SeedResult {
  readonly seed: number;
  readonly kind: Verdict['kind'];
  readonly reason: string;
  readonly hash: string;
  readonly events: number;
  readonly turns: number;
  readonly simulatedMs: number;
  readonly coverage: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
}

export class Summary {
  readonly #from: number;
  readonly #wanted: number;
  readonly #startedMs = realMs();
  readonly #startedCpu = process.cpuUsage();
  readonly #failures: SeedResult[] = [];
  readonly #coverage = new Map<string, { lives: number; times: number }>();
  readonly #faults = new Map<string, { lives: number; times: number }>();
  #lives = 0;
  #events = 0;
  #turns = 0;
  #simulatedMs = 0;

  constructor(from: number, wanted: number) {
    this.#from = from;
    this.#wanted = wanted;
  }

  get verdicts(): readonly Verdict['kind'][] {
    return this.#failures.map(({ kind }) => kind);
  }

  add(result: SeedResult): void {
    this.#lives += 1;
    this.#events += result.events;
    this.#turns += result.turns;
    this.#simulatedMs += result.simulatedMs;
    if (result.kind !== 'ok') this.#failures.push(result);
    addAll(this.#coverage, result.coverage);
    addAll(this.#faults, result.faults);
  }

  text(): string {
    const seconds = (realMs() - this.#startedMs) / 1000;
    const unjudged = this.#failures.filter(({ kind }) => kind === 'unjudged').length;
    const failures = this.#failures.map(({ seed, kind, reason }) => `  seed ${seed}: ${kind}: ${reason.slice(0, 200)}`);
    return [
      'situation                                  lives      times',
      ...situations.map((name) => row(name, this.#coverage.get(name))),
      ...guards.filter((name) => this.#coverage.has(name)).map((name) => row(name, this.#coverage.get(name))),
      'fault                                      lives      times',
      ...[...this.#faults.keys()].sort().map((name) => row(name, this.#faults.get(name))),
      `${this.#lives} of ${this.#wanted} lives from seed ${this.#from} in ${seconds.toFixed(1)} s: ${((60 * this.#lives) / seconds).toFixed(0)} lives a minute, ` +
        `${(this.#events / this.#lives / 2).toFixed(0)} calls a life, ${(this.#turns / seconds).toFixed(0)} turns a second, ` +
        `${(this.#simulatedMs / 1000 / seconds).toFixed(0)} simulated seconds a second`,
      `processor time of this process: ${cpuSeconds(this.#startedCpu).toFixed(1)} s`,
      `${this.#failures.length - unjudged} failed`,
      unjudged === 0
        ? 'every history was judged'
        : `${unjudged} COULD NOT BE JUDGED: their histories are too hard for the check of linearizability, so that these lives prove nothing`,
      ...failures,
    ].join('\n');
  }
}

function addAll(sums: Map<string, { lives: number; times: number }>, counts: Readonly<Record<string, number>>): void {
  for (const [name, times] of Object.entries(counts)) {
    if (times === 0) continue;
    const sum = sums.get(name) ?? { lives: 0, times: 0 };
    sum.lives += 1;
    sum.times += times;
    sums.set(name, sum);
  }
}

function row(name: string, sum: { readonly lives: number; readonly times: number } | undefined): string {
  return `  ${name.padEnd(38)} ${String(sum?.lives ?? 0).padStart(7)} ${String(sum?.times ?? 0).padStart(10)}`;
}

/** Real time, which speed is about. */
function realMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

function cpuSeconds(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000_000;
}
