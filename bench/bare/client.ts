/** The load of the bare prototype: a fixed number of requests in flight over all gateways, each followed at once by the next. */
import type { Socket } from 'node:net';
import { type FrameHandler, connectTo, FrameWriter, kinds } from './frames.ts';

export type Operation = 'put' | 'get';

export interface Result {
  readonly count: number;
  readonly seconds: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** Latencies are counted by microsecond, up to a second. */
const latenciesMax = 1_000_000;

export class BareClient implements FrameHandler {
  readonly #keys: readonly string[];
  readonly #value: Buffer;
  #sockets: readonly Socket[] = [];
  #gateways: readonly FrameWriter[] = [];

  #kind: number = kinds.put;
  #keyIndex = 0;
  /** A request's number is its lane. */
  #startedMs = new Float64Array(0);
  /** Of the answers of one turn. */
  #nowMs = 0;
  #endMs = 0;
  #inFlight = 0;
  #count = 0;
  readonly #latencies = new Uint32Array(latenciesMax);
  #done: () => void = () => undefined;

  private constructor(keyCount: number, valueBytes: number) {
    this.#keys = Array.from({ length: keyCount }, (_, index) => `bench-${valueBytes}-${index}`);
    this.#value = Buffer.alloc(valueBytes, 'value ');
  }

  /** Resolves when every key has a value. */
  static async connect(ports: readonly number[], keyCount: number, valueBytes: number): Promise<BareClient> {
    const client = new BareClient(keyCount, valueBytes);
    client.#sockets = await Promise.all(ports.map((port) => connectTo(port, client)));
    client.#gateways = client.#sockets.map((socket) => new FrameWriter(socket));
    while (client.#keyIndex < keyCount) await client.run('put', 64, 1);
    return client;
  }

  /** The rate counts from the first request until the last has been answered. */
  run(operation: Operation, inFlight: number, forMs: number): Promise<Result> {
    this.#kind = kinds[operation];
    this.#count = 0;
    this.#latencies.fill(0);
    this.#startedMs = new Float64Array(inFlight);
    this.#inFlight = inFlight;
    const startMs = performance.now();
    this.#nowMs = startMs;
    this.#endMs = startMs + forMs;
    for (let lane = 0; lane < inFlight; lane++) this.#request(lane);
    return new Promise((resolve) => {
      this.#done = () =>
        resolve({
          count: this.#count,
          seconds: (performance.now() - startMs) / 1000,
          p50Micros: this.#percentile(0.5),
          p99Micros: this.#percentile(0.99),
        });
    });
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  onFrame(kind: number, lane: number, bytes: Buffer, start: number, end: number): void {
    const isRight = kind === kinds.get ? end - start === this.#value.length && bytes[start] === this.#value[0] : end - start === 4;
    if (kind !== this.#kind || !isRight) throw new Error('a wrong answer');
    if (this.#nowMs === 0) this.#nowMs = performance.now();
    const micros = (this.#nowMs - (this.#startedMs[lane] ?? 0)) * 1000;
    const slot = Math.min(latenciesMax - 1, Math.floor(micros));
    this.#latencies[slot] = (this.#latencies[slot] ?? 0) + 1;
    this.#count++;
    if (this.#nowMs < this.#endMs) this.#request(lane);
    else if (--this.#inFlight === 0) this.#done();
  }

  onPause(): void {
    this.#nowMs = 0;
  }

  #request(lane: number): void {
    // A large stride spreads what is in flight over all gateways and keys.
    const key = this.#keys[(this.#keyIndex++ * 7_919) % this.#keys.length] ?? '';
    const gateway = this.#gateways[hash(key) % this.#gateways.length];
    if (gateway === undefined) throw new Error('there are gateways');
    this.#startedMs[lane] = this.#nowMs;
    if (this.#kind === kinds.get) {
      const at = gateway.frame(kinds.get, lane, key.length);
      gateway.bytes.write(key, at, 'latin1');
    } else {
      const at = gateway.frame(kinds.put, lane, 2 + key.length + this.#value.length);
      gateway.bytes.writeUInt16LE(key.length, at);
      gateway.bytes.write(key, at + 2, 'latin1');
      this.#value.copy(gateway.bytes, at + 2 + key.length);
    }
  }

  #percentile(share: number): number {
    let rest = share * this.#count;
    return this.#latencies.findIndex((count) => (rest -= count) <= 0);
  }
}

/** FNV-1a. */
function hash(key: string): number {
  let sum = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) sum = Math.imul(sum ^ key.charCodeAt(index), 0x01000193);
  return sum >>> 0;
}
