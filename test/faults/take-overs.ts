/**
 * Many forced take-overs while clients work that must not notice: compare-and-set increments, whose sum is exact in the
 * end, and the testbed's clients, a replay of traces and one in its own wire form.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KvError } from '../../src/base/errors.ts';
import { connect, type Client } from '../../src/client/index.ts';
import { realEnvironment } from '../../src/env/real/environment.ts';
import { below } from '../../src/env/random.ts';
import { SimulatedRandom } from '../../src/env/simulated/random.ts';
import { connectRaw, type RawGateway } from '../../sim/raw-gateway.ts';
import { numbers } from './nodes.ts';
import { onStage, type RunOptions } from './run.ts';
import { callMsMax, type Stage } from './stage.ts';

const counters: readonly string[] = ['counter0', 'counter1', 'counter2', 'counter3'];
const incrementers = 4;
/** Time in which a shard has another owner, on a busy machine. */
const takeOverMsMax = 30_000;
const lookEveryMs = 50;
/** Keys of the testbed are numbers. */
const testbedKeys = 50;

export interface TakeOversResult {
  readonly takeOvers: number;
  /** Calls that clients made and that went well. */
  readonly calls: number;
  readonly lost: readonly string[];
  readonly complaints: readonly string[];
}

export interface TakeOversOptions extends RunOptions {
  readonly takeOvers: number;
  readonly seed: number;
  /** Told how many have been done. */
  readonly say?: (line: string) => void;
}

/** A client that goes on until it is told to stop. */
interface Work {
  /** Calls that went well. @throws Error anything went wrong */
  stop(): Promise<number>;
}

/** Increments by compare-and-set. @throws Error an increment saw an error, or no other owner came */
export function runIncrements(options: TakeOversOptions): Promise<TakeOversResult> {
  return onStage('increments', options.isExpected === true, { needs: [], build: options.build }, async (stage) => {
    await using client = await connect(stage.nodes.endpoints, { timeoutMs: callMsMax });
    for (const counter of counters) await client.put(counter, '0');
    const works = Array.from({ length: incrementers }, (_, number) =>
      until((isOver) => incrementAll(client, options.seed + number, isOver)),
    );
    const takeOvers = await force(stage, options);
    const calls = await stopAll(works);
    const values = await Promise.all(counters.map(async (counter) => Number((await client.get(counter))?.text)));
    const sum = values.reduce((total, value) => total + value, 0);
    const complaints = sum === calls ? [] : [`${calls} increments were acknowledged, and the counters say ${sum}`];
    return { takeOvers, calls, lost: [], complaints };
  });
}

/** The testbed's clients. @throws Error one of them saw an error, or no other owner came */
export function runReplay(options: TakeOversOptions, traces: readonly string[]): Promise<TakeOversResult> {
  return onStage('replay', options.isExpected === true, { needs: [], build: options.build }, async (stage, folder) => {
    const files = traces.length > 0 ? traces : [await madeTrace(stage, folder)];
    const testbed = new TestbedClient(stage.nodes.endpoints);
    const works = [
      until((isOver) => replayAll(stage, files, folder, isOver)),
      until((isOver) => testbed.run(options.seed, isOver)),
    ];
    // It has one connection, and nothing sends its calls again elsewhere: it is at a gateway that lives.
    const takeOvers = await force(stage, options, (owner) => testbed.use((owner + 1) % numbers.length));
    return { takeOvers, calls: await stopAll(works), lost: [], complaints: [] };
  });
}

/** Calls that went well. @throws Error one of them did not */
async function stopAll(works: readonly Work[]): Promise<number> {
  let calls = 0;
  for (const work of works) calls += await work.stop();
  return calls;
}

function until(run: (isOver: () => boolean) => Promise<number>): Work {
  let isOver = false;
  const running = run(() => isOver);
  // A failure is thrown where it is awaited, in `stop`.
  running.catch(() => undefined);
  return {
    stop: () => {
      isOver = true;
      return running;
    },
  };
}

async function incrementAll(client: Client, seed: number, isOver: () => boolean): Promise<number> {
  const random = new SimulatedRandom(seed);
  let done = 0;
  while (!isOver()) {
    const counter = counters[below(random, counters.length)] ?? '';
    const found = await client.get(counter);
    try {
      await client.put(counter, String(Number(found?.text) + 1), { ifVersion: found?.version ?? 0 });
      done += 1;
    } catch (error) {
      if (!(error instanceof KvError) || error.code !== 'condition-failed') throw error;
    }
    await sleep(below(random, 3));
  }
  return done;
}

