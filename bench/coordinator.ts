/**
 * The embedded coordinator, with real processes on a real disk: `node dist/bench/coordinator.js [seconds]`.
 *
 * 1. transactions/s and latency, one in flight in each process, with 1 and with 6 processes, two keys a transaction;
 * 2. the same with 16 in flight in one process (they share syncs);
 * 3. from the call of `transact` in one process to the watch callback in another, both idle before;
 * 4. what idling with an open watch costs: CPU of 6 processes.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { silent } from '../src/base/log.ts';
import { openSqliteCoordinator } from '../src/coordinator/sqlite/sqlite.ts';
import { RealClock } from '../src/env/real/clock.ts';

type Order =
  | { readonly kind: 'transact'; readonly seconds: number; readonly inFlight: number }
  | { readonly kind: 'idle'; readonly seconds: number }
  | { readonly kind: 'watch' };
/** Milliseconds. */
type Report = readonly number[];

const program = fileURLToPath(import.meta.url);
const open = (file: string) => openSqliteCoordinator({ file, clock: new RealClock(), log: silent });
/** The same clock in every process of a machine. */
const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;

function percentile(sorted: readonly number[], share: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN).toFixed(2);
}

function latencies(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  return `p50 ${percentile(sorted, 0.5)} ms, p99 ${percentile(sorted, 0.99)} ms, max ${percentile(sorted, 1)} ms`;
}

async function child(file: string, number: string): Promise<void> {
  const coordinator = await open(file);
  const report = (values: Report): void => void process.send?.(values);
  async function transact(seconds: number, inFlight: number): Promise<void> {
    const [end, times]: [number, number[]] = [machineMs() + seconds * 1_000, []];
    const one = async (lane: number): Promise<void> => {
      const value = new Uint8Array(200);
      while (machineMs() < end) {
        const start = machineMs();
        await coordinator.transact(
          [],
          [
            { key: `head/${number}/${lane}`, value },
            { key: `zone/${number}/${lane}`, value },
          ],
        );
        times.push(machineMs() - start);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, (_, lane) => one(lane)));
    report(times);
  }
  async function idle(seconds: number): Promise<void> {
    const watch = coordinator.watch('', (await coordinator.list('')).revision, () => undefined);
    await sleep(2_000);
    const [start, before] = [machineMs(), process.cpuUsage()];
    await sleep(seconds * 1_000);
    const used = process.cpuUsage(before);
    report([(used.user + used.system) / 1_000 / (machineMs() - start)]);
    watch.close();
  }
  process.on('message', (order: Order) => {
    if (order.kind === 'transact') void transact(order.seconds, order.inFlight);
    else if (order.kind === 'idle') void idle(order.seconds);
    else
      void coordinator
        .list('')
        .then(({ revision }) => coordinator.watch('signal', revision, () => report([machineMs()])));
  });
  process.on('disconnect', () => void coordinator.close());
  report([]);
}

const nextReport = (from: ChildProcess): Promise<Report> =>
  new Promise((resolve) => from.once('message', (report: Report) => resolve(report)));

async function withChildren<T>(
  file: string,
  count: number,
  body: (children: readonly ChildProcess[]) => Promise<T>,
): Promise<T> {
  const children = Array.from({ length: count }, (_, number) => fork(program, ['child', file, String(number)]));
  await Promise.all(children.map(nextReport));
  const result = await body(children);
  await Promise.all(
    children.map(async (process) => {
      const exited = new Promise((resolve) => process.once('exit', resolve));
      process.disconnect();
      await exited;
    }),
  );
  return result;
}

async function orderAll(children: readonly ChildProcess[], order: Order): Promise<Report> {
  const reports = children.map(nextReport);
  for (const process of children) process.send(order);
  return (await Promise.all(reports)).flat();
}

async function main(seconds: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'kv-filelog-bench-'));
  const file = join(folder, 'coordinator.db');
  try {
    for (const [processes, inFlight] of [
      [1, 1],
      [1, 16],
      [6, 1],
    ] as const) {
      const times = await withChildren(file, processes, (children) =>
        orderAll(children, { kind: 'transact', seconds, inFlight }),
      );
      console.log(
        `${processes} process(es), ${inFlight} in flight each: ${Math.round(times.length / seconds)} transactions/s, ${latencies(times)}`,
      );
    }
    const delays = await withChildren(file, 1, ([watcher]) =>
      watcher === undefined ? Promise.resolve([]) : watchDelays(file, watcher),
    );
    console.log(`transact in one process to the watch in another: ${latencies(delays)}`);
    const idle = await withChildren(file, 6, (children) =>
      orderAll(children, { kind: 'idle', seconds: Math.max(5, seconds) }),
    );
    console.log(
      `idle with a watch open: ${idle.map((share) => (share * 100).toFixed(2)).join(' ')} % of a CPU in each of 6 processes`,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function watchDelays(file: string, watcher: ChildProcess): Promise<number[]> {
  const coordinator = await open(file);
  watcher.send({ kind: 'watch' } satisfies Order);
  await sleep(500);
  const delays: number[] = [];
  for (let count = 0; count < 200; count += 1) {
    const heard = nextReport(watcher);
    const start = machineMs();
    await coordinator.transact([], [{ key: 'signal', value: new Uint8Array([count]) }]);
    delays.push(((await heard)[0] ?? NaN) - start);
    // Longer than the time in which the watcher looks more often, and out of step with its looks.
    await sleep(60 + (count % 13));
  }
  await coordinator.close();
  return delays;
}

const [role, file = '', number = '0'] = process.argv.slice(2);
if (role === 'child') await child(file, number);
else await main(Number(role ?? 5));
