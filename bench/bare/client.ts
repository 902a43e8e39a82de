/**
 * The load of the bare prototype: a fixed number of requests in flight over all gateways, each followed at once by the
 * next.
 */
import { connectTo, FrameWriter, kinds } from './frames.ts';

export type Operation = 'put' | 'get';

export interface Result {
  readonly count: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Latencies are counted by microsecond, up to a second. */
const latenciesMax = 1_000_000;

export class BareClient {
  readonly #keys: readonly string[];
  readonly #value: Buffer;
  #gateways: readonly FrameWriter[] = [];
  #keyIndex = 0;

  #kind: number = kinds.put;
  #endMs = 0;
  /** A request's number is its lane. */
  #startedMs = new Float64Array(0);
  #lanes = 0;
  #count = 0;
  readonly #latencies = new Uint32Array(latenciesMax);
  #onEnd: () => void = () => undefined;

  private constructor(keyCount: number, valueBytes: number) {
    this.#keys = Array.from({ length: keyCount }, (_, index) => `bench-${valueBytes}-${index}`);
    this.#value = Buffer.alloc(valueBytes, 'value ');
  }

  /** Resolves when every key has a value. */
  static async connect(ports: readonly number[], keyCount: number, valueBytes: number): Promise<BareClient> {
    const client = new BareClient(keyCount, valueBytes);
    const sockets = await Promise.all(ports.map((port) => connectTo(port, client.#onAnswer)));
    client.#gateways = sockets.map((socket) => new FrameWriter(socket));
    while (client.#keyIndex < keyCount) await client.run('put', 64, 1);
    return client;
  }

  /** The time is that from the first request to the last answer. */
  async run(operation: Operation, inFlight: number, forMs: number): Promise<Result> {
    this.#kind = kinds[operation];
    this.#startedMs = new Float64Array(inFlight);
    this.#lanes = inFlight;
    this.#count = 0;
    this.#latencies.fill(0);
    const startMs = performance.now();
    this.#endMs = startMs + forMs;
    for (let lane = 0; lane < inFlight; lane++) this.#request(lane, startMs);
    await new Promise<void>((resolve) => (this.#onEnd = resolve));
    const seconds = (performance.now() - startMs) / 1000;
    return { count: this.#count, seconds, p50Ms: this.#percentileMs(0.5), p99Ms: this.#percentileMs(0.99) };
  }

  readonly #onAnswer = (kind: number, lane: number, bytes: Buffer, start: number, end: number): void => {
    const isRight =
      kind === kinds.get ? end - start === this.#value.length && bytes[start] === this.#value[0] : end - start === 4;
    if (kind !== this.#kind || !isRight) throw new Error('a wrong answer');
    const nowMs = performance.now();
    const micros = Math.min(latenciesMax - 1, Math.floor((nowMs - (this.#startedMs[lane] ?? 0)) * 1000));
    this.#latencies[micros] = (this.#latencies[micros] ?? 0) + 1;
    this.#count++;
    if (nowMs < this.#endMs) this.#request(lane, nowMs);
    else if (--this.#lanes === 0) this.#onEnd();
  };

  #request(lane: number, nowMs: number): void {
    // A large stride spreads what is in flight over all gateways and keys.
    const key = this.#keys[(this.#keyIndex++ * 7_919) % this.#keys.length] ?? '';
    const gateway = this.#gateways[hash(key) % this.#gateways.length];
    if (gateway === undefined) throw new Error('there are gateways');
    this.#startedMs[lane] = nowMs;
    if (this.#kind === kinds.get) {
      const body = gateway.frame(kinds.get, lane, key.length);
      gateway.bytes.write(key, body, 'latin1');
    } else {
      const body = gateway.frame(kinds.put, lane, 2 + key.length + this.#value.length);
      gateway.bytes.writeUInt16LE(key.length, body);
      gateway.bytes.write(key, body + 2, 'latin1');
      this.#value.copy(gateway.bytes, body + 2 + key.length);
    }
  }

  #percentileMs(share: number): number {
    let rest = share * this.#count;
    return this.#latencies.findIndex((count) => (rest -= count) <= 0) / 1000;
  }
}

/** FNV-1a. */
function hash(key: string): number {
  let sum = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) sum = Math.imul(sum ^ key.charCodeAt(index), 0x01000193);
  return sum >>> 0;
}