async function madeTrace(stage: Stage, folder: string): Promise<string> {
  const lines = Array.from({ length: 2_000 }, (_, index) => {
    const key = (index * 7) % 101;
    return index % 3 === 2 ? `GET ${key}` : `PUT ${key} value-${index}-${stage.nodes.endpoints.length}`;
  });
  const file = join(folder, 'made-trace.txt');
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}

/** `client 1 TRACE --verify`, again and again; each GET is compared with what the trace wrote. */
async function replayAll(
  stage: Stage,
  files: readonly string[],
  statistics: string,
  isOver: () => boolean,
): Promise<number> {
  let done = 0;
  for (; !isOver(); done += 1) {
    const file = files[done % files.length] ?? '';
    const { code, text } = await stage.command('client', '1', file, '--verify', '--statistics', statistics);
    if (code !== 0) throw new Error(`the replay ended with ${code}: ${text}`);
  }
  return done;
}

/** HandleWrite and HandleRead on one connection at a time; each read is compared with what was written. */
class TestbedClient {
  readonly #endpoints: readonly string[];
  readonly #written = new Map<string, string>();
  #wanted = 0;
  #used = -1;

  constructor(endpoints: readonly string[]) {
    this.#endpoints = endpoints;
  }

  /** Resolves when it has left the gateway at which it was for another one. */
  async use(gateway: number): Promise<void> {
    this.#wanted = gateway;
    for (const sinceMs = performance.now(); this.#used !== gateway; await sleep(lookEveryMs))
      if (performance.now() - sinceMs > callMsMax) throw new Error("the testbed's client makes no calls any more");
  }

  /** Calls that went well. @throws Error one of them did not */
  async run(seed: number, isOver: () => boolean): Promise<number> {
    const random = new SimulatedRandom(seed);
    let done = 0;
    while (!isOver()) {
      const used = this.#wanted;
      const gateway = await connectRaw(realEnvironment(), this.#endpoints[used] ?? '', callMsMax, false);
      this.#used = used;
      for (; this.#wanted === used && !isOver(); done += 1) await this.#call(gateway, random, `value-${done}`);
      gateway.close();
    }
    return done;
  }

  async #call(gateway: RawGateway, random: SimulatedRandom, value: string): Promise<void> {
    const key = String(1_000_000 + below(random, testbedKeys));
    const known = this.#written.get(key);
    if (below(random, 2) === 0 || known === undefined) {
      await gateway.handleWrite(key, Buffer.from(value));
      this.#written.set(key, value);
    } else {
      const found = Buffer.from((await gateway.handleRead(key)) ?? []).toString();
      if (found !== known) throw new Error(`the testbed's client read '${found}' where '${known}' was written`);
    }
    await sleep(below(random, 5));
  }
}

/**
 * Forces take-overs of shard 0: its owner is killed, and started again when it has another one. Not stopped: that one
 * is silent proves nothing, and after some changes of owner the others wait long (decision 0016). `before`: told of who
 * is going to be killed. How many there were.
 */
async function force(
  stage: Stage,
  { takeOvers, say }: TakeOversOptions,
  before: (owner: number) => Promise<void> = () => Promise.resolve(),
): Promise<number> {
  for (let done = 1; done <= takeOvers; done += 1) {
    const owner = await otherOwner(stage, -1);
    await before(owner);
    await stage.nodes.kill('gateway', owner);
    await otherOwner(stage, owner);
    await stage.heal();
    if (done % 10 === 0) say?.(`${done} take-overs`);
  }
  return takeOvers;
}

/** Owner of shard 0 that is not `old`. @throws Error there is none in time */
async function otherOwner(stage: Stage, old: number): Promise<number> {
  const live = numbers.filter((number) => number !== old);
  for (const sinceMs = performance.now(); performance.now() - sinceMs < takeOverMsMax; await sleep(lookEveryMs)) {
    const [line] = await stage.owners(live);
    if (line !== undefined) return line.owner;
  }
  throw new Error(`shard 0 has no other owner than gateway ${old} after ${takeOverMsMax} ms`);
}
